"""The two kinds of log lines, each one JSON object: a call that has ended, and a message of the program.

Lines are made in the writer's thread, never on the event loop: the loop hands over the record as it is. Fields
that hold text from outside are searched for secrets, but only in a line that shows a trace of one.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct

from llmgw.canonical import Usage
from llmgw.config.budget import dollars_text
from llmgw.errors import CallError
from llmgw.ports import CallRecord
from llmgw.telemetry.redact import redact, suspicious

LIMIT: Final = 8192
"""Characters of a message, a detail or a traceback that are kept; the queue is bounded in lines, so each must be."""

_NAMES: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}


class CallLine(Struct, kw_only=True):
    """One call, as it ended. Absent is null."""

    time: str
    level: str
    event: str = "call"
    request_id: str
    trace_id: str
    span_id: str
    method: str
    endpoint: str
    status: int
    error: str | None
    detail: str | None
    org: str | None
    key_id: str | None
    model_asked: str | None
    model: str | None
    provider: str | None
    streamed: bool
    attempts: int
    failed_tries: list[str] | None
    """What led to more than one: `openai/gpt-4o: 500`."""
    route: str | None
    shadow_route: str | None
    policies: tuple[str, ...] | None
    """Those that it violates; they are only audited, unless `error` is `policy_denied`."""
    dropped: str | None
    """What translation has left out, as x-llmgw-dropped has it, and of streams also what came after the head."""
    upstream_status: int | None
    upstream_request_id: str | None
    request_bytes: int
    response_bytes: int
    latency_ms: float
    overhead_ms: float
    first_token_ms: float | None
    usage: dict[str, int] | None
    """Tokens in disjoint buckets."""
    usage_source: str | None
    cost_usd: str | None
    """US dollars, exactly; null where the price is not known."""


class MessageLine(Struct, kw_only=True, omit_defaults=True):
    """Something the program has to say."""

    time: str
    level: str
    event: str
    logger: str
    message: str
    request_id: str | None = None
    traceback: str | None = None
    """A traceback, where the failure was not one that we know by name."""


class Message(Struct, frozen=True, gc=False):
    """A message on its way to becoming a line. `time` is Unix seconds; `level` is logging's number."""

    time: float
    level: int
    logger: str
    text: str
    request_id: str | None = None
    traceback: str | None = None


Entry = CallRecord | Message

_encoder: Final = msgspec.json.Encoder()


def encode(entry: Entry) -> bytes:
    """The line of `entry`, with its line feed, without secrets."""
    line = _call_line(entry) if isinstance(entry, CallRecord) else _message_line(entry)
    try:
        encoded = _encoder.encode(line)
    except UnicodeEncodeError:  # a lone surrogate, as in the name of a file that is not UTF-8
        encoded = None
    if encoded is None or suspicious(_foreign(entry)):
        for field in line.__struct_fields__:
            value = getattr(line, field)
            if isinstance(value, str):
                setattr(line, field, redact(value.encode("utf-8", "backslashreplace").decode()))
        encoded = _encoder.encode(line)
    return encoded + b"\n"


def _foreign(entry: Entry) -> str:
    """The text in `entry` that others wrote."""
    if isinstance(entry, CallRecord):
        return (
            f"{entry.request_id} {entry.model_asked} {entry.model} {entry.upstream_request_id} {entry.detail} "
            f"{' '.join(entry.dropped)}"
        )
    return f"{entry.text} {entry.request_id} {entry.traceback}"


def severity(record: CallRecord) -> int:
    """The level of a call's line, as logging numbers them.

    What the client did wrong is information. What fails on our side or the provider's is a warning where a retry
    may pass, and an error where somebody has to mend something.
    """
    if record.error is None:
        return logging.WARNING if record.status >= 500 else logging.INFO
    return _severities().get(record.error, logging.WARNING)


@lru_cache(maxsize=1)
def _severities() -> dict[str, int]:
    """By code of the contract; made late, so that every class of the tree is there."""
    found: dict[str, int] = {}
    classes = list(CallError.__subclasses__())
    for kind in classes:
        classes.extend(kind.__subclasses__())
        if kind.source == "client":
            found[kind.code] = logging.INFO
        else:
            found[kind.code] = logging.WARNING if kind.retry else logging.ERROR
    return found


def _call_line(record: CallRecord) -> CallLine:
    detail = record.detail
    first_token_s = record.first_token_s
    return CallLine(
        time=timestamp(record.time),
        level=_NAMES[severity(record)],
        request_id=record.request_id,
        trace_id=record.trace_id,
        span_id=record.span_id,
        method=record.method,
        endpoint=record.endpoint,
        status=record.status,
        error=record.error,
        detail=detail[:LIMIT] if detail is not None else None,
        org=record.org,
        key_id=record.key_id,
        model_asked=record.model_asked,
        model=record.model,
        provider=record.provider,
        streamed=record.streamed,
        attempts=record.attempts,
        failed_tries=[f"{one.provider}/{one.model}: {one.cause}" for one in record.failed_tries] or None,
        route=record.route,
        shadow_route=record.shadow_route,
        policies=record.policies or None,
        dropped=", ".join(record.dropped)[:LIMIT] or None,
        upstream_status=record.upstream_status,
        upstream_request_id=record.upstream_request_id,
        request_bytes=record.request_bytes,
        response_bytes=record.response_bytes,
        latency_ms=_milliseconds(record.total_s),
        overhead_ms=_milliseconds(record.overhead_s),
        first_token_ms=_milliseconds(first_token_s) if first_token_s is not None else None,
        usage=None if record.usage is None else _buckets(record.usage),
        usage_source=record.usage_source,
        cost_usd=None if record.cost_nano_usd is None else dollars_text(record.cost_nano_usd),
    )


def _buckets(usage: Usage) -> dict[str, int]:
    counts = {name: getattr(usage, name) for name in _BUCKETS}
    return {name: count for name, count in counts.items() if count is not None}


_BUCKETS: Final = tuple(name for name in Usage.__struct_fields__ if name != "native")


def _message_line(message: Message) -> MessageLine:
    return MessageLine(
        time=timestamp(message.time),
        level=_NAMES.get(message.level) or logging.getLevelName(message.level).lower(),
        event="log",
        logger=message.logger,
        message=message.text[:LIMIT],
        request_id=message.request_id,
        # The end of a traceback says what failed, its beginning only how the program got there.
        traceback=message.traceback[-LIMIT:] if message.traceback is not None else None,
    )


def timestamp(unix_s: float) -> str:
    """ISO 8601, UTC, with milliseconds."""
    milliseconds = round(unix_s * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=8)
def _second(unix_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_s))


def _milliseconds(seconds: float) -> float:
    return int(seconds * 1e6) / 1e3  # whole microseconds; a third of the time of round()
