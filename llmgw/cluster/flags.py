"""Flags that all nodes share: `llmgw.stock.flags`, in Postgres.

Whoever writes locks the revision's row first: so of several guards that trip at once the first is written down, and the
others find its word.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

import asyncpg

from llmgw.cluster import migrations
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.failures import Unavailable
from llmgw.cluster.postgres import Connection, Postgres
from llmgw.config.flags import Flag
from llmgw.ports import FlagSource
from llmgw.rules.flags import Change
from llmgw.stock.flags import POLL_S, Rows, StoredFlags, Unsaved, columns_of, of_rows

CHANNEL: Final = "llmgw"


class PostgresFlags(StoredFlags):
    """Implements `ports.Flags`; a context manager around its whole use. The task of `postgres` must run as well.

    Raises, on entering:
        StoreUnavailable: the store cannot be read.
    """

    FAILURES = (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError)

    def __init__(
        self, postgres: Postgres, settings: Mapping[str, Flag], source: FlagSource | None = None
    ) -> None:
        super().__init__(postgres.name, settings, source)
        self._postgres = postgres
        self._news = asyncio.Event()
        postgres.listen(CHANNEL, self._news.set)
        postgres.on_return.append(self._news.set)

    def load(self) -> None:
        """Read what operators and guards have said, from any thread; StoreUnavailable where that cannot be done."""
        with PostgresFlagSwitch(self._postgres.url) as switch:
            self._seen({change.flag: change for change in switch.changes()})

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._news.wait()
        self._news.clear()

    async def _read_if_new(self, known: Hashable) -> tuple[Hashable, Rows] | None:
        state = await self._postgres.fetchrow("SELECT value, mark FROM revision")
        if state is None:
            raise Unavailable("refused", "has no revision: its table of that name is empty.")
        # Rows may be newer than the state that goes with them: then they are read once more.
        found = (state["value"], state["mark"])
        return None if found == known else (found, await self._postgres.call(_rows))

    async def _save(self, those: Sequence[Unsaved]) -> Rows:
        async def save(connection: Connection) -> Rows:
            async with connection.transaction():
                await connection.execute(_ALONE)
                rows = await _rows(connection)
                for one in those:
                    if rows.get(one.change.flag) == one.before:
                        await _put(connection, one.change)
                        rows[one.change.flag] = one.change
            return rows

        return await self._postgres.call(save)


class PostgresFlagSwitch:
    """Implements `ports.FlagSwitch`; a context manager that closes itself.

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
        self._store.close()

    def changes(self) -> Sequence[Change]:
        return tuple(self._store.run(_rows).values())

    def put(self, change: Change) -> None:
        async def put(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(_ALONE)
                await _put(connection, change)

        self._store.run(put)


async def _rows(connection: Connection) -> Rows:
    return of_rows([dict(row) for row in await connection.fetch("SELECT * FROM flag_changes ORDER BY flag")])


async def _put(connection: Connection, change: Change) -> None:
    columns = columns_of(change)
    await connection.execute(_PUT, *(columns[name] for name in _COLUMNS))


_ALONE: Final = "SELECT value FROM revision FOR UPDATE"
_COLUMNS: Final = ("flag", "state", "percentage", "orgs", "keys", "said_by", "actor", "reason", "time")
_PUT: Final = """
    INSERT INTO flag_changes (flag, state, percentage, orgs, keys, said_by, actor, reason, time)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (flag) DO UPDATE SET
        state = $2, percentage = $3, orgs = $4, keys = $5, said_by = $6, actor = $7, reason = $8, time = $9
"""
