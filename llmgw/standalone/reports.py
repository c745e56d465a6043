"""The ledger for operators, from SQLite, by a connection of its own.

A report adds up rollups: whole days, the whole hours before and behind them, and rows of the ledger for what is
finer than an hour. So its cost goes with the number of groups and days, and not with the number of calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from math import ceil, floor, inf
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import msgspec

from llmgw.canonical import Usage
from llmgw.errors import StoreUnavailable
from llmgw.ports import Dimension, LedgerRow, Report, ReportQuery, Total
from llmgw.spool.lines import BUCKETS, COLUMNS, DAY_S, HOUR_S, row_of
from llmgw.standalone import migrations, store
from llmgw.standalone.journal import first_id
from llmgw.standalone.ledger_rows import SUMS, SUMS_OF_ROWS, SUMS_OF_SUMS, LedgerTables

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
        names = [name for dimension in query.by for name in _FIELDS.get(dimension, (dimension,))]
        sql, parameters = _query(query)
        return [_total(names, values) for values in self._database.execute(sql, parameters)]


class _Piece(NamedTuple):
    """A stretch of time, and the length of the sums it is taken from; 0 for rows."""

    span: int
    start: float
    end: float


def pieces(start: float, end: float, spans: tuple[int, ...]) -> Iterator[_Piece]:
    """The time from `start` to `end` in the longest spans that lie in it."""
    if start >= end:
        return
    if not spans:
        yield _Piece(0, start, end)
        return
    span, *shorter = spans
    first = ceil(start / span) * span
    last = end if end == inf else floor(end / span) * span
    if first < last:
        yield _Piece(span, first, last)
        yield from pieces(start, first, tuple(shorter))
        yield from pieces(last, end, tuple(shorter))
    else:
        yield from pieces(start, end, tuple(shorter))


_FIELDS: Final[Mapping[Dimension, tuple[str, ...]]] = {"org": ("org_id", "org"), "key": ("key_id", "key")}
"""Where they are not the dimension's own name."""
_EXPRESSIONS: Final[Mapping[str, str]] = {
    "org": "(SELECT name FROM orgs WHERE orgs.id = org_id)",
    "key": "(SELECT name FROM virtual_keys WHERE virtual_keys.id = key_id)",
}
_COLUMNS: Final[Mapping[Dimension, str]] = {
    "org": "org_id",
    "key": "key_id",
    "hour": "strftime('%Y-%m-%dT%H:00:00Z', start, 'unixepoch') AS hour",
    "day": "strftime('%Y-%m-%d', start, 'unixepoch') AS day",
    "month": "strftime('%Y-%m', start, 'unixepoch') AS month",
    "route": "nullif(route, '') AS route",
    "shadow_route": "nullif(shadow_route, '') AS shadow_route",
}
_SHOWN: Final = (*SUMS, "routed", "shadowed")
_SHOWN_OF_SHOWN: Final = ", ".join(f"sum({name}) AS {name}" for name in _SHOWN)
_SHOWN_OF_SUMS: Final = (
    f"{SUMS_OF_SUMS}, sum(requests) FILTER (WHERE route <> '') AS routed, "
    "sum(requests) FILTER (WHERE shadow_route <> '') AS shadowed"
)
_SHOWN_OF_ROWS: Final = f"{SUMS_OF_ROWS}, count(route) AS routed, count(shadow_route) AS shadowed"
_ROLLUPS: Final = "usage_rollups JOIN call_kinds USING (kind)"
_TAG_ROLLUPS: Final = "tag_rollups JOIN call_kinds USING (kind)"
_CALLS: Final = "(SELECT *, CAST(time AS INTEGER) AS start FROM ledger)"
_TAGGED_CALLS: Final = (
    "(SELECT ledger.*, CAST(time AS INTEGER) AS start, tag.key || '=' || tag.value AS tag "
    "FROM ledger, json_each(ledger.tags) AS tag)"
)


def _query(query: ReportQuery) -> tuple[str, list[object]]:
    by = query.by
    spans: tuple[int, ...] = (HOUR_S,) if "hour" in by else (DAY_S, HOUR_S)
    if "tag" in by and ("key" in by or query.key_id is not None):
        spans = ()  # which key had which tag is in the rows alone
    columns = [_COLUMNS.get(dimension, dimension) for dimension in by]
    names = [column.rpartition(" ")[2] for column in columns]
    parts = []
    parameters: list[object] = []
    found = list(pieces(query.since or 0.0, inf if query.until is None else query.until, spans))
    for piece in found or [_Piece(HOUR_S, 0.0, 0.0)]:
        if piece.span:
            source, sums = _TAG_ROLLUPS if "tag" in by else _ROLLUPS, _SHOWN_OF_SUMS
            where = ["span = ?", "start >= ?"]
            parameters += [piece.span, piece.start]
            if piece.end != inf:
                where.append("start < ?")
                parameters.append(piece.end)
        else:
            source, sums = _TAGGED_CALLS if "tag" in by else _CALLS, _SHOWN_OF_ROWS
            where = ["time >= ?", "id >= ?"]
            parameters += [piece.start, first_id(max(piece.start - _SLACK_S, 0))]
            if piece.end != inf:
                where += ["time < ?", "id < ?"]
                parameters += [piece.end, first_id(piece.end + _SLACK_S)]
        for column, value in (("org_id", query.org_id), ("key_id", query.key_id)):
            if value is not None:
                where.append(f"{column} = ?")
                parameters.append(value)
        group = f"GROUP BY {', '.join(names)}" if names else ""
        parts.append(
            f"SELECT {', '.join([*columns, sums])} FROM {source} WHERE {' AND '.join(where)} {group}"  # noqa: S608
        )
    return _outer(by, names, parts), parameters


def _outer(by: tuple[Dimension, ...], names: list[str], parts: list[str]) -> str:
    shown = []
    for dimension, name in zip(by, names, strict=True):
        shown.append(name)
        if dimension in _EXPRESSIONS:
            shown.append(f"coalesce({_EXPRESSIONS[dimension]}, {name}) AS {dimension}")
    periods = [name for name in names if name in ("hour", "day", "month")]
    order = ", ".join([*periods, "cost_nano_usd DESC", "requests DESC", *names])
    group = f"GROUP BY {', '.join(names)}" if names else ""
    sums = f"SELECT {', '.join([*names, _SHOWN_OF_SHOWN])} FROM ({' UNION ALL '.join(parts)}) {group}"  # noqa: S608
    return f"SELECT {', '.join([*shown, *_SHOWN])} FROM ({sums}) ORDER BY {order}"  # noqa: S608


_SLACK_S: Final = 3_600.0
"""How far the time in an id may be from the row's, should the clock be set between the two."""


def _total(names: list[str], values: tuple[Any, ...]) -> Total:
    sums = dict(zip(_SHOWN, values[len(names) :], strict=True))
    return Total(
        group=dict(zip(names, values, strict=False)),
        requests=sums["requests"] or 0,
        routed=sums["routed"] or 0,
        shadowed=sums["shadowed"] or 0,
        unpriced=sums["unpriced"] or 0,
        usage=Usage(**{name: sums[name] for name in BUCKETS}),
        cost_nano_usd=sums["cost_nano_usd"],
        saved_nano_usd=sums["saved_nano_usd"],
        shadow_saved_nano_usd=sums["shadow_saved_nano_usd"],
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
