"""What the connections to Postgres do while it is well, frozen, killed, slow, full and read-only."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import monotonic

import asyncpg
import pytest

from llmgw.cluster.blocking import Blocking
from llmgw.cluster.failures import Unavailable
from llmgw.cluster.postgres import DEADLINE_S, Connection, Postgres
from llmgw.cluster.room import require_room
from llmgw.errors import StoreUnavailable
from tests import servers
from tests.provider import certificates, eventually
from tests.servers import Relay
from tests.servers.process import give, scratch

pytestmark = pytest.mark.anyio

BUSY_S = 0.5
"""What a busy machine adds to a deadline."""
BACK_S = 1.0
"""The promise: this long after the server answers again, calls do."""


@contextlib.asynccontextmanager
async def running(url: str, *, size: int = 4, deadline_s: float = DEADLINE_S) -> AsyncIterator[Postgres]:
    """A pool whose task runs."""
    pool = Postgres(url, size=size, deadline_s=deadline_s)
    async with started(pool):
        yield pool


@contextlib.asynccontextmanager
async def started(pool: Postgres) -> AsyncIterator[None]:
    task = asyncio.create_task(pool.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def refused(pool: Postgres, sql: str = "SELECT 1") -> tuple[Unavailable, float]:
    """Why a call fails, and after how long."""
    began = monotonic()
    with pytest.raises(Unavailable) as caught:
        await pool.fetch(sql)
    return caught.value, monotonic() - began


async def back(pool: Postgres) -> None:
    """Wait until calls are answered, as long as is promised."""
    began = monotonic()
    await eventually(lambda: pool.available)
    await pool.fetch("SELECT 1")
    assert monotonic() - began < BACK_S + BUSY_S


async def test_calls_share_a_few_connections(postgres: servers.Postgres, database: str) -> None:
    """However many are made at once; none is left when the pool's task ends."""
    async with running(postgres.url(database), size=3) as pool:
        rows = await asyncio.gather(*(pool.fetchrow("SELECT $1::int AS a", n) for n in range(200)))
        assert [row["a"] for row in rows if row is not None] == list(range(200))
        assert 1 <= len(sessions(postgres, database)) <= 3
    await eventually(lambda: not sessions(postgres, database))


def sessions(postgres: servers.Postgres, database: str) -> list[object]:
    """Who is connected to the database."""
    return postgres.execute("SELECT pid FROM pg_stat_activity WHERE datname = $1", "postgres", database)


async def test_a_mistaken_statement_says_nothing_of_the_server(
    postgres: servers.Postgres, database: str
) -> None:
    """What is wrong with it comes as it is, and the connection serves on."""
    async with running(postgres.url(database), size=1) as pool:
        with pytest.raises(asyncpg.UndefinedTableError):
            await pool.fetch("SELECT * FROM nowhere")
        assert pool.available
        assert await pool.fetch("SELECT 1")


async def test_a_transaction_that_is_not_ended_ends_with_its_call(
    postgres: servers.Postgres, database: str
) -> None:
    """The next call begins with nothing of it."""
    async with running(postgres.url(database), size=1) as pool:
        await pool.execute("CREATE TABLE t (a int)")

        async def half_done(connection: Connection) -> None:
            await connection.execute("BEGIN")
            await connection.execute("INSERT INTO t VALUES (1)")

        await pool.call(half_done)
        assert await pool.fetch("SELECT * FROM t") == []


async def test_one_who_stops_waiting_takes_nothing_from_the_others(
    postgres: servers.Postgres, database: str
) -> None:
    """Its connection is made anew for those who wait behind."""
    async with running(postgres.url(database), size=1) as pool:
        first = asyncio.create_task(pool.fetch("SELECT pg_sleep(0.1)"))
        others = [asyncio.create_task(pool.fetch("SELECT 1")) for _ in range(3)]
        await eventually(lambda: sessions(postgres, database))
        first.cancel()
        others[1].cancel()
        done = await asyncio.gather(*others, return_exceptions=True)
        assert [isinstance(answer, list) for answer in done] == [True, False, True]
        assert pool.available


async def test_a_statement_that_waits_for_a_lock_fails_alone(
    postgres: servers.Postgres, database: str
) -> None:
    """In time, by the server's own word; everybody else is served meanwhile, the connections are kept."""
    async with running(postgres.url(database)) as pool:
        await pool.execute("CREATE TABLE t (a int)")
        holder = await asyncpg.connect(postgres.url(database))
        await holder.execute("BEGIN; LOCK TABLE t")
        waiting = asyncio.create_task(refused(pool, "SELECT * FROM t"))
        while not waiting.done():
            assert await pool.fetch("SELECT 1")
            await asyncio.sleep(0.01)
        why, took = await waiting
        assert why.cause == "slow"
        assert took < DEADLINE_S + BUSY_S
        assert pool.available
        await holder.close()


async def test_too_many_at_once_is_no_outage(postgres: servers.Postgres, database: str) -> None:
    """Who finds no connection in time is told so, and the server is not taken for gone."""
    async with running(postgres.url(database), size=1) as pool:
        answers = await asyncio.gather(
            *(pool.fetch("SELECT pg_sleep(0.1)") for _ in range(6)), return_exceptions=True
        )
        causes = {answer.cause if isinstance(answer, Unavailable) else None for answer in answers}
        assert {None, "busy"} <= causes <= {None, "busy", "slow"}
        assert pool.available


async def test_a_read_over_a_broken_connection_is_repeated(postgres: servers.Postgres, database: str) -> None:
    """Once, on a new one: a server that is well has not failed anybody. What may write is not repeated."""
    async with running(postgres.url(database)) as pool:
        await asyncio.gather(*(pool.fetch("SELECT pg_sleep(0.01)") for _ in range(4)))
        for _ in range(3):
            break_connections(postgres, database)
            assert await pool.fetch("SELECT 1")
            assert pool.available
        break_connections(postgres, database)
        with pytest.raises(Unavailable) as caught:
            await pool.execute("SELECT 1")
        assert caught.value.cause == "lost"
        await back(pool)
        reading = [asyncio.create_task(pool.fetch("SELECT pg_sleep(0.1)")) for _ in range(4)]
        await asyncio.sleep(0.05)
        break_connections(postgres, database)
        await asyncio.gather(*reading)


def break_connections(postgres: servers.Postgres, database: str) -> None:
    """As the server's administrator, or a firewall, does. Blocks the loop: the pool has no time to notice."""
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", "postgres", database
    )


async def check_gone(pool: Postgres) -> None:
    """Nobody waits, and the reason is told."""
    assert pool.lost_since is not None
    for _ in range(20):
        why, took = await refused(pool)
        assert took < 0.05
        assert str(why).endswith(".")
    assert pool.lost is not None


async def test_frozen(postgres: servers.Postgres, database: str) -> None:
    """All who asked wait for one deadline at most, then nobody does; thawed, it is back at once."""
    async with running(postgres.url(database)) as pool:
        returned: list[float] = []
        pool.on_return.append(lambda: returned.append(monotonic()))
        assert await pool.fetch("SELECT 1")
        postgres.freeze()
        first = [asyncio.create_task(refused(pool)) for _ in range(50)]
        await asyncio.sleep(0.15)
        second = [asyncio.create_task(refused(pool)) for _ in range(50)]
        for why, took in await asyncio.gather(*first):
            assert took < DEADLINE_S + BUSY_S
            assert why.cause == "timeout"
        for _, took in await asyncio.gather(*second):
            assert took < DEADLINE_S - 0.15 + BUSY_S  # the first miss ends the waiting of all
        await check_gone(pool)
        await asyncio.sleep(1.5)
        await check_gone(pool)
        postgres.thaw()
        await back(pool)
        assert len(returned) == 1
        for _ in range(20):
            assert await pool.fetch("SELECT 1")


async def test_killed(postgres: servers.Postgres, database: str) -> None:
    """Calls fail at once with the reason; started again, it is back."""
    async with running(postgres.url(database)) as pool:
        assert await pool.fetch("SELECT 1")
        postgres.kill()
        _, took = await refused(pool)
        assert took < BUSY_S
        await check_gone(pool)
        await eventually(lambda: pool.lost is not None and pool.lost.cause == "unreachable")
        postgres.start()
        await back(pool)


async def test_slow(postgres: servers.Postgres, database: str) -> None:
    """An answer that takes five seconds is none, on open connections as on new ones."""
    with Relay(postgres.address) as relay:
        async with running(postgres.url(database, relay.port)) as pool:
            assert await pool.fetch("SELECT 1")
            relay.delay_s = 5.0
            _, took = await refused(pool)
            assert took < DEADLINE_S + BUSY_S
            await asyncio.sleep(0.5)
            await check_gone(pool)
            relay.restore()
            relay.cut()
            await back(pool)


async def test_a_slow_line_is_slow_and_no_outage(postgres: servers.Postgres, database: str) -> None:
    """A far server, whose connections take longer than a deadline to make, is used all the same."""
    with Relay(postgres.address) as relay:
        async with running(postgres.url(database, relay.port)) as pool:
            relay.delay_s = 0.05
            with contextlib.suppress(Unavailable):
                await pool.fetch("SELECT 1")
            await eventually(lambda: pool.available)
            for _ in range(3):
                assert await pool.fetchrow("SELECT 1")


async def test_a_line_that_went_dead_is_noticed_once(postgres: servers.Postgres, database: str) -> None:
    """A firewall that forgot the connections costs one deadline for all of them, not one for each."""
    with Relay(postgres.address) as relay:
        async with running(postgres.url(database, relay.port)) as pool:
            await asyncio.gather(*(pool.fetch("SELECT pg_sleep(0.01)") for _ in range(4)))
            relay.black_hole()
            _, took = await refused(pool)
            assert took < DEADLINE_S + BUSY_S
            relay.restore()
            await back(pool)
            for _ in range(8):
                assert await pool.fetch("SELECT 1")


async def test_flapping(postgres: servers.Postgres, database: str) -> None:
    """Gone and back again and again: each time in time, and no connection is left over."""
    with Relay(postgres.address) as relay:
        async with running(postgres.url(database, relay.port)) as pool:
            for _ in range(5):
                assert await pool.fetch("SELECT 1")
                relay.refuse()
                relay.cut()
                _, took = await refused(pool)
                assert took < DEADLINE_S + BUSY_S
                relay.restore()
                await back(pool)
            await asyncio.gather(*(pool.fetch("SELECT pg_sleep(0.01)") for _ in range(8)))
            assert len(sessions(postgres, database)) <= 4


@pytest.mark.parametrize("seed", range(3))
async def test_any_mixture_of_faults(postgres: servers.Postgres, database: str, seed: int) -> None:
    """Callers come and go while lines are cut, slow, held up and refused at random: no call takes longer than its
    deadline, and in the end there are as many connections as there should be, and all of them serve."""
    dice = random.Random(seed)
    longest = 0.0
    outcomes: Counter[str] = Counter()
    stop = False

    async def call(pool: Postgres) -> None:
        nonlocal longest
        while not stop:
            began = monotonic()
            try:
                async with asyncio.timeout(dice.choice([0.001, 0.01, 9, 9, 9])):
                    if dice.random() < 0.7:
                        await pool.fetch("SELECT pg_sleep($1)", dice.choice([0, 0, 0.001, 0.02]))
                    else:
                        await pool.execute("SELECT 1")
            except TimeoutError:
                outcomes["left"] += 1
            except Unavailable as why:
                outcomes[why.cause] += 1
                await asyncio.sleep(0.01)
            else:
                outcomes["answered"] += 1
            longest = max(longest, monotonic() - began)

    with Relay(postgres.address) as relay:
        async with running(postgres.url(database, relay.port), size=5) as pool:
            callers = [asyncio.create_task(call(pool)) for _ in range(30)]
            for _ in range(12):
                await asyncio.sleep(dice.uniform(0, 0.25))
                match dice.randrange(6):
                    case 0:
                        relay.cut()
                    case 1:
                        relay.refuse()
                    case 2:
                        relay.black_hole()
                    case 3:
                        relay.delay_s = dice.choice([0.01, 0.3, 5.0])
                    case _:
                        relay.restore()
            relay.restore()
            relay.cut()
            await asyncio.sleep(0.5)
            stop = True
            await asyncio.gather(*callers)
            await back(pool)
            await asyncio.gather(*(pool.fetch("SELECT pg_sleep(0.05)") for _ in range(20)))
            assert 1 <= relay.connections <= 5
            assert outcomes["answered"] > 100
            assert longest < DEADLINE_S + BUSY_S, outcomes


async def test_every_connection_taken(postgres: servers.Postgres) -> None:
    """By others: it is told apart from a server that is gone. Those that are held already serve on."""
    with postgres.another({"max_connections": "8", "superuser_reserved_connections": "3"}) as own:
        name = own.database()
        async with running(own.url(name)) as pool, running(own.url(name)) as late:
            assert await pool.fetch("SELECT 1")
            taken: list[Connection] = []
            with contextlib.suppress(asyncpg.TooManyConnectionsError):
                while True:
                    taken.append(await asyncpg.connect(own.url(name)))
            why, _ = await refused(late)
            assert why.cause == "full"
            assert "max_connections" in str(why)
            await check_gone(late)
            for answer in await asyncio.gather(*(pool.fetch("SELECT 1") for _ in range(20))):
                assert answer
            assert pool.available
            for connection in taken:
                await connection.close()
            await back(late)


async def test_read_only(postgres: servers.Postgres, database: str) -> None:
    """What is read is answered; what writes is told what is wrong, at once, and does not count as an outage."""
    async with running(postgres.url(database)) as pool:
        await pool.execute("CREATE TABLE t (a int)")
        postgres.execute(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", "postgres", database
        )
        assert await pool.fetch("SELECT 1")  # on a new connection, which has the new settings
        why, took = await refused(pool, "INSERT INTO t VALUES (1)")
        assert (why.cause, took < BUSY_S) == ("read_only", True)
        assert "primary" in str(why)
        assert pool.available
        assert await pool.fetch("SELECT * FROM t") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace("127.0.0.1", "no-such-host.invalid"), "host name is not known"),
        (lambda url: url + "_not_there", "does not exist"),
        (lambda url: url.replace("llmgw@", "nobody@"), "nobody"),
        (lambda url: url + "?sslmode=require", "TLS"),
        (
            lambda url: "postgresql://llmgw:hunter2@127.0.0.1:1/x",
            "postgresql://127.0.0.1:1/x cannot be reached",
        ),
    ],
    ids=["host", "database", "user", "tls", "port"],
)
async def test_what_is_wrong_is_said(
    postgres: servers.Postgres, database: str, change: Callable[[str], str], words: str
) -> None:
    """In a sentence without the password, for commands and for the server."""
    url = change(postgres.url(database))
    with Blocking(url) as blocking, pytest.raises(StoreUnavailable) as caught:
        blocking.run(_one)
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "hunter2" not in str(caught.value)
    pool = Postgres(url)
    with pytest.raises(Unavailable) as seen:
        await pool.fetch("SELECT 1")
    pool.close()
    assert str(seen.value) in str(caught.value)


def _one(connection: Connection) -> Awaitable[object]:
    return connection.fetchval("SELECT 1")


async def test_tls(postgres: servers.Postgres, tmp_path: Path) -> None:
    """A certificate that is not trusted is refused with the reason; the one that is makes an encrypted connection."""
    authority = certificates.make(tmp_path)
    pair = scratch() / "pair.pem"
    pair.write_bytes((tmp_path / "good.pem").read_bytes())
    pair.chmod(0o600)
    give(pair)
    with postgres.another({"ssl": "on", "ssl_key_file": str(pair), "ssl_cert_file": str(pair)}) as own:
        url = own.url("postgres").replace("127.0.0.1", "localhost") + "?sslmode=verify-full"
        authority_of_others = tmp_path / "self-signed.pem"
        with (
            Blocking(f"{url}&sslrootcert={authority_of_others}") as blocking,
            pytest.raises(StoreUnavailable, match="TLS"),
        ):
            blocking.run(_one)
        async with running(url + f"&sslrootcert={authority}", deadline_s=2) as pool:
            row = await pool.fetchrow("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            assert row is not None and row["ssl"]


async def test_notices_are_heard(postgres: servers.Postgres, database: str) -> None:
    """At once, and again after the line broke; who listens is called whenever something may have been missed."""
    heard = 0

    def hear() -> None:
        nonlocal heard
        heard += 1

    pool = Postgres(postgres.url(database))
    pool.listen("llmgw", hear)
    async with started(pool):
        await eventually(lambda: heard == 1)
        await pool.execute("NOTIFY llmgw, '2'")
        await eventually(lambda: heard == 2)
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", "postgres", database
        )
        await eventually(lambda: heard == 3)
        await eventually(lambda: pool.available)
        postgres.execute("SELECT pg_notify('llmgw', '3')", database)
        await eventually(lambda: heard == 4)


def test_commands_wait_no_longer_than_their_deadline(postgres: servers.Postgres, database: str) -> None:
    """For a frozen server, be it connected or not; afterwards the same object serves again."""
    with Blocking(postgres.url(database), deadline_s=0.5) as blocking:
        assert blocking.run(_one) == 1
        for _ in range(2):
            postgres.freeze()
            began = monotonic()
            with pytest.raises(StoreUnavailable, match="does not answer"):
                blocking.run(_one)
            assert monotonic() - began < 1
        postgres.thaw()
        assert blocking.run(_one) == 1


def test_a_transaction_waits_no_longer_than_its_deadline(postgres: servers.Postgres, database: str) -> None:
    """Frozen within a transaction, a server never answers that it was rolled back; nobody waits for that."""

    async def stall(connection: Connection) -> None:
        async with connection.transaction():
            postgres.freeze()
            await connection.fetchval("SELECT 1")

    with Blocking(postgres.url(database), deadline_s=0.5) as blocking:
        began = monotonic()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            blocking.run(stall)
        assert monotonic() - began < 2
        postgres.thaw()
        assert blocking.run(_one) == 1


def test_a_transaction_does_not_outlive_its_connection(postgres: servers.Postgres, database: str) -> None:
    """What comes after the break is not written alone; the next transaction is a new one."""
    with Blocking(postgres.url(database)) as blocking:
        blocking.run(lambda connection: connection.execute("CREATE TABLE t (a int)"))

        def write() -> None:
            blocking.run(lambda connection: connection.execute("INSERT INTO t VALUES (1)"))

        def broken() -> None:
            with blocking.transaction():
                write()
                postgres.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                    "postgres",
                    database,
                )
                with contextlib.suppress(StoreUnavailable):
                    write()
                write()

        with pytest.raises(StoreUnavailable):
            broken()
        assert postgres.execute("SELECT * FROM t", database) == []
        with blocking.transaction():
            write()
        assert len(postgres.execute("SELECT * FROM t", database)) == 1


def test_connections_are_counted_before_the_start(postgres: servers.Postgres) -> None:
    """More than the server, the role or the database allow is refused; more than is free is a warning."""
    with postgres.another({"max_connections": "20", "superuser_reserved_connections": "2"}) as own:
        name = own.database()
        with Blocking(own.url(name)) as blocking:
            assert require_room(blocking, 18) is None
            with pytest.raises(StoreUnavailable, match=r"allows 18 connections.* want 19"):
                require_room(blocking, 19)
            with Blocking(own.url(name)) as other:
                other.run(_one)
                assert "1 of which are taken" in (require_room(blocking, 18) or "")
            own.execute("ALTER ROLE llmgw CONNECTION LIMIT 9")
            with pytest.raises(StoreUnavailable, match="allows 9"):
                require_room(blocking, 10)
            own.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 5')
            with pytest.raises(StoreUnavailable, match="allows 5"):
                require_room(blocking, 6)
