"""Anthropic's errors, in an answer of their own and within a stream.

Source: platform.claude.com, "Errors". Inside a stream the HTTP status was sent long ago, so the type stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from llmgw.canonical import Json, ProviderError
from llmgw.dialects import json_text, members
from llmgw.errors import UpstreamFailed

_STATUSES: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TYPES: Final[Mapping[int, str]] = {status: name for name, status in _STATUSES.items()}
_UNKNOWN: Final = 502


def read(status: int, body: bytes) -> ProviderError:
    """An error answer. What is not in the API's shape gives a message of its status."""
    try:
        error = members.answer_object(body).get("error")
    except UpstreamFailed:
        error = None
    return _error(error, status, f"The provider answered with status {_named(status)}.")


def read_event(error: Json) -> ProviderError:
    """The `error` member of an error event."""
    kind = error.get("type") if isinstance(error, dict) else None
    status = _STATUSES.get(kind, _UNKNOWN) if isinstance(kind, str) else _UNKNOWN
    return _error(error, status, "The provider ended its stream with an error.")


def _error(error: Json, status: int, otherwise: str) -> ProviderError:
    said = error if isinstance(error, dict) else {}
    return ProviderError(
        status=status,
        message=_text(said, "message") or otherwise,
        type=_text(said, "type"),
        code=_text(said, "code"),
    )


def _text(said: Mapping[str, Json], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) else None


def _named(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def write_event(error: ProviderError) -> bytes:
    """The event that ends a client's stream."""
    kind = error.type
    if kind not in _STATUSES:
        kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    body: dict[str, Json] = {"type": kind, "message": error.message}
    if error.code is not None:
        body["code"] = error.code
    said = {"type": "error", "error": body, "request_id": None}
    return b"event: error\ndata: " + json_text.to_client(said) + b"\n\n"
