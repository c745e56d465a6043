"""Flags in one process, over what the store says of them: `llmgw.stock.flags`, in SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlite_utils import Database

from llmgw.config.flags import Flag
from llmgw.ports import FlagSource
from llmgw.rules.flags import Change
from llmgw.standalone import migrations, store
from llmgw.standalone.reader import Opened, Reader
from llmgw.stock.flags import Rows, StoredFlags, Unsaved, columns_of, of_rows

DEADLINE_S: Final = 0.25


class SqliteFlags(StoredFlags):
    """Implements `ports.Flags` over the store at `path`; a context manager around its whole use.

    Raises, on entering:
        StoreUnavailable: the store cannot be read.
    """

    FAILURES = (TimeoutError, sqlite3.Error, OSError, ValueError)

    def __init__(self, path: Path, settings: Mapping[str, Flag], source: FlagSource | None = None) -> None:
        super().__init__(path, settings, source)
        self._path = path
        self._reader = Reader(path, deadline_s=DEADLINE_S)

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

    async def _read_if_new(self, known: Hashable) -> tuple[Hashable, Rows] | None:
        async with asyncio.timeout(DEADLINE_S):
            return await self._reader.submit(partial(_read_if_new, known))

    async def _save(self, those: Sequence[Unsaved]) -> Rows:
        async with asyncio.timeout(DEADLINE_S):
            return await self._reader.submit(partial(_save, those))


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


def _read_if_new(known: Hashable, opened: Opened) -> tuple[Hashable, Rows] | None:
    with opened.database.atomic():
        row = opened.database.execute("SELECT value FROM revision").fetchone()
        if row is None:
            raise sqlite3.DatabaseError("the table revision is empty")
        state = (opened.epoch, row[0])
        return None if state == known else (state, _rows(opened.database))


def _save(those: Sequence[Unsaved], opened: Opened) -> Rows:
    with store.writing(opened.database):
        rows = _rows(opened.database)
        for one in those:
            if rows.get(one.change.flag) == one.before:
                _put(opened.database, one.change)
                rows[one.change.flag] = one.change
    return rows


def _rows(database: Database) -> Rows:
    return of_rows(list(database.query("SELECT * FROM flag_changes ORDER BY flag")))


def _put(database: Database, change: Change) -> None:
    database.execute(_PUT, columns_of(change))


_PUT: Final = """
    INSERT INTO flag_changes (flag, state, percentage, orgs, keys, said_by, actor, reason, time)
    VALUES (:flag, :state, :percentage, :orgs, :keys, :said_by, :actor, :reason, :time)
    ON CONFLICT (flag) DO UPDATE SET
        state = :state, percentage = :percentage, orgs = :orgs, keys = :keys, said_by = :said_by,
        actor = :actor, reason = :reason, time = :time
"""
