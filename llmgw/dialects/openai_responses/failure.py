"""This API's errors: of an answer, of a failed response, and of the `error` event of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from llmgw.canonical import Json, ProviderError

_STATUSES: Final[Mapping[str, int]] = {
    "server_error": 500,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "invalid_image": 400,
    "context_length_exceeded": 400,
    "vector_store_timeout": 504,
}
"""HTTP statuses of the codes that a failed response has."""
_decode: Final = msgspec.json.Decoder().decode


def read(status: int, body: bytes) -> ProviderError:
    """The error of an answer; never raises."""
    try:
        whole = _decode(body)
    except (ValueError, RecursionError):
        whole = None
    error = whole.get("error") if isinstance(whole, dict) else None
    if isinstance(error, str):  # xAI
        return ProviderError(status=status, message=error)
    if not isinstance(error, dict):
        error = whole if isinstance(whole, dict) else {}
    return _made(status, error)


def within(error: Any) -> ProviderError:
    """The error that a failed response or an `error` event holds; its status is what its code stands for."""
    found = error if isinstance(error, dict) else {}
    said = [found.get("code"), found.get("type")]
    status = next((_STATUSES[one] for one in said if isinstance(one, str) and one in _STATUSES), 502)
    return _made(status, found)


def _made(status: int, error: dict[str, Any]) -> ProviderError:
    def text(name: str) -> str | None:
        value = error.get(name)
        return value if isinstance(value, str) and value else None

    message = text("message") or text("detail") or f"The provider answered {status} without saying why."
    return ProviderError(
        status=status, message=message, type=text("type"), code=text("code"), param=text("param")
    )


def written(error: ProviderError) -> dict[str, Json]:
    """The error as a client of this API is told it."""
    return {
        "message": error.message,
        "type": error.type or ("invalid_request_error" if error.status < 500 else "server_error"),
        "param": error.param,
        "code": error.code,
    }
