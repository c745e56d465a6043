"""How calls went, for operators: times, sizes and outcomes in a SQLite file of their own, written when there is time.

It may be lost, and says so. The event loop appends to a bounded queue; one thread inserts what has gathered. A store
that is slow, locked or full fills the queue, and what finds no room is dropped and counted. A file of its own, so that
its locks never stand in the way of the ledger's.

A table for each day (UTC): what is too old is dropped with its table, at no cost.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from operator import attrgetter
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from llmgw.ports import CallRecord
from llmgw.standalone import store

_log = logging.getLogger("llmgw.store")

GATHER_S: Final = 0.2
"""How long a record waits for others."""
BATCH: Final = 5_000
LOCK_WAIT_S: Final = 5.0
RETENTION_DAYS: Final = 7
STOP_S: Final = 2.0

_COLUMNS: Final = (
    "time", "request_id", "trace_id", "org", "key_id", "endpoint", "model_asked", "model", "provider", "streamed",
    "status", "upstream_status", "error", "attempts", "request_bytes", "response_bytes", "total_s", "overhead_s",
    "first_token_s",
)  # fmt: skip
_values: Final = attrgetter(*_COLUMNS)
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS {table} (
        time REAL NOT NULL, request_id TEXT NOT NULL, trace_id TEXT NOT NULL, org TEXT, key_id TEXT,
        endpoint TEXT NOT NULL, model_asked TEXT, model TEXT, provider TEXT, streamed INTEGER NOT NULL,
        status INTEGER NOT NULL, upstream_status INTEGER, error TEXT, attempts INTEGER NOT NULL,
        request_bytes INTEGER NOT NULL, response_bytes INTEGER NOT NULL, total_s REAL NOT NULL,
        overhead_s REAL NOT NULL, first_token_s REAL
    ) STRICT
"""
_INSERT: Final = "INSERT INTO {table} VALUES (" + ", ".join("?" * len(_COLUMNS)) + ")"  # noqa: S608 - our own names
_PREFIX: Final = "requests_"


def path_beside(store_path: Path) -> Path:
    """The log's file beside the store's: `llmgw.db` has `llmgw.requests.db`."""
    return store_path.with_name(f"{store_path.stem}.requests{store_path.suffix}")


class RequestLog:
    """Keeps records in `path`; a context manager around the run of its thread.

    Args:
        limit: records that may wait.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._queue: deque[CallRecord] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # A daemon: a disk that hangs must not keep the process from its end.
        self._thread = threading.Thread(target=self._run, name="llmgw-request-log", daemon=True)
        self._failing = False
        self.dropped = 0
        """Records that were not kept: the queue was full, or the file refused them."""

    @property
    def waiting(self) -> int:
        """Records in the queue."""
        return len(self._queue)

    def offer(self, record: CallRecord) -> None:
        """Take the record of an ended call; never waits and never raises."""
        if len(self._queue) >= self._limit:
            self.dropped += 1
            return
        self._queue.append(record)
        if not self._wake.is_set():
            self._wake.set()

    def __enter__(self) -> RequestLog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._wake.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        with contextlib.ExitStack() as opened:
            database: Database | None = None
            stopping = False
            while not stopping:
                self._wake.wait()
                stopping = self._stopping.wait(GATHER_S)
                self._wake.clear()
                while self._queue:
                    batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                    try:
                        if database is None:
                            database = self._open()
                            opened.callback(database.conn.close)
                        self._insert(database, batch)
                        self._failing = False
                    except (sqlite3.Error, OSError) as error:
                        self._lose(batch, error)

    def _open(self) -> Database:
        store.create(self._path)
        database = store.connect(self._path, wait_s=LOCK_WAIT_S)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")  # it may be lost
        return database

    def _insert(self, database: Database, batch: list[CallRecord]) -> None:
        table = _PREFIX + time.strftime("%Y%m%d", time.gmtime(batch[0].time))
        with store.writing(database):
            database.execute(_TABLE.format(table=table))
            database.conn.executemany(_INSERT.format(table=table), map(_values, batch))
            oldest = _PREFIX + time.strftime("%Y%m%d", time.gmtime(batch[0].time - RETENTION_DAYS * 86400))
            for name in database.table_names():
                if name.startswith(_PREFIX) and name < oldest:
                    database.execute(f"DROP TABLE {name}")

    def _lose(self, batch: list[CallRecord], error: Exception) -> None:
        self.dropped += len(batch)
        if not self._failing:
            self._failing = True
            _log.warning("the request log %s loses records: %s", self._path, error)
