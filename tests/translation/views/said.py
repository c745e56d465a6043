"""What an answer says, whatever API says it in."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

Json = Any


class Tokens(Struct, frozen=True, kw_only=True):
    """Counted tokens, each bucket inside the one before it: input contains cached and written ones, output contains
    reasoning. None: not said."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    written: int | None = None
    reasoning: int | None = None
    total: int | None = None


class Spoken(Struct, frozen=True, kw_only=True):
    """One choice."""

    text: str = ""
    refusal: str = ""
    thoughts: str = ""
    calls: tuple[tuple[str, Json], ...] = ()
    """Name and arguments; the text of a call that is not JSON."""
    explanation: str = ""
    """The provider's words for why it ended, where they are not the model's."""
    finish: str | None = None
    """As `canonical.Reason`."""


class View(Struct, frozen=True, kw_only=True):
    """A whole answer."""

    choices: tuple[Spoken, ...]
    tokens: Tokens | None


def dump(answer: Any) -> Json:
    """An SDK's object as the JSON it stands for."""
    if type(answer).__module__.startswith("google."):
        return answer.model_dump(mode="json", by_alias=True, exclude_none=True, warnings=False)
    return answer.to_dict(mode="json", warnings=False)


def parsed(arguments: str | None) -> Json:
    """A call's arguments; no text at all means a call without any."""
    if not arguments:
        return {}
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def added(*counts: int | None) -> int | None:
    said = [count for count in counts if count is not None]
    return sum(said) if said else None
