"""Log lines as JSON objects, one a line: a `call` for every ended call, a `log` for everything else.

Calls are encoded by hand-picked fields; messages of the standard logging module, ours and the libraries', go through the
redaction. An exception that nobody expected carries its traceback as one field.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from llmgw.ports import CallRecord
from llmgw.telemetry.redact import redact

_encode: Final = msgspec.json.Encoder().encode


def call_line(record: CallRecord) -> bytes:
    """The line of an ended call. Times are milliseconds."""
    first = record.first_token_s
    line: dict[str, Any] = {
        "time": moment(record.time),
        "level": level_of(record),
        "event": "call",
        "request_id": record.request_id,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "org": record.org,
        "key_id": record.key_id,
        "endpoint": record.endpoint,
        "method": record.method,
        "model_asked": record.model_asked,
        "model": record.model,
        "provider": record.provider,
        "status": record.status,
        "error": record.error,
        "streamed": record.streamed,
        "attempts": record.attempts,
        "upstream_status": record.upstream_status,
        "upstream_request_id": record.upstream_request_id,
        "request_bytes": record.request_bytes,
        "response_bytes": record.response_bytes,
        "latency_ms": round(record.total_s * 1000, 3),
        "overhead_ms": round(record.overhead_s * 1000, 3),
        "first_token_ms": None if first is None else round(first * 1000, 3),
    }
    if record.detail is not None:
        line["detail"] = redact(record.detail)
    return _encode(line) + b"\n"


def level_of(record: CallRecord) -> str:
    """Whose concern the end of a call is: the operator's (error), perhaps (warning), nobody's (info)."""
    if record.error is None or record.status == 499:
        return "info"
    return "error" if record.status >= 500 or record.status < 400 else "warning"


_second: tuple[int, str] = (0, "")


def moment(now: float) -> str:
    """ISO 8601 in UTC with milliseconds."""
    global _second  # the text of a second serves all its calls
    whole = int(now)
    if _second[0] != whole:
        _second = (whole, datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    return f"{_second[1]}.{int((now - whole) * 1000):03d}Z"


class JsonHandler(logging.Handler):
    """Turns records of the logging module into lines and hands them to `offer`."""

    def __init__(self, offer: Callable[[bytes], None]) -> None:
        super().__init__()
        self._offer = offer

    def emit(self, record: logging.LogRecord) -> None:
        line: dict[str, Any] = {
            "time": moment(record.created),
            "level": record.levelname.lower(),
            "event": "log",
            "logger": record.name,
            "message": redact(_message(record)),
        }
        request_id = getattr(record, "request_id", None)
        if request_id is not None:
            line["request_id"] = str(request_id)
        if record.exc_info is not None and record.exc_info[1] is not None:
            line["traceback"] = redact("".join(traceback.format_exception(record.exc_info[1])))
        self._offer(_encode(line) + b"\n")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit the format: show both rather than nothing
        return f"{record.msg} {record.args}"
