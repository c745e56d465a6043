"""Other providers' proofs of thought within `encrypted_content`, so that a client of this API can send them back.

A client keeps that member as it is. What a foreign thought or call needs for its replay is put there behind a prefix
that names its dialect and what it is:

    llmgw:<dialect>:<kind>:<value>      s signature of a thought · e encrypted thought
                                        c signature of the call behind it · t of the text behind it
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, cast, get_args

from llmgw.canonical import Thought
from llmgw.dialects.openai_responses.spelling import NAME

Kind = Literal["s", "e", "c", "t"]
_PREFIX: Final = "llmgw:"
_KINDS: Final = frozenset(get_args(Kind))
SIGNER: Final = "gemini"
"""The only dialect that signs calls and texts."""


class Seal(NamedTuple):
    """What stands behind the prefix."""

    dialect: str
    kind: Kind
    value: str


def write(dialect: str, kind: Kind, value: str) -> str:
    """An `encrypted_content` that carries `value`."""
    return f"{_PREFIX}{dialect}:{kind}:{value}"


def read(encrypted: str) -> Seal | None:
    """What `write` put there; None for what OpenAI encrypted."""
    if not encrypted.startswith(_PREFIX):
        return None
    dialect, _, rest = encrypted.removeprefix(_PREFIX).partition(":")
    kind, _, value = rest.partition(":")
    return Seal(dialect, cast(Kind, kind), value) if kind in _KINDS else None


def origin_of(thought: Thought, default: str) -> str:
    """The dialect whose provider made `thought`."""
    origin = thought.native.get("dialect")
    return origin if isinstance(origin, str) else default


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
