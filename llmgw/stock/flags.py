"""Flags in one process, over what a store says of them.

Calls read memory alone. The store's revision is looked at five times a second, as the directory does, and where it has
moved, what was said of the flags is read again. A guard turns its flag off in memory at once; that is written down as
soon as the store takes it, unless somebody has spoken of the flag meanwhile: an operator's word goes before a guard's
that came of calls before it, and of two guards' the first is kept. While the store is away, what is known last holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Struct

from llmgw.config.flags import Flag
from llmgw.ports import FlagSource
from llmgw.rules import flags, guard
from llmgw.rules.access import KeyRecord
from llmgw.rules.breaker import Outcome
from llmgw.rules.flags import Change, Definition

_log = logging.getLogger("llmgw.flags")

POLL_S: Final = 0.2
KEYS_LIMIT: Final = 10_000
"""Keys whose answer is remembered, for each flag; behind so many it begins anew."""

Rows = dict[str, Change]


class _Local:
    """A flag that is decided here."""

    __slots__ = ("_answers", "definition")

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self._answers: dict[str, tuple[KeyRecord, bool]] = {}

    def is_on(self, key: KeyRecord) -> bool:
        known = self._answers.get(key.id)
        if known is not None and known[0] is key:
            return known[1]
        answer = flags.is_on(self.definition, key)
        if len(self._answers) >= KEYS_LIMIT:
            self._answers.clear()
        self._answers[key.id] = (key, answer)
        return answer

    @property
    def share(self) -> float:
        return self.definition.share


class _Remote:
    """A flag that a provider elsewhere decides."""

    __slots__ = ("_default", "_name", "_source")

    def __init__(self, name: str, default: bool, source: FlagSource) -> None:
        self._name = name
        self._default = default
        self._source = source

    def is_on(self, key: KeyRecord) -> bool:
        return self._source.last(self._name, key, self._default)

    @property
    def share(self) -> float:
        said = self._source.share(self._name)
        return float(self._default) if said is None else said


class Unsaved(Struct, frozen=True):
    """A guard's change, and what had been said of the flag when it was made."""

    before: Change | None
    change: Change


class StoredFlags(ABC):
    """`ports.Flags` over some store. `run()` must run for changes to be noticed and for those of guards to be kept.

    Args:
        store: its name, for sentences.
        source: who decides the flags of which nobody has said anything here; None: the configuration.
    """

    FAILURES: ClassVar[tuple[type[Exception], ...]]
    """What reading and writing raise where the store fails."""

    def __init__(self, store: object, settings: Mapping[str, Flag], source: FlagSource | None) -> None:
        self._store = store
        self._settings = settings
        self._source = source
        self._state: Hashable = None
        self._stored: Rows = {}
        self._unsaved: dict[str, Unsaved] = {}
        self._said: Rows = {}
        self._live: dict[str, _Local | _Remote] = {}
        self._guarded: dict[str, tuple[guard.Limits, guard.Window]] = {}
        self._trips: dict[str, int] = {}
        self._failing = False
        self._apply()

    @abstractmethod
    async def _read_if_new(self, known: Hashable) -> tuple[Hashable, Rows] | None:
        """The store's state and what is said; None while its state is the known one."""

    @abstractmethod
    async def _save(self, those: Sequence[Unsaved]) -> Rows:
        """Write down what guards have done, where nobody has spoken of the flag since; all that is said then."""

    async def _pause(self) -> None:
        await asyncio.sleep(POLL_S)

    def configure(self, settings: Mapping[str, Flag]) -> None:
        """From now on these are the flags; guards that stay as they are keep what they have counted."""
        self._settings = settings
        self._apply()

    def is_on(self, name: str, key: KeyRecord) -> bool:
        flag = self._live.get(name)
        return flag is not None and flag.is_on(key)

    def note(
        self,
        names: Sequence[str],
        outcome: Outcome,
        latency_s: float,
        cost_nano_usd: int | None,
        now: float,
    ) -> None:
        for name in names:
            guarded = self._guarded.get(name)
            if guarded is not None:
                limits, window = guarded
                window.add(outcome, latency_s, cost_nano_usd, now)
                why = guard.breach(limits, window.total)
                if why is not None:
                    self._trip(name, why)

    def states(self) -> Mapping[str, float]:
        return {name: flag.share for name, flag in self._live.items()}

    @property
    def trips(self) -> Mapping[str, int]:
        return self._trips

    @property
    def degraded(self) -> str | None:
        return "flags" if self._source is not None and self._source.failing else None

    async def run(self) -> None:
        """Look at the store every POLL_S seconds until cancelled, and write down what guards have done."""
        while True:
            await self._look()
            await self._pause()

    async def _look(self) -> None:
        try:
            found = await self._read_if_new(self._state)
            if found is not None:
                self._state, rows = found
                self._seen(rows)
            if self._unsaved:
                self._seen(await self._save(tuple(self._unsaved.values())))
        except self.FAILURES as error:
            if not self._failing:
                self._failing = True
                _log.warning("the flags stay as they are, for the store %s fails: %s", self._store, error)
        else:
            self._failing = False

    def _seen(self, rows: Rows) -> None:
        """This is what the store says."""
        self._stored = rows
        for name, unsaved in tuple(self._unsaved.items()):
            if rows.get(name) != unsaved.before:
                del self._unsaved[name]
        self._apply()

    def _trip(self, name: str, why: str) -> None:
        _log.error("the flag %s has turned itself off: %s", name, why)
        change = Change(flag=name, state="off", by="guard", actor="guard", reason=why, time=time.time())
        self._unsaved[name] = Unsaved(self._stored.get(name), change)
        self._trips[name] = self._trips.get(name, 0) + 1
        self._apply()

    def _apply(self) -> None:
        """Have what is said, and where nothing is, the configuration, in force; what has changed is counted anew."""
        before, said = self._said, self._stored.copy()
        said.update((name, unsaved.change) for name, unsaved in self._unsaved.items())
        live: dict[str, _Local | _Remote] = {}
        guarded: dict[str, tuple[guard.Limits, guard.Window]] = {}
        for name, settings in self._settings.items():
            change = said.get(name)
            definition = None if change is None else flags.of_change(change)
            if definition is None and self._source is not None:
                live[name] = _Remote(name, settings.default, self._source)
            else:
                definition = definition or flags.of_config(name, settings)
                live[name] = _Local(definition)
            if settings.guard is not None and (definition is None or definition.fixed is not False):
                known = self._guarded.get(name)
                if known is None or known[0].guard != settings.guard or before.get(name) != change:
                    known = (guard.limits_of(settings.guard), guard.Window(settings.guard.window_s))
                guarded[name] = known
        self._said, self._live, self._guarded = said, live, guarded


def columns_of(change: Change) -> dict[str, Any]:
    """As it is stored: `by` is no name for a column, and lists are JSON."""
    columns = msgspec.structs.asdict(change)
    columns["said_by"] = columns.pop("by")
    for name in ("orgs", "keys"):
        columns[name] = msgspec.json.encode(columns[name]).decode()
    return columns


def of_rows(found: Sequence[Mapping[str, Any]]) -> Rows:
    """What is said, from all rows as they are stored."""
    said: Rows = {}
    for row in found:
        columns: dict[str, Any] = dict(row)
        columns["by"] = columns.pop("said_by")
        for name in ("orgs", "keys"):
            columns[name] = msgspec.json.decode(columns[name])
        change = msgspec.convert(columns, Change)
        said[change.flag] = change
    return said
