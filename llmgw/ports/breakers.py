"""Which targets are left alone just now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from llmgw.rules.breaker import Outcome, Permit, Phase


class Breakers(Protocol):
    """One breaker for each name: a target (`openai/gpt-4o`), or a secret (`credential:openai:1`).

    The guarantee: however many callers report at once, a breaker opens once, at its threshold; while it is half-open no
    more probes go out than configured, over all callers that share the state. `look` and `report` neither block nor
    raise, and `admit` waits for nobody unless a probe has to be leased from others. A secret's breaker opens with its
    first failure. Times are seconds of `time.monotonic`.
    """

    def look(self, name: str, now: float) -> Phase:
        """As it stands; `half_open` also for one whose cooldown has passed."""
        ...

    async def admit(self, name: str, now: float) -> Permit | None:
        """Leave to make a call; None while there is none."""
        ...

    def report(self, name: str, permit: Permit, outcome: Outcome, now: float) -> None:
        """What became of a call that was admitted; exactly once for each permit."""
        ...

    def free_in(self, names: Iterable[str], now: float) -> float:
        """Seconds until the first of these may be called, as far as that is known; 0 where one may be now."""
        ...

    def states(self, now: float) -> Mapping[str, Phase]:
        """Every breaker that is not closed, by name."""
        ...
