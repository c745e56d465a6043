"""The journal's way into SQLite: one transaction takes rows, what is added up of them, and the journal's position.

So a row is in the store with its sums or not at all, a round may be repeated, and a store that was brought back from a
backup goes on where that one ends. Rows too old are deleted some hundred at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from llmgw.spool import Position, SpoolJournal
from llmgw.spool.lines import DAY_S
from llmgw.spool.segments import SEGMENT_BYTES
from llmgw.standalone import store
from llmgw.standalone.ledger_rows import LedgerTables
from llmgw.stock.reports import first_id

RETENTION_S: Final = 400 * DAY_S
"""How long the ledger keeps rows: a year, and a month to look back from."""
LOCK_WAIT_S: Final = 1.0
PURGE_ROWS: Final = 500


def folder_beside(store_path: Path) -> Path:
    """The journal's folder: `llmgw.db` has `llmgw.db.journal`."""
    return store_path.with_name(store_path.name + ".journal")


def journal(
    path: Path, *, retention_s: float = RETENTION_S, segment_bytes: int = SEGMENT_BYTES
) -> SpoolJournal:
    """The journal of the one process that serves the store at `path`, whose schema is this code's."""
    return SpoolJournal(folder_beside(path), SqliteShelf(path, retention_s), segment_bytes=segment_bytes)


class SqliteShelf:
    """Implements `Shelf` over the store at `path`.

    Args:
        retention_s: age at which rows go.
    """

    def __init__(self, path: Path, retention_s: float) -> None:
        self._path = path
        self._retention_s = retention_s
        self._opened: tuple[Database, LedgerTables] | None = None
        self._file = (0, 0)

    def begin(self) -> Position:
        with store.reporting(self._path):
            try:
                return self.position()
            finally:
                self.close()

    def position(self) -> Position:
        return position(self._current()[0])

    def take(
        self,
        lines: Sequence[bytes],
        before: Position,
        after: Position,
        set_aside: Callable[[Sequence[bytes]], None],
    ) -> bool:
        database, tables = self._current()
        with store.writing(database):
            if position(database) != before:
                return False
            wrong = tables.insert(lines)
            if wrong:
                set_aside(wrong)
            database.execute("UPDATE ledger_state SET journal_segment = ?, journal_offset = ?", after)
        if not self._is_current():
            raise OSError("it was replaced while it was written to")
        return True

    def purge(self, now: float) -> bool:
        before = int((now - self._retention_s) // DAY_S * DAY_S)
        if before <= 0:
            return False
        database, _ = self._current()
        with store.writing(database):
            # Said before it is done: `usage rebuild` must not count anew what is being deleted.
            database.execute("UPDATE ledger_state SET purged_before = max(purged_before, ?)", [before])
            deleted = database.execute(_PURGE, [first_id(before), before, PURGE_ROWS]).rowcount
        return bool(deleted == PURGE_ROWS)

    def explain(self, error: Exception) -> str:
        return store.explain(self._path, error) if isinstance(error, sqlite3.Error) else f"{error}"

    def close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _current(self) -> tuple[Database, LedgerTables]:
        # An open file lives on after it was deleted or replaced, and SQLite would go on writing it.
        if self._opened is None or not self._is_current():
            self.close()
            found = self._path.stat()
            database = store.connect(self._path, wait_s=LOCK_WAIT_S, any_thread=True)
            self._opened = database, LedgerTables(database.conn)
            self._file = (found.st_dev, found.st_ino)
        return self._opened

    def _is_current(self) -> bool:
        found = self._path.stat()
        return self._file == (found.st_dev, found.st_ino)


def position(database: Database) -> Position:
    """Up to where the journal's rows are in the store."""
    row = database.execute("SELECT journal_segment, journal_offset FROM ledger_state").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("the table ledger_state is empty")
    return Position(*row)


_PURGE: Final = """
    DELETE FROM ledger WHERE number IN (
        SELECT number FROM ledger WHERE id < ? AND time < ? ORDER BY id LIMIT ?
    )
"""
