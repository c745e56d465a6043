"""Which targets are left alone just now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from llmgw.config import breakers as config
from llmgw.rules.breaker import Outcome, Permit, Phase


class Breakers(Protocol):
    """One breaker for each name: a target (`openai/gpt-4o`), or a secret (`credential:openai:1`).

    The guarantee: however many callers report at once, a breaker opens once, at its threshold; while it is half-open no
    more probes go out than configured, over all callers that share the state. `look` and `report` neither block nor
    raise, and `admit` waits for nobody unless a probe has to be leased from others. A secret's breaker opens with its
    first failure. Names may be made up by clients: how many are known is bounded, and those that are closed go first.
    Each transition is logged as one line. Times are seconds of `time.monotonic`.
    """

    @property
    def opened(self) -> int:
        """How often a breaker has opened."""
        ...

    def configure(self, settings: config.Breakers) -> None:
        """From now on these settings hold, also for what is open."""
        ...

    def look(self, name: str, now: float) -> Phase:
        """As it stands; `half_open` also for one whose cooldown has passed."""
        ...

    def permit(self, name: str) -> Permit | None:
        """Leave to make a call, at once, where nothing is known against it; None says nothing: ask `admit`."""
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
        """Breakers that are not closed, by name: those that opened last, a thousand at most. From any thread."""
        ...
