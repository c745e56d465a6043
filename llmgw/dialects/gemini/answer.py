"""A whole answer: `GenerateContentResponse`, read from a provider and written for a client.

What only Gemini says of a candidate (safety ratings, grounding, average log-probability) stays in the choice's
`native`; grounding becomes citations of the texts besides. A prompt that was refused has no candidates at all: its
answer is one choice without parts that ended for the reason the feedback gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from llmgw.canonical import (
    Answer,
    Chat,
    Choice,
    Citation,
    Json,
    Media,
    NativePart,
    Part,
    Refusal,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Usage,
)
from llmgw.dialects import members
from llmgw.dialects.codec import Losses, Stamp
from llmgw.dialects.gemini import citations, finish, logprobs, part_reader, part_writer, spelling, usage
from llmgw.dialects.gemini.spelling import ANSWER, NAME, Fields
from llmgw.dialects.json_text import to_client
from llmgw.errors import UpstreamFailed

_TIERS: Final = {"standard": "default", "unspecified": None}


def read(body: bytes) -> Answer:
    """Read a provider's answer.

    Raises:
        UpstreamFailed: it is none; says what was wrong.
    """
    found = spelling.answer(body)
    if "error" in found:
        raise UpstreamFailed("The provider answered with an error instead of an answer.")
    candidates = found.every("candidates")
    used = found.fields("usageMetadata")
    identity, version = found.text("responseId"), found.text("modelVersion")
    choices = [choice(candidate, index) for index, candidate in enumerate(candidates)]
    if len({one.index for one in choices}) < len(choices):
        raise UpstreamFailed("The provider's answer is not valid: two candidates have the same index.")
    if not choices:
        ended = finish.blocked(found.whole().get("promptFeedback"))
        if ended is None:
            raise UpstreamFailed("The provider's answer is not valid: it has no candidates.")
        choices = [Choice(finish=ended)]
    counted = None if used is None else usage.read(used)
    return Answer(
        dialect=NAME,
        id=identity,
        model=version,
        choices=tuple(choices),
        usage=counted,
        service_tier=tier(counted),
        native=found.rest(),
    )


def tier(counted: Usage | None) -> str | None:
    """The service tier, which Gemini reports among the usage, by the neutral name."""
    said = None if counted is None else counted.native.get("serviceTier")
    return _TIERS.get(said.lower(), said.lower()) if isinstance(said, str) else None


def choice(candidate: Fields, position: int) -> Choice:
    """One candidate; `position` is its place in the list, which is its index where it says none."""
    index = candidate.integer("index")
    content = candidate.fields("content")
    parts: tuple[Part, ...] = ()
    if content is not None:
        content.text("role")
        parts = part_reader.read_all(content.every("parts"))
    ended = finish.read(candidate, calls=any(isinstance(part, ToolCall) for part in parts))
    if ended is None:
        raise UpstreamFailed("The provider's answer has no finish reason; it is not complete.")
    native = candidate.rest()
    spoken = citations.Spoken()
    for block, part in enumerate(parts):
        if isinstance(part, Text):
            spoken.say(block, part.text)
    cited: dict[int, list[Citation]] = {}
    for block, citation in citations.read(
        native.get("groundingMetadata"), native.get("citationMetadata"), spoken
    ):
        cited.setdefault(block, []).append(citation)
    tokens = native.get("logprobsResult")
    return Choice(
        index=position if index is None else index,
        parts=tuple(_cite(part, cited.get(block, [])) for block, part in enumerate(parts)),
        finish=ended,
        logprobs=None
        if tokens is None
        else logprobs.read(tokens, candidate.path("logprobsResult"), members.of_provider),
        native=native,
    )


def _cite(part: Part, found: list[Citation]) -> Part:
    return replace(part, citations=tuple(found)) if found and isinstance(part, Text) else part


def write_answer(answer: Answer, chat: Chat, stamp: Stamp, losses: Losses) -> bytes:
    """The body of the answer to a client's `chat`.

    Raises:
        UpstreamFailed: a tool call's arguments are no JSON object.
    """
    own = answer.dialect == NAME
    written: dict[str, Json] = {}
    feedback = answer.native.get("promptFeedback") if own else None
    blocked = finish.blocked(feedback) is not None and not any(one.parts for one in answer.choices)
    if not blocked:
        written["candidates"] = [_candidate(one, answer, stamp, losses) for one in answer.choices]
    if answer.usage is not None:
        written["usageMetadata"] = usage.write(answer.usage)
    written["modelVersion"] = answer.model or chat.model
    written["responseId"] = answer.id or stamp.id
    if own:
        written.update(answer.native)
    else:
        for name in answer.native:
            losses.advise(name)
    return to_client(written)


def _candidate(one: Choice, answer: Answer, stamp: Stamp, losses: Losses) -> dict[str, Json]:
    own = answer.dialect == NAME
    parts: list[Json] = []
    cited = citations.Cited()
    for part in one.parts:
        if isinstance(part, Text):
            for citation in part.citations:
                cited.add(citation, part.text, part=len(parts))
        written = answer_part(part, answer.dialect, f"{stamp.id}-{one.index}-{len(parts)}")
        if written is None:
            assert isinstance(part, NativePart)  # everything else has a place
            losses.advise(f"part.{part.kind}")
        else:
            parts.append(written)
    candidate: dict[str, Json] = {"content": {"role": "model", "parts": parts}}
    if not parts:
        del candidate["content"]["parts"]
    if one.finish is not None:
        candidate.update(finish.write(one.finish, own))
    candidate["index"] = one.index
    if own:
        candidate.update(one.native)
        return candidate
    candidate.update(cited.members())
    if one.logprobs is not None:
        candidate["logprobsResult"] = logprobs.write(one.logprobs)
    for name in one.native:
        losses.advise(name)
    return candidate


def answer_part(part: Part, origin: str, call_id: str) -> Mapping[str, Json] | None:
    """A part of an answer; None where it is another dialect's own.

    Args:
        origin: the dialect of the answer.
        call_id: for a call of another dialect that brings none.
    """
    own = origin == NAME
    if isinstance(part, Text):
        return part_writer.text(part, own)
    if isinstance(part, ToolCall):
        if part.id is None and not own:
            part = replace(part, id=call_id)
        return part_writer.call(part, own, ANSWER)
    if isinstance(part, Thought):
        return part_writer.thought(part, origin)
    if isinstance(part, Refusal):
        return {"text": part.text}
    if isinstance(part, Media):
        return part_writer.media(part, own)
    if isinstance(part, ToolResult):  # no API has one in an answer; kept for those that will
        texts = "".join(one.text for one in part.parts if isinstance(one, Text))
        return {"functionResponse": {"name": part.name or "", "response": {"result": texts}}}
    return part.data if part.dialect == NAME else None
