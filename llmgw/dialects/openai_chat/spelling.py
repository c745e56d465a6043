"""JSON text in and out, and the spellings of this API that the neutral model holds in another way.

`Said` keeps what the neutral model has already but in other words (a default spelt out, an older name, a string
where an array may stand), so that this API gets it back as it was and no other counts it as lost.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmgw.canonical import NOTHING, Json, Native
from llmgw.dialects import members
from llmgw.dialects.members import Fault, Members
from llmgw.errors import InvalidRequest, UpstreamFailed

NAME: Final = "openai_chat"

encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode

UNWRITABLE: Final = (ValueError, RecursionError, OverflowError)
"""What the encoder raises for text that is none, values nested too deep and numbers too large."""


class Said(dict[str, Json]):
    """A `native` mapping; `words` are this API's own for what the neutral model holds beside it."""

    __slots__ = ("words",)

    def __init__(self, native: Native, words: Native) -> None:
        super().__init__(native)
        self.words = words


def keep(native: Native, words: Native) -> Native:
    """`native`, with `words` beside it where there are any."""
    return Said(native, words) if words else native


def words_of(native: Native) -> Native:
    """The words kept beside `native`."""
    return native.words if isinstance(native, Said) else NOTHING


def request(body: bytes) -> Members:
    """A client's request. Raises InvalidRequest where it is no JSON object."""
    try:
        return members.request(body)
    except ValueError as error:  # text that is not UTF-8, numbers of thousands of digits
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from None


def answer(body: bytes) -> dict[str, Any]:
    """A provider's answer or one event of its stream. Raises UpstreamFailed where it is no JSON object."""
    try:
        data = _decode(body)
    except (ValueError, RecursionError) as error:
        shown = body[:200].decode("utf-8", "replace")
        raise UpstreamFailed("The provider's answer is not JSON.", detail=f"{error}: {shown}") from None
    if type(data) is not dict:
        raise UpstreamFailed("The provider's answer is not a JSON object.")
    return data


def to_provider(value: Json) -> bytes:
    """A request as JSON text. Raises InvalidRequest where it cannot be written."""
    try:
        return encode(value)
    except UNWRITABLE as error:
        raise InvalidRequest(f"The request cannot be written as JSON: {error}.") from None


def to_client(value: Json) -> bytes:
    """An answer or an event as JSON text. Raises UpstreamFailed where it cannot be written."""
    try:
        return encode(value)
    except UNWRITABLE as error:
        raise UpstreamFailed(f"The provider's answer cannot be written as JSON: {error}.") from None


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
