"""Keys and credentials for the running server, read from Postgres; from its mirror in Redis while it is away.

Changes are announced (LISTEN) and looked for five times a second, for an announcement may be lost. One statement reads
a row and the store's state, so both are of one moment. The key service is asked in a thread: it may be far away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Hashable, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

import asyncpg
import msgspec

from llmgw.cluster import failures, migrations, rows
from llmgw.cluster.blocking import Blocking, StoreUnreachable
from llmgw.cluster.failures import Unavailable
from llmgw.cluster.mirror import Mirror
from llmgw.cluster.postgres import Postgres
from llmgw.errors import IntegrityError
from llmgw.keyring import envelope
from llmgw.keyring.envelope import DataKey, SealedSecret
from llmgw.ports import Kms
from llmgw.rules.access import KeyRecord
from llmgw.secret import Secret
from llmgw.stock.directory import POLL_S, STALE_S, Answer, Cache, CachedDirectory, Entry, Name

_log = logging.getLogger("llmgw.store")

CHANNEL: Final = "llmgw"
GATHER_S: Final = 0.02
"""Announcements that come close together are one."""

V = TypeVar("V")


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    """A credential as it is stored, with the data key that it needs."""

    row: SealedSecret
    key: DataKey | None


class PostgresDirectory(CachedDirectory):
    """Implements `ports.Directory`; a context manager around its whole use. The task of `postgres` must run as well.

    With a `mirror`, a node may also start while Postgres cannot be reached.

    Raises, on entering:
        StoreUnavailable: the schema is not one that this code can work with, or the store cannot be reached.
    """

    FAILURES = (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

    def __init__(
        self, postgres: Postgres, kms: Kms, *, mirror: Mirror | None = None, stale_s: float = STALE_S
    ) -> None:
        # Postgres keeps the deadline itself; this one ends what follows a failure.
        super().__init__(postgres.name, kms, deadline_s=postgres.deadline_s + 0.05, stale_s=stale_s)
        self._postgres = postgres
        self._mirror = mirror
        self._news = asyncio.Event()
        postgres.listen(CHANNEL, self._news.set)
        postgres.on_return.append(self._news.set)

    def __enter__(self) -> Self:
        with Blocking(self._postgres.url) as store:
            try:
                migrations.require_current(store)
            except StoreUnreachable as error:
                if self._mirror is None:
                    raise
                _log.warning("%s Until then, keys that other nodes have read lately are served.", error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._news.wait()
                await asyncio.sleep(GATHER_S)
        self._news.clear()

    def _read_key(self, public_id: str) -> asyncio.Future[Answer[KeyRecord | None]]:
        return asyncio.get_running_loop().create_task(self._key(public_id))

    def _read_credential(self, org_id: str, name: str) -> asyncio.Future[Answer[Secret | None]]:
        return asyncio.get_running_loop().create_task(self._credential(org_id, name))

    def _read_state(self) -> asyncio.Future[Hashable]:
        return asyncio.get_running_loop().create_task(self._revision())

    def _read_problems(self) -> asyncio.Future[Mapping[str, str | None]]:
        return asyncio.get_running_loop().create_task(self._problems())

    async def _key(self, public_id: str) -> Answer[KeyRecord | None]:
        row = _there(await self._postgres.fetchrow(_KEY, public_id))
        if row["id"] is None:
            return Answer(None, row["state"])
        found = rows.key(row)
        if self._mirror is not None:
            self._mirror.put(public_id, row["state"], msgspec.msgpack.encode(found))
        return Answer(found, row["state"])

    async def _credential(self, org_id: str, name: str) -> Answer[Secret | None]:
        row = _there(await self._postgres.fetchrow(_CREDENTIAL, org_id, name))
        if row["id"] is None:
            return Answer(None, row["state"])
        sealed = _sealed(row)
        secret = await self._opened(sealed)
        if self._mirror is not None:
            self._mirror.put((org_id, name), row["state"], msgspec.msgpack.encode(sealed))
        return Answer(secret, row["state"])

    async def _revision(self) -> Hashable:
        state: str = _there(await self._postgres.fetchrow(_STATE))["state"]
        return state

    async def _problems(self) -> Mapping[str, str | None]:
        found = await self._postgres.fetch(_ONE_KEY_PER_TERM)
        problems: dict[str, str | None] = {}
        for row in found:
            key = _data_key(row)
            assert key is not None, "it is what was selected"
            try:
                if row["id"] is None:
                    await asyncio.to_thread(envelope.unwrap_data_key, self._kms.unwrap, key)
                else:
                    await self._opened(_sealed(row))
            except IntegrityError as error:
                problems[key.kek_term] = str(error)
            else:
                problems[key.kek_term] = None
        return problems

    async def _opened(self, sealed: _Sealed) -> Secret:
        return await asyncio.to_thread(envelope.open_secret, self._kms.unwrap, sealed.key, sealed.row)

    async def _elsewhere(self, cache: Cache[V], name: Name) -> V | None:
        if self._mirror is None:
            return None
        found = await self._mirror.get(name)
        if found is None:
            return None
        try:
            value: object
            if isinstance(name, str):
                value = msgspec.msgpack.decode(found.value, type=KeyRecord)
            else:
                value = await self._opened(msgspec.msgpack.decode(found.value, type=_Sealed))
        except msgspec.MsgspecError:  # of another release
            return None
        until = asyncio.get_running_loop().time() + found.until - time.time()
        # Never fresh: when the store is back, it is asked.
        entry = Entry(cast(V, value), -1, until)
        cache.keep(name, entry)
        return entry.value

    def _seen(self, state: Hashable) -> None:
        super()._seen(state)
        if self._mirror is not None:
            self._mirror.seen(str(state))

    def _reason(self, error: Exception) -> str:
        return (
            str(error) if isinstance(error, Unavailable) else f"failed: {str(error) or type(error).__name__}."
        )

    def _tells(self, error: Exception) -> bool:
        # Of a server that is gone, its connections have told already.
        return not (isinstance(error, Unavailable) and failures.concerns_server(error))


def _there(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        raise Unavailable("refused", "has no revision: its table of that name is empty.")
    return row


def _sealed(row: Mapping[str, Any] | asyncpg.Record) -> _Sealed:
    secret = {field: row[field] for field in SealedSecret.__struct_fields__}
    return _Sealed(SealedSecret(**secret), _data_key(row))


def _data_key(row: Mapping[str, Any] | asyncpg.Record) -> DataKey | None:
    if row["key_term"] is None:
        return None
    return DataKey(**{field: row[f"key_{field}"] for field in DataKey.__struct_fields__})


# A number alone may come again for another state, see the table.
_STATE_OF: Final = "r.value || ':' || r.mark AS state"
_STATE: Final = f"SELECT {_STATE_OF} FROM revision r"  # noqa: S608 - texts of ours
_KEY: Final = f"""
    SELECT {_STATE_OF}, {rows.COLUMNS}
    FROM revision r LEFT JOIN (virtual_keys k JOIN orgs o ON o.id = k.org_id) ON k.public_id = $1
"""  # noqa: S608
_SEALED_COLUMNS: Final = ", ".join(
    [
        *(f"c.{field}" for field in SealedSecret.__struct_fields__),
        *(f"d.{field} AS key_{field}" for field in DataKey.__struct_fields__),
    ]
)
_CREDENTIAL: Final = f"""
    SELECT {_STATE_OF}, {_SEALED_COLUMNS}
    FROM revision r
    LEFT JOIN credentials c ON c.org_id = $1 AND c.name = $2
    LEFT JOIN data_keys d ON d.org_id = c.org_id AND d.term = c.data_key_term
"""  # noqa: S608
_ONE_KEY_PER_TERM: Final = f"""
    SELECT DISTINCT ON (d.kek_term) {_SEALED_COLUMNS}
    FROM data_keys d LEFT JOIN credentials c ON c.org_id = d.org_id AND c.data_key_term = d.term
    ORDER BY d.kek_term, c.id DESC NULLS LAST
"""  # noqa: S608
