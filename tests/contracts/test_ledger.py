"""What every ledger guarantees (`ports.Ledger`, `ports.Reports`): its sums are the sums of its rows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw import ids
from llmgw.canonical import Usage
from llmgw.ports import LedgerRow, ReportQuery, Total
from llmgw.rules.demand import Measure, Scope
from tests.contracts.books import BOOKS, NOW, Books, RunningJournal, Server, made, scope, used

HOUR_S: Final = 3600
BUCKETS: Final = tuple(name for name in Usage.__struct_fields__ if name != "native")


@pytest.fixture(params=BOOKS, scope="session")
def make(request: pytest.FixtureRequest) -> Callable[[Path], Books]:
    """Makes new stores of one kind."""
    return BOOKS[request.param](request)


@pytest.fixture
def books(make: Callable[[Path], Books], tmp_path: Path) -> Books:
    """A new store."""
    return make(tmp_path)


def nothing() -> None:
    """Nobody waits for the row."""


def write(server: Server[RunningJournal], rows: Sequence[LedgerRow]) -> None:
    for row in rows:
        server.journal.open(row)
        server.journal.append(row, nothing)


async def filled(books: Books, rows: Sequence[LedgerRow]) -> None:
    """Have the rows in the ledger."""
    with books.running() as server:
        write(server, rows)
        await server.settled()


def tokens(usage: Usage) -> int:
    return sum(getattr(usage, name) or 0 for name in BUCKETS)


def scopes_of(row: LedgerRow) -> list[Scope]:
    return [
        scope("key", row.key_id),
        scope("org", row.org_id),
        scope("model", row.model_asked),
        scope("provider", row.provider),
        *(scope("tag", f"{row.org_id}/{name}={value}") for name, value in row.tags.items()),
    ]


def various(count: int, seed: int = 1) -> list[LedgerRow]:
    """Calls of two organisations over two days and a half."""
    pick = random.Random(seed)
    rows = []
    for _ in range(count):
        org, model = pick.choice(("1", "2")), pick.choice(("m1", "m2"))
        cost = pick.choice((None, 0, 5, 7_000_000_001))
        rows.append(
            made(
                NOW + pick.uniform(0, 2.5 * 86400),
                org_id=f"org_{org}",
                key_id=f"key_{org}{pick.randrange(3)}",
                tags=pick.choice(({}, {"team": "red"}, {"team": "blue", "app": "x=y"})),
                model_asked=model,
                model=pick.choice((model, "m3")),
                provider=pick.choice(("p1", "p2")),
                status=pick.choice((200, 499, 502)),
                usage=pick.choice(
                    (Usage(), Usage(input=0), Usage(input=3, output=4, reasoning=1), Usage(cache_write_1h=9))
                ),
                cost_nano_usd=cost,
                asked_cost_nano_usd=pick.choice((None, 9)),
                route=pick.choice((None, None, "cheaply")),
                shadow_route=pick.choice((None, "try-it")),
                shadow_cost_nano_usd=pick.choice((None, 4)),
                policies=pick.choice(((), ("p", "q"))),
            )
        )
    return rows


@pytest.mark.anyio
async def test_every_scope_and_measure_is_counted(books: Books) -> None:
    """Requests, tokens of all buckets and dollars, of each scope a call stands under; a call without a price adds no
    dollars; places are not used up."""
    rows = various(300)
    with books.running() as server:
        write(server, rows)
        for settled in (False, True):
            if settled:
                await server.settled()
            for one in {scope.id: scope for row in rows for scope in scopes_of(row)}.values():
                own = [row for row in rows if one in scopes_of(row)]
                expected: dict[Measure, int] = {
                    "requests": len(own),
                    "tokens": sum(tokens(row.usage) for row in own),
                    "usd": sum(row.cost_nano_usd or 0 for row in own),
                    "parallel": 0,
                }
                for measure, amount in expected.items():
                    assert await used(server, one, measure, 0) == amount
        assert await used(server, scope("key", "key_none"), "requests", 0) == 0
        assert await used(server, scope("org", "key_11"), "requests", 0) == 0


@pytest.mark.anyio
async def test_an_accepted_row_is_counted_once_at_every_moment(books: Books) -> None:
    """While rows go from the journal to the store, whatever the order of events, each is in the sum as soon as it is
    accepted, and never twice; also across a restart."""
    pick = random.Random(2)
    accepted = 0
    for _ in range(3):
        with books.running() as server:
            for _ in range(150):
                count = pick.randrange(60)
                write(server, [made(NOW + n / 10) for n in range(count)])
                accepted += count
                await asyncio.sleep(pick.choice((0, 0, 0.001, 0.03)))
                before = accepted
                assert await used(server, scope("org", "org_1"), "requests", 0) == before


@pytest.mark.anyio
async def test_many_who_ask_while_rows_move_get_the_same(books: Books) -> None:
    """Questions and rows at the same time: no answer lies below what was accepted when it was asked, or above what was
    when it came."""
    accepted = 0
    with books.running() as server:

        async def ask() -> None:
            for _ in range(40):
                least = accepted
                count = await used(server, scope("tag", "org_1/team=red"), "requests", 0)
                assert least <= count <= accepted

        asking = [asyncio.create_task(ask()) for _ in range(5)]
        while not all(task.done() for task in asking):
            write(server, [made(NOW + n / 10) for n in range(20)])
            accepted += 20
            await asyncio.sleep(0.002)
        for task in asking:
            task.result()


@pytest.mark.anyio
async def test_only_what_is_recent_is_counted(books: Books) -> None:
    """From a moment on; at most the hour that it lies in counts as a whole."""
    hour = NOW // HOUR_S * HOUR_S
    times = (hour - 1, hour, hour + HOUR_S - 1, hour + HOUR_S)
    with books.running() as server:
        write(server, [made(time) for time in times])
        for _ in range(2):
            for since, count in ((hour + HOUR_S, 1), (hour, 3), (hour - HOUR_S, 4)):
                assert await used(server, scope("key", "key_1"), "requests", since) == count
            within = await used(server, scope("key", "key_1"), "requests", hour + 1800)
            assert 2 <= within <= 3
            await server.settled()


def brute(rows: Sequence[LedgerRow], query: ReportQuery) -> dict[tuple[Any, ...], dict[str, int | None]]:
    """A report as one would do it by hand."""
    found: dict[tuple[Any, ...], list[LedgerRow]] = {}
    for row in rows:
        if (
            (query.org_id in (None, row.org_id))
            and (query.key_id in (None, row.key_id))
            and (query.since is None or row.time >= query.since)
            and (query.until is None or row.time < query.until)
        ):
            for group in groups_of(row, query.by):
                found.setdefault(group, []).append(row)
    return {group: sums_of(own) for group, own in found.items()}


def groups_of(row: LedgerRow, by: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    tags = [f"{name}={value}" for name, value in row.tags.items()] if "tag" in by else [""]
    fields = {**msgspec.structs.asdict(row), "org": row.org_id, "key": row.key_id}
    moment = datetime.fromtimestamp(row.time, UTC)
    for name, form in (("hour", "%Y-%m-%dT%H:00:00Z"), ("day", "%Y-%m-%d"), ("month", "%Y-%m")):
        fields[name] = moment.strftime(form)
    for tag in tags:
        yield tuple(tag if name == "tag" else fields[name] for name in by)


def added(values: Iterator[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def sums_of(rows: Sequence[LedgerRow]) -> dict[str, int | None]:
    return {
        "requests": len(rows),
        "unpriced": sum(row.cost_nano_usd is None for row in rows),
        "cost_nano_usd": added(row.cost_nano_usd for row in rows),
        "saved_nano_usd": added(
            None
            if row.cost_nano_usd is None or row.asked_cost_nano_usd is None
            else row.asked_cost_nano_usd - row.cost_nano_usd
            for row in rows
        ),
        "routed": sum(row.route is not None for row in rows),
        "shadowed": sum(row.shadow_route is not None for row in rows),
        "shadow_saved_nano_usd": added(
            None
            if row.cost_nano_usd is None or row.shadow_cost_nano_usd is None
            else row.cost_nano_usd - row.shadow_cost_nano_usd
            for row in rows
        ),
        **{name: added(getattr(row.usage, name) for row in rows) for name in BUCKETS},
    }


def sums(total: Total) -> dict[str, int | None]:
    fields = (
        "requests", "unpriced", "cost_nano_usd", "saved_nano_usd", "routed", "shadowed", "shadow_saved_nano_usd",
    )  # fmt: skip
    return {
        **{name: getattr(total, name) for name in fields},
        **{name: getattr(total.usage, name) for name in BUCKETS},
    }


def check(books: Books, rows: Sequence[LedgerRow], query: ReportQuery) -> None:
    """The report of the query is what one adds up by hand."""
    with books.reports() as reports:
        report = reports.report(query)
    names = [{"org": "org_id", "key": "key_id"}.get(name, name) for name in query.by]
    groups = {tuple(total.group[name] for name in names): sums(total) for total in report.groups}
    if query.by:
        assert len(groups) == len(report.groups)
        assert groups == brute(rows, query)
    everything = brute(rows, msgspec.structs.replace(query, by=()))
    assert sums(report.total) == everything.get((), {**sums_of([])})


DIMENSIONS: Final = ("org", "key", "tag", "model_asked", "model", "provider", "route", "shadow_route", "status", "usage_source", "hour", "day", "month")  # fmt: skip


@pytest.mark.anyio
async def test_a_report_is_the_sum_of_its_rows(books: Books) -> None:
    """By each dimension and several, of one organisation and of one key, for any stretch of time: as if every row had
    been added up by hand."""
    rows = various(800)
    await filled(books, rows)
    pick = random.Random(3)
    for dimension in DIMENSIONS:
        check(books, rows, ReportQuery(by=(dimension,)))
    for _ in range(60):
        start = NOW + pick.choice((pick.uniform(-1, 2.6), pick.randrange(-24, 60) / 24)) * 86400
        end = start + pick.choice((0.0, pick.uniform(0, 2.6) * 86400, 3600.0 * pick.randrange(50)))
        query = ReportQuery(
            by=tuple(pick.sample(DIMENSIONS, pick.randrange(4))),
            org_id=pick.choice((None, None, "org_1")),
            key_id=pick.choice((None, None, None, "key_11")),
            since=pick.choice((None, start)),
            until=pick.choice((None, end)),
        )
        check(books, rows, query)


def rows_of_any_kind() -> st.SearchStrategy[list[LedgerRow]]:
    amount = st.none() | st.integers(0, 10**12)
    printable = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=3)  # as tags are
    return st.lists(
        st.builds(
            made,
            time=st.floats(0, 4_000_000_000),
            key_id=st.sampled_from(("key_1", "key_2")),
            tags=st.dictionaries(printable, printable, max_size=3),
            model_asked=st.text(max_size=5),
            status=st.integers(200, 599),
            usage=st.builds(Usage, **dict.fromkeys(BUCKETS, amount)),
            cost_nano_usd=amount,
            asked_cost_nano_usd=amount,
            route=st.none() | st.text(min_size=1, max_size=5),
            shadow_cost_nano_usd=amount,
            policies=st.lists(st.text(max_size=5), max_size=3).map(tuple),
        ),
        max_size=30,
    )


@pytest.fixture(scope="session")
def shared_books(make: Callable[[Path], Books], tmp_path_factory: pytest.TempPathFactory) -> Books:
    """A store for all examples of a property; each is an organisation of its own."""
    return make(tmp_path_factory.mktemp("books"))


@pytest.mark.anyio
@settings(max_examples=25)
@given(rows=rows_of_any_kind())
async def test_rows_of_any_kind_add_up(shared_books: Books, rows: list[LedgerRow]) -> None:
    """Whatever stands in the rows (text of any kind, amounts that are missing, zero or huge, times from 1970 to 2096),
    each is in the ledger and in the sums."""
    org_id = ids.new("org", NOW)
    rows = [msgspec.structs.replace(row, org_id=org_id) for row in rows]
    await filled(shared_books, rows)
    with shared_books.reports() as reports:
        assert list(reports.rows(org_id=org_id)) == rows
    for by in ((), ("status",), ("key", "day"), ("tag",), ("model_asked", "hour")):
        check(shared_books, rows, ReportQuery(by=by, org_id=org_id))


@pytest.mark.anyio
async def test_an_export_goes_on_where_it_ended(books: Books) -> None:
    """Behind any row come those that came later, each once; a call that began before it and ended after it is not
    missed; what is added meanwhile comes at the end."""
    rows = various(50)  # their times are in no order
    await filled(books, rows)
    with books.reports() as reports:
        for place, row in enumerate(rows):
            assert list(reports.rows(after=row.id)) == rows[place + 1 :]
        assert list(reports.rows(org_id="org_2")) == [row for row in rows if row.org_id == "org_2"]
        since, until = NOW + 86400, NOW + 2 * 86400
        assert list(reports.rows(since=since, until=until)) == [
            row for row in rows if since <= row.time < until
        ]
        reading = reports.rows(after=rows[-2].id)
        assert next(reading) == rows[-1]
        await filled(books, late := [made(NOW - 86400)])
        assert list(reports.rows(after=rows[-1].id)) == late


@pytest.mark.anyio
async def test_a_rebuild_of_what_is_right_changes_nothing(books: Books) -> None:
    """It says that no sum was wrong."""
    rows = various(200)
    await filled(books, rows)
    with books.reports() as reports:
        assert set(reports.rebuild().values()) == {0}
    check(books, rows, ReportQuery(by=("key", "tag")))
