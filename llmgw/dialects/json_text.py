"""Neutral values as JSON text: what cannot be written is the fault of whoever sent it.

Decoded JSON can hold what is no JSON: text that is no Unicode (lone surrogates), and values nested deeper than the
encoder goes. `members` is the way in.
"""

from __future__ import annotations

from typing import Final

import msgspec

from llmgw.canonical import Json
from llmgw.errors import InvalidRequest, UpstreamFailed

encode: Final = msgspec.json.Encoder().encode
UNWRITABLE: Final = (ValueError, RecursionError, OverflowError)
"""What the encoder raises for text that is none, values nested too deep and numbers too large."""


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
