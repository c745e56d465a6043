"""One request's record, from its last byte in to its last byte out.

The stages fill it in, `settle` reads it once. Times are seconds of `time.monotonic` (the event loop's clock counts
whole milliseconds); `time` alone is
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
from typing import TYPE_CHECKING, Final

from llmgw.dialects.dialect import Dialect, Endpoint
from llmgw.ports import CallRecord
from llmgw.rules.access import KeyRecord
from llmgw.rules.trace import TraceContext

if TYPE_CHECKING:
    from llmgw.flow.account import Account
    from llmgw.flow.gateway import Target


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


class Call(CallRecord, kw_only=True):
    """The record, and what the stages need to know besides."""

    trace: TraceContext
    dialect: Dialect
    operation: Endpoint
    received_at: float
    sent_at: float | None = None
    """When a provider was first asked."""
    committed_at: float | None = None
    upstream_ended_at: float | None = None
    stage: Stage = Stage.RECEIVED
    passthrough: bool = False
    """Whether panic has it go to the model as asked, by no route and no choice."""
    service_tier: str | None = None
    """The tier that the provider says it served, in OpenAI's words."""
    delivered: bool = False
    """Whether the request has reached a provider, as far as that can be known here."""
    flags: tuple[str, ...] = ()
    """Those that were on, and that it went where it went for."""
    key: KeyRecord | None = None
    target: Target | None = None
    """Asked last, or the one that answers."""
    account: Account | None = None
    """From the call's admission on."""
    said_bytes: int = 0
    """How much text of the model has come, for calls whose usage is not reported."""

    def enter(self, stage: Stage) -> None:
        """Move on; a move that the table does not allow is a defect and raises."""
        if stage not in _NEXT[self.stage]:
            raise AssertionError(f"a call cannot go from {self.stage.name} to {stage.name}")
        self.stage = stage

    def turn_to(self, target: Target) -> None:
        """It is this target that is asked, or has answered."""
        self.target = target
        self.provider, self.model = target.provider.name, target.model

    def send(self, now: float) -> None:
        """A provider is asked: the first, or another one."""
        self.attempts += 1
        self.enter(Stage.SENT)
        self.upstream_ended_at = self.upstream_status = self.upstream_request_id = None
        if self.sent_at is None:
            self.sent_at = now

    def overhead_until(self, now: float) -> float:
        """Seconds spent so far that were not waiting for providers, pauses between tries included."""
        if self.sent_at is None:
            return now - self.received_at
        return now - self.received_at - ((self.upstream_ended_at or self.committed_at or now) - self.sent_at)

    def close(self, now: float) -> None:
        """The call is over: fill in its times."""
        self.enter(Stage.ENDED)
        self.total_s = now - self.received_at
        self.overhead_s = self.overhead_until(now)
        if self.committed_at is not None and self.sent_at is not None:
            self.first_token_s = self.committed_at - self.sent_at
