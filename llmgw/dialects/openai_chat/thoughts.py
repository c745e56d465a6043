"""Thoughts: `reasoning_content` to be read, `reasoning_details` to be sent back.

DeepSeek, xAI and Z.ai show thoughts as `reasoning_content`, Groq, vLLM and OpenRouter as `reasoning`. OpenRouter's
`reasoning_details` (openrouter.ai, "Reasoning Tokens") hold besides the text what its maker needs for a replay, and
say in `format` whose it is. Clients of this API are given both, whoever thought. A detail that came from a host of
this API is opaque to all others, so the neutral model has it as JSON text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from llmgw.canonical import Json, Thought
from llmgw.dialects.json_text import UNWRITABLE, encode
from llmgw.dialects.members import Fault, Members
from llmgw.dialects.openai_chat.spelling import NAME, decoded, dicts
from llmgw.dialects.origin import origin_of

FORMATS: Final[Mapping[str, str]] = {
    "anthropic": "anthropic-claude-v1",
    "gemini": "google-gemini-v1",
    "bedrock": "aws-bedrock-v1",
    "openai_responses": "openai-responses-v1",
}
"""The `format` of each dialect's thoughts."""
_ORIGINS: Final[Mapping[Json, str]] = {form: dialect for dialect, form in FORMATS.items()}
SUMMARISED: Final = "openai_responses"
"""The dialect whose readable thoughts are summaries."""

TEXTS: Final = ("reasoning_content", "reasoning")
DETAILS: Final = "reasoning_details"
Detail = dict[str, Json]


class Found(NamedTuple):
    """What a message says of its thoughts."""

    thoughts: list[Thought]
    signatures: list[tuple[str | None, str]]
    """Gemini's, each with the id of the call it belongs to; None: to the text."""


# Reading


def read(message: Members, words: dict[str, Json], fault: Fault, *, of_client: bool) -> Found:
    """Take the thoughts out of a message.

    Args:
        words: gets the members as they were.
        of_client: whether `format` says where a detail can be used. What a host of this API gives goes back to
            that host, whatever its `format` is.
    """
    shown = ""
    for name in TEXTS:
        if type(message.whole().get(name)) is str:
            words[name] = text = message.text(name)
            shown = shown or text or ""
    path = message.path(DETAILS)
    details = dicts(message.any(DETAILS), path, fault)
    if details:
        words[DETAILS] = details
    found = Found([], [])
    for index, detail in enumerate(details):
        origin = _ORIGINS.get(_text(detail, "format") or "", NAME) if of_client else NAME
        if origin == NAME:
            found.thoughts.append(opaque(detail, f"{path}[{index}]", fault))
        else:
            _add(found, detail, origin)
    if shown and not any(thought.text for thought in found.thoughts):
        found.thoughts.insert(0, Thought(text=shown))
    return found


def opaque(detail: Detail, path: str, fault: Fault) -> Thought:
    """A detail that only hosts of this API can use."""
    text = readable(detail)
    proof = {name: value for name, value in detail.items() if name not in ("text", "summary")}
    proven = detail.get("type") not in ("reasoning.text", "reasoning.summary") or detail.get("signature")
    if not proven:
        return Thought(text=text)
    try:
        sealed = encode(proof).decode()
    except UNWRITABLE:
        raise fault(path, "an object that is not nested too deeply") from None
    return Thought(text=text, signature=sealed) if text else Thought(redacted=sealed)


def readable(detail: Detail) -> str:
    """The text of a detail that has some."""
    return _text(detail, "text") or _text(detail, "summary") or ""


def _text(detail: Detail, name: str) -> str | None:
    value = detail.get(name)
    return value if type(value) is str else None


def _add(found: Found, detail: Detail, origin: str) -> None:
    thought_id, native = _text(detail, "id"), {"dialect": origin}
    if detail.get("type") != "reasoning.encrypted":
        signature = _text(detail, "signature")
        thought = Thought(text=readable(detail), signature=signature, id=thought_id, native=native)
        found.thoughts.append(thought)
        return
    data = _text(detail, "data")
    if data is None:
        return
    if origin == "gemini":
        found.signatures.append((thought_id, data))
        return
    before = found.thoughts[-1] if found.thoughts else None
    if (
        origin == SUMMARISED
        and before is not None
        and before.redacted is None
        and (before.id, before.native) == (thought_id, native)
    ):
        found.thoughts[-1] = replace(before, redacted=data)  # the summary of the same thought
    else:
        found.thoughts.append(Thought(redacted=data, id=thought_id, native=native))


# Writing


def write(thoughts: Iterable[Thought], default: str, signatures: Iterable[str] = ()) -> dict[str, Json]:
    """The members of a message.

    Args:
        default: the dialect of thoughts that do not say theirs.
        signatures: Gemini's of texts, beyond the one that a message has a place for.
    """
    shown: list[str] = []
    details: list[Detail] = []
    for thought in thoughts:
        shown.append(thought.text)
        origin = origin_of(thought, default)
        if origin != NAME or thought.signature or thought.redacted:
            details += _details(thought, origin, len(details))
    for signature in signatures:
        details.append(encrypted(signature, "gemini", len(details), None))
    members: dict[str, Json] = {}
    if any(shown):
        members[TEXTS[0]] = "".join(shown)
    if details:
        members[DETAILS] = details
    return members


def _details(thought: Thought, origin: str, index: int) -> list[Detail]:
    if origin == NAME:
        return [unsealed(thought, index)]
    written: list[Detail] = []
    if thought.text or thought.signature or thought.redacted is None:
        said = piece(origin, index, thought.text, thought.signature)
        written.append(said | head(origin, thought.id))
    if thought.redacted is not None:
        written.append(encrypted(thought.redacted, origin, index + len(written), thought.id))
    return written


def unsealed(thought: Thought, index: int) -> Detail:
    """The detail that `opaque` made a thought of."""
    sealed = thought.signature or thought.redacted or ""
    proof: Any = decoded(sealed)
    if type(proof) is not dict:
        proof = (
            {"type": "reasoning.text", "signature": sealed}
            if thought.signature
            else {"type": "reasoning.encrypted", "data": sealed}
        )
    return {**proof, **({"text": thought.text} if thought.text else {}), "index": index}


def piece(origin: str, index: int, text: str, signature: str | None) -> Detail:
    """A piece of a readable thought; `head` goes with the first."""
    summary = origin == SUMMARISED
    detail: Detail = {"type": "reasoning.summary" if summary else "reasoning.text", "index": index}
    if text:
        detail["summary" if summary else "text"] = text
    if signature is not None:
        detail["signature"] = signature
    return detail


def head(origin: str, thought_id: str | None) -> Detail:
    """What stands once with each detail: SDKs join the pieces of a text member, whatever it is."""
    said: Detail = {"format": FORMATS.get(origin, origin)}
    if thought_id is not None:
        said["id"] = thought_id
    return said


def encrypted(data: str, origin: str, index: int, thought_id: str | None) -> Detail:
    """A detail without readable text."""
    return {"type": "reasoning.encrypted", "index": index, "data": data, **head(origin, thought_id)}
