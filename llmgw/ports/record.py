"""What is known of a call, and who is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from llmgw.canonical import Usage


class FailedTry(NamedTuple):
    """A try that did not answer the call."""

    provider: str
    model: str
    cause: str
    """An HTTP status, `connect`, `timeout`, `credentials`, or `escalated`: a cascade went on."""


class CallRecord(Struct, kw_only=True):
    """What is known of one call; complete when it has ended. Times are seconds; absent is None, never 0."""

    time: float
    """Unix seconds at which the request was complete."""
    request_id: str
    trace_id: str
    span_id: str
    endpoint: str
    method: str
    status: int = 0
    """HTTP status as the client saw it; 499 for a client that left."""
    error: str | None = None
    """The code of the contract, where the call failed."""
    detail: str | None = None
    """One sentence for the operator; never holds a secret."""
    org: str | None = None
    key_id: str | None = None
    model_asked: str | None = None
    model: str | None = None
    provider: str | None = None
    streamed: bool = False
    route: str | None = None
    """The name of the route that the call took."""
    shadow_route: str | None = None
    """The name of the route that it would have taken, were it in force."""
    policies: tuple[str, ...] = ()
    """The names of the policies that it violated: they let it pass, unless `error` is `policy_denied`."""
    dropped: Sequence[str] = ()
    """What translation has left out of the request and of the answer, by the client's names."""
    attempts: int = 0
    failed_tries: tuple[FailedTry, ...] = ()
    """Those that another one followed, or might have."""
    upstream_status: int | None = None
    upstream_request_id: str | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    total_s: float = 0.0
    overhead_s: float = 0.0
    """Total minus the wait for the provider."""
    first_token_s: float | None = None
    usage: Usage | None = None
    """What the call has used, as its row in the ledger has it."""
    usage_source: str | None = None
    """reported, counted or estimated; None for a call without a row."""
    cost_nano_usd: int | None = None
    """None where the price is not known, and for a call without a row."""


class BudgetWarning(Struct, frozen=True, kw_only=True):
    """A budget has passed a share of its amount. Money is US dollars as decimal text; times are Unix seconds."""

    scope: str
    """key, tag, org, model or provider."""
    name: str
    budget: str
    """As it is written: 25/month."""
    share: float
    spent_usd: str
    time: float


class Sink(Protocol):
    """Takes what is told to the outside; no method ever blocks or raises: a full sink drops and counts."""

    def began(self) -> None:
        """A call is in flight."""
        ...

    def offer(self, record: CallRecord) -> None:
        """A call has ended; called exactly once for every `began`. The record changes no more."""
        ...

    def warn(self, warning: BudgetWarning) -> None:
        """A budget runs out."""
        ...
