"""The servers and the relay do what they say, for other tests rest on it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import asyncpg
import pytest

from tests.provider import wait_until
from tests.servers import Postgres, Redis, Relay
from tests.servers.guard import tree

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]


async def answers(url: str, timeout_s: float = 0.5) -> bool:
    """Whether a query comes back."""
    try:
        connection = await asyncpg.connect(url, timeout=timeout_s)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    try:
        return bool(await connection.fetchval("SELECT 1", timeout=timeout_s))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    finally:
        connection.terminate()


async def test_each_database_is_new(postgres: Postgres, database: str) -> None:
    """It belongs to the role of an installation, which is no superuser; what one has the next has not."""
    connection = await asyncpg.connect(postgres.url(database))
    await connection.execute("CREATE TABLE one (a int)")
    assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    await connection.close()
    other = postgres.database()
    assert postgres.execute("SELECT 1 FROM pg_tables WHERE tablename = 'one'", other) == []
    postgres.drop(other)


prepared = 0


def prepare(url: str) -> None:
    global prepared
    prepared += 1
    asyncio.run(_table(url))


async def _table(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE prepared AS SELECT 42 AS answer")
    await connection.close()


def test_a_database_is_prepared_once(postgres: Postgres) -> None:
    """Those that are made the same way are copies of one that was, and have their own tables."""
    for _ in range(3):
        name = postgres.database(prepare)
        assert postgres.execute("DELETE FROM prepared RETURNING answer", name)[0][0] == 42
        postgres.drop(name)
    assert prepared == 1


async def test_frozen_postgres_takes_connections_and_does_not_answer(
    postgres: Postgres, database: str
) -> None:
    """Those that are open hang as well, for their processes have stopped too; thawed, they go on."""
    connection = await asyncpg.connect(postgres.url(database))
    postgres.freeze()
    with socket.create_connection(postgres.address, timeout=1):
        pass
    assert not await answers(postgres.url(database))
    waiting = asyncio.create_task(connection.fetchval("SELECT 1"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    postgres.thaw()
    assert await waiting == 1
    await connection.close()
    assert await answers(postgres.url(database))


async def test_killed_postgres_comes_back_with_its_data(postgres: Postgres, database: str) -> None:
    """None of its processes is left; at the same port it has again what was written."""
    connection = await asyncpg.connect(postgres.url(database))
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS a")
    processes = tree(postgres.pid)
    assert len(processes) > 2
    postgres.kill()
    assert not await answers(postgres.url(database))
    await wait_until_gone(processes)
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()
    postgres.start()
    assert postgres.execute("SELECT a FROM kept", database)[0][0] == 1


async def wait_until_gone(processes: list[int]) -> None:
    for process in processes:
        wait_until(lambda process=process: not running(process))  # type: ignore[misc]


def running(process: int) -> bool:
    """Whether it is there, and more than an entry that its parent has not read yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_what_a_test_did_is_made_good(postgres_process: Postgres, redis_process: Redis) -> None:
    """A server that was left frozen, killed, changed or full is as new."""
    postgres_process.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    postgres_process.freeze()
    postgres_process.reset()
    assert postgres_process.execute("SHOW default_transaction_read_only")[0][0] == "off"
    postgres_process.kill()
    postgres_process.reset()
    with redis_process.client() as redis:
        redis.set("a", "b")
        redis.config_set("maxmemory", "1mb")
    redis_process.freeze()
    redis_process.reset()
    with redis_process.client() as redis:
        assert redis.get("a") is None
        assert redis.config_get("maxmemory") == {"maxmemory": "0"}
    redis_process.kill()
    redis_process.reset()


def test_another_postgres_has_its_own_settings(postgres: Postgres) -> None:
    """As many connections as a test wants there to be."""
    with postgres.another({"max_connections": "7"}) as other:
        assert other.port != postgres.port
        assert other.execute("SHOW max_connections")[0][0] == "7"


def test_redis_frozen_and_killed(redis: Redis) -> None:
    """Frozen it takes connections and says nothing; killed it refuses them; started again it is empty."""
    with redis.client() as before:
        before.set("a", "b")
    redis.freeze()
    with socket.create_connection(redis.address, timeout=0.2) as frozen:
        frozen.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            frozen.recv(1)
    redis.thaw()
    with redis.client() as thawed:
        assert thawed.get("a") == b"b"
    redis.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(redis.address, timeout=0.2)
    redis.start()
    with redis.client() as again:
        assert again.get("a") is None


def test_servers_end_with_a_test_process_that_is_killed() -> None:
    """Frozen ones too, and all their processes; their folders go as well."""
    code = """
from tests.servers import Postgres, Redis
from tests.servers.guard import tree
with Postgres.running() as postgres, Redis.running() as redis:
    postgres.freeze()
    print(postgres.folder, redis.folder, *tree(postgres.pid), *tree(redis.pid), flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdin is not None
    first, second, *processes = process.stdout.readline().split()
    assert len(processes) > 3
    assert all(running(int(one)) for one in processes)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    wait_until(lambda: not any(running(int(one)) for one in processes))
    wait_until(lambda: not any(os.path.exists(folder) for folder in (first, second)))  # noqa: PTH110


class Echo:
    """Blocking connections to a relay."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._relay.port), timeout=2)

    def round_trip_s(self, connection: socket.socket) -> float:
        began = monotonic()
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        return monotonic() - began


@pytest.fixture
def relay(redis: Redis) -> Iterator[Relay]:
    """In front of Redis."""
    with Relay(redis.address) as relay:
        yield relay


def test_a_relay_delays_in_both_directions(relay: Relay) -> None:
    """A round trip takes twice the delay longer, on connections that were open before too."""
    echo = Echo(relay)
    with echo.connect() as connection:
        assert echo.round_trip_s(connection) < 0.2
        relay.delay_s = 0.2
        assert 0.4 <= echo.round_trip_s(connection) < 1
        relay.restore()
        assert echo.round_trip_s(connection) < 0.2
    wait_until(lambda: relay.connections == 0)


def test_what_is_delayed_comes_in_order_and_not_one_after_another(relay: Relay) -> None:
    """Pieces travel at the same time, as on a long line."""
    with Echo(relay).connect() as connection:
        connection.sendall(b"PING\r\n")
        connection.recv(100)
        relay.delay_s = 0.3
        began = monotonic()
        for number in range(5):
            connection.sendall(b"*2\r\n$4\r\nECHO\r\n$1\r\n%d\r\n" % number)
        answer = b""
        while len(answer) < 5 * len(b"$1\r\n0\r\n"):
            answer += connection.recv(100)
        assert answer == b"".join(b"$1\r\n%d\r\n" % number for number in range(5))
        assert monotonic() - began < 1.2


def test_a_relay_refuses_and_cuts(relay: Relay) -> None:
    """What is open stays when new connections are refused, until it is cut by a reset; all is well afterwards."""
    echo = Echo(relay)
    with echo.connect() as connection:
        echo.round_trip_s(connection)
        relay.refuse()
        with pytest.raises(ConnectionRefusedError):
            echo.connect()
        echo.round_trip_s(connection)
        relay.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    relay.restore()
    with echo.connect() as connection:
        echo.round_trip_s(connection)
    assert relay.accepted == 2


def test_nothing_passes_a_black_hole(relay: Relay) -> None:
    """Neither on open connections nor on new ones, which are made; what was sent arrives in the end."""
    echo = Echo(relay)
    with echo.connect() as connection:
        echo.round_trip_s(connection)
        relay.black_hole()
        with echo.connect() as another:
            for one in (connection, another):
                one.settimeout(0.2)
                one.sendall(b"PING\r\n")
                with pytest.raises(TimeoutError):
                    one.recv(1)
            relay.restore()
            for one in (connection, another):
                one.settimeout(2)
                assert one.recv(100) == b"+PONG\r\n"


def test_a_relay_leaves_nothing_behind(redis: Redis) -> None:
    """Whatever its connections are in the middle of when it ends: half made, held up, closing, cut."""
    for turn in range(20):
        with Relay(redis.address) as relay:
            connections = [Echo(relay).connect() for _ in range(5)]
            connections[0].sendall(b"PING\r\n")
            if turn % 3 == 0:
                relay.black_hole()
            connections[1].sendall(b"PING\r\n" * 1000)
            connections[2].close()
            if turn % 2:
                relay.cut()
            late = Echo(relay).connect()
        for connection in (*connections, late):
            connection.close()
    gc.collect()  # an open socket that nobody holds is a warning, and so an error


def test_the_end_of_a_connection_passes(relay: Relay) -> None:
    """A relay adds nothing to how connections end."""
    with Echo(relay).connect() as connection:
        connection.sendall(b"QUIT\r\n")
        assert connection.recv(100) == b"+OK\r\n"
        assert connection.recv(100) == b""
