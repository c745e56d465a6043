"""When a flag turns itself off: a window over the calls that it affected, and what of them is too much. Pure.

The window is counted in slices of a tenth; the oldest one leaves as a whole, so that a call counts for the length of
the window or up to a tenth less. Sums are integers (microseconds, nano-dollars): what comes in goes out to the last
unit. What is judged is what is in the window now, as soon as it holds `min_calls`: a flag that breaks every call is
off after that many, not when the window is full.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec import Struct

from llmgw.config import units
from llmgw.config.budget import dollars, dollars_text
from llmgw.config.flags import Guard
from llmgw.rules.breaker import Outcome

SLICES: Final = 10
_MICRO: Final = 1_000_000
_NOT_ITS_DOING: Final = frozenset({"panic", "dependency_unavailable", "gateway_stopping"})
_NO_ROOM: Final = (408, 429)


class Sums(Struct, gc=False):
    """Of the calls of a time."""

    number: int = 0
    """Of the slice."""
    calls: int = 0
    failures: int = 0
    latency_us: int = 0
    """Of those that succeeded."""
    priced: int = 0
    cost_nano_usd: int = 0
    """Of those that are priced."""


class Limits(Struct, frozen=True):
    """A guard in the units of the sums."""

    guard: Guard
    latency_us: float | None
    cost_nano_usd: int | None


def limits_of(guard: Guard) -> Limits:
    """What is too much, ready to be compared with."""
    return Limits(
        guard,
        None if guard.latency_s is None else guard.latency_s * _MICRO,
        None if guard.cost is None else dollars(guard.cost),
    )


class Window:
    """The calls of late that a flag affected. Times are seconds of one clock that does not jump; a `now` before an
    earlier one is taken as that one."""

    __slots__ = ("_number", "_slices", "_width_s", "total")

    def __init__(self, length_s: float) -> None:
        self._width_s = length_s / SLICES
        self._slices: deque[Sums] = deque()
        self._number = -1
        self.total = Sums()
        """As of the last `add`."""

    def add(self, outcome: Outcome, latency_s: float, cost_nano_usd: int | None, now: float) -> None:
        """A call has ended. One that says nothing of the flag (`neither`) only moves the time on."""
        number = max(int(now / self._width_s), self._number)
        if number > self._number:
            self._number = number
            self._drop(number - SLICES)
        if outcome == "neither":
            return
        slices = self._slices
        if not slices or slices[-1].number != number:
            slices.append(Sums(number))
        for sums in (slices[-1], self.total):
            sums.calls += 1
            if outcome == "failure":
                sums.failures += 1
            else:
                sums.latency_us += round(latency_s * _MICRO)
            if cost_nano_usd is not None:
                sums.priced += 1
                sums.cost_nano_usd += cost_nano_usd

    def _drop(self, last: int) -> None:
        """What was counted up to the slice of that number has left."""
        total = self.total
        while self._slices and self._slices[0].number <= last:
            gone = self._slices.popleft()
            total.calls -= gone.calls
            total.failures -= gone.failures
            total.latency_us -= gone.latency_us
            total.priced -= gone.priced
            total.cost_nano_usd -= gone.cost_nano_usd


def breach(limits: Limits, total: Sums) -> str | None:
    """What is too much in a window, as a sentence; None where the flag may stay on."""
    guard = limits.guard
    if total.calls < guard.min_calls:
        return None
    if guard.error_rate is not None and total.failures > guard.error_rate * total.calls:
        found = total.failures / total.calls
        return (
            f"error rate {found:.3g} above {guard.error_rate:g} ({total.failures} of {_during(guard, total)})"
        )
    succeeded = total.calls - total.failures
    if limits.latency_us is not None and succeeded and total.latency_us > limits.latency_us * succeeded:
        found = total.latency_us / succeeded / _MICRO
        return f"latency {found:.3g} s above {guard.latency_s:g} s on average ({_during(guard, total)})"
    if limits.cost_nano_usd is not None and total.cost_nano_usd > limits.cost_nano_usd * total.priced:
        found_usd = dollars_text(total.cost_nano_usd // total.priced)
        return f"cost {found_usd} USD above {guard.cost} USD per call on average ({_during(guard, total)})"
    return None


def _during(guard: Guard, total: Sums) -> str:
    return f"{total.calls} calls within {units.duration_text(guard.window_s)}"


def outcome_of(status: int, error: str | None, upstream_status: int | None) -> Outcome:
    """What an ended call says of a flag that it was affected by.

    Args:
        status: as the client saw it.
        error: the code, where the call failed; also of a stream that broke off behind its 200.
        upstream_status: of the provider's answer. Where it had no room, the flag sent the call to the wrong one.
    """
    if status == 499 or error in _NOT_ITS_DOING:
        return "neither"
    if status >= 500 or (error is not None and status < 400):
        return "failure"
    if status >= 400:
        return "failure" if status == upstream_status and status in _NO_ROOM else "neither"
    return "success"
