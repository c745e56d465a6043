"""What operators manage, in Postgres. One connection, used by one thread at a time.

Whoever writes takes the revision's row first: so writers come one after another, none meets another half-way (which
Postgres would end by failing one of them), and what a transaction has read holds until its end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

import asyncpg
import msgspec

from llmgw.cluster import migrations, rows
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.postgres import Connection, Work
from llmgw.errors import AlreadyExists, StoreUnavailable
from llmgw.keyring.envelope import DataKey, SealedSecret
from llmgw.ports import Org, Token, VirtualKey
from llmgw.stock.rows import key_row, term_rows

T = TypeVar("T")
Row = TypeVar("Row", bound=msgspec.Struct)


class PostgresRegistry:
    """Implements `ports.Registry`; a context manager that closes itself.

    Raises:
        StoreUnavailable: the store cannot be reached, or its schema is not one that this code can work with.
    """

    def __init__(self, url: str) -> None:
        self._store = Blocking(url)
        try:
            migrations.require_current(self._store)
        except BaseException:
            self._store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._store.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        with self._reporting(), self._store.transaction(_ALONE):
            yield

    def insert_org(self, org: Org) -> None:
        self._insert("orgs", msgspec.structs.asdict(org), f"There is an organisation {org.name!r} already.")

    def org(self, id_or_name: str) -> Org | None:
        return self._first(Org, "orgs", "id = $1 OR name = $1", id_or_name)

    def orgs(self, after: str | None, limit: int) -> Sequence[Org]:
        return self._page(Org, "orgs", {}, after, limit)

    def insert_token(self, token: Token) -> None:
        self._insert("tokens", msgspec.structs.asdict(token), f"There is a token {token.id} already.")

    def tokens(self, org_id: str) -> Sequence[Token]:
        return self._all(Token, "tokens", "org_id = $1 ORDER BY id", org_id)

    def insert_key(self, key: VirtualKey) -> None:
        async def insert(connection: Connection) -> None:
            row = key_row(key)
            await connection.execute(_insert("virtual_keys", row), *row.values())
            await _put_terms(connection, key)

        self._write(insert, _taken("key", key.name))

    def update_key(self, key: VirtualKey) -> None:
        async def update(connection: Connection) -> None:
            row = key_row(key)
            changed = [name for name in row if name not in ("id", "org_id")]
            assignments = ", ".join(f"{name} = ${number}" for number, name in enumerate(changed, 2))
            await connection.execute(
                f"UPDATE virtual_keys SET {assignments} WHERE id = $1",  # noqa: S608 - names of ours
                *(key.id, *(row[name] for name in changed)),
            )
            await connection.execute("DELETE FROM virtual_key_terms WHERE key_id = $1", key.id)
            await _put_terms(connection, key)

        self._write(update, _taken("key", key.name))

    def key(self, id_or_name: str, org_id: str | None) -> VirtualKey | None:
        found = (
            self._keys("k.id = $1", id_or_name)
            if org_id is None
            else self._keys(
                "k.org_id = $2 AND (k.id = $1 OR k.name = $1) ORDER BY k.revoked_at IS NOT NULL, k.id DESC LIMIT 1",
                id_or_name,
                org_id,
            )
        )
        return found[0] if found else None

    def keys(self, org_id: str | None, after: str | None, limit: int) -> Sequence[VirtualKey]:
        where, values = _behind({"k.org_id": org_id}, "k.id", after)
        return self._keys(f"{where} ORDER BY k.id LIMIT ${len(values) + 1}", *values, limit)

    def insert_data_key(self, key: DataKey) -> None:
        self._insert("data_keys", msgspec.structs.asdict(key), f"There is a {key} already.")

    def data_key(self, org_id: str, term: int | None = None) -> DataKey | None:
        if term is None:
            return self._first(DataKey, "data_keys", "org_id = $1 ORDER BY term DESC LIMIT 1", org_id)
        return self._first(DataKey, "data_keys", "org_id = $1 AND term = $2", org_id, term)

    def data_keys(self) -> Sequence[DataKey]:
        return self._all(DataKey, "data_keys", "true ORDER BY org_id, term")

    def put_credential(self, credential: SealedSecret) -> None:
        row = msgspec.structs.asdict(credential)
        sql = f"{_insert('credentials', row)} {_REPLACE_CREDENTIAL}"
        self._write(
            lambda connection: connection.execute(sql, *row.values()), _taken("credential", credential.name)
        )

    def credential(self, id_or_name: str, org_id: str | None) -> SealedSecret | None:
        if org_id is None:
            return self._first(SealedSecret, "credentials", "id = $1", id_or_name)
        return self._first(
            SealedSecret, "credentials", "org_id = $2 AND (id = $1 OR name = $1)", id_or_name, org_id
        )

    def credentials(self, org_id: str | None, after: str | None, limit: int) -> Sequence[SealedSecret]:
        return self._page(SealedSecret, "credentials", {"org_id": org_id}, after, limit)

    def delete_credential(self, id: str) -> None:
        self._write(lambda connection: connection.execute("DELETE FROM credentials WHERE id = $1", id))

    def _insert(self, table: str, row: Mapping[str, object], taken: str) -> None:
        self._write(lambda connection: connection.execute(_insert(table, row), *row.values()), taken)

    def _write(self, work: Work[T], taken: str | None = None) -> None:
        """In the caller's transaction, or one of its own; `taken` says that a unique value is there already."""

        async def write(connection: Connection) -> None:
            # Within a transaction this is a savepoint: one statement that fails does not spoil those before it.
            async with connection.transaction():
                await connection.execute(_ALONE)
                await work(connection)

        with self._reporting():
            try:
                self._store.run(write)
            except asyncpg.UniqueViolationError as error:
                if taken is None:
                    raise
                raise AlreadyExists(taken) from error

    def _first(self, kind: type[Row], table: str, where: str, *values: object) -> Row | None:
        found = self._all(kind, table, where, *values)
        return found[0] if found else None

    def _page(
        self, kind: type[Row], table: str, equal: Mapping[str, str | None], after: str | None, limit: int
    ) -> list[Row]:
        where, values = _behind(equal, "id", after)
        return self._all(kind, table, f"{where} ORDER BY id LIMIT ${len(values) + 1}", *values, limit)

    def _all(self, kind: type[Row], table: str, where: str, *values: object) -> list[Row]:
        columns = ", ".join(kind.__struct_fields__)
        sql = f"SELECT {columns} FROM {table} WHERE {where}"  # noqa: S608 - names of ours
        with self._reporting():
            return [kind(**row) for row in self._store.run(lambda connection: connection.fetch(sql, *values))]

    def _keys(self, where: str, *values: object) -> list[VirtualKey]:
        sql = f"SELECT {rows.COLUMNS} FROM virtual_keys k JOIN orgs o ON o.id = k.org_id WHERE {where}"  # noqa: S608
        with self._reporting():
            found = self._store.run(lambda connection: connection.fetch(sql, *values))
            try:
                return [rows.key(row) for row in found]
            except ValueError as error:
                raise StoreUnavailable(
                    f"A key's row in the store {self._store.name} is damaged: {error}."
                ) from error

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """What is wrong with a statement or its data is a sentence, too."""
        try:
            yield
        except asyncpg.PostgresError as error:
            raise StoreUnavailable(f"The store {self._store.name} failed: {error}.") from error


def _insert(table: str, row: Mapping[str, object]) -> str:
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"  # noqa: S608 - names of ours


async def _put_terms(connection: Connection, key: VirtualKey) -> None:
    for row in term_rows(key):
        await connection.execute(_insert("virtual_key_terms", row), *row.values())


def _behind(equal: Mapping[str, str | None], id: str, after: str | None) -> tuple[str, list[str]]:
    """A condition of what is asked for, so that the index of just that serves."""
    conditions = {f"{column} =": value for column, value in equal.items()} | {f"{id} >": after}
    asked = {column: value for column, value in conditions.items() if value is not None}
    where = " AND ".join(f"{column} ${number}" for number, column in enumerate(asked, 1))
    return where or "true", list(asked.values())


def _taken(kind: str, name: str) -> str:
    return f"The organisation has a {kind} {name!r} already."


_ALONE: Final = "SELECT value FROM revision FOR UPDATE"
_REPLACE_CREDENTIAL: Final = """
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, data_key_term = excluded.data_key_term, sealed = excluded.sealed,
        updated_at = excluded.updated_at
"""
