"""The ledger for operators, from Postgres, by a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self

from llmgw.cluster import ledger_rows, migrations
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.postgres import Connection
from llmgw.cluster.texts import from_store
from llmgw.ports import LedgerRow, Report, ReportQuery, Total
from llmgw.spool.lines import COLUMNS, row_of
from llmgw.stock.reports import Spelling, statement, total

PAGE_ROWS: Final = 1_000
"""Rows read at a time; between pages nothing is held."""
WAIT_S: Final = 60.0
"""A report of everything, or a rebuild, may take that long."""


class PostgresReports:
    """Implements `ports.Reports`; a context manager that closes itself.

    Raises:
        StoreUnavailable: the store cannot be reached, or its schema is not one that this code can work with.
    """

    def __init__(self, url: str) -> None:
        self._store = Blocking(url, deadline_s=WAIT_S)
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

    def report(self, query: ReportQuery) -> Report:
        everything = ReportQuery(
            org_id=query.org_id, key_id=query.key_id, since=query.since, until=query.until
        )

        async def read(connection: Connection) -> Report:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                groups = await _totals(connection, query)
                (whole,) = await _totals(connection, everything)
            return Report(groups=groups, total=whole)

        return self._store.run(read)

    def rows(
        self,
        *,
        org_id: str | None = None,
        since: float | None = None,
        until: float | None = None,
        after: str | None = None,
    ) -> Iterator[LedgerRow]:
        behind = (
            0 if after is None else self._store.run(lambda connection: connection.fetchval(_BEHIND, after))
        )
        while page := self._store.run(
            lambda connection, behind=behind: connection.fetch(  # type: ignore[misc]  # it binds this turn's number
                _ROWS, behind, org_id, since, until, PAGE_ROWS
            )
        ):
            yield from (row_of([_text(value) for value in values[1:]]) for values in page)
            behind = page[-1][0]

    def rebuild(self) -> Mapping[str, int]:
        async def rebuild(connection: Connection) -> dict[str, int]:
            async with connection.transaction():
                return await ledger_rows.rebuild(connection)

        return self._store.run(rebuild)


async def _totals(connection: Connection, query: ReportQuery) -> list[Total]:
    sql, parameters = statement(query, _SPELLING)
    numbered = "".join(
        f"{piece}${number}" if number <= len(parameters) else piece
        for number, piece in enumerate(sql.split("?"), 1)
    )
    found = await connection.fetch(numbered, *parameters)
    return [total(query, [_plain(value) for value in values]) for values in found]


def _plain(value: Any) -> Any:
    """A sum of whole numbers is a Decimal here."""
    return int(value) if isinstance(value, Decimal) else _text(value)


def _text(value: Any) -> Any:
    return from_store(value) if type(value) is str else value


_SPELLING: Final = Spelling(
    hour="""to_char(to_timestamp(start) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')""",
    day="to_char(to_timestamp(start) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    month="to_char(to_timestamp(start) AT TIME ZONE 'UTC', 'YYYY-MM')",
    calls='(SELECT *, floor("time")::bigint AS start FROM ledger) AS calls',
    tagged_calls=(
        """(SELECT ledger.*, floor("time")::bigint AS start, tag.key || '=' || tag.value AS tag """
        "FROM ledger, jsonb_each_text(ledger.tags::jsonb) AS tag) AS calls"
    ),
)
_BEHIND: Final = """
    SELECT coalesce(
        (SELECT number FROM ledger WHERE id = $1),
        (SELECT min(number) - 1 FROM ledger WHERE id > $1),
        (SELECT max(number) FROM ledger),
        0
    )
"""
_ROWS: Final = f"""
    SELECT number, {", ".join(COLUMNS)} FROM ledger
    WHERE number > $1
        AND ($2::text IS NULL OR org_id = $2)
        AND ($3::double precision IS NULL OR "time" >= $3)
        AND ($4::double precision IS NULL OR "time" < $4)
    ORDER BY number LIMIT $5
"""  # noqa: S608
