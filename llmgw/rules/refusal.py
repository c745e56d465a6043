"""How a refusal by a limit reads: pure, the same whoever counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from math import ceil, inf
from typing import Final

from msgspec import Struct

from llmgw.errors import BudgetExceeded, CallError, RateLimitExceeded
from llmgw.rules.demand import Limit

SOON_S: Final = 1.0
"""After which to ask again where only calls under way stand in the way."""


class Reading(Struct, frozen=True, kw_only=True):
    """A limit without room for what was asked of it."""

    limit: Limit
    asked: int
    settled: int
    held: int
    free_s: float | None
    """Seconds until there is room, if nothing is added; None where that never comes."""
    reset_s: float | None
    """Seconds until nothing of it is used any more; None where that never comes."""


def refusal(readings: Iterable[Reading], now: float) -> CallError:
    """The error of the limit that takes longest to have room; the first of those that take the same."""
    longest = max(readings, key=lambda reading: inf if reading.free_s is None else reading.free_s)
    kind = BudgetExceeded if longest.limit.measure == "usd" else RateLimitExceeded
    return kind(_message(longest, now), retry_after_s=longest.free_s)


def _message(reading: Reading, now: float) -> str:
    limit, asked, free_s = reading.limit, reading.asked, reading.free_s
    text = usd if limit.measure == "usd" else str
    facts = f"{text(reading.settled)} used, {text(reading.held)} reserved, {text(asked)} asked for"
    if asked > limit.amount or limit.amount == 0:
        end = "this call alone asks for more than that, so a retry will not help"
    elif free_s is None:
        end = "it never starts anew; it must be raised before another call passes"
    else:
        end = f"{_reset(reading, now)}; try again in {ceil(free_s)} s"
    return f"The {limit.scope.kind} {limit.scope.name!r} is limited to {_what(limit)}: {facts}; {end}."


def _what(limit: Limit) -> str:
    if limit.measure == "parallel":
        return f"{limit.amount} calls at a time"
    amount = f"{usd(limit.amount)} USD" if limit.measure == "usd" else f"{limit.amount} {limit.measure}"
    if limit.period is None:
        return f"{amount} in any {limit.window_s:g} s"
    return f"{amount} in total" if limit.period == "total" else f"{amount} per {limit.period}"


def _reset(reading: Reading, now: float) -> str:
    limit, reset_s = reading.limit, reading.reset_s
    if limit.measure == "parallel":
        return "a place is free when a call ends"
    if reset_s is None:
        return "it never starts anew"
    if limit.period is None:
        return f"all of it is free in {ceil(reset_s)} s"
    return f"it starts anew at {datetime.fromtimestamp(now + reset_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def usd(nano: int) -> str:
    """Dollars, exactly."""
    dollars, rest = divmod(nano, 1_000_000_000)
    return f"{dollars}.{rest:09d}".rstrip("0").rstrip(".")
