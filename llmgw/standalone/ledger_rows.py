"""The ledger's tables and their rollups.

The rollups are made by SQL alone, from rows that are in the ledger: as they arrive, and over again by `usage
rebuild`, with the same statements. Statements are few and large. Each lets go of the interpreter while it runs, and
to get it back from a busy event loop takes a thread up to five milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from llmgw.spool.lines import COLUMNS, DAY_S, HOUR_S, Line, decode, values_of
from llmgw.stock.sums import KIND, SUMS, SUMS_OF_ROWS, SUMS_OF_SUMS, TOKENS

STATEMENT_ROWS: Final = 128
"""One statement inserts so many rows. Its values are bound without a pause: 0.3 ms at most."""
CACHE_KIB: Final = 16 * 1024
"""What a transaction changes stays in memory until it is committed."""
KINDS_LIMIT: Final = 20_000
"""Kinds of calls known by heart."""

# One pass over the rows, one over the tags; everything else comes from these groups, which are fewer.
_CALL_GROUPS: Final = f"""
    SELECT CAST(time / {HOUR_S} AS INTEGER) * {HOUR_S} AS start, kind, tags, {SUMS_OF_ROWS}
    FROM ledger WHERE {{where}}
    GROUP BY 1, kind, tags
"""  # noqa: S608 - these are our own names, here and below
_TAG_GROUPS: Final = f"""
    SELECT start, keyless AS kind, tag.key || '=' || tag.value AS tag, {SUMS_OF_SUMS}
    FROM temp.call_groups JOIN call_kinds USING (kind), json_each(tags) AS tag WHERE {{where}}
    GROUP BY 1, 2, 3
"""  # noqa: S608
_SPANS: Final = f"""
    SELECT span, start / span * span AS start, {{names}}, {SUMS_OF_SUMS}
    FROM temp.{{groups}}, (SELECT {HOUR_S} AS span UNION ALL SELECT {DAY_S})
    GROUP BY 1, 2, {{names}}
"""  # noqa: S608
_SCOPE: Final = f"""
    SELECT '{{scope}}' AS scope, {{id}} AS id, start, requests, {TOKENS} AS tokens, cost_nano_usd
    FROM temp.{{groups}} JOIN call_kinds USING (kind)
"""  # noqa: S608
_SCOPES: Final = "UNION ALL".join(
    _SCOPE.format(scope=scope, id=id, groups=groups)
    for scope, id, groups in (
        ("key", "key_id", "call_groups"),
        ("org", "org_id", "call_groups"),
        ("model", "model_asked", "call_groups"),
        ("provider", "provider", "call_groups"),
        ("tag", "org_id || '/' || tag", "tag_groups"),
    )
)


class Rollup(Struct, frozen=True):
    """A table of sums: what makes one sum of it (`keys`), and the sums of the groups at hand (`select`)."""

    name: str
    table: str
    keys: str
    sums: tuple[str, ...]
    select: str


ROLLUPS: Final = (
    Rollup(
        "usage", "usage_rollups", "span, start, kind", SUMS, _SPANS.format(names="kind", groups="call_groups")
    ),
    Rollup(
        "tags",
        "tag_rollups",
        "span, start, kind, tag",
        SUMS,
        _SPANS.format(names="kind, tag", groups="tag_groups"),
    ),
    Rollup(
        "scopes",
        "scope_rollups",
        "scope, id, start",
        ("requests", "tokens", "cost_nano_usd"),
        "SELECT scope, id, start, sum(requests) AS requests, sum(tokens) AS tokens, "  # noqa: S608
        f"coalesce(sum(cost_nano_usd), 0) AS cost_nano_usd FROM ({_SCOPES}) GROUP BY 1, 2, 3",
    ),
)


class LedgerTables:
    """The ledger's tables on one connection. Its methods belong in a transaction; after one that failed, so that it
    was rolled back, another object is needed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kinds: dict[tuple[object, ...], int] = {}
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("CREATE TEMP TABLE call_groups AS" + _CALL_GROUPS.format(where="false"))
        connection.execute("CREATE TEMP TABLE tag_groups AS" + _TAG_GROUPS.format(where="false"))

    def insert(self, lines: Sequence[bytes]) -> list[bytes]:
        """Add the rows that are not there yet, and what they sum up to. Returns lines that are no rows."""
        ((highest,),) = self._connection.execute("SELECT coalesce(max(number), 0) FROM ledger")
        wrong = []
        for first in range(0, len(lines), STATEMENT_ROWS):
            values: list[object] = []
            rows = 0
            for text in lines[first : first + STATEMENT_ROWS]:
                try:
                    line = decode(text)
                except (msgspec.MsgspecError, ValueError):
                    wrong.append(text)
                    continue
                values.append(self._kind(line))
                values += values_of(line)
                rows += 1
            if rows:
                self._connection.execute(_INSERT.format(rows=", ".join([_ROW] * rows)), values)
        self._group("number > ?", highest)
        for rollup in ROLLUPS:
            # NULL and a number are that number.
            sums = (
                f"{name} = coalesce({name} + excluded.{name}, {name}, excluded.{name})"
                for name in rollup.sums
            )
            self._connection.execute(
                f"INSERT INTO {rollup.table} SELECT * FROM ({rollup.select}) WHERE true "  # noqa: S608
                f"ON CONFLICT DO UPDATE SET {', '.join(sums)}"
            )
        return wrong

    def rebuild(self, since: int) -> dict[str, int]:
        """Make the rollups from `since` (Unix seconds, the beginning of a day) on anew, from the ledger's rows.

        Returns:
            For each rollup by its name, the sums that were wrong, missing or of nothing.
        """
        self._group("time >= ?", since)
        return {rollup.name: self._replace(rollup, since) for rollup in ROLLUPS}

    def _group(self, where: str, parameter: int) -> None:
        execute = self._connection.execute
        execute("DELETE FROM temp.call_groups")
        execute("DELETE FROM temp.tag_groups")
        execute("INSERT INTO temp.call_groups" + _CALL_GROUPS.format(where=where), [parameter])
        execute("INSERT INTO temp.tag_groups" + _TAG_GROUPS.format(where="true"))

    def _replace(self, rollup: Rollup, since: int) -> int:
        execute = self._connection.execute
        table, keys = rollup.table, rollup.keys
        columns = f"{keys}, {', '.join(rollup.sums)}"
        fresh = f"SELECT {columns} FROM temp.fresh"  # noqa: S608
        kept = f"SELECT {columns} FROM {table} WHERE start >= {since}"  # noqa: S608
        execute(f"CREATE TEMP TABLE fresh AS {rollup.select}")
        execute(f"CREATE TEMP TABLE stale AS {kept} EXCEPT {fresh}")
        execute(f"CREATE TEMP TABLE lacking AS {fresh} EXCEPT {kept}")
        execute(f"DELETE FROM {table} WHERE ({keys}) IN (SELECT {keys} FROM temp.stale)")  # noqa: S608
        execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM temp.lacking")  # noqa: S608
        ((wrong,),) = execute(
            f"SELECT count(*) FROM (SELECT {keys} FROM temp.stale UNION SELECT {keys} FROM temp.lacking)"  # noqa: S608
        )
        for name in ("fresh", "stale", "lacking"):
            execute(f"DROP TABLE temp.{name}")
        return int(wrong)

    def _kind(self, line: Line) -> int:
        same = (
            line.org_id,
            line.model_asked,
            line.model,
            line.provider,
            line.status,
            line.usage_source,
            line.route or "",
            line.shadow_route or "",
        )
        values = (line.key_id, *same)
        kind = self._kinds.get(values)
        if kind is None:
            kind = self._find_kind(values, self._find_kind(("", *same), None))
            if len(self._kinds) >= KINDS_LIMIT:
                self._kinds.clear()
            self._kinds[values] = kind
        return kind

    def _find_kind(self, values: tuple[object, ...], keyless: int | None) -> int:
        found = self._connection.execute(_FIND_KIND, values).fetchone()
        if found is None:
            found = self._connection.execute(_ADD_KIND, (keyless, *values)).fetchone()
        return int(found[0])


_ROW: Final = f"(?, {', '.join('?' * len(COLUMNS))})"
_INSERT: Final = (
    f"INSERT INTO ledger (kind, {', '.join(COLUMNS)}) VALUES {{rows}} ON CONFLICT (id) DO NOTHING"  # noqa: S608
)
_FIND_KIND: Final = f"SELECT kind FROM call_kinds WHERE {' AND '.join(f'{name} = ?' for name in KIND)}"  # noqa: S608
_ADD_KIND: Final = f"""
    INSERT INTO call_kinds (keyless, {", ".join(KIND)}) VALUES (?, {", ".join("?" * len(KIND))}) RETURNING kind
"""  # noqa: S608
