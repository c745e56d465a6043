"""The ledger for operators, from SQLite, by a connection of its own.

A report adds up rollups: whole days, the whole hours before and behind them, and rows of the ledger for what is
finer than an hour. So its cost goes with the number of groups and days, and not with the number of calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from llmgw.errors import StoreUnavailable
from llmgw.ports import LedgerRow, Report, ReportQuery, Total
from llmgw.spool.lines import COLUMNS, row_of
from llmgw.standalone import migrations, store
from llmgw.standalone.ledger_rows import LedgerTables
from llmgw.stock.reports import Spelling, statement, total

PAGE_ROWS: Final = 1_000
"""Rows read at a time; between pages nothing is held, so that an export of hours is in nobody's way."""


class SqliteReports:
    """Implements `ports.Reports`; a context manager that closes itself.

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
        self._database.close()

    def report(self, query: ReportQuery) -> Report:
        with store.reporting(self._path), self._database.atomic():
            groups = self._totals(query)
            (total,) = self._totals(msgspec.structs.replace(query, by=()))
        return Report(groups=groups, total=total)

    def rows(
        self,
        *,
        org_id: str | None = None,
        since: float | None = None,
        until: float | None = None,
        after: str | None = None,
    ) -> Iterator[LedgerRow]:
        parameters = {
            "org_id": org_id,
            "since": since,
            "until": until,
            "limit": PAGE_ROWS,
            "behind": 0 if after is None else self._number(after),
        }
        while page := self._page(parameters):
            yield from (row for _, row in page)
            parameters["behind"] = page[-1][0]

    def rebuild(self) -> Mapping[str, int]:
        with store.reporting(self._path):
            # Another connection: its temporary tables may be large, and go with it.
            database = store.connect(self._path, wait_s=store.WRITE_WAIT_S)
            with contextlib.closing(database):
                tables = LedgerTables(database.conn)
                with store.writing(database):
                    ((since,),) = database.execute("SELECT purged_before FROM ledger_state")
                    return tables.rebuild(since)

    def _number(self, id: str) -> int:
        """The number to go on behind; where the row itself is too old to be there, that of the next."""
        with store.reporting(self._path):
            row = self._database.execute(_BEHIND, {"id": id}).fetchone()
        return int(row[0])

    def _page(self, parameters: Mapping[str, object]) -> list[tuple[int, LedgerRow]]:
        with store.reporting(self._path):
            found = self._database.execute(_ROWS, dict(parameters)).fetchall()
        try:
            return [(number, row_of(values)) for number, *values in found]
        except ValueError as error:
            raise StoreUnavailable(f"A row of the ledger in {self._path} is damaged: {error}.") from error

    def _totals(self, query: ReportQuery) -> list[Total]:
        sql, parameters = statement(query, _SPELLING)
        return [total(query, values) for values in self._database.execute(sql, parameters)]


_SPELLING: Final = Spelling(
    hour="strftime('%Y-%m-%dT%H:00:00Z', start, 'unixepoch')",
    day="strftime('%Y-%m-%d', start, 'unixepoch')",
    month="strftime('%Y-%m', start, 'unixepoch')",
    calls="(SELECT *, CAST(time AS INTEGER) AS start FROM ledger)",
    tagged_calls=(
        "(SELECT ledger.*, CAST(time AS INTEGER) AS start, tag.key || '=' || tag.value AS tag "
        "FROM ledger, json_each(ledger.tags) AS tag)"
    ),
)
_BEHIND: Final = """
    SELECT coalesce(
        (SELECT number FROM ledger WHERE id = :id),
        (SELECT min(number) - 1 FROM ledger WHERE id > :id),
        (SELECT max(number) FROM ledger),
        0
    )
"""
_ROWS: Final = f"""
    SELECT number, {", ".join(COLUMNS)} FROM ledger
    WHERE number > :behind
        AND (:org_id IS NULL OR org_id = :org_id)
        AND (:since IS NULL OR time >= :since)
        AND (:until IS NULL OR time < :until)
    ORDER BY number LIMIT :limit
"""  # noqa: S608 - our own names
