"""The breakers of one process, in memory.

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
SECRETS: Final = "credential:"
_FREE: Final = Permit(0)


class MemoryBreakers:
    """Implements `ports.Breakers`."""

    def __init__(self, settings: config.Breakers) -> None:
        self._states: dict[str, State] = {}
        self.opened = 0
        """How often a breaker has opened."""
        self.configure(settings)

    def configure(self, settings: config.Breakers) -> None:
        """From now on these settings hold, also for what is open."""
        self._settings = settings
        self._of_secrets = replace(settings, failures=1, ratio=None)

    def look(self, name: str, now: float) -> Phase:
        state = self._states.get(name)
        if state is None:
            return "closed"
        return "half_open" if state.phase == "open" and now >= state.until else state.phase

    async def admit(self, name: str, now: float) -> Permit | None:
        state = self._states.get(name)
        if state is None:
            return _FREE
        after, permit = breaker.admit(state, self._settings_of(name), now)
        if after is not state:
            self._states[name] = after
        return permit

    def report(self, name: str, permit: Permit, outcome: Outcome, now: float) -> None:
        state = self._states.get(name)
        settings = self._settings_of(name)
        if state is None:
            if (outcome == "success" and settings.ratio is None) or outcome == "neither":
                return
            state = CLOSED
        after = breaker.report(state, settings, permit, outcome, now)
        if after is state:
            return
        if after.phase != state.phase:
            self._tell(name, after)
        if len(self._states) >= LIMIT and name not in self._states:
            self._forget(now)
        self._states[name] = after

    def free_in(self, names: Iterable[str], now: float) -> float:
        waits = [breaker.free_in(self._states.get(name, CLOSED), now) for name in names]
        return min(waits, default=0.0)

    def states(self, now: float) -> Mapping[str, Phase]:
        return {
            name: self.look(name, now)
            for name, state in self._states.copy().items()
            if state.phase != "closed"
        }

    def _settings_of(self, name: str) -> config.Breakers:
        return self._of_secrets if name.startswith(SECRETS) else self._settings

    def _tell(self, name: str, state: State) -> None:
        if state.phase == "open":
            self.opened += 1
            _log.warning("%s fails and is left alone for %g s", name, self._settings.cooldown_s)
        else:
            _log.info("%s answers again", name)

    def _forget(self, now: float) -> None:
        """Make room: what is closed goes, if it must be with its failures."""
        settings = self._settings
        kept = {
            name: state
            for name, state in self._states.items()
            if not breaker.is_forgettable(state, settings, now)
        }
        if len(kept) >= LIMIT:
            kept = {name: state for name, state in kept.items() if state.phase != "closed"}
        if len(kept) >= LIMIT:
            kept.clear()
        self._states = kept
