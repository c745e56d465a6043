"""Other providers' proofs of thought within `encrypted_content`, so that a client of this API can send them back.

A client keeps that member as it is. What a foreign thought or call needs for its replay is put there behind a prefix
that names its dialect and what it is:

    llmgw:<dialect>:<kind>:<value>      s signature of a thought · e encrypted thought
                                        c signature of the call behind it · t of the text behind it
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, cast, get_args

from llmgw.canonical import Json, Thought
from llmgw.dialects.openai_responses.spelling import NAME
from llmgw.dialects.origin import PREFIX, origin_of

Kind = Literal["s", "e", "c", "t"]
_KINDS: Final = frozenset(get_args(Kind))


class Seal(NamedTuple):
    """What stands behind the prefix."""

    dialect: str
    kind: Kind
    value: str


def write(dialect: str, kind: Kind, value: str) -> str:
    """An `encrypted_content` that carries `value`."""
    return f"{PREFIX}{dialect}:{kind}:{value}"


def read(encrypted: str) -> Seal | None:
    """What `write` put there; None for what OpenAI encrypted."""
    if not encrypted.startswith(PREFIX):
        return None
    dialect, _, rest = encrypted.removeprefix(PREFIX).partition(":")
    kind, _, value = rest.partition(":")
    return Seal(dialect, cast(Kind, kind), value) if kind in _KINDS else None


def is_sealed(item: Json) -> bool:
    """Whether an item of a request holds what `write` made."""
    encrypted = item.get("encrypted_content") if isinstance(item, dict) else None
    return isinstance(encrypted, str) and read(encrypted) is not None


def encrypted(thought: Thought, default: str) -> str | None:
    """The `encrypted_content` of a thought; `default` is the dialect of the answer that it is in."""
    origin = origin_of(thought, default)
    if origin == NAME:
        return thought.redacted
    if thought.redacted is not None:
        return write(origin, "e", thought.redacted)
    return None if thought.signature is None else write(origin, "s", thought.signature)


def opened(thought: Thought) -> Thought | Seal:
    """A thought as a client sends it back: with its origin, or the signature of what comes behind it."""
    seal = None if thought.redacted is None else read(thought.redacted)
    if seal is None:
        return thought
    if seal.kind in ("c", "t"):
        return seal
    return Thought(
        text=thought.text,
        signature=seal.value if seal.kind == "s" else None,
        redacted=seal.value if seal.kind == "e" else None,
        native={"dialect": seal.dialect},
    )
