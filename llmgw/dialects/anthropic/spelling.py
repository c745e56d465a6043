"""How Anthropic spells a tool call's arguments: an object, which the neutral model has as text."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmgw.canonical import Json
from llmgw.dialects.words import Words

NAME: Final = "anthropic"

_words: Final = Words(NAME)
keep: Final = _words.keep
words_of: Final = _words.of

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def json_object(text: str) -> dict[str, Any] | None:
    """The object that `text` is the JSON of; None where it is anything else. No text is an empty object."""
    try:
        data = _decode(text) if text else {}
    except (ValueError, RecursionError):
        return None
    return data if type(data) is dict else None


def json_text(value: Json) -> str | None:
    """`value` as JSON; None where it is nested too deep to be written."""
    try:
        return _encode(value).decode()
    except (ValueError, RecursionError):
        return None
