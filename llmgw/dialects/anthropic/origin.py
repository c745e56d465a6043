"""Other providers' thoughts within Anthropic's opaque fields, so that a client of this API can send them back.

A client keeps the `signature` of a thinking block and the `data` of a redacted one as they are. What a foreign
thought needs for its replay is put there behind a prefix that names its dialect:

    llmgw:<dialect>:<value>
    llmgw:<dialect>:<slot>:<s or e>:<value>     the thought's id, if any; s a signature, e encrypted reasoning

Gemini signs calls and texts too. Such a signature is a redacted block of its own: right before the call it belongs
to, or with the slot `last` right behind the part it belongs to, or with `text` where it stands on an empty text.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec.structs import replace

from llmgw.canonical import Part, Text, Thought, ToolCall
from llmgw.dialects.anthropic.spelling import NAME
from llmgw.dialects.origin import PREFIX, SIGNER

Kind = Literal["s", "e"]


class Tag(NamedTuple):
    """What is behind the prefix."""

    dialect: str
    slot: str | None
    kind: Kind | None
    value: str


class Signature(NamedTuple):
    """A redacted block that is no thought: Gemini's signature of a neighbouring part."""

    slot: str | None
    value: str


def tag(dialect: str, value: str, slot: str | None = None, kind: Kind = "s") -> str:
    """`value` behind its origin."""
    if slot or kind == "e" or ":" in value:
        return f"{PREFIX}{dialect}:{slot or ''}:{kind}:{value}"
    return f"{PREFIX}{dialect}:{value}"


def untag(text: str) -> Tag | None:
    """What `tag` made; None for a value of Anthropic's own."""
    if not text.startswith(PREFIX):
        return None
    dialect, _, rest = text[len(PREFIX) :].partition(":")
    fields = rest.split(":", 2)
    if len(fields) == 3 and fields[1] in ("s", "e"):
        return Tag(dialect, fields[0] or None, "s" if fields[1] == "s" else "e", fields[2])
    return Tag(dialect, None, None, rest)


def is_tagged(text: object) -> bool:
    """Whether an opaque value was made here."""
    return isinstance(text, str) and text.startswith(PREFIX)


def from_thinking(text: str, found: Tag) -> Thought:
    """A thinking block with a tagged signature."""
    native = {} if found.dialect == NAME else {"dialect": found.dialect}
    value = found.value or None
    if found.kind == "e":
        return Thought(text=text, redacted=value, id=found.slot, native=native)
    return Thought(text=text, signature=value, id=found.slot, native=native)


def from_redacted(found: Tag) -> Thought | Signature:
    """A redacted block with tagged data."""
    if found.dialect == SIGNER and found.kind != "e":
        return Signature(found.slot, found.value)
    native = {} if found.dialect == NAME else {"dialect": found.dialect}
    return Thought(redacted=found.value, id=found.slot, native=native)


def settle(read: list[Part | Signature]) -> tuple[Part, ...]:
    """The parts of a message, each signature put on the part it belongs to."""
    parts: list[Part] = []
    waiting: str | None = None
    for one in read:
        if isinstance(one, Signature):
            if waiting is not None:
                parts.append(_alone(waiting))
                waiting = None
            if one.slot == "text":
                parts.append(Text(text="", signature=one.value))
            elif one.slot == "last" and parts and isinstance(parts[-1], Text | ToolCall):
                parts[-1] = replace(parts[-1], signature=one.value)
            else:
                waiting = one.value
        elif waiting is not None and isinstance(one, ToolCall):
            parts.append(replace(one, signature=waiting))
            waiting = None
        else:
            if waiting is not None:
                parts.append(_alone(waiting))
                waiting = None
            parts.append(one)
    if waiting is not None:
        parts.append(_alone(waiting))
    return tuple(parts)


def _alone(signature: str) -> Thought:
    """A signature whose call is gone: all that is left of a thought."""
    return Thought(signature=signature, native={"dialect": SIGNER})
