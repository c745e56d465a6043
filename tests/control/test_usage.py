"""Reports, exports and rebuilds over a real store whose rows came the way that calls' rows do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmgw.canonical import Usage
from llmgw.control import keys, orgs, usage
from llmgw.control.keys import NewKey
from llmgw.control.usage import UsageReport
from llmgw.errors import NotFound, UsageError
from llmgw.ports import LedgerRow
from llmgw.standalone.journal import journal
from llmgw.standalone.registry import SqliteRegistry
from llmgw.standalone.reports import SqliteReports
from llmgw.stock.reports import pieces
from tests.contracts.books import made

DAY = datetime(2026, 11, 1, tzinfo=UTC).timestamp()


def nothing() -> None:
    """Nobody waits for the row."""


def put(path: Path, rows: list[LedgerRow]) -> None:
    """Have the rows in the store's ledger."""

    async def run() -> None:
        with journal(path, retention_s=1e12) as kept:
            for row in rows:
                kept.append(row, nothing)

    asyncio.run(run())


@pytest.fixture
def key(registry: SqliteRegistry) -> NewKey:
    """A key of acme."""
    orgs.create(registry, "acme")
    return keys.create(registry, org="acme", name="chatbot")


@pytest.fixture
def rows(path: Path, key: NewKey) -> list[LedgerRow]:
    """Four calls of acme, one of an organisation that is not registered."""
    acme = {"org_id": key.org_id, "org": "acme", "key_id": key.id}
    made_rows = [
        made(DAY, **acme, cost_nano_usd=1_000_000_000, asked_cost_nano_usd=3_500_000_000),
        made(DAY + 3600, **acme, cost_nano_usd=1, tags={"team": "red", "app": "search"}),
        made(DAY + 86399, **acme, model="free", cost_nano_usd=None, usage=Usage(input=5, input_audio=7)),
        made(DAY + 86400, **acme, status=499, error="client_closed_request", cost_nano_usd=0, usage=Usage()),
        made(DAY, org_id="org_gone", org="gone", key_id="key_gone", tags={}, cost_nano_usd=10),
    ]
    put(path, made_rows)
    return made_rows


@pytest.fixture
def reports(path: Path, rows: list[LedgerRow]) -> Iterator[SqliteReports]:
    """The ledger as operators have it."""
    with SqliteReports(path) as opened:
        yield opened


def shown(report: UsageReport) -> Any:
    """As a program reads it."""
    return msgspec.json.decode(msgspec.json.encode(report))


def test_a_report_adds_up_by_organisation(
    registry: SqliteRegistry, reports: SqliteReports, key: NewKey
) -> None:
    """Names and ids, disjoint buckets, exact dollars; unpriced calls are counted and cost nothing."""
    report = shown(usage.report(reports, registry, by=["org"]))
    assert report["next"] is None
    acme, gone = report["items"]
    assert acme == {
        "org_id": key.org_id,
        "org": "acme",
        "requests": 4,
        "usage": {"input": 25, "cache_read": 40, "cache_write_5m": None, "cache_write_1h": None, "output": 60, "reasoning": None, "input_audio": 7},
        "cost_usd": "1.000000001",
        "unpriced": 1,
    }  # fmt: skip
    assert (gone["org"], gone["requests"], gone["cost_usd"]) == ("org_gone", 1, "0.00000001")
    assert (report["total"]["requests"], report["total"]["cost_usd"]) == (5, "1.000000011")


def test_nothing_known_is_null_and_not_zero(registry: SqliteRegistry, reports: SqliteReports) -> None:
    """A group of unpriced calls has no cost; one of calls that cost nothing costs 0."""
    by_model = {item["model"]: item for item in shown(usage.report(reports, registry, by=["model"]))["items"]}
    assert (by_model["free"]["cost_usd"], by_model["free"]["unpriced"]) == (None, 1)
    by_status = {
        item["status"]: item for item in shown(usage.report(reports, registry, by=["status"]))["items"]
    }
    assert (by_status[499]["cost_usd"], by_status[499]["unpriced"]) == ("0", 0)
    assert set(by_status[499]["usage"].values()) == {None}


def test_savings_are_against_the_model_asked_for(registry: SqliteRegistry, reports: SqliteReports) -> None:
    """Only of calls of which both prices are known."""
    (item,) = shown(usage.report(reports, registry, by=["key"], org="acme", savings=True))["items"]
    assert (item["key"], item["saved_usd"]) == ("chatbot", "2.5")
    (item,) = shown(
        usage.report(reports, registry, by=["org"], org="acme", since="2026-11-02", savings=True)
    )["items"]
    assert item["saved_usd"] is None


def test_a_call_with_several_tags_is_in_each(
    registry: SqliteRegistry, reports: SqliteReports, key: NewKey
) -> None:
    """So the groups are more than the total, which counts each call once; also of one key."""
    for only in (None, key.id):
        report = shown(usage.report(reports, registry, by=["tag"], key=only))
        assert {item["tag"]: item["requests"] for item in report["items"]} == {"team=red": 4, "app=search": 1}
        assert report["total"]["requests"] == (4 if only else 5)


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [
        (None, None, 5),
        ("2026-11-01", "2026-11-02", 4),
        ("2026-11-02", None, 1),
        ("2026-11-01T00:00:01", "2026-11-01T23:59:59", 1),
        ("2026-11-01T01:00:00+01:00", "2026-11-01T00:00:00.5Z", 2),
        ("2026-11-03", None, 0),
        (None, "1d", None),
        ("1s", None, 0),
    ],
)
def test_a_period_is_exact(
    registry: SqliteRegistry, reports: SqliteReports, since: str | None, until: str | None, count: int | None
) -> None:
    """To the second; its end is not in it; offsets and spans back from now are understood."""
    report = usage.report(reports, registry, by=["org"], since=since, until=until)
    assert count is None or report.total["requests"] == count


def test_periods_are_groups_too(registry: SqliteRegistry, reports: SqliteReports) -> None:
    """By hour, day or month, in order of time."""
    for by, names in (
        ("day", ["2026-11-01", "2026-11-02"]),
        ("month", ["2026-11"]),
        (
            "hour",
            ["2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z", "2026-11-01T23:00:00Z", "2026-11-02T00:00:00Z"],
        ),
    ):
        assert [item[by] for item in usage.report(reports, registry, by=[by]).items] == names


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"by": ["colour"]}, UsageError),
        ({"since": "yesterday"}, UsageError),
        ({"until": "2026-13-01"}, UsageError),
        ({"since": "2026-11-02", "until": "2026-11-01"}, UsageError),
        ({"org": "nobody"}, NotFound),
        ({"key": "chatbot"}, NotFound),
        ({"key": "other", "org": "acme"}, NotFound),
    ],
)
def test_what_makes_no_sense_is_said(
    registry: SqliteRegistry, reports: SqliteReports, arguments: dict[str, Any], error: type[Exception]
) -> None:
    """A sentence, and no report of something else."""
    with pytest.raises(error):
        usage.report(reports, registry, **arguments)


def test_an_entry_has_the_fields_of_the_contract(
    registry: SqliteRegistry, reports: SqliteReports, rows: list[LedgerRow]
) -> None:
    """All of them, in a stable order, and no others."""
    first = msgspec.json.decode(msgspec.json.encode(next(usage.export(reports, registry))))
    assert first == {
        "id": rows[0].id, "time": "2026-11-01T00:00:00.000Z", "org": "acme", "key_id": rows[0].key_id,
        "tags": {"team": "red"}, "model_asked": "smart", "model": "gpt-4o", "provider": "openai", "route": None,
        "attempts": 1, "status": 200,
        "usage": {"input": 10, "cache_read": 20, "cache_write_5m": None, "cache_write_1h": None, "output": 30, "reasoning": None},
        "usage_source": "reported", "cost_usd": "1", "latency_ms": 250, "first_token_ms": None,
        "trace_id": rows[0].trace_id, "request_id": "req_1", "endpoint": "chat.completions", "error": None,
        "reserved_usd": "0.000009", "price_version": None, "asked_cost_usd": "3.5", "shadow_route": None,
        "shadow_cost_usd": None, "policies": [],
    }  # fmt: skip


def test_an_export_is_limited_and_goes_on(
    registry: SqliteRegistry, reports: SqliteReports, rows: list[LedgerRow]
) -> None:
    """In pieces of any size it has every row once."""
    for size in (1, 2, 5, 9):
        found: list[str] = []
        while piece := list(usage.export(reports, registry, after=found[-1] if found else None, limit=size)):
            found += [entry.id for entry in piece]
        assert found == [row.id for row in rows]
    assert [entry.org for entry in usage.export(reports, registry, org="acme", since="2026-11-02")] == [
        "acme"
    ]
    with pytest.raises(UsageError):
        usage.export(reports, registry, limit=0)


def test_a_rebuild_sets_right_what_was_spoilt(
    registry: SqliteRegistry, reports: SqliteReports, path: Path
) -> None:
    """Sums that were changed, deleted or made up are what the rows say again, and are counted; what was right stays."""
    queries: tuple[dict[str, Any], ...] = (
        {"by": ["key", "day"]},
        {"by": ["tag"]},
        {"by": ["hour"], "since": "2026-11-01"},
    )
    before = [shown(usage.report(reports, registry, **query)) for query in queries]
    with sqlite3.connect(path) as database:
        tables = ("usage_rollups", "tag_rollups", "scope_rollups")
        all_rows = [set(database.execute(f"SELECT * FROM {table}")) for table in tables]  # noqa: S608
        database.execute(
            "UPDATE usage_rollups SET cost_nano_usd = cost_nano_usd + 1 WHERE span = 3600 AND kind IN (SELECT kind FROM call_kinds WHERE status = 499)"
        )
        database.execute(
            "UPDATE usage_rollups SET unpriced = 7, input = NULL WHERE span = 86400 AND start = ?", [DAY]
        )
        database.execute("DELETE FROM tag_rollups WHERE tag = 'app=search'")
        database.execute(
            "UPDATE scope_rollups SET start = start + 3600 WHERE scope = 'org' AND id = 'org_gone'"
        )
    database.close()
    assert [shown(usage.report(reports, registry, **query)) for query in queries] != before
    found = usage.rebuild(reports)
    assert (found.usage, found.tags, found.scopes) == (1 + 3, 2, 2)
    assert [shown(usage.report(reports, registry, **query)) for query in queries] == before
    with sqlite3.connect(path) as database:
        assert [set(database.execute(f"SELECT * FROM {table}")) for table in tables] == all_rows  # noqa: S608
    database.close()
    assert usage.rebuild(reports) == usage.Rebuilt(usage=0, tags=0, scopes=0)


def test_time_is_cut_into_the_longest_spans() -> None:
    """Days where whole days fit, hours beside them, and rows for the rest; without gap or overlap."""
    found = list(pieces(3600 * 22 + 1, 86400 * 3 + 7300, (86400, 3600)))
    assert found == [
        (86400, 86400, 86400 * 3),
        (3600, 3600 * 23, 86400),
        (0, 3600 * 22 + 1, 3600 * 23),
        (3600, 86400 * 3, 86400 * 3 + 7200),
        (0, 86400 * 3 + 7200, 86400 * 3 + 7300),
    ]
    assert list(pieces(10, 20, (86400, 3600))) == [(0, 10, 20)]
    assert list(pieces(20, 20, (86400, 3600))) == []
    assert list(pieces(0, float("inf"), (86400, 3600))) == [(86400, 0, float("inf"))]
