"""What operators manage, in SQLite. One connection, one thread; a server beside it is no hindrance."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from llmgw.errors import AlreadyExists, StoreUnavailable
from llmgw.keyring.envelope import DataKey, SealedSecret
from llmgw.ports import Org, Token, VirtualKey
from llmgw.standalone import migrations, store
from llmgw.standalone.rows import read_keys
from llmgw.stock.rows import key_row, term_rows

Row = TypeVar("Row", bound=msgspec.Struct)


class SqliteRegistry:
    """Implements `ports.Registry`; a context manager that closes itself.

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
        self.close()

    def close(self) -> None:
        self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        with store.reporting(self._path), store.writing(self._database):
            yield

    def insert_org(self, org: Org) -> None:
        with self._write(f"There is an organisation {org.name!r} already."):
            self._database.table("orgs").insert(msgspec.structs.asdict(org))

    def org(self, id_or_name: str) -> Org | None:
        return self._first(Org, "SELECT * FROM orgs WHERE id = :name OR name = :name", {"name": id_or_name})

    def orgs(self, after: str | None, limit: int) -> Sequence[Org]:
        return self._all(
            Org,
            "SELECT * FROM orgs WHERE :after IS NULL OR id > :after ORDER BY id LIMIT :limit",
            {"after": after, "limit": limit},
        )

    def insert_token(self, token: Token) -> None:
        with self._write(f"There is a token {token.id} already."):
            self._database.table("tokens").insert(msgspec.structs.asdict(token))

    def tokens(self, org_id: str) -> Sequence[Token]:
        return self._all(Token, "SELECT * FROM tokens WHERE org_id = :org_id ORDER BY id", {"org_id": org_id})

    def insert_key(self, key: VirtualKey) -> None:
        with self._write(_taken("key", key.name)):
            self._database.table("virtual_keys").insert(key_row(key))
            self._database.table("virtual_key_terms").insert_all(term_rows(key))

    def update_key(self, key: VirtualKey) -> None:
        with self._write(_taken("key", key.name)):
            self._database.table("virtual_keys").update(key.id, key_row(key))
            self._database.table("virtual_key_terms").delete_where("key_id = ?", [key.id])
            self._database.table("virtual_key_terms").insert_all(term_rows(key))

    def key(self, id_or_name: str, org_id: str | None) -> VirtualKey | None:
        found = self._keys(
            "WHERE (:org_id IS NULL OR org_id = :org_id) "
            "AND (id = :name OR (:org_id IS NOT NULL AND name = :name)) "
            "ORDER BY revoked_at IS NOT NULL, id DESC LIMIT 1",
            {"org_id": org_id, "name": id_or_name},
        )
        return found[0] if found else None

    def keys(self, org_id: str | None, after: str | None, limit: int) -> Sequence[VirtualKey]:
        return self._keys(
            "WHERE (:org_id IS NULL OR org_id = :org_id) AND (:after IS NULL OR id > :after) "
            "ORDER BY id LIMIT :limit",
            {"org_id": org_id, "after": after, "limit": limit},
        )

    def insert_data_key(self, key: DataKey) -> None:
        with self._write(f"There is a {key} already."):
            self._database.table("data_keys").insert(msgspec.structs.asdict(key))

    def data_key(self, org_id: str, term: int | None = None) -> DataKey | None:
        return self._first(
            DataKey,
            "SELECT * FROM data_keys WHERE org_id = :org_id AND (:term IS NULL OR term = :term) "
            "ORDER BY term DESC LIMIT 1",
            {"org_id": org_id, "term": term},
        )

    def data_keys(self) -> Sequence[DataKey]:
        return self._all(DataKey, "SELECT * FROM data_keys ORDER BY org_id, term", {})

    def put_credential(self, credential: SealedSecret) -> None:
        with self._write(_taken("credential", credential.name)):
            self._database.execute(_PUT_CREDENTIAL, msgspec.structs.asdict(credential))

    def credential(self, id_or_name: str, org_id: str | None) -> SealedSecret | None:
        return self._first(
            SealedSecret,
            "SELECT * FROM credentials WHERE (:org_id IS NULL OR org_id = :org_id) "
            "AND (id = :name OR (:org_id IS NOT NULL AND name = :name))",
            {"org_id": org_id, "name": id_or_name},
        )

    def credentials(self, org_id: str | None, after: str | None, limit: int) -> Sequence[SealedSecret]:
        return self._all(
            SealedSecret,
            "SELECT * FROM credentials WHERE (:org_id IS NULL OR org_id = :org_id) "
            "AND (:after IS NULL OR id > :after) ORDER BY id LIMIT :limit",
            {"org_id": org_id, "after": after, "limit": limit},
        )

    def delete_credential(self, id: str) -> None:
        with self._write():
            self._database.table("credentials").delete_where("id = ?", [id])

    @contextlib.contextmanager
    def _write(self, taken: str | None = None) -> Iterator[None]:
        """The caller's transaction, or one of its own; `taken` says that a unique value is there already."""
        with store.reporting(self._path):
            own = (
                contextlib.nullcontext()
                if self._database.conn.in_transaction
                else store.writing(self._database)
            )
            with own:
                try:
                    yield
                except sqlite3.IntegrityError as error:
                    if taken is None or error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                        raise
                    raise AlreadyExists(taken) from error

    def _first(self, kind: type[Row], sql: str, parameters: Mapping[str, object]) -> Row | None:
        rows = self._all(kind, sql, parameters)
        return rows[0] if rows else None

    def _all(self, kind: type[Row], sql: str, parameters: Mapping[str, object]) -> list[Row]:
        with store.reporting(self._path):
            return [kind(**row) for row in self._database.query(sql, dict(parameters))]

    def _keys(self, where: str, parameters: Mapping[str, object]) -> list[VirtualKey]:
        with store.reporting(self._path):
            try:
                return read_keys(self._database, where, parameters)
            except ValueError as error:
                raise StoreUnavailable(
                    f"A key's row in the store {self._path} is damaged: {error}."
                ) from error


def _taken(kind: str, name: str) -> str:
    return f"The organisation has a {kind} {name!r} already."


_PUT_CREDENTIAL: Final = """
    INSERT INTO credentials (id, org_id, name, data_key_term, sealed, created_at, updated_at)
    VALUES (:id, :org_id, :name, :data_key_term, :sealed, :created_at, :updated_at)
    ON CONFLICT (id) DO UPDATE SET
        name = :name, data_key_term = :data_key_term, sealed = :sealed, updated_at = :updated_at
"""
