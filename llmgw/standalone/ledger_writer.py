"""The one thread that puts the journal's rows into the store, adds them to the rollups, and lets old rows go.

It keeps nothing in memory. Each round reads from the journal's files where the store says that it stands, and one
transaction takes the rows, their sums and the new position: so a row is in the store with its sums or not at all, a
round may be repeated, and a store that was brought back from a backup goes on where that one ends. A store that is
locked, full or away is tried again, and rows wait in the files meanwhile.

Rows too old are deleted some hundred at a time, between rounds.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from llmgw import ids
from llmgw.standalone import spool, store
from llmgw.standalone.ledger_rows import DAY_S, LedgerTables
from llmgw.standalone.spool import Position, Spool

_log = logging.getLogger("llmgw.store")

RETENTION_S: Final = 400 * DAY_S
"""How long the ledger keeps rows: a year, and a month to look back from."""
GATHER_S: Final = 0.05
"""How long a row waits for others."""
LOCK_WAIT_S: Final = 1.0
RETRY_S: Final = 0.25
DEGRADED_S: Final = 3.0
"""Rows that wait no longer than this are nobody's business."""
PURGE_S: Final = 600.0
"""How often it is looked for rows that are too old."""
PURGE_ROWS: Final = 500


class LedgerWriter:
    """Writes what `spool` has synced into the store at `path`.

    Args:
        waiting: closed calls whose rows an earlier process has left in the journal.
        retention_s: age at which rows go.
    """

    def __init__(self, path: Path, spool: Spool, waiting: int, retention_s: float) -> None:
        self._path = path
        self._spool = spool
        self._retention_s = retention_s
        self._synced = spool.synced
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # A daemon: a disk that hangs must not keep the process from its end.
        self._thread = threading.Thread(target=self._run, name="llmgw-ledger", daemon=True)
        self._opened: tuple[Database, LedgerTables] | None = None
        self._file = (0, 0)
        self._failing_since: float | None = None
        self._purged_at = float("-inf")
        self.expected = waiting
        """Rows that have to be in the store: `taken` and those that wait."""
        self.taken = 0
        """Rows that are out of the journal."""
        self.failures = 0
        """Rounds that the store refused."""

    @property
    def failing(self) -> bool:
        """Whether the store has taken nothing for DEGRADED_S."""
        since = self._failing_since
        return since is not None and time.monotonic() - since > DEGRADED_S

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def wake(self, synced: Position) -> None:
        """There may be rows up to this position."""
        self._synced = synced
        self._wake.set()

    def stop(self, deadline_s: float) -> bool:
        """Write what there is, for so long at most; whether all of it is in the store."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(deadline_s)
        return not self._thread.is_alive() and self.taken == self.expected

    def _run(self) -> None:
        stopping = False
        while not stopping:
            self._wake.wait(PURGE_S)
            stopping = self._stopping.wait(GATHER_S)
            self._wake.clear()
            more = True
            while more:
                try:
                    more = self._take() or (not stopping and self._purge(time.time()))
                    self._well()
                except Exception as error:  # noqa: BLE001 - the thread outlives whatever a round meets; rows wait
                    self._failed(error)
                    more = not stopping
                    stopping = self._stopping.wait(RETRY_S)
        self._close()

    def _take(self) -> bool:
        """One round; whether there may be more to do."""
        database, tables = self._current()
        stored = position(database)
        expected = self.expected
        lines, after = spool.read(self._spool.folder, stored, self._synced)
        while not lines and after < self._synced:
            lines, after = spool.read(self._spool.folder, after, self._synced)
        if not lines and after.segment == stored.segment and after.offset - stored.offset < spool.READ_BYTES:
            # Nothing but calls that were opened: not worth a transaction.
            self._taken_all(expected)
            return False
        with store.writing(database):
            if position(database) != stored:
                return True
            wrong = tables.insert(lines)
            if wrong:
                spool.set_aside(self._spool.folder, after.segment, (line + b"\n" for line in wrong))
                _log.error("%d lines of the journal are no rows and are set aside in its folder", len(wrong))
            database.execute("UPDATE ledger_state SET journal_segment = ?, journal_offset = ?", after)
        if not self._is_current():
            raise OSError("it was replaced while it was written to")
        self.taken += len(lines)
        if after.segment != stored.segment:
            self._spool.drop_before(after.segment)
        return True

    def _taken_all(self, expected: int) -> None:
        """Nothing is left up to where the journal is synced. If that is its end, what is still expected was spoilt on
        the disk."""
        if self._spool.end == self._synced:
            self.taken = expected

    def _purge(self, now: float) -> bool:
        """Delete some of the rows that are too old; whether there may be more of them."""
        if time.monotonic() - self._purged_at < PURGE_S:
            return False
        before = int((now - self._retention_s) // DAY_S * DAY_S)
        if before > 0:
            database, _ = self._current()
            with store.writing(database):
                # Said before it is done: `usage rebuild` must not count anew what is being deleted.
                database.execute("UPDATE ledger_state SET purged_before = max(purged_before, ?)", [before])
                deleted = database.execute(_PURGE, [first_id(before), before, PURGE_ROWS]).rowcount
            if deleted == PURGE_ROWS:
                return True
        self._purged_at = time.monotonic()
        return False

    def _current(self) -> tuple[Database, LedgerTables]:
        # An open file lives on after it was deleted or replaced, and SQLite would go on writing it.
        if self._opened is None or not self._is_current():
            self._close()
            found = self._path.stat()
            database = store.connect(self._path, wait_s=LOCK_WAIT_S, any_thread=True)
            self._opened = database, LedgerTables(database.conn)
            self._file = (found.st_dev, found.st_ino)
        return self._opened

    def _is_current(self) -> bool:
        found = self._path.stat()
        return self._file == (found.st_dev, found.st_ino)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _well(self) -> None:
        if self.failing:
            _log.info("the ledger in %s takes rows again", self._path)
        self._failing_since = None

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._close()  # what was cached of the file may be what is wrong with it
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            reason = store.explain(self._path, error) if isinstance(error, sqlite3.Error) else f"{error}"
            _log.warning(
                "the ledger takes no rows, they wait in %s: the store %s", self._spool.folder, reason
            )


def position(database: Database) -> Position:
    """Up to where the journal's rows are in the store."""
    row = database.execute("SELECT journal_segment, journal_offset FROM ledger_state").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("the table ledger_state is empty")
    return Position(*row)


def first_id(time_s: float) -> str:
    """What no id of a row at `time_s` or later comes before."""
    return ids.new("call", time_s)[:15]  # the prefix and ten characters of milliseconds


_PURGE: Final = """
    DELETE FROM ledger WHERE number IN (
        SELECT number FROM ledger WHERE id < ? AND time < ? ORDER BY id LIMIT ?
    )
"""
