"""The Converse API's errors: in an answer of their own, and as exceptions within a stream.

Source: the service's published model, which has each exception's HTTP status. An answer's body is `{"message"}` only;
the exception's name is in a header that is not read here, so the status says the kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from llmgw.canonical import Json, ProviderError
from llmgw.dialects.bedrock import spelling
from llmgw.dialects.bedrock.event_stream import Message
from llmgw.errors import UpstreamFailed

_STATUSES: Final[Mapping[str, int]] = {
    "validationException": 400,
    "serviceQuotaExceededException": 400,
    "accessDeniedException": 403,
    "resourceNotFoundException": 404,
    "modelTimeoutException": 408,
    "modelErrorException": 424,
    "modelStreamErrorException": 424,
    "modelNotReadyException": 429,
    "throttlingException": 429,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
}
_KINDS: Final[Mapping[int, str]] = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_UNKNOWN: Final = 502


def read(status: int, body: bytes) -> ProviderError:
    """An error answer. What is not in the API's shape gives a message of its status."""
    said = _words(body)
    return ProviderError(
        status=status,
        message=said or f"The provider answered with status {_named(status)}.",
        type=_KINDS.get(status),
    )


def read_event(message: Message) -> ProviderError:
    """A stream's message of type `exception`, or of type `error`, which has its words in headers."""
    kind = _text(message, ":exception-type") or _text(message, ":error-code")
    said = _words(message.payload) or _text(message, ":error-message")
    return ProviderError(
        status=_UNKNOWN if kind is None else _STATUSES.get(kind[:1].lower() + kind[1:], _UNKNOWN),
        message=said or "The provider ended its stream with an error.",
        type=kind,
    )


def _words(body: bytes) -> str | None:
    try:
        said: Mapping[str, Json] = spelling.answer(body).whole()
    except UpstreamFailed:
        return None
    for name in ("message", "Message", "originalMessage"):
        value = said.get(name)
        if type(value) is str and value:
            return value
    return None


def _text(message: Message, name: str) -> str | None:
    value = message.headers.get(name)
    return value if isinstance(value, str) else None


def _named(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)
