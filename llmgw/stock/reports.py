"""The SQL of a report: sums of whole days in the time asked for, of hours at its ends, and rows for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor, inf
from typing import Any, Final, NamedTuple

from msgspec import Struct

from llmgw import ids
from llmgw.canonical import Usage
from llmgw.ports import Dimension, ReportQuery, Total
from llmgw.spool.lines import BUCKETS, DAY_S, HOUR_S
from llmgw.stock.sums import SUMS, SUMS_OF_ROWS, SUMS_OF_SUMS


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


class Spelling(Struct, frozen=True, kw_only=True):
    """What the engines say differently. `start` is Unix seconds."""

    hour: str
    day: str
    month: str
    """Text of `start`."""
    calls: str
    """The ledger's rows with `start`, whole seconds of their time."""
    tagged_calls: str
    """The same once for each tag, with `tag`."""


def _column(dimension: Dimension, spelling: Spelling) -> str:
    match dimension:
        case "org" | "key":
            return f"{dimension}_id"
        case "hour" | "day" | "month":
            return f"{getattr(spelling, dimension)} AS {dimension}"
        case "route" | "shadow_route":
            return f"nullif({dimension}, '') AS {dimension}"
        case _:
            return dimension


_SHOWN: Final = (*SUMS, "routed", "shadowed")
_SHOWN_OF_SHOWN: Final = ", ".join(f"sum({name}) AS {name}" for name in _SHOWN)
_SHOWN_OF_SUMS: Final = (
    f"{SUMS_OF_SUMS}, sum(requests) FILTER (WHERE route <> '') AS routed, "
    "sum(requests) FILTER (WHERE shadow_route <> '') AS shadowed"
)
_SHOWN_OF_ROWS: Final = f"{SUMS_OF_ROWS}, count(route) AS routed, count(shadow_route) AS shadowed"
_ROLLUPS: Final = "usage_rollups JOIN call_kinds USING (kind)"
_TAG_ROLLUPS: Final = "tag_rollups JOIN call_kinds USING (kind)"


def statement(query: ReportQuery, spelling: Spelling) -> tuple[str, list[object]]:
    """What asks the store, and its parameters, each a `?`."""
    by = query.by
    spans: tuple[int, ...] = (HOUR_S,) if "hour" in by else (DAY_S, HOUR_S)
    if "tag" in by and ("key" in by or query.key_id is not None):
        spans = ()  # which key had which tag is in the rows alone
    columns = [_column(dimension, spelling) for dimension in by]
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
            source, sums = spelling.tagged_calls if "tag" in by else spelling.calls, _SHOWN_OF_ROWS
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
    order = ", ".join([*periods, "cost_nano_usd DESC NULLS LAST", "requests DESC", *names])
    group = f"GROUP BY {', '.join(names)}" if names else ""
    sums = (
        f"SELECT {', '.join([*names, _SHOWN_OF_SHOWN])} FROM ({' UNION ALL '.join(parts)}) AS parts {group}"  # noqa: S608
    )
    return f"SELECT {', '.join([*shown, *_SHOWN])} FROM ({sums}) AS sums ORDER BY {order}"  # noqa: S608


_SLACK_S: Final = 3_600.0
"""How far the time in an id may be from the row's, should the clock be set between the two."""


def total(query: ReportQuery, values: Sequence[Any]) -> Total:
    """What a line of the store's answer says."""
    names = [name for dimension in query.by for name in _FIELDS.get(dimension, (dimension,))]
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


def first_id(time_s: float) -> str:
    """What no id of a row at `time_s` or later comes before."""
    return ids.new("call", time_s)[:15]  # the prefix and ten characters of milliseconds
