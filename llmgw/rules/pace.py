"""How fast targets are of late, and how busy: values that decay with time, not with calls.

What was measured counts half after HALF_S, a quarter after twice that; what is older than FORGOTTEN_S is no knowledge
any more. Times are seconds of one clock; one that goes back ages nothing.
"""

from __future__ import annotations

from typing import Final

HALF_S: Final = 60.0
FORGOTTEN_S: Final = 600.0
FAILED_S: Final = 30.0
"""What a failed try counts for as a wait for the first token: a target that refuses at once is not a fast one."""
LIMIT: Final = 10_000
"""Targets known at once; clients can make names up."""


class Mean:
    """A mean in which a value's weight decays."""

    __slots__ = ("_at", "_value", "_weight")

    def __init__(self) -> None:
        self._value = 0.0
        self._weight = 0.0
        self._at = 0.0

    def add(self, value: float, now: float) -> None:
        """Take a value measured at `now`."""
        self._weight = self._weight * 0.5 ** (max(0.0, now - self._at) / HALF_S) + 1.0
        self._value += (value - self._value) / self._weight
        self._at = max(now, self._at)

    def read(self, now: float) -> float | None:
        """The mean; None where nothing was measured of late."""
        return None if not self._weight or now - self._at > FORGOTTEN_S else self._value


class Target:
    """What is known of one target."""

    __slots__ = ("first_token_s", "in_flight", "tokens_per_s")

    def __init__(self) -> None:
        self.first_token_s = Mean()
        self.tokens_per_s = Mean()
        self.in_flight = 0


class Pace:
    """Of all targets, by name."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}

    def of(self, name: str) -> Target:
        """What is known of a target; a new one where nothing is."""
        known = self._targets.get(name)
        if known is None:
            if len(self._targets) >= LIMIT:
                self._targets = {name: one for name, one in self._targets.items() if one.in_flight}
            known = self._targets[name] = Target()
        return known
