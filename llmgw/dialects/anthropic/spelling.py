"""JSON text in and out, and the words of Anthropic's own that the neutral model holds in another way.

Whatever is wrong with JSON is a typed error: a client's names the request, a provider's its answer. `Said` keeps
what an Anthropic client wrote where it means the same as something neutral (an old name of a field, a default
spelt out), so that Anthropic gets it back as it was and no other dialect counts it as lost.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmgw.canonical import NOTHING, Json, Native
from llmgw.dialects import members
from llmgw.dialects.members import Members
from llmgw.errors import InvalidRequest, UpstreamFailed

NAME: Final = "anthropic"

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class Said(dict[str, Json]):
    """A `native` mapping with the words of the API for what the neutral model holds already.

    As a mapping it has only what the neutral model cannot hold, so nothing of `words` is a loss elsewhere.
    """

    __slots__ = ("words",)

    def __init__(self, native: Native, words: Native) -> None:
        super().__init__(native)
        self.words = words


def keep(native: Native, words: Native) -> Native:
    """`native`, with `words` beside it where there are any."""
    return Said(native, {**words_of(native), **words}) if words else native


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
        return _encode(value)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The request cannot be written as JSON: {error}.") from None


def to_client(value: Json) -> bytes:
    """An answer or an event as JSON text. Raises UpstreamFailed where it cannot be written."""
    try:
        return _encode(value)
    except (ValueError, RecursionError) as error:
        raise UpstreamFailed(f"The provider's answer cannot be written as JSON: {error}.") from None


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
