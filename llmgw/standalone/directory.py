"""Keys and credentials for the running server, read from SQLite in the reader's thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Hashable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from llmgw.errors import IntegrityError
from llmgw.keyring import envelope
from llmgw.keyring.envelope import DataKey, SealedSecret
from llmgw.ports import Kms
from llmgw.rules.access import KeyRecord
from llmgw.secret import Secret
from llmgw.standalone import migrations, store
from llmgw.standalone.reader import Opened, Reader
from llmgw.standalone.rows import read_keys
from llmgw.stock.directory import DEADLINE_S, STALE_S, Answer, CachedDirectory


class SqliteDirectory(CachedDirectory):
    """Implements `ports.Directory` over the store at `path`; a context manager around its whole use.

    Raises, on entering:
        StoreUnavailable: there is no store, or its schema is not this code's.
    """

    FAILURES = (sqlite3.Error, OSError)

    def __init__(
        self, path: Path, kms: Kms, *, deadline_s: float = DEADLINE_S, stale_s: float = STALE_S
    ) -> None:
        super().__init__(str(path), kms, deadline_s=deadline_s, stale_s=stale_s)
        self._path = path
        self._reader = Reader(path, deadline_s=deadline_s)

    def __enter__(self) -> Self:
        migrations.require_current(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def _read_key(self, public_id: str) -> asyncio.Future[Answer[KeyRecord | None]]:
        return self._reader.submit(partial(_read_key, public_id))

    def _read_credential(self, org_id: str, name: str) -> asyncio.Future[Answer[Secret | None]]:
        return self._reader.submit(partial(_read_credential, self._kms, org_id, name))

    def _read_state(self) -> asyncio.Future[Hashable]:
        return self._reader.submit(_state)

    def _read_problems(self) -> asyncio.Future[Mapping[str, str | None]]:
        return self._reader.submit(partial(_probe, self._kms))

    def _reason(self, error: Exception) -> str:
        if isinstance(error, sqlite3.Error):
            return store.explain(self._path, error)
        if isinstance(error, FileNotFoundError):
            return "does not exist any more."
        return f"does not answer: {str(error) or 'the deadline has passed'}."


def _state(opened: Opened) -> Hashable:
    """How often the file was opened, and its revision."""
    row = opened.database.execute("SELECT value FROM revision").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("the table revision is empty")
    return opened.epoch, row[0]


def _read_key(public_id: str, opened: Opened) -> Answer[KeyRecord | None]:
    with opened.database.atomic():
        found = read_keys(opened.database, "WHERE public_id = :public_id", {"public_id": public_id})
        return Answer(found[0] if found else None, _state(opened))


def _read_credential(kms: Kms, org_id: str, name: str, opened: Opened) -> Answer[Secret | None]:
    with opened.database.atomic():
        state = _state(opened)
        rows = list(
            opened.database.query("SELECT * FROM credentials WHERE org_id = ? AND name = ?", [org_id, name])
        )
        if not rows:
            return Answer(None, state)
        row = SealedSecret(**rows[0])
        return Answer(envelope.open_secret(kms.unwrap, _data_key(opened, row), row), state)


def _data_key(opened: Opened, row: SealedSecret) -> DataKey | None:
    found = opened.database.query(
        "SELECT * FROM data_keys WHERE org_id = ? AND term = ?", [row.org_id, row.data_key_term]
    )
    return next((DataKey(**key) for key in list(found)), None)


def _probe(kms: Kms, opened: Opened) -> Mapping[str, str | None]:
    problems: dict[str, str | None] = {}
    for row in list(opened.database.query(_ONE_KEY_PER_TERM)):
        credential_id = row.pop("credential_id")
        key = DataKey(**row)
        try:
            envelope.unwrap_data_key(kms.unwrap, key)
            for sealed in list(
                opened.database.query("SELECT * FROM credentials WHERE id = ?", [credential_id])
            ):
                envelope.open_secret(kms.unwrap, key, SealedSecret(**sealed))
        except IntegrityError as error:
            problems[key.kek_term] = str(error)
        else:
            problems[key.kek_term] = None
    return problems


# SQLite takes the other columns from the row that has the maximum: a key that seals something, if one does.
_ONE_KEY_PER_TERM: Final = """
    SELECT d.*, max(c.id) AS credential_id
    FROM data_keys d LEFT JOIN credentials c ON c.org_id = d.org_id AND c.data_key_term = d.term
    GROUP BY d.kek_term
"""
