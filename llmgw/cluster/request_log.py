"""The request log of all nodes, in Postgres.

A table for each day (UTC), made when its first record comes and the day before; what is too old is dropped with its
table. Nodes make and drop by turns, for Postgres fails one of two who make the same table at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from llmgw.cluster.blocking import Blocking
from llmgw.cluster.postgres import Connection
from llmgw.cluster.texts import to_store
from llmgw.errors import StoreUnavailable
from llmgw.ports import CallRecord
from llmgw.stock.request_log import COLUMNS, RETENTION_DAYS, QueuedRequestLog, values_of

DAY_S: Final = 86_400
LOCK: Final = 5_210_442_032
"""Of those who make and drop days (pg_advisory_xact_lock); a number of no meaning."""
_DAY: Final = re.compile(r"requests_(\d{8})")
_DAYS: Final = """
    SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = 'requests'::regclass
"""


class RequestLog(QueuedRequestLog):
    """Keeps records in the store at `url`, over a connection of its own.

    Args:
        limit: records that may wait.
    """

    FAILURES = (StoreUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

    def __init__(self, url: str, limit: int) -> None:
        self._store = Blocking(url)
        super().__init__(f"in {self._store.name}", limit)
        self._made: set[int] = set()

    def _keep(self, records: Sequence[CallRecord]) -> None:
        days: dict[int, list[tuple[Any, ...]]] = {}
        for record in records:
            values = (to_store(value) if type(value) is str else value for value in values_of(record))
            days.setdefault(int(record.time // DAY_S), []).append(tuple(values))
        for day, rows in days.items():
            if day not in self._made:
                self._store.run(lambda connection, day=day: _make(connection, day))  # type: ignore[misc]  # of mypy's
                self._made = {day, day + 1}
            self._store.run(
                lambda connection, rows=rows: connection.copy_records_to_table(  # type: ignore[misc]
                    "requests", records=rows, columns=COLUMNS
                )
            )

    def _close(self) -> None:
        self._store.close()


async def _make(connection: Connection, day: int) -> None:
    """The table of the day and that of the next; those before the days that are kept go."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        there = {name for (name,) in await connection.fetch(_DAYS)}
        # The server's day decides what is too old: a node whose clock runs ahead would delete everybody's.
        today = await connection.fetchval("SELECT extract(epoch FROM now())::bigint") // DAY_S
        for one in (day, day + 1):
            if _name(one) not in there:
                await connection.execute(
                    f"CREATE UNLOGGED TABLE {_name(one)} PARTITION OF requests "
                    f"FOR VALUES FROM ({one * DAY_S}) TO ({(one + 1) * DAY_S})"
                )
        for name in there:
            if _DAY.fullmatch(name) and name < _name(today - RETENTION_DAYS):
                await connection.execute(f"DROP TABLE {name}")


def _name(day: int) -> str:
    return f"requests_{datetime.fromtimestamp(day * DAY_S, UTC):%Y%m%d}"
