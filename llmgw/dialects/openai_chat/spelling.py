"""JSON within this API's JSON, and arrays of objects that are read as they are."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmgw.canonical import Json
from llmgw.dialects.json_text import UNWRITABLE, encode
from llmgw.dialects.members import Fault, Members
from llmgw.dialects.words import Words

NAME: Final = "openai_chat"

_words: Final = Words(NAME)
keep: Final = _words.keep
words_of: Final = _words.of

_decode: Final = msgspec.json.Decoder().decode


def decoded(text: str) -> Json:
    """The JSON value that `text` is; None where it is none."""
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        return None


def object_text(of: Members, name: str, value: Json) -> str:
    """`value` as JSON text, for hosts that send an object where this API has its text."""
    try:
        return encode(value).decode()
    except UNWRITABLE:
        raise of.wrong(name, "a string of JSON") from None


def dicts(value: Json, path: str, fault: Fault) -> list[dict[str, Any]]:
    """An array of objects, none where it is null; nothing is taken out of them."""
    if value is None:
        return []
    if type(value) is not list or any(type(one) is not dict for one in value):
        raise fault(path, "an array of objects")
    return value
