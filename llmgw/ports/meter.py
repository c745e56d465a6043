"""The counters that calls are admitted by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from llmgw.rules.demand import Demand, Limit


class Hold(Struct, frozen=True, kw_only=True):
    """A lease on what a call may use at most. `id` is the call's."""

    id: str
    demand: Demand
    expires_at: float
    """Unix seconds; from then on the lease holds nothing, whatever became of the call."""


class Standing(Struct, frozen=True, kw_only=True):
    """How far a limit is used up at one moment. Amounts are in the limit's own unit."""

    limit: Limit
    used: int
    """Settled, in the window or period that the moment is in."""
    reserved: int
    """Held by calls under way."""
    reset_s: float | None
    """Seconds until nothing of it is used any more, if nothing is added; None where that never comes."""


class Meter(Protocol):
    """Counts requests, tokens, calls at a time and money, on every scope.

    The guarantee: `reserve` takes all of a demand or nothing, in one atomic step, whatever the number of callers.
    In no window of a limit's length does more than its amount pass; what is settled and held of a budget is never
    more than its amount, but for calls that used more than they had asked for. `settle`, `release` and `leave` are
    idempotent by the hold's id. A hold that nobody ends expires, and frees what it held by itself; a `settle`
    after that still counts what was used. Unknown counters begin with what the ledger has for them.

    Times are Unix seconds given by the caller; a time that lies before one given earlier is taken as that one.
    """

    async def reserve(self, id: str, demand: Demand, now: float, lease_s: float) -> Hold:
        """Take all that `demand` asks for.

        Raises:
            RateLimitExceeded, BudgetExceeded: one of its limits does not have that much left; nothing was taken.
                Of several, the one that takes longest to have it again is named.
            DependencyUnavailable: a counter is not known and the ledger cannot be read.
        """
        ...

    @property
    def degraded(self) -> str | None:
        """What is unavailable just now, as it stands in `x-llmgw-degraded`; None when nothing is."""
        ...

    def leave(self, hold: Hold, *, tokens: int | None = None, cost_nano_usd: int | None = None) -> None:
        """The call is over: its place (`parallel`) is free, and of the rest it holds no more than what it used, where
        that is given, until it is settled."""
        ...

    def settle(self, hold: Hold, *, tokens: int, cost_nano_usd: int, now: float) -> None:
        """What the call used takes the place of what it had asked for, counted at the time of its reservation."""
        ...

    def release(self, hold: Hold, now: float) -> None:
        """The call used nothing: as `settle` with nothing, and its request is not counted either."""
        ...

    def standing(self, limits: Sequence[Limit], now: float) -> list[Standing]:
        """How far each is used up; an unknown counter counts nothing."""
        ...
