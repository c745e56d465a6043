"""Flags in one process, over what the store says of them.

Calls read memory alone. The store's revision is looked at five times a second, as the directory does, and where it has
moved, what was said of the flags is read again. A guard turns its flag off in memory at once; that is written down as
soon as the store takes it, unless somebody has spoken of the flag meanwhile: an operator's word goes before a guard's
that came of calls before it. While the store is away, what is known last holds.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from msgspec import Struct
from sqlite_utils import Database

from llmgw.config.flags import Flag
from llmgw.ports import FlagSource
from llmgw.rules import flags, guard
from llmgw.rules.access import KeyRecord
from llmgw.rules.breaker import Outcome
from llmgw.rules.flags import Change, Definition
from llmgw.standalone import migrations, store
from llmgw.standalone.reader import Opened, Reader

_log = logging.getLogger("llmgw.flags")

POLL_S: Final = 0.2
DEADLINE_S: Final = 0.25
KEYS_LIMIT: Final = 10_000
"""Keys whose answer is remembered, for each flag; behind so many it begins anew."""

State = tuple[int, int]
"""How often the store was opened, and its revision."""
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


class _Unsaved(Struct, frozen=True):
    """A guard's change, and what had been said of the flag when it was made."""

    before: Change | None
    change: Change


class SqliteFlags:
    """Implements `ports.Flags` over the store at `path`; a context manager around its whole use.

    `run()` must run for changes to be noticed and for those of guards to be kept.

    Args:
        source: who decides the flags of which nobody has said anything here; None: the configuration.

    Raises, on entering:
        StoreUnavailable: the store cannot be read.
    """

    def __init__(self, path: Path, settings: Mapping[str, Flag], source: FlagSource | None = None) -> None:
        self._path = path
        self._settings = settings
        self._source = source
        self._reader = Reader(path, deadline_s=DEADLINE_S)
        self._state: State | None = None
        self._stored: Rows = {}
        self._unsaved: dict[str, _Unsaved] = {}
        self._said: Rows = {}
        self._live: dict[str, _Local | _Remote] = {}
        self._guarded: dict[str, tuple[guard.Limits, guard.Window]] = {}
        self._trips: dict[str, int] = {}
        self._failing = False
        self._apply()

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def load(self) -> None:
        """Read what was said of the flags, now and here; StoreUnavailable where it cannot be read."""
        with SqliteFlagSwitch(self._path) as switch:
            self._seen({change.flag: change for change in switch.changes()})

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
            await asyncio.sleep(POLL_S)

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                found = await self._reader.submit(partial(_read_if_new, self._state))
            if found is not None:
                self._state, rows = found
                self._seen(rows)
            if self._unsaved:
                async with asyncio.timeout(DEADLINE_S):
                    rows = await self._reader.submit(partial(_save, tuple(self._unsaved.values())))
                self._seen(rows)
        except (TimeoutError, sqlite3.Error, OSError, ValueError) as error:
            if not self._failing:
                self._failing = True
                _log.warning("the flags stay as they are, for the store %s fails: %s", self._path, error)
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
        self._unsaved[name] = _Unsaved(self._stored.get(name), change)
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


class SqliteFlagSwitch:
    """Implements `ports.FlagSwitch`; a context manager that closes itself.

    Raises:
        StoreUnavailable: there is no store at `path`, or its schema is not this code's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        migrations.require_current(path)
        with store.reporting(path):
            self._database = store.connect(path, wait_s=store.WRITE_WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def changes(self) -> Sequence[Change]:
        with store.reporting(self._path):
            return tuple(_rows(self._database).values())

    def put(self, change: Change) -> None:
        with store.reporting(self._path), store.writing(self._database):
            _put(self._database, change)


def _read_if_new(known: State | None, opened: Opened) -> tuple[State, Rows] | None:
    with opened.database.atomic():
        row = opened.database.execute("SELECT value FROM revision").fetchone()
        if row is None:
            raise sqlite3.DatabaseError("the table revision is empty")
        state = (opened.epoch, row[0])
        return None if state == known else (state, _rows(opened.database))


def _save(those: Sequence[_Unsaved], opened: Opened) -> Rows:
    """Write down what guards have done, where nobody has spoken of the flag since; all that is said then."""
    with store.writing(opened.database):
        rows = _rows(opened.database)
        for one in those:
            if rows.get(one.change.flag) == one.before:
                _put(opened.database, one.change)
                rows[one.change.flag] = one.change
    return rows


def _rows(database: Database) -> Rows:
    found: Rows = {}
    for row in list(database.query("SELECT * FROM flag_changes ORDER BY flag")):
        columns: dict[str, Any] = dict(row)
        columns["by"] = columns.pop("said_by")
        for name in ("orgs", "keys"):
            columns[name] = msgspec.json.decode(columns[name])
        change = msgspec.convert(columns, Change)
        found[change.flag] = change
    return found


def _put(database: Database, change: Change) -> None:
    columns = msgspec.structs.asdict(change)
    columns["said_by"] = columns.pop("by")
    for name in ("orgs", "keys"):
        columns[name] = msgspec.json.encode(columns[name]).decode()
    database.execute(_PUT, columns)


_PUT: Final = """
    INSERT INTO flag_changes (flag, state, percentage, orgs, keys, said_by, actor, reason, time)
    VALUES (:flag, :state, :percentage, :orgs, :keys, :said_by, :actor, :reason, :time)
    ON CONFLICT (flag) DO UPDATE SET
        state = :state, percentage = :percentage, orgs = :orgs, keys = :keys, said_by = :said_by,
        actor = :actor, reason = :reason, time = :time
"""
