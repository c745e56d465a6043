"""A whole answer (`Message`): the provider's read, and a client's written.

What another dialect's answer has and this API cannot show is reported and never refused: further choices, log
probabilities, media, counters. Blocks of Anthropic's own pass whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llmgw.canonical import (
    NOTHING,
    Answer,
    Chat,
    Choice,
    Json,
    Media,
    Native,
    Part,
    Refusal,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.dialects import json_text, members
from llmgw.dialects.anthropic import block_reader, block_writer, finish, usage
from llmgw.dialects.anthropic.spelling import NAME
from llmgw.dialects.codec import Losses, Stamp
from llmgw.dialects.members import Members, of_provider
from llmgw.errors import UpstreamFailed

Block = dict[str, Json]


def read(body: bytes) -> Answer:
    """The provider's answer.

    Raises:
        UpstreamFailed: it is no such answer; says what was wrong with it.
    """
    of = Members(members.answer_object(body), "", of_provider)
    kind = of.any("type")
    if kind not in (None, "message"):
        raise of.wrong("type", "'message'")
    of.any("role")
    if "content" not in of:
        raise of.wrong("content", "an array of content blocks")
    parts = block_reader.content(of)
    counted = of.object("usage")
    tier = None if counted is None else usage.tier(counted)
    details = of.any("stop_details")
    ended = finish.read(of.text("stop_reason"), of.text("stop_sequence"), details)
    if ended is None:
        raise UpstreamFailed("The provider's answer has no stop_reason; it is not complete.")
    return Answer(
        dialect=NAME,
        id=of.text("id"),
        model=of.text("model"),
        choices=(
            Choice(
                parts=parts,
                finish=ended,
                native=NOTHING if details is None else {"stop_details": details},
            ),
        ),
        usage=None if counted is None else usage.read(counted),
        service_tier=tier,
        native=of.rest(),
    )


def write(answer: Answer, chat: Chat, stamp: Stamp, losses: Losses) -> bytes:
    """The body of a client's answer.

    Raises:
        UpstreamFailed: a tool call's arguments are no JSON object, which is what this API has there.
    """
    own = answer.dialect == NAME
    choice = answer.choices[0] if answer.choices else Choice()
    if len(answer.choices) > 1:
        losses.advise("n")
    if choice.logprobs is not None:
        losses.advise("logprobs")
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    refused = any(isinstance(part, Refusal) for part in choice.parts)
    counts = usage.write(answer.usage, own)
    tier = usage.written_tier(answer.service_tier, own)
    if tier is not None:
        counts["service_tier"] = tier
    elif answer.service_tier is not None:
        losses.advise("service_tier")
    written: dict[str, Json] = {
        "id": message_id(answer.id, own, stamp),
        "type": "message",
        "role": "assistant",
        "model": answer.model or chat.model,
        "content": _Writer(answer.dialect, stamp, losses).blocks(choice.parts),
        **finish.write(choice.finish, own=own, called=called, refused=refused),
        "usage": counts,
    }
    if own:
        written.update(answer.native)
        written.update(choice.native)
    else:
        _report(losses, (answer.native, choice.native))
        _report(losses, (usage.lost(answer.usage, own),), "usage.")
    return json_text.to_client(written)


def message_id(given: str | None, own: bool, stamp: Stamp) -> str:
    """The answer's id: Anthropic's own, or one that looks like it."""
    return given if own and given is not None else f"msg_{stamp.id}"


def call_id(given: str | None, own: bool, stamp: Stamp, count: int) -> str:
    """The id of the answer's call number `count`."""
    if given is None:
        return f"toolu_{stamp.id}_{count}"
    return given if own else block_writer.call_id(given)


def _report(losses: Losses, natives: Iterable[Native], prefix: str = "") -> None:
    """What only the other dialect has, as far as it says anything."""
    for native in natives:
        for name, value in native.items():
            if value:
                losses.advise(prefix + name)


class _Writer:
    """Writes the parts of one answer as blocks."""

    def __init__(self, dialect: str, stamp: Stamp, losses: Losses) -> None:
        self._dialect: Final = dialect
        self._own: Final = dialect == NAME
        self._stamp = stamp
        self._losses = losses
        self._calls = 0

    def blocks(self, parts: tuple[Part, ...]) -> list[Block]:
        written: list[Block] = []
        for part in parts:
            if isinstance(part, Text):
                written += self._text(part)
            elif isinstance(part, ToolCall):
                written += self._call(part)
            elif isinstance(part, Thought):
                written += block_writer.thought(part, self._dialect)
            elif isinstance(part, Refusal):
                written.append({"type": "text", "text": part.text})
            elif isinstance(part, Media):
                self._losses.advise(f"part.{part.kind}")
            elif isinstance(part, ToolResult):
                self._losses.advise("part.tool_result")
            elif part.dialect == NAME:
                written.append(part.data)
            else:
                self._losses.advise(f"part.{part.kind}")
        return written

    def _text(self, part: Text) -> list[Block]:
        blocks: list[Block] = []
        if part.text or (self._own and part.signature is None):
            block = block_writer.text(part, self._own)
            citations = [block_writer.citation(one, self._own) for one in part.citations]
            shown = [one for one in citations if one is not None]
            if shown:
                block["citations"] = shown
            if len(shown) < len(citations):
                self._losses.advise("part.citations")
            blocks.append(block)
        if part.signature is not None:
            blocks.append(block_writer.signature(part.signature, "last" if part.text else "text"))
        return blocks

    def _call(self, part: ToolCall) -> list[Block]:
        given: Json = {"input": part.arguments} if part.custom else block_writer.arguments(part.arguments)
        if given is None:
            raise no_object(part.name)
        block = {
            "type": "tool_use",
            "id": call_id(part.id, self._own, self._stamp, self._calls),
            "name": part.name,
            "input": given,
            **block_writer.said(part.native, self._own),
        }
        self._calls += 1
        return [block] if part.signature is None else [block_writer.signature(part.signature), block]


def no_object(name: str) -> UpstreamFailed:
    """The error for a call that this API has no way to show."""
    return UpstreamFailed(
        f"The provider's answer calls the tool {name!r} with arguments that are no JSON object."
    )
