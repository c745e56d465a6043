"""Errors of this API and its hosts, in an answer of their own and within a stream.

OpenAI's `{"error": {message, type, param, code}}` is stretched by its hosts: the error may be a string (xAI, Ollama),
its code a number (OpenRouter), the answer only `detail` (Mistral, vLLM) or `message` (Mistral, Snowflake).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from llmgw.canonical import Json, ProviderError
from llmgw.dialects import json_text, members
from llmgw.errors import UpstreamFailed

_STATUSES: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,
    "tokens": 429,
    "insufficient_quota": 429,
    "server_error": 500,
    "internal_server_error": 500,
    "overloaded_error": 503,
    "service_unavailable": 503,
    "timeout": 504,
}
"""What an error's type or code stands for within a stream, whose HTTP status was sent long ago."""
_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
_UNKNOWN: Final = 502
_SHOWN: Final = 500
"""Characters of a text that is no message but all there is."""


def read(status: int, body: bytes) -> ProviderError:
    """An error answer. What is not in any host's shape gives a message of its status."""
    try:
        whole = members.answer_object(body)
    except UpstreamFailed:
        whole = {}
    return _error(whole, status, f"The provider answered with status {_named(status)}.")


def of_event(whole: dict[str, Any]) -> ProviderError:
    """An error within a stream, or in an answer with status 200."""
    said = whole.get("error")
    inner = said if isinstance(said, dict) else whole
    status = _UNKNOWN
    for name in ("status_code", "status", "code", "type"):
        value = inner.get(name)
        if type(value) is int and 400 <= value <= 599:
            status = value
            break
        if type(value) is str and (value in _STATUSES or (value.isascii() and value.isdigit())):
            found = _STATUSES.get(value) or int(value[:4])
            if 400 <= found <= 599:
                status = found
                break
    return _error(whole, status, "The provider ended its stream with an error.")


def is_error(whole: dict[str, Any]) -> bool:
    """Whether an event or an answer with status 200 is an error."""
    return bool(whole.get("error")) or (
        whole.get("object") == "error" and ("message" in whole or "detail" in whole)
    )


def _error(whole: dict[str, Any], status: int, otherwise: str) -> ProviderError:
    said = whole.get("error")
    inner = said if isinstance(said, dict) else whole
    message = _text(said) or _text(inner.get("message")) or _text(inner.get("detail"))
    for value in (whole.get("message"), whole.get("detail")):
        message = message or _text(value) or _listed(value)
    raw = inner.get("metadata")
    if message is not None and isinstance(raw, dict) and _text(raw.get("raw")):
        message = f"{message}: {raw['raw'][:_SHOWN]}"  # OpenRouter's own words say nothing
    return ProviderError(
        status=status,
        message=message or otherwise,
        type=_text(inner.get("type")),
        code=_code(inner.get("code")),
        param=_text(inner.get("param")),
    )


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _code(value: Json) -> str | None:
    if type(value) is int:
        return str(value) if abs(value) < 10**9 else None
    return _text(value)


def _listed(value: Json) -> str | None:
    """What FastAPI says of each wrong field (`{"detail": [{"loc", "msg"}]}`), as Mistral and vLLM pass it on."""
    if isinstance(value, dict):
        value = value.get("detail")
    if not isinstance(value, list):
        return _text(value)
    said = []
    for one in value[:5]:
        message = _text(one.get("msg")) if isinstance(one, dict) else _text(one)
        if message is not None:
            place = one.get("loc") if isinstance(one, dict) else None
            path = ".".join(str(step) for step in place[1:]) if isinstance(place, list) else ""
            said.append(f"{path}: {message}" if path else message)
    return "; ".join(said) or None


def _named(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def write_event(error: ProviderError) -> bytes:
    """The event that ends a client's stream."""
    fallback = "invalid_request_error" if error.status < 500 else "server_error"
    body = {
        "message": error.message,
        "type": error.type or _TYPES.get(error.status, fallback),
        "param": error.param,
        "code": error.code,
    }
    return b"data: " + json_text.to_client({"error": body}) + b"\n\n"
