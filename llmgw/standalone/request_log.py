"""The request log in a SQLite file of its own, so that its locks never stand in the way of the ledger's.

A table for each day (UTC): what is too old is dropped with its table, at no cost.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from llmgw.ports import CallRecord
from llmgw.standalone import store
from llmgw.stock.request_log import COLUMNS, RETENTION_DAYS, QueuedRequestLog, values_of

LOCK_WAIT_S: Final = 5.0

_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS {table} (
        time REAL NOT NULL, request_id TEXT NOT NULL, trace_id TEXT NOT NULL, org TEXT, key_id TEXT,
        endpoint TEXT NOT NULL, model_asked TEXT, model TEXT, provider TEXT, streamed INTEGER NOT NULL,
        status INTEGER NOT NULL, upstream_status INTEGER, error TEXT, attempts INTEGER NOT NULL,
        request_bytes INTEGER NOT NULL, response_bytes INTEGER NOT NULL, total_s REAL NOT NULL,
        overhead_s REAL NOT NULL, first_token_s REAL
    ) STRICT
"""
_INSERT: Final = "INSERT INTO {table} VALUES (" + ", ".join("?" * len(COLUMNS)) + ")"  # noqa: S608 - our own names
_PREFIX: Final = "requests_"


def path_beside(store_path: Path) -> Path:
    """The log's file beside the store's: `llmgw.db` has `llmgw.requests.db`."""
    return store_path.with_name(f"{store_path.stem}.requests{store_path.suffix}")


class RequestLog(QueuedRequestLog):
    """Keeps records in `path`.

    Args:
        limit: records that may wait.
    """

    FAILURES = (sqlite3.Error, OSError)

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__(str(path), limit)
        self._path = path
        self._database: Database | None = None

    def _keep(self, records: Sequence[CallRecord]) -> None:
        database = self._database
        if database is None:
            database = self._database = self._open()
        table = _PREFIX + time.strftime("%Y%m%d", time.gmtime(records[0].time))
        with store.writing(database):
            database.execute(_TABLE.format(table=table))
            database.conn.executemany(_INSERT.format(table=table), map(values_of, records))
            oldest = _PREFIX + time.strftime("%Y%m%d", time.gmtime(records[0].time - RETENTION_DAYS * 86400))
            for name in database.table_names():
                if name.startswith(_PREFIX) and name < oldest:
                    database.execute(f"DROP TABLE {name}")

    def _open(self) -> Database:
        store.create(self._path)
        database = store.connect(self._path, wait_s=LOCK_WAIT_S)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")  # it may be lost
        return database

    def _close(self) -> None:
        if self._database is not None:
            self._database.conn.close()
