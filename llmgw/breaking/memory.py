"""The breakers of one process, in memory; a node of a cluster has the states put here that all nodes share.

Only names that have failed of late are known; of all others it is known that they are closed. One event loop calls, and
nothing awaits between a look at a state and its change.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from llmgw.config import breakers as config
from llmgw.rules import breaker
from llmgw.rules.breaker import CLOSED, Outcome, Permit, Phase, State

_log = logging.getLogger("llmgw.breakers")

LIMIT: Final = 10_000
"""Breakers known at once: clients can make names up, and those that are closed give way."""
SHOWN: Final = 1000
"""Breakers that `states` tells of: each becomes a series of a Prometheus."""
SECRETS: Final = "credential:"


class MemoryBreakers:
    """Implements `ports.Breakers`."""

    def __init__(self, settings: config.Breakers) -> None:
        self._states: dict[str, State] = {}
        self._fresh = CLOSED
        """What is not known is so."""
        self._free = Permit(CLOSED.generation)
        self.opened = 0
        self.configure(settings)

    def configure(self, settings: config.Breakers) -> None:
        self._settings = settings
        self._of_secrets = replace(settings, failures=1, ratio=None)

    def look(self, name: str, now: float) -> Phase:
        state = self._states.get(name)
        return "closed" if state is None else breaker.phase(state, self.settings_of(name), now)

    def permit(self, name: str) -> Permit | None:
        return None if name in self._states else self._free

    async def admit(self, name: str, now: float) -> Permit | None:
        state = self._states.get(name)
        if state is None:
            return self._free
        after, permit = breaker.admit(state, self.settings_of(name), now)
        if after is not state:
            if after.phase != state.phase:
                self._tell(name, after)
            self._states[name] = after
        return permit

    def report(self, name: str, permit: Permit, outcome: Outcome, now: float) -> None:
        state = self._states.get(name)
        if state is None and outcome != "failure" and (outcome == "neither" or self._settings.ratio is None):
            return
        settings = self.settings_of(name)
        if state is None:
            if outcome == "success" and settings.ratio is None:
                return
            state = self._fresh
        after = breaker.report(state, settings, permit, outcome, now)
        if after is state:
            return
        if after.phase != state.phase:
            self._tell(name, after)
        if len(self._states) >= LIMIT and name not in self._states:
            self._forget()
        self._states[name] = after

    @property
    def fresh(self) -> int:
        """The generation of what is not known."""
        return self._fresh.generation

    def put(self, name: str, state: State) -> None:
        """What others have found of it."""
        before = self._states.get(name, self._fresh)
        self._states[name] = state
        if state.phase != before.phase:
            self._tell(name, state)

    def reset(self, states: Mapping[str, State], fresh: int) -> None:
        """From now on these are known and no others."""
        gone = [name for name, one in self._states.items() if one.phase != "closed" and name not in states]
        for name in gone:
            self._tell(name, CLOSED)
        kept = {name: self._states[name] for name in states if name in self._states}
        self._fresh = State(generation=fresh)
        self._free = Permit(fresh)
        # Another thread may read the one that was.
        self._states = kept
        for name, state in states.items():
            self.put(name, state)

    def open_since(self) -> Mapping[str, float]:
        """When those opened that are open or half-open."""
        return {name: one.opened_at for name, one in self._states.items() if one.phase != "closed"}

    def free_in(self, names: Iterable[str], now: float) -> float:
        known = self._states
        waits = [
            breaker.free_in(known[name], self.settings_of(name), now) if name in known else 0.0
            for name in names
        ]
        return min(waits, default=0.0)

    def states(self, now: float) -> Mapping[str, Phase]:
        # Metrics are read in another thread.
        known = self._states.copy().items()
        failing = [(name, state) for name, state in known if state.phase != "closed"]
        failing.sort(key=lambda item: item[1].opened_at, reverse=True)
        return {name: breaker.phase(state, self.settings_of(name), now) for name, state in failing[:SHOWN]}

    def settings_of(self, name: str) -> config.Breakers:
        return self._of_secrets if name.startswith(SECRETS) else self._settings

    def _tell(self, name: str, state: State) -> None:
        if state.phase == "open":
            self.opened += 1
            _log.warning("%s fails and is left alone for %g s", name, self._settings.cooldown_s)
        elif state.phase == "half_open":
            _log.info("%s is tried again", name)
        else:
            _log.info("%s answers again", name)

    def _forget(self) -> None:
        """Make room: one half goes, first what is closed and has not failed of late, last what has just opened."""
        known = self._states
        by_age = sorted(known.items(), key=lambda item: (item[1].opened_at, item[1].failed_at[-1:]))
        kept = dict(by_age[len(known) // 2 :])
        # Calls under way of what is forgotten must not be taken for those of what comes next by that name.
        gone = max([one.generation for name, one in known.items() if name not in kept])
        if gone >= self._fresh.generation:
            self._fresh = State(generation=gone + 1)
            self._free = Permit(gone + 1)
        self._states = kept
