"""The ledger's way in: what calls used, written so that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Struct

from llmgw.canonical import Usage

UsageSource = Literal["reported", "counted", "estimated"]


class LedgerRow(Struct, frozen=True, kw_only=True):
    """One admitted call, however it ended. Times are Unix seconds, money is nano-dollars."""

    id: str
    """`call_` and 26 characters that sort by `time`."""
    time: float
    """When the request was complete; its spend counts in the period that this lies in."""
    request_id: str
    trace_id: str
    org_id: str
    org: str
    key_id: str
    tags: dict[str, str]
    endpoint: str
    model_asked: str
    model: str
    """The model that answered, or was asked last."""
    provider: str
    route: str | None = None
    """The name of the route that sent the call elsewhere."""
    attempts: int
    streamed: bool
    status: int
    """HTTP status; 499 for a client that left."""
    error: str | None = None
    usage: Usage
    """Without `native`; all None where nothing is known."""
    usage_source: UsageSource
    reserved_nano_usd: int
    cost_nano_usd: int | None
    """None where the price is not known."""
    asked_cost_nano_usd: int | None = None
    """What the model asked for would have cost; None where that is not known or it is the one that served."""
    price_version: str | None = None
    latency_ms: int
    first_token_ms: int | None = None
    shadow_route: str | None = None
    """The name of the route that the call would have taken, were it in force."""
    shadow_cost_nano_usd: int | None = None
    """What the answer would have cost there; None where that is not known, and without such a route."""
    policies: tuple[str, ...] = ()
    """The names of the policies that the call violated and that let it pass."""


class Journal(Protocol):
    """Takes rows and makes them durable, then part of the ledger.

    The guarantee: what `open` has accepted survives the process being killed at any moment, and so does what `append`
    has accepted from the event loop's next turn on; until then the call's opened row stands for it. What `durable` was
    called for survives the machine's power cut as well. A row reaches the ledger exactly once,
    whatever is repeated; while the ledger's store is slow, locked or full, rows wait in a local file. A call that
    was opened and never closed when its process died is in the ledger, by its opened row, as soon as the next
    process has started. None of the methods waits for the store.
    """

    @property
    def degraded(self) -> str | None:
        """What is unavailable just now, as it stands in `x-llmgw-degraded`; None when nothing is."""
        ...

    def open(self, row: LedgerRow) -> None:
        """A call begins.

        Raises:
            DependencyUnavailable: it cannot be written down (the local disk is full): the call must not be made.
        """
        ...

    def append(self, row: LedgerRow, durable: Callable[[], None]) -> None:
        """The call of that id has ended. Never raises: what cannot be written is kept and tried again.

        Args:
            durable: called from the event loop once the row is safe.
        """
        ...
