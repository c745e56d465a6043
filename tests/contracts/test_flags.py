"""What every adapter of the port `Flags` keeps to, with the switch that operators turn beside it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from llmgw.cluster.blocking import Blocking
from llmgw.cluster.flags import PostgresFlags, PostgresFlagSwitch
from llmgw.cluster.postgres import Postgres as Pool
from llmgw.config.flags import Flag, Guard
from llmgw.errors import StoreUnavailable
from llmgw.rules.access import KeyRecord
from llmgw.rules.breaker import Outcome
from llmgw.rules.flags import Change, State
from llmgw.standalone import migrations, store
from llmgw.standalone.flags import SqliteFlags, SqliteFlagSwitch
from llmgw.stock.flags import StoredFlags
from tests.contracts.conftest import migrated
from tests.provider import eventually
from tests.servers import Postgres

pytestmark = pytest.mark.anyio

KEY: Final = KeyRecord(id="key_1", public_id="p", org_id="org_1", org="acme", name="app", terms=())
OTHER: Final = KeyRecord(id="key_2", public_id="q", org_id="org_2", org="other", name="app", terms=())
GUARD: Final = Guard(error_rate=0.5, latency_s=2.0, cost="0.01", min_calls=4)
FLAGS: Final[Mapping[str, Flag]] = {
    "off": Flag(),
    "on": Flag(default=True),
    "acme": Flag(orgs=("acme",)),
    "guarded": Flag(default=True, guard=GUARD),
}
SOON_S: Final = 1.0


class Said:
    """A provider elsewhere, as its port has it, that is as the test says."""

    def __init__(self) -> None:
        self.word: bool | None = None
        self.failing = False

    def last(self, name: str, key: KeyRecord, default: bool) -> bool:
        return default if self.word is None else self.word

    def share(self, name: str) -> float | None:
        return None if self.word is None else float(self.word)


Open = Callable[..., contextlib.AbstractAsyncContextManager[StoredFlags]]


class SqliteStore:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "llmgw.db"
        store.create(self._path)
        migrations.up(self._path)

    @contextlib.asynccontextmanager
    async def opened(
        self, settings: Mapping[str, Flag] = FLAGS, source: Said | None = None
    ) -> AsyncIterator[StoredFlags]:
        with SqliteFlags(self._path, settings, source) as flags:
            async with running(flags.run()):
                yield flags

    def switch(self) -> SqliteFlagSwitch:
        return SqliteFlagSwitch(self._path)

    @contextlib.contextmanager
    def held(self) -> Iterator[Callable[[str], object]]:
        """Nobody else writes; what runs SQL there meanwhile."""
        lock = sqlite3.connect(self._path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        yield lock.execute
        lock.execute("COMMIT")
        lock.close()

    def leave(self) -> None:
        self._path.rename(self._path.with_suffix(".away"))

    def come_back(self) -> None:
        self._path.with_suffix(".away").rename(self._path)


class PostgresStore:
    """A database."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._database = server.database(migrated)
        self._url = server.url(self._database)

    @contextlib.asynccontextmanager
    async def opened(
        self, settings: Mapping[str, Flag] = FLAGS, source: Said | None = None
    ) -> AsyncIterator[StoredFlags]:
        pool = Pool(self._url, size=2)
        with PostgresFlags(pool, settings, source) as flags:
            async with running(pool.run()), running(flags.run()):
                yield flags

    def switch(self) -> PostgresFlagSwitch:
        return PostgresFlagSwitch(self._url)

    @contextlib.contextmanager
    def held(self) -> Iterator[Callable[[str], object]]:
        """Nobody else writes; what runs SQL there meanwhile."""
        with Blocking(self._url) as blocking, blocking.transaction("SELECT value FROM revision FOR UPDATE"):
            yield lambda sql: blocking.run(lambda connection: connection.execute(sql))

    def leave(self) -> None:
        self._server.kill()

    def come_back(self) -> None:
        self._server.start()


Store = SqliteStore | PostgresStore
STORES: Final[dict[str, Callable[[pytest.FixtureRequest], Store]]] = {
    "sqlite": lambda request: SqliteStore(request.getfixturevalue("tmp_path")),
    "postgres": lambda request: PostgresStore(request.getfixturevalue("postgres")),
}


@contextlib.asynccontextmanager
async def running(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest) -> Store:
    """A new store."""
    return STORES[request.param](request)


@pytest.fixture
def opened(place: Store) -> Open:
    return place.opened


def said(flag: str, state: State, time: float = 1.0, orgs: tuple[str, ...] = ()) -> Change:
    return Change(flag=flag, state=state, orgs=orgs, actor="ann", reason="r", time=time)


def put(place: Store, change: Change) -> None:
    with place.switch() as switch:
        switch.put(change)


def changes(place: Store) -> dict[str, Change]:
    with place.switch() as switch:
        return {change.flag: change for change in switch.changes()}


def note(flags: StoredFlags, times: int, outcome: Outcome = "failure", name: str = "guarded") -> None:
    for _ in range(times):
        flags.note((name,), outcome, 1.0, None, 100.0)


async def test_the_configuration_holds_where_nobody_has_spoken(opened: Open) -> None:
    async with opened() as flags:
        assert [flags.is_on(name, KEY) for name in FLAGS] == [False, True, True, True]
        assert [flags.is_on(name, OTHER) for name in FLAGS] == [False, True, False, True]
        assert flags.is_on("unheard-of", KEY) is False
        assert flags.states() == {"off": 0.0, "on": 1.0, "acme": 0.0, "guarded": 1.0}
        assert flags.degraded is None


async def test_an_operators_word_is_in_force_within_a_second(opened: Open, place: Store) -> None:
    """On, off, for some, and cleared; in a process that starts, too."""
    async with opened() as flags:
        put(place, said("off", "on"))
        put(place, said("on", "off"))
        await eventually(lambda: flags.is_on("off", KEY) and not flags.is_on("on", KEY), SOON_S)
        put(place, said("off", "on", orgs=("acme",)))
        await eventually(lambda: not flags.is_on("off", OTHER), SOON_S)
        assert flags.is_on("off", KEY)
        async with opened() as second:
            assert second.is_on("off", KEY) and not second.is_on("on", KEY)
        put(place, said("off", "cleared"))
        await eventually(lambda: not flags.is_on("off", KEY), SOON_S)


async def test_what_is_set_lasts_over_a_new_configuration(opened: Open, place: Store) -> None:
    put(place, said("off", "on"))
    async with opened() as flags:
        flags.configure({"off": Flag(), "new": Flag(default=True)})
        assert flags.is_on("off", KEY) and flags.is_on("new", KEY) and not flags.is_on("on", KEY)


@pytest.mark.parametrize(
    ("outcome", "latency_s", "cost", "says"),
    [
        ("failure", 0.1, None, "error rate"),
        ("success", 2.5, None, "latency"),
        ("success", 0.1, 10**8, "cost"),
    ],
)
async def test_a_guard_turns_its_flag_off_for_good(
    opened: Open, place: Store, outcome: Outcome, latency_s: float, cost: int | None, says: str
) -> None:
    """At once, with the reason; over a restart; and until an operator turns it on, or clears it."""
    async with opened() as flags:
        for n in range(4):
            assert flags.is_on("guarded", KEY), n
            flags.note(("guarded",), outcome, latency_s, cost, 100.0)
        assert not flags.is_on("guarded", KEY) and flags.trips == {"guarded": 1}
        await eventually(lambda: "guarded" in changes(place), SOON_S)
        change = changes(place)["guarded"]
        assert (change.state, change.by, change.actor) == ("off", "guard", "guard")
        assert says in change.reason and change.time > 1_700_000_000
        note(flags, 10, "success")
        await asyncio.sleep(0.5)
        assert not flags.is_on("guarded", KEY)
    async with opened() as flags:
        assert not flags.is_on("guarded", KEY)
        put(place, said("guarded", "on"))
        await eventually(lambda: flags.is_on("guarded", KEY), SOON_S)
        note(flags, 3)
        assert flags.is_on("guarded", KEY)
        note(flags, 1)
        assert not flags.is_on("guarded", KEY) and flags.trips == {"guarded": 1}
        await eventually(lambda: changes(place)["guarded"].by == "guard", SOON_S)
        put(place, said("guarded", "cleared"))
        await eventually(lambda: flags.is_on("guarded", KEY), SOON_S)


async def test_many_late_failures_are_one_trip(opened: Open) -> None:
    """Calls that were under way when the guard spoke change nothing any more."""
    async with opened() as flags:
        note(flags, 500)
        assert flags.trips == {"guarded": 1}


async def test_a_flag_without_a_guard_stays_on(opened: Open) -> None:
    async with opened() as flags:
        note(flags, 500, name="on")
        note(flags, 500, name="unheard-of")
        assert flags.is_on("on", KEY) and flags.trips == {}


async def test_an_operators_word_goes_before_a_guards_of_calls_before_it(opened: Open, place: Store) -> None:
    """The guard has spoken, its word is not written yet, and the operator's is: his holds."""
    async with opened() as flags:
        await asyncio.sleep(0.3)
        with place.held() as execute:
            note(flags, 4)
            assert not flags.is_on("guarded", KEY)
            execute(
                "INSERT INTO flag_changes VALUES ('guarded', 'on', 0, '[]', '[]', 'operator', 'ann', 'it is fine', 5)"
            )
        await eventually(lambda: flags.is_on("guarded", KEY), SOON_S)
        await asyncio.sleep(0.5)
        assert changes(place)["guarded"].actor == "ann" and flags.is_on("guarded", KEY)


async def test_what_is_known_last_holds_while_the_store_is_away(opened: Open, place: Store) -> None:
    """Flags stay as they are, a guard still works, and its word is written when the store is back."""
    put(place, said("off", "on"))
    async with opened() as flags:
        place.leave()
        await asyncio.sleep(0.6)
        assert flags.is_on("off", KEY)
        note(flags, 4)
        await asyncio.sleep(0.6)
        assert not flags.is_on("guarded", KEY) and flags.is_on("off", KEY)
        place.come_back()
        await eventually(lambda: "guarded" in changes(place), SOON_S * 2)
        put(place, said("off", "off"))
        await eventually(lambda: not flags.is_on("off", KEY), SOON_S)


async def test_no_store_is_refused_at_the_start(opened: Open, place: Store) -> None:
    """Nobody would know what was set."""
    place.leave()
    with pytest.raises(StoreUnavailable):
        async with opened():
            pass


async def test_a_providers_word_goes_before_the_configuration(opened: Open, place: Store) -> None:
    """And behind an operator's and a guard's."""
    source = Said()
    async with opened(source=source) as flags:
        assert [flags.is_on(name, KEY) for name in ("off", "on")] == [False, True]
        source.word = True
        assert flags.is_on("off", KEY) and flags.states()["off"] == 1.0
        put(place, said("off", "off"))
        await eventually(lambda: not flags.is_on("off", KEY), SOON_S)
        note(flags, 4)
        assert not flags.is_on("guarded", KEY)
        source.failing = True
        assert flags.degraded == "flags"


async def test_other_keys_with_the_same_id_are_looked_at_anew(opened: Open) -> None:
    """A key that was changed is another record, and its answer is its own."""
    async with opened() as flags:
        assert flags.is_on("acme", KEY)
        moved = KeyRecord(id=KEY.id, public_id="p", org_id="org_2", org="other", name="app", terms=())
        assert not flags.is_on("acme", moved) and flags.is_on("acme", KEY)


async def test_a_trip_in_one_process_is_written_once_and_holds_in_the_others(place: Store) -> None:
    """Within a second; where two guards trip at once, one word is kept, and it is the same for both."""
    async with place.opened() as one, place.opened() as other:
        note(one, 4)
        await eventually(lambda: not other.is_on("guarded", KEY), SOON_S)
        assert other.trips == {}
        first = changes(place)["guarded"]
        await asyncio.sleep(0.5)
        assert changes(place)["guarded"] == first
        put(place, said("guarded", "on"))
        await eventually(lambda: one.is_on("guarded", KEY) and other.is_on("guarded", KEY), SOON_S)
        note(one, 4)
        note(other, 4)
        await eventually(lambda: changes(place)["guarded"].by == "guard", SOON_S)
        first = changes(place)["guarded"]
        await asyncio.sleep(0.5)
        assert changes(place)["guarded"] == first
