"""The ledger's tables in Postgres, and their rollups.

Rows come by COPY into a table of the session, and from there with everything that is added up of them in a few
statements, all in one transaction. Whoever takes rows holds a lock of the database meanwhile: so numbers grow in the
order in which they are to be seen, an export misses none, and no two writers wait for each other crosswise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from llmgw.cluster.postgres import Connection
from llmgw.cluster.texts import to_store
from llmgw.spool.lines import COLUMNS, DAY_S, HOUR_S, Line, decode, values_of
from llmgw.stock.sums import KIND, SUMS, SUMS_OF_ROWS, SUMS_OF_SUMS, TOKENS

LOCK: Final = 5_210_442_031
"""Of those who write the ledger (pg_advisory_xact_lock); a number of no meaning."""

_STREAMED: Final = COLUMNS.index("streamed")

_SESSION: Final = f"""
    CREATE TEMP TABLE IF NOT EXISTS incoming ON COMMIT DELETE ROWS AS
        SELECT {", ".join(COLUMNS)}, ''::bytea AS likeness, ''::bytea AS keyless_likeness, 0::bigint AS place
        FROM ledger WHERE false;
    CREATE TEMP TABLE IF NOT EXISTS fresh (LIKE ledger) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE IF NOT EXISTS call_groups (
        start bigint, kind bigint, tags text, {", ".join(f"{name} bigint" for name in SUMS)}
    ) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE IF NOT EXISTS tag_groups (
        start bigint, kind bigint, tag text COLLATE "C", {", ".join(f"{name} bigint" for name in SUMS)}
    ) ON COMMIT DELETE ROWS
"""  # noqa: S608 - names of ours, here and below
_OF_KIND: Final = ", ".join(
    f"coalesce({name}, '') AS {name}" if name in ("route", "shadow_route") else name for name in KIND
)
_KEYLESS_KINDS: Final = f"""
    INSERT INTO call_kinds ({", ".join(KIND)}, likeness)
    SELECT DISTINCT ON (likeness) {_OF_KIND.replace("key_id", "'' AS key_id", 1)}, keyless_likeness AS likeness
    FROM incoming ORDER BY likeness ON CONFLICT (likeness) DO NOTHING
"""  # noqa: S608
_KINDS: Final = f"""
    INSERT INTO call_kinds ({", ".join(KIND)}, likeness, keyless)
    SELECT DISTINCT ON (likeness) {_OF_KIND}, likeness,
        (SELECT kind FROM call_kinds WHERE call_kinds.likeness = keyless_likeness)
    FROM incoming ORDER BY likeness ON CONFLICT (likeness) DO NOTHING
"""  # noqa: S608
_ROWS: Final = f"""
    WITH taken AS (
        INSERT INTO ledger (number, kind, {", ".join(COLUMNS)})
        SELECT
            (SELECT numbered FROM ledger_state) + row_number() OVER (ORDER BY place),
            (SELECT kind FROM call_kinds WHERE call_kinds.likeness = incoming.likeness),
            {", ".join(COLUMNS)}
        FROM incoming ORDER BY place ON CONFLICT DO NOTHING RETURNING *
    )
    INSERT INTO fresh SELECT * FROM taken
"""  # noqa: S608
_NUMBERED: Final = "UPDATE ledger_state SET numbered = greatest(numbered, (SELECT max(number) FROM fresh))"
_CALL_GROUPS: Final = f"""
    INSERT INTO call_groups
    SELECT floor("time")::bigint / {HOUR_S} * {HOUR_S} AS start, kind, tags, {SUMS_OF_ROWS}
    FROM {{rows}} GROUP BY 1, kind, tags
"""  # noqa: S608
_TAG_GROUPS: Final = f"""
    INSERT INTO tag_groups
    SELECT start, keyless AS kind, tag.key || '=' || tag.value AS tag, {SUMS_OF_SUMS}
    FROM call_groups JOIN call_kinds USING (kind), jsonb_each_text(tags::jsonb) AS tag
    GROUP BY 1, 2, 3
"""  # noqa: S608
_SPANS: Final = f"""
    SELECT span, start / span * span AS start, {{names}}, {SUMS_OF_SUMS}
    FROM {{groups}}, (VALUES ({HOUR_S}::bigint), ({DAY_S})) AS spans (span)
    GROUP BY 1, 2, {{names}}
"""  # noqa: S608
_SCOPE: Final = f"""
    SELECT '{{scope}}' AS scope, {{id}} AS id, start, requests, {TOKENS} AS tokens, cost_nano_usd
    FROM {{groups}} JOIN call_kinds USING (kind)
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
    """A table of sums: what makes one sum of it, the sums, and those of the groups at hand."""

    name: str
    table: str
    keys: tuple[str, ...]
    sums: tuple[str, ...]
    select: str

    @property
    def added(self) -> str:
        """Adds the groups at hand. NULL and a number are that number."""
        sums = (
            f"{name} = coalesce({self.table}.{name} + excluded.{name}, {self.table}.{name}, excluded.{name})"
            for name in self.sums
        )
        columns = ", ".join((*self.keys, *self.sums))
        return (
            f"INSERT INTO {self.table} ({columns}) SELECT {columns} FROM ({self.select}) AS added "  # noqa: S608
            f"ON CONFLICT ({', '.join(self.keys)}) DO UPDATE SET {', '.join(sums)}"
        )


ROLLUPS: Final = (
    Rollup(
        "usage",
        "usage_rollups",
        ("span", "start", "kind"),
        SUMS,
        _SPANS.format(names="kind", groups="call_groups"),
    ),
    Rollup(
        "tags",
        "tag_rollups",
        ("span", "start", "kind", "tag"),
        SUMS,
        _SPANS.format(names="kind, tag", groups="tag_groups"),
    ),
    Rollup(
        "scopes",
        "scope_rollups",
        ("scope", "id", "start"),
        ("requests", "tokens", "cost_nano_usd"),
        "SELECT scope, id, start, sum(requests)::bigint AS requests, sum(tokens)::bigint AS tokens, "  # noqa: S608
        f"coalesce(sum(cost_nano_usd), 0)::bigint AS cost_nano_usd FROM ({_SCOPES}) AS scopes GROUP BY 1, 2, 3",
    ),
)


async def insert(
    connection: Connection, payloads: Sequence[bytes], set_aside: Callable[[Sequence[bytes]], None]
) -> None:
    """Add the rows that are not there yet, and what they sum up to; within a transaction.

    Args:
        set_aside: given those that are no rows.
    """
    records = []
    wrong = []
    for place, text in enumerate(payloads):
        try:
            line = decode(text)
        except (msgspec.MsgspecError, ValueError):
            wrong.append(text)
            continue
        records.append((*_values(line), *_likeness(line), place))
    if wrong:
        set_aside(wrong)
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
    await connection.execute(_SESSION)
    if not records:
        return
    await connection.copy_records_to_table(
        "incoming", records=records, columns=[*COLUMNS, "likeness", "keyless_likeness", "place"]
    )
    for statement in (_KEYLESS_KINDS, _KINDS, _ROWS, _NUMBERED):
        await connection.execute(statement)
    await group(connection, "fresh")
    for rollup in ROLLUPS:
        await connection.execute(rollup.added)


async def group(connection: Connection, rows: str) -> None:
    """Have the sums of these rows at hand."""
    await connection.execute(_CALL_GROUPS.format(rows=rows))
    await connection.execute(_TAG_GROUPS)


async def rebuild(connection: Connection) -> dict[str, int]:
    """Make all rollups anew from the rows that are kept; within a transaction. As `Reports.rebuild`."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
    await connection.execute(_SESSION)
    since = await connection.fetchval("SELECT purged_before FROM ledger_state")
    await group(connection, f'(SELECT * FROM ledger WHERE "time" >= {since}) AS kept')  # noqa: S608
    return {rollup.name: await _replace(connection, rollup, since) for rollup in ROLLUPS}


async def _replace(connection: Connection, rollup: Rollup, since: int) -> int:
    """How many sums were not right."""
    table, keys = rollup.table, ", ".join(rollup.keys)
    columns = ", ".join((*rollup.keys, *rollup.sums))
    kept = f"SELECT {columns} FROM {table} WHERE start >= {since}"  # noqa: S608
    right = f"SELECT {columns} FROM right_sums"  # noqa: S608
    await connection.execute(
        f"CREATE TEMP TABLE right_sums ON COMMIT DROP AS SELECT {columns} FROM ({rollup.select}) AS made;"  # noqa: S608
        f"CREATE TEMP TABLE stale ON COMMIT DROP AS {kept} EXCEPT {right};"
        f"CREATE TEMP TABLE lacking ON COMMIT DROP AS {right} EXCEPT {kept};"
        f"DELETE FROM {table} WHERE ({keys}) IN (SELECT {keys} FROM stale);"
        f"INSERT INTO {table} ({columns}) SELECT {columns} FROM lacking"
    )
    wrong = await connection.fetchval(
        f"SELECT count(*) FROM (SELECT {keys} FROM stale UNION SELECT {keys} FROM lacking) AS wrong"  # noqa: S608
    )
    await connection.execute("DROP TABLE right_sums, stale, lacking")
    return int(wrong)


def _values(line: Line) -> list[Any]:
    values = [to_store(value) if type(value) is str else value for value in values_of(line)]
    values[_STREAMED] = bool(values[_STREAMED])
    return values


def _likeness(line: Line) -> tuple[bytes, bytes]:
    """Of the call's kind, and of that without its key."""
    same = [getattr(line, name) or "" for name in KIND if name != "key_id"]
    return _digest([line.key_id, *same]), _digest(["", *same])


def _digest(values: Sequence[object]) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(values), digest_size=16).digest()


async def prepare(connection: Connection, now: float) -> None:
    """Make the tables of this month and the next ones, where they are missing."""
    year, month = datetime.fromtimestamp(now, UTC).year, datetime.fromtimestamp(now, UTC).month
    for ahead in range(MONTHS_AHEAD + 1):
        begin, end = _month(year, month + ahead), _month(year, month + ahead + 1)
        name = f"ledger_{datetime.fromtimestamp(begin, UTC):%Y_%m}"
        if await connection.fetchval("SELECT to_regclass($1)", name) is None:
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF ledger FOR VALUES FROM ({begin}) TO ({end})"
            )


MONTHS_AHEAD: Final = 2


def _month(year: int, month: int) -> int:
    """When a month begins; months beyond December are of the next year."""
    years, months = divmod(month - 1, 12)
    return int(datetime(year + years, months + 1, 1, tzinfo=UTC).timestamp())


async def purge(connection: Connection, before: int) -> None:
    """Let the months go that end before that time, and rows of odd times."""
    names = await connection.fetch(_PARTITIONS)
    for (name,) in names:
        year, month = int(name[7:11]), int(name[12:14])
        if _month(year, month + 1) <= before:
            begin = _month(year, month + 1)
            async with connection.transaction():
                await connection.execute(
                    "UPDATE ledger_state SET purged_before = greatest(purged_before, $1)", begin
                )
                await connection.execute(f"DROP TABLE {name}")
    purged = await connection.fetchval("SELECT purged_before FROM ledger_state")
    await connection.execute('DELETE FROM ledger_odd WHERE "time" < $1', float(purged))


_PARTITIONS: Final = r"""
    SELECT child.relname FROM pg_inherits
    JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = 'ledger'::regclass AND child.relname ~ '^ledger_\d{4}_\d{2}$'
    ORDER BY 1
"""
