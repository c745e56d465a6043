"""The SQLite file: made, opened, and its failures put into one sentence.

Every connection has the same settings: full sync, for a revocation that was confirmed must survive a power
cut; foreign keys; a bounded wait for locks. WAL, which keeps readers and a writer out of each other's way, is
a property of the file and set with its first migration.
Opening never makes a file: a mistyped path must not become an empty store.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlite_utils import Database

from llmgw.errors import StoreUnavailable

WRITE_WAIT_S: Final = 5.0
"""How long an operator's command waits for another writer."""


def create(path: Path) -> bool:
    """Make an empty file of mode 0600 for the store; False where one is there already.

    Raises:
        StoreUnavailable: it cannot be made.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise StoreUnavailable(f"Cannot create the store {path}: {error.strerror}.") from error
    os.close(file)
    return True


def connect(path: Path, *, wait_s: float, any_thread: bool = False) -> Database:
    """Open the existing store. Raises sqlite3.Error; `reporting` turns that into a sentence."""
    # isolation_level=None: transactions begin where the code says so, and nowhere else.
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=rw",
        uri=True,
        timeout=wait_s,
        isolation_level=None,
        check_same_thread=not any_thread,
    )
    try:
        # Plug-ins of sqlite-utils would run code of whatever else is installed.
        database = Database(connection, execute_plugins=False)
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return database


@contextlib.contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Raise StoreUnavailable, with what is wrong and what to do, for an error of SQLite."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(f"The store {path} {explain(path, error)}") from error


@contextlib.contextmanager
def writing(database: Database) -> Iterator[None]:
    """A transaction that holds the write lock from its beginning, so that what it reads stays true."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    finally:
        database.rollback()  # nothing to do after a commit


def explain(path: Path, error: sqlite3.Error) -> str:
    """What is wrong with the store and what to do: the rest of a sentence that begins with its name."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the primary result code
    if code == sqlite3.SQLITE_CANTOPEN and not path.exists():
        return "does not exist; 'llmgw init' makes one, or check store.url."
    return _CAUSES.get(code, f"failed: {error}.")


_CAUSES: Final = {
    sqlite3.SQLITE_BUSY: "is locked by another process; end that process or try again later.",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check the permissions of the file and of its directory.",
    sqlite3.SQLITE_PERM: "cannot be opened; check the permissions of the file and of its directory.",
    sqlite3.SQLITE_READONLY: "is read-only; check the permissions of the file and of its directory.",
    sqlite3.SQLITE_FULL: "cannot be written: the disk is full.",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database; bring it back from your backup, or check store.url.",
    sqlite3.SQLITE_CORRUPT: "is damaged; bring it back from your backup.",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error.",
}
