"""The schema, as numbered steps that are applied in order and never changed once released.

Each step runs in one transaction with the note that it was applied, so a store is at one step or at the
next, never between. The note keeps a checksum of the step's text: a store that was migrated by other code is
refused instead of guessed at, and so is one that is newer than this code.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from llmgw.errors import StoreUnavailable
from llmgw.ports import Applied, Status
from llmgw.standalone import store
from llmgw.standalone.schema import STEPS, Step


def status(path: Path) -> Status:
    """Where the store stands.

    Raises:
        StoreUnavailable: it cannot be read, or was migrated by a newer or another llmgw.
    """
    with store.reporting(path):
        database = store.connect(path, wait_s=store.WRITE_WAIT_S)
        with database:
            return _status(path, database)


def up(path: Path) -> list[Applied]:
    """Take every pending step of the store; returns those that were taken now.

    Raises:
        StoreUnavailable: as `status`, or it cannot be written; the steps before the failing one stay.
    """
    with store.reporting(path):
        database = store.connect(path, wait_s=store.WRITE_WAIT_S)
        with database:
            before = _status(path, database)
            if before.current == 0:
                _use_wal(database)
            for step in STEPS:
                if step.number > before.current:
                    _take(path, database, step)
            return _status(path, database).applied[len(before.applied) :]


def require_current(path: Path) -> None:
    """Raise StoreUnavailable unless the store can be read and has taken every step."""
    found = status(path)
    if found.pending:
        raise StoreUnavailable(
            f"The schema of the store {path} is at step {found.current} and this llmgw needs step "
            f"{found.latest}; run: llmgw migrate up"
        )


def _status(path: Path, database: Database) -> Status:
    rows = (
        list(database.query("SELECT number, name, checksum, applied_at FROM migrations ORDER BY number"))
        if database.table("migrations").exists()
        else []
    )
    latest = STEPS[-1].number
    if rows and rows[-1]["number"] > latest:
        raise StoreUnavailable(
            f"The store {path} is at step {rows[-1]['number']} and this llmgw knows steps up to {latest}; "
            "it was migrated by a newer llmgw: upgrade this one."
        )
    for row, step in zip(rows, STEPS, strict=False):
        if (row["number"], row["checksum"]) != (step.number, _checksum(step)):
            raise StoreUnavailable(
                f"Step {row['number']} of the store {path} is not the one this llmgw knows; use the llmgw "
                "that migrated it."
            )
    applied = [
        Applied(
            number=row["number"], name=row["name"], applied_at=datetime.fromtimestamp(row["applied_at"], UTC)
        )
        for row in rows
    ]
    return Status(
        current=applied[-1].number if applied else 0,
        latest=latest,
        applied=applied,
        pending=[step.name for step in STEPS[len(applied) :]],
    )


def _use_wal(database: Database) -> None:
    """Kept in the file, so once is enough. Not part of a step: it cannot be changed inside a transaction."""
    deadline = time.monotonic() + store.WRITE_WAIT_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # Alone among statements, this one does not wait for another process's lock by itself.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _take(path: Path, database: Database, step: Step) -> None:
    with store.writing(database):
        database.execute(_OWN_TABLE)
        # Another process may have taken it while this one waited for the lock.
        if _status(path, database).current >= step.number:
            return
        for statement in step.statements:
            database.execute(statement)
        database.table("migrations").insert(
            {
                "number": step.number,
                "name": step.name,
                "checksum": _checksum(step),
                "applied_at": time.time(),
            }
        )


def _checksum(step: Step) -> str:
    return hashlib.sha256("\n".join(step.statements).encode()).hexdigest()


_OWN_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS migrations (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        checksum TEXT NOT NULL,
        applied_at REAL NOT NULL
    ) STRICT
"""
