"""What was used and what it cost, for operators: reports, the ledger's rows, and its sums made anew.

Money leaves as decimal text in US dollars, exactly. What is not known is null: a call without a price has no cost, and
is counted as unpriced.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, cast, get_args

from msgspec import UNSET, Struct, UnsetType

from llmgw.canonical import Usage
from llmgw.config.budget import dollars_text
from llmgw.control import keys, orgs
from llmgw.control.times import span_s
from llmgw.errors import UsageError
from llmgw.ports import Dimension, LedgerRow, Registry, ReportQuery, Reports, Total, UsageSource

DIMENSIONS: Final[tuple[str, ...]] = get_args(Dimension)


class Buckets(Struct, frozen=True, kw_only=True):
    """Tokens by bucket; no token is in two of them. Null: not known."""

    input: int | None
    cache_read: int | None
    cache_write_5m: int | None
    cache_write_1h: int | None
    output: int | None
    reasoning: int | None
    input_audio: int | UnsetType = UNSET
    output_audio: int | UnsetType = UNSET


class UsageReport(Struct, frozen=True, kw_only=True):
    """Groups of calls. An item has the fields of its group, `requests`, `usage` (Buckets), `cost_usd`, `unpriced`, and
    where savings are asked for `routed`, `saved_usd`, `shadowed`, `shadow_saved_usd`; so has `total`, without a
    group."""

    items: list[dict[str, Any]]
    next: None = None
    total: dict[str, Any]


class Entry(Struct, frozen=True, kw_only=True):
    """A row of the ledger."""

    id: str
    time: str
    """RFC 3339, UTC."""
    org: str
    key_id: str
    tags: dict[str, str]
    model_asked: str
    model: str
    provider: str
    route: str | None
    attempts: int
    status: int
    usage: Buckets
    usage_source: UsageSource
    cost_usd: str | None
    latency_ms: int
    first_token_ms: int | None
    trace_id: str
    request_id: str
    endpoint: str
    error: str | None
    reserved_usd: str
    price_version: str | None
    asked_cost_usd: str | None
    """What the model asked for would have cost; null where it is the one that served."""
    shadow_route: str | None
    shadow_cost_usd: str | None
    """What the answer would have cost by the route in shadow."""
    policies: tuple[str, ...]
    """Those that the call violated and that are only audited."""


class Rebuilt(Struct, frozen=True, kw_only=True):
    """How many sums were not what the rows say: of reports, of reports by tag, and of what counters begin with."""

    usage: int
    tags: int
    scopes: int


def report(
    reports: Reports,
    registry: Registry,
    *,
    by: Sequence[str] = (),
    org: str | None = None,
    key: str | None = None,
    since: str | None = None,
    until: str | None = None,
    savings: bool = False,
) -> UsageReport:
    """Calls added up, in groups by the dimensions `by`.

    Args:
        org, key: only theirs; by id, or by name (a key's within `org`).
        since, until: only between; a span back from now (`7d`) or an ISO 8601 date or time, UTC. A date means its
            beginning, and `until` itself is not in it.

    Raises:
        UsageError: an argument breaks its rule.
        NotFound: no such organisation or key.
    """
    for dimension in by:
        if dimension not in DIMENSIONS:
            raise UsageError(f"A report cannot be by {dimension!r}; choose among {', '.join(DIMENSIONS)}.")
    start, end = _period(since, until)
    found = reports.report(
        ReportQuery(
            by=tuple(cast(Dimension, dimension) for dimension in dict.fromkeys(by)),
            org_id=None if org is None else orgs.find(registry, org).id,
            key_id=None if key is None else keys.find(registry, key, org).id,
            since=start,
            until=end,
        )
    )
    return UsageReport(
        items=[_item(total, savings=savings) for total in found.groups] if by else [],
        total=_item(found.total, savings=savings),
    )


def export(
    reports: Reports,
    registry: Registry,
    *,
    org: str | None = None,
    since: str | None = None,
    until: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Iterator[Entry]:
    """Rows of the ledger in the order in which they came into it.

    Args:
        after: the id of the last row that was read; only rows that came later.
        limit: at most so many.

    Raises: as `report`, before the first row.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"The limit is 1 or more rows, not {limit}; leave it out for all of them.")
    start, end = _period(since, until)
    org_id = None if org is None else orgs.find(registry, org).id
    rows = reports.rows(org_id=org_id, since=start, until=end, after=after)
    return map(_entry, islice(rows, limit))


def rebuild(reports: Reports) -> Rebuilt:
    """Add up every sum anew from the ledger's rows; those of rows that were too old to keep stay as they are."""
    wrong = reports.rebuild()
    return Rebuilt(usage=wrong["usage"], tags=wrong["tags"], scopes=wrong["scopes"])


def _period(since: str | None, until: str | None) -> tuple[float | None, float | None]:
    now = time.time()
    start = None if since is None else _moment(since, "since", now)
    end = None if until is None else _moment(until, "until", now)
    if start is not None and end is not None and start >= end:
        raise UsageError(f"There is no time between --since {since} and --until {until}.")
    return start, end


def _moment(text: str, what: str, now: float) -> float:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return now - span_s(text, f"--{what} is a date such as 2026-11-01, or")
    return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()


def _item(total: Total, *, savings: bool) -> dict[str, Any]:
    item = {
        **total.group,
        "requests": total.requests,
        "usage": _buckets(total.usage),
        "cost_usd": _dollars(total.cost_nano_usd),
        "unpriced": total.unpriced,
    }
    if savings:
        item["routed"] = total.routed
        item["saved_usd"] = _dollars(total.saved_nano_usd)
        item["shadowed"] = total.shadowed
        item["shadow_saved_usd"] = _dollars(total.shadow_saved_nano_usd)
    return item


def _entry(row: LedgerRow) -> Entry:
    return Entry(
        id=row.id,
        time=datetime.fromtimestamp(row.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        org=row.org,
        key_id=row.key_id,
        tags=row.tags,
        model_asked=row.model_asked,
        model=row.model,
        provider=row.provider,
        route=row.route,
        attempts=row.attempts,
        status=row.status,
        usage=_buckets(row.usage),
        usage_source=row.usage_source,
        cost_usd=_dollars(row.cost_nano_usd),
        latency_ms=row.latency_ms,
        first_token_ms=row.first_token_ms,
        trace_id=row.trace_id,
        request_id=row.request_id,
        endpoint=row.endpoint,
        error=row.error,
        reserved_usd=dollars_text(row.reserved_nano_usd),
        price_version=row.price_version,
        asked_cost_usd=_dollars(row.asked_cost_nano_usd),
        shadow_route=row.shadow_route,
        shadow_cost_usd=_dollars(row.shadow_cost_nano_usd),
        policies=row.policies,
    )


def _buckets(usage: Usage) -> Buckets:
    return Buckets(
        input=usage.input,
        cache_read=usage.cache_read,
        cache_write_5m=usage.cache_write_5m,
        cache_write_1h=usage.cache_write_1h,
        output=usage.output,
        reasoning=usage.reasoning,
        input_audio=UNSET if usage.input_audio is None else usage.input_audio,
        output_audio=UNSET if usage.output_audio is None else usage.output_audio,
    )


def _dollars(nano_usd: int | None) -> str | None:
    return None if nano_usd is None else dollars_text(nano_usd)
