"""The panic switch of a cluster: known everywhere within a second, whatever is down, and never lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.cluster.panic import ClusterPanicSwitch, ClusterPanicWatch, newest, path_in
from llmgw.cluster.postgres import Postgres
from llmgw.cluster.redis import Redis
from llmgw.control import panic
from llmgw.errors import StoreUnavailable
from llmgw.rules.panic import Entry
from llmgw.stock.panic import State, encode
from tests import servers
from tests.cluster.conftest import Stored
from tests.provider import eventually

pytestmark = pytest.mark.anyio

SOON_S = 1.5
"""A second, and what a busy machine adds."""


class Site:
    """Redis, Postgres, and a folder for each machine."""

    def __init__(self, folder: Path, redis: servers.Redis, stored: Stored) -> None:
        self.folder = folder
        self.redis = redis
        self.postgres = stored.server
        self.url = stored.url
        self.database = stored.database

    def path(self, machine: str) -> Path:
        folder = self.folder / machine
        folder.mkdir(exist_ok=True)
        return path_in(folder)

    def switch(self, machine: str = "operator") -> ClusterPanicSwitch:
        return ClusterPanicSwitch(self.path(machine), self.redis.url, self.url)

    def turn_on(self, scope: str = "all", machine: str = "operator") -> None:
        panic.on(self.switch(machine), scope, "block", reason="r", actor="a", now=1.0)

    def turn_off(self, scope: str | None = None, machine: str = "operator") -> None:
        panic.off(self.switch(machine), scope, reason="r", actor="a")

    @contextlib.asynccontextmanager
    async def node(self, machine: str) -> AsyncIterator[ClusterPanicWatch]:
        redis, postgres = Redis(self.redis.url), Postgres(self.url, size=2)
        watch = await asyncio.to_thread(ClusterPanicWatch(self.path(machine), redis, postgres).__enter__)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run()) for run in (redis.run, postgres.run, watch.run)]
            yield watch
            assert not any(task.done() for task in tasks)
            for task in tasks:
                task.cancel()


@pytest.fixture
def site(redis: servers.Redis, stored: Stored, tmp_path: Path) -> Site:
    return Site(tmp_path, redis, stored)


def scopes(watch: ClusterPanicWatch) -> list[str]:
    return [entry.text for entry in watch.entries]


FAULTS: dict[str, Callable[[Site], object]] = {
    "nothing": lambda site: None,
    "redis killed": lambda site: site.redis.kill(),
    "redis frozen": lambda site: site.redis.freeze(),
    "postgres killed": lambda site: site.postgres.kill(),
    "postgres frozen": lambda site: site.postgres.freeze(),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_it_is_known_everywhere_within_a_second(site: Site, fault: str) -> None:
    """On and off again, while a store is away; the command itself takes a second or so at most. Nodes that begin then
    know it from the first moment."""
    async with site.node("one") as one, site.node("two") as two:
        FAULTS[fault](site)
        began = monotonic()
        await asyncio.to_thread(site.turn_on, "provider:openai")
        assert monotonic() - began < 4
        for watch in (one, two):
            await eventually(lambda watch=watch: scopes(watch) == ["provider:openai"], timeout_s=SOON_S)  # type: ignore[misc]
        async with site.node("late") as late:
            assert scopes(late) == ["provider:openai"]
            await asyncio.to_thread(site.turn_off)
            for watch in (one, two, late):
                await eventually(lambda watch=watch: scopes(watch) == [], timeout_s=SOON_S)  # type: ignore[misc]


async def test_with_both_stores_away_it_is_for_one_machine_and_says_so(site: Site) -> None:
    """Its node stops; the others hear of it as soon as one of the stores is back."""
    async with site.node("one") as one, site.node("two") as two:
        site.redis.kill()
        site.postgres.kill()
        with pytest.raises(StoreUnavailable, match="for this machine only") as caught:
            await asyncio.to_thread(site.turn_on, "all", "one")
        assert "Redis" in str(caught.value) and "postgresql://" in str(caught.value)
        await eventually(lambda: scopes(one) == ["all"], timeout_s=SOON_S)
        async with site.node("one") as again:
            assert scopes(again) == ["all"]
        assert scopes(two) == []
        await asyncio.to_thread(site.postgres.start)
        await eventually(lambda: scopes(two) == ["all"], timeout_s=SOON_S + 1)
        await asyncio.to_thread(site.redis.start)
        await asyncio.to_thread(site.postgres.kill)
        await eventually(lambda: site.switch().read() != (), timeout_s=SOON_S + 1)


async def test_a_store_that_has_forgotten_is_told(site: Site) -> None:
    """Redis that came back empty, Postgres of yesterday's backup."""
    await asyncio.to_thread(site.turn_on)
    async with site.node("one") as watch:
        with site.redis.client() as client:
            client.flushall()
            await eventually(lambda: client.keys("*panic*"), timeout_s=SOON_S)
        site.postgres.execute("DELETE FROM panic", site.database)
        await eventually(
            lambda: site.postgres.execute("SELECT 1 FROM panic", site.database), timeout_s=SOON_S
        )
        assert scopes(watch) == ["all"]
        (site.folder / "one" / "panic").write_bytes(b"no such document \xff")
        await eventually(lambda: b'"all"' in (site.folder / "one" / "panic").read_bytes(), timeout_s=SOON_S)
        assert scopes(watch) == ["all"]


async def test_two_operators_at_once_both_have_what_they_want(site: Site) -> None:
    """Many times, from machines that know nothing of each other."""
    names = [f"provider:p{n}" for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: site.turn_on(name, f"machine-{name[-1]}"), names))
    assert sorted(entry.text for entry in site.switch().read()) == names


async def test_who_did_it_is_on_record(site: Site) -> None:
    await asyncio.to_thread(site.turn_on, "org:acme")
    await asyncio.to_thread(site.turn_off)
    rows = site.postgres.execute(
        "SELECT actor, did, scope, reason FROM panic_changes ORDER BY id", site.database
    )
    assert [tuple(row) for row in rows] == [
        ("a", "on block", "org:acme", "r"),
        ("a", "off", "everything", "r"),
    ]


async def test_a_spoilt_file_stops_a_node_that_can_ask_nobody(site: Site) -> None:
    """And no other: what a store says goes before it."""
    site.path("one").write_bytes(encode(State())[:-3])
    site.redis.kill()
    site.postgres.freeze()
    watch = ClusterPanicWatch(site.path("one"), Redis(site.redis.url), Postgres(site.url))
    await asyncio.to_thread(watch.load)
    assert [entry.reason for entry in watch.entries] == ["the panic file cannot be read"]
    site.postgres.thaw()
    async with site.node("one") as spoilt:
        assert [entry.scope for entry in spoilt.entries] == ["all"]
        site.path("one").write_bytes(encode(State()))
        await eventually(lambda: scopes(spoilt) == [], timeout_s=SOON_S)
    site.path("one").write_bytes(encode(State())[:-3])
    await asyncio.to_thread(site.turn_on, "provider:p")
    watch = ClusterPanicWatch(site.path("one"), Redis(site.redis.url), Postgres(site.url))
    await asyncio.to_thread(watch.load)
    assert scopes(watch) == ["provider:p"]


def states() -> st.SearchStrategy[State]:
    entry = st.builds(
        Entry,
        scope=st.just("provider"),
        name=st.sampled_from("ab"),
        action=st.sampled_from(("block", "passthrough")),
        reason=st.sampled_from("xy"),
        actor=st.just("a"),
        since=st.sampled_from((1.0, 2.0)),
        cut=st.booleans(),
    )
    entries = st.lists(entry, max_size=2, unique_by=lambda one: one.name)
    ordered = entries.map(lambda those: tuple(sorted(those, key=lambda one: (one.since, one.text))))
    return st.builds(State, ordered, st.integers(0, 2))


@given(one=states(), two=states(), three=states())
def test_the_same_comes_of_states_in_any_order(one: State, two: State, three: State) -> None:
    """So all nodes end with the same, whatever they saw first; and nothing that is on in the newest goes off."""
    assert newest(one, one) == one
    assert newest(one, two) == newest(two, one)
    assert newest(newest(one, two), three) == newest(one, newest(two, three))
    top = max(one.number, two.number)
    wanted = {entry.text for state in (one, two) if state.number == top for entry in state.entries}
    assert {entry.text for entry in newest(one, two).entries} == wanted
