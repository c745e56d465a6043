"""One request's record, from its last byte in to its last byte out.

The stages fill it in, `settle` reads it once. Times are seconds of `time.monotonic` (the event loop's clock counts
whole milliseconds); `began_at` alone is
Unix time. A Call ends exactly once, whatever comes first: the table below is the whole of that rule.

    stage      may be followed by
    received   admitted, ended
    admitted   sent, ended
    sent       committed, ended
    committed  ended
    ended      (nothing)
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from llmgw.dialects.dialect import Dialect, Endpoint
from llmgw.flow.gateway import Target
from llmgw.ports import CallRecord
from llmgw.rules.access import KeyRecord
from llmgw.rules.trace import TraceContext


class Stage(IntEnum):
    RECEIVED = 0
    ADMITTED = 1
    SENT = 2
    COMMITTED = 3
    ENDED = 4


_NEXT: Final = {
    Stage.RECEIVED: (Stage.ADMITTED, Stage.ENDED),
    Stage.ADMITTED: (Stage.SENT, Stage.ENDED),
    Stage.SENT: (Stage.SENT, Stage.COMMITTED, Stage.ENDED),
    Stage.COMMITTED: (Stage.ENDED,),
    Stage.ENDED: (),
}


class Call:
    """What is known of one request so far; absent is None."""

    __slots__ = (
        "attempts", "began_at", "committed_at", "detail", "dialect", "endpoint", "error", "key", "method",
        "model_asked", "received_at", "request_bytes", "request_id", "response_bytes", "sent_at", "stage",
        "status", "streamed", "target", "trace", "upstream_ended_at", "upstream_request_id",
        "upstream_status",
    )  # fmt: skip

    def __init__(
        self,
        *,
        request_id: str,
        trace: TraceContext,
        method: str,
        dialect: Dialect,
        endpoint: Endpoint,
        began_at: float,
        received_at: float,
        request_bytes: int,
    ) -> None:
        self.request_id = request_id
        self.trace = trace
        self.method = method
        self.dialect = dialect
        self.endpoint = endpoint
        self.began_at = began_at
        self.received_at = received_at
        self.request_bytes = request_bytes
        self.stage = Stage.RECEIVED
        self.key: KeyRecord | None = None
        self.model_asked: str | None = None
        self.target: Target | None = None
        self.streamed = False
        self.attempts = 0
        self.status = 0
        self.error: str | None = None
        self.detail: str | None = None
        self.sent_at: float | None = None
        self.committed_at: float | None = None
        self.upstream_ended_at: float | None = None
        self.upstream_status: int | None = None
        self.upstream_request_id: str | None = None
        self.response_bytes = 0

    def enter(self, stage: Stage) -> None:
        """Move on; a move that the table does not allow is a defect and raises."""
        if stage not in _NEXT[self.stage]:
            raise AssertionError(f"a call cannot go from {self.stage.name} to {stage.name}")
        self.stage = stage

    def overhead_s(self, now: float) -> float:
        """Time spent so far that was not waiting for the provider."""
        if self.sent_at is None:
            return now - self.received_at
        return now - self.received_at - ((self.upstream_ended_at or self.committed_at or now) - self.sent_at)

    def record(self, now: float) -> CallRecord:
        """The finished record."""
        key, target = self.key, self.target
        first_token_s = None
        if self.committed_at is not None and self.sent_at is not None:
            first_token_s = self.committed_at - self.sent_at
        return CallRecord(
            time=self.began_at,
            request_id=self.request_id,
            trace_id=self.trace.trace_id,
            span_id=self.trace.span_id,
            endpoint=self.endpoint.name,
            method=self.method,
            status=self.status,
            error=self.error,
            detail=self.detail,
            org=key.org if key is not None else None,
            key_id=key.id if key is not None else None,
            model_asked=self.model_asked,
            model=target.model if target is not None else None,
            provider=target.provider.name if target is not None else None,
            streamed=self.streamed,
            attempts=self.attempts,
            upstream_status=self.upstream_status,
            upstream_request_id=self.upstream_request_id,
            request_bytes=self.request_bytes,
            response_bytes=self.response_bytes,
            total_s=now - self.received_at,
            overhead_s=self.overhead_s(now),
            first_token_s=first_token_s,
        )
