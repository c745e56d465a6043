"""Names of this API, its JSON text, and what is kept of a request as it was written.

The whole of a client's request stands beside `Chat.native`: written back to this API it returns as it came, and
no word of it that the neutral model holds otherwise (item ids, statuses, defaults) counts as lost elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from llmgw.canonical import Json, Native
from llmgw.errors import InvalidRequest, UpstreamFailed

NAME: Final = "openai_responses"

NAMES: Final[Mapping[str, str]] = {
    "system": "instructions",
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "format": "text.format",
    "verbosity": "text.verbosity",
    "cache_key": "prompt_cache_key",
    "logprobs": "include",
    "part.image": "input.content.input_image",
    "part.audio": "input.content.input_audio",
    "part.video": "input.content.input_video",
    "part.document": "input.content.input_file",
    "part.refusal": "input.content.refusal",
    "part.thought": "input.reasoning",
    "part.citations": "input.content.annotations",
    "part.function_call_output": "previous_response_id",  # one whose call is in the provider's store
    "part.item_reference": "input.item_reference",
    "part.cache": "input.content.cache_control",
    "part.name": "input.content.input_file.filename",
    "part.detail": "input.content.input_image.detail",
    "tool.strict": "tools.strict",
    "tool.custom": "tools.custom",
    "tool.cache": "tools.cache_control",
    "tool_choice.names": "tool_choice.allowed_tools",
}
"""This API's own names of canonical fields, where they differ."""
ADVISORY: Final = frozenset({"store", "safety_identifier", "prompt_cache_retention", "stream_options"})
"""Members without influence on the answer."""

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_UNWRITABLE: Final = (ValueError, RecursionError, OverflowError)


class Said(dict[str, Json]):
    """A `native` mapping; `body` is the JSON text of the object that it is the rest of."""

    __slots__ = ("body",)

    def __init__(self, native: Native, body: bytes) -> None:
        super().__init__(native)
        self.body = body


def whole_of(native: Native) -> dict[str, Json] | None:
    """The object as its own API wrote it, where it is known."""
    return dict(_decode(native.body)) if isinstance(native, Said) else None


def to_provider(value: Json) -> bytes:
    """A request as JSON text. Raises InvalidRequest where it cannot be written."""
    try:
        return _encode(value)
    except _UNWRITABLE as error:
        raise InvalidRequest(f"The request cannot be written as JSON: {error}.") from None


def to_client(value: Json) -> bytes:
    """An answer or an event as JSON text. Raises UpstreamFailed where it cannot be written."""
    try:
        return _encode(value)
    except _UNWRITABLE as error:
        raise UpstreamFailed(f"The provider's answer cannot be written as JSON: {error}.") from None
