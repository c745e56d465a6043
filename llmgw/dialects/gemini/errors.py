"""Errors in Google's shape: `google.rpc.Status` within `{"error": …}`, read and written.

Sources: google.aip.dev/193 and recorded answers. A stream that is one JSON array wraps its error in it, and so do
some plain answers.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import msgspec

from llmgw.canonical import Json, ProviderError
from llmgw.errors import CallError

_TYPE: Final = "type.googleapis.com/google.rpc."

STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    431: "INVALID_ARGUMENT",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
"""Google's words by HTTP status (google/rpc/code.proto)."""

BAD_KEY: Final = "API_KEY_INVALID"
"""The reason of a 400 that is about the key and not about the request."""

_duration: Final = re.compile(r"(\d+(?:\.\d+)?)s").fullmatch
_decode: Final = msgspec.json.Decoder().decode


def body(error: CallError, request_id: str) -> dict[str, Json]:
    """One of our own errors."""
    return _body(error.status, error.message, error.code, request_id, error.retry_after_s)


def of_provider(error: ProviderError, request_id: str = "") -> dict[str, Json]:
    """A provider's error; its code and type have the same place as ours."""
    reason = error.code or error.type or "upstream_error"
    return _body(error.status, error.message, reason, request_id, error.retry_after_s)


def _body(
    status: int, message: str, reason: str, request_id: str, retry_after_s: float | None
) -> dict[str, Json]:
    details: list[Json] = [{"@type": _TYPE + "ErrorInfo", "reason": reason, "domain": "llmgw"}]
    if request_id:
        details.append({"@type": _TYPE + "RequestInfo", "requestId": request_id})
    if retry_after_s is not None:
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{retry_after_s:g}s"})
    word = STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return {"error": {"code": status, "message": message, "status": word, "details": details}}


def find(data: Json) -> dict[str, Json] | None:
    """The error object in a decoded body or event; None where there is none."""
    if type(data) is list and data:
        data = data[0]
    if type(data) is not dict:
        return None
    error = data.get("error")
    if type(error) is str:  # a proxy's
        return {"message": error}
    return error if type(error) is dict else None


def message_of(raw: bytes) -> str | None:
    """The message of the error that `raw` holds; None where it holds none."""
    try:
        error = find(_decode(raw))
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    return None if error is None else read(502, error).message


def answered(status: int, raw: bytes) -> ProviderError:
    """An error answer; what is not in Google's shape gives a message of its status."""
    try:
        error = find(_decode(raw))
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        error = None
    # The answer's own status counts, whatever the body repeats.
    return msgspec.structs.replace(read(status, error or {}), status=status)


def read(status: int, error: dict[str, Json]) -> ProviderError:
    """An error object; `status` is for one that names none."""
    code = error.get("code")
    if type(code) is int and 400 <= code < 600:
        status = code
    message = error.get("message")
    if type(message) is not str or not message:
        message = f"The provider answered with {_phrase(status)}."
    word = error.get("status")
    reason: str | None = None
    param: str | None = None
    retry_after_s: float | None = None
    details = error.get("details")
    for detail in details if type(details) is list else ():
        if type(detail) is not dict:
            continue
        kind = str(detail.get("@type")).rpartition(".")[2]
        if kind == "ErrorInfo" and type(detail.get("reason")) is str:
            reason = reason or detail["reason"]
        elif kind == "RetryInfo":
            retry_after_s = _seconds(detail.get("retryDelay"))
        elif kind == "BadRequest":
            param = param or _field(detail.get("fieldViolations"))
    return ProviderError(
        status=status,
        message=message,
        type=word if type(word) is str else None,
        code=reason,
        param=param,
        retry_after_s=retry_after_s,
    )


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"status {status}"


def _seconds(delay: Json) -> float | None:
    """A duration as protocol buffers write it in JSON: "34.4s"."""
    found = _duration(delay) if type(delay) is str else None
    return float(found[1]) if found is not None and len(found[1]) < 20 else None


def _field(violations: Json) -> str | None:
    first = violations[0] if type(violations) is list and violations else None
    field = first.get("field") if type(first) is dict else None
    return field if type(field) is str else None
