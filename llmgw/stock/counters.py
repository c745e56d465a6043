"""What a process counts with: sliding windows, calendar periods, places.

All have one shape. `taken` and `take` are asked for every limit of every call, and so is `replace` at its end; the
rest is for refusals and reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, Final, Protocol

from llmgw.errors import CallError
from llmgw.rules import refusal as rules
from llmgw.rules.demand import Limit
from llmgw.rules.period import bounds
from llmgw.rules.refusal import SOON_S, Reading
from llmgw.rules.window import Window

IDLE_S: Final = 3600.0
"""A counter unused for so long is dropped; a window, so long after it is empty: where the ledger knows whole hours
only, it would otherwise begin again with what has left it."""

REQUESTS, TOKENS, USD, PARALLEL = range(4)
UNITS: Final = {"requests": REQUESTS, "tokens": TOKENS, "usd": USD, "parallel": PARALLEL}


class Counter(Protocol):
    """What the counters have in common; `taken` makes `settled` and `held` those of now."""

    unit: int
    calls: int
    """Calls that took from it and have not ended."""
    touched: float
    idle_s: float
    held: int

    @property
    def settled(self) -> int: ...

    def taken(self, now: float) -> int: ...

    def take(self, now: float, amount: int) -> Any: ...

    def replace(self, ticket: Any, held: int, settled: int) -> None: ...

    def free_in(self, now: float, amount: int, limit: int) -> float | None: ...

    def empty_in(self, now: float) -> float | None: ...


class Rolling(Window):
    """Requests, tokens or money of a sliding window."""

    __slots__ = ("calls", "idle_s", "touched", "unit")

    def __init__(self, limit: Limit, window_s: float, now: float) -> None:
        super().__init__(window_s)
        self.unit = UNITS[limit.measure]
        self.calls = 0
        self.touched = now
        self.idle_s = window_s + IDLE_S

    def free_in(self, now: float, amount: int, limit: int) -> float | None:
        free_s = super().free_in(now, amount, limit)
        # What is held of tokens and money is an upper bound; a request that is held will have been one.
        if free_s is not None and self.unit != REQUESTS and self.settled + amount <= limit:
            return min(free_s, SOON_S)
        return free_s


class Calendar:
    """Money of a calendar period. A ticket is the beginning of the period it is of."""

    __slots__ = ("_end", "_period", "_start", "calls", "held", "idle_s", "settled", "touched", "unit")

    def __init__(self, limit: Limit, settled: int, now: float) -> None:
        assert limit.period is not None
        self.unit = UNITS[limit.measure]
        self.calls = 0
        self.touched = now
        self.idle_s = IDLE_S
        self.settled = settled
        self.held = 0
        self._period = limit.period
        self._start, self._end = bounds(limit.period, now)

    def taken(self, now: float) -> int:
        if now >= self._end:
            self._start, self._end = bounds(self._period, now)
            self.settled = self.held = 0
        return self.settled + self.held

    def take(self, now: float, amount: int) -> float:
        self.taken(now)
        self.held += amount
        return self._start

    def replace(self, ticket: float, held: int, settled: int) -> None:
        if ticket == self._start:
            self.held -= held
            self.settled += settled

    def free_in(self, now: float, amount: int, limit: int) -> float | None:
        if amount > limit:
            return None
        return SOON_S if self.settled + amount <= limit else self.empty_in(now)

    def empty_in(self, now: float) -> float | None:
        if self.taken(now) == 0:
            return 0.0
        return None if self._end == inf else self._end - now


class Places:
    """Calls at a time."""

    __slots__ = ("calls", "held", "idle_s", "touched", "unit")
    settled: Final = 0

    def __init__(self, limit: Limit, now: float) -> None:
        self.unit = UNITS[limit.measure]
        self.calls = 0
        self.touched = now
        self.idle_s = IDLE_S
        self.held = 0

    def taken(self, now: float) -> int:
        return self.held

    def take(self, now: float, amount: int) -> None:
        self.held += amount

    def replace(self, ticket: None, held: int, settled: int) -> None:
        self.held -= held

    def free_in(self, now: float, amount: int, limit: int) -> float | None:
        return None if amount > limit else SOON_S

    def empty_in(self, now: float) -> float | None:
        return 0.0


def refusal(
    limits: Sequence[Limit], counters: Sequence[Counter], asked: Sequence[int], now: float
) -> CallError:
    """The error of the limit that takes longest to have room for what is asked; one of them has none now.

    Args:
        asked: of each unit, by its number.
    """
    readings = []
    for limit, counter in zip(limits, counters, strict=True):
        need = asked[counter.unit] or 1
        if counter.taken(now) + need > limit.amount:
            readings.append(
                Reading(
                    limit=limit,
                    asked=asked[counter.unit],
                    settled=counter.settled,
                    held=counter.held,
                    free_s=counter.free_in(now, need, limit.amount),
                    reset_s=counter.empty_in(now),
                )
            )
    return rules.refusal(readings, now)
