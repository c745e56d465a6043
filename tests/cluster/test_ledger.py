"""The ledger in Postgres while that is killed or frozen, and between several processes: every row once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from llmgw.cluster.lives import PostgresLives
from llmgw.cluster.postgres import Postgres
from llmgw.cluster.texts import from_store, to_store
from llmgw.errors import DependencyUnavailable
from llmgw.ports import ReportQuery
from tests import servers
from tests.contracts.books import NOW, PostgresBooks, made, rows_of, scope
from tests.provider import eventually

pytestmark = pytest.mark.anyio

Fault = Callable[[servers.Postgres], None]


@pytest.fixture
def books(postgres: servers.Postgres, tmp_path: Path) -> PostgresBooks:
    """A database, and the folder of a node."""
    return PostgresBooks(postgres, tmp_path)


def nothing() -> None:
    """Nobody waits for the row."""


FAULTS: dict[str, tuple[Fault, Fault]] = {
    "killed": (lambda server: server.kill(), lambda server: server.start()),
    "frozen": (lambda server: server.freeze(), lambda server: server.thaw()),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_rows_wait_while_it_is_away_and_are_in_it_once(
    books: PostgresBooks, postgres: servers.Postgres, fault: str
) -> None:
    """Calls go on, none waits; it is told that the ledger is behind, and that it is no more."""
    away, back = FAULTS[fault]
    with books.running() as server:
        rows = [made(NOW + n) for n in range(400)]
        for n, row in enumerate(rows):
            if n == 100:
                away(postgres)
            began = asyncio.get_running_loop().time()
            server.journal.open(row)
            server.journal.append(row, nothing)
            assert asyncio.get_running_loop().time() - began < 0.1
            if n % 50 == 0:
                await asyncio.sleep(0.05)
        await eventually(lambda: server.journal.degraded == "ledger", timeout_s=30)
        with pytest.raises(DependencyUnavailable):
            await server.ledger.used(scope("org", "org_1"), "requests", 0)
        back(postgres)
        await server.settled()
        await eventually(lambda: server.journal.degraded is None, timeout_s=10)
    assert rows_of(books) == rows


async def test_processes_of_one_node_have_folders_of_their_own(books: PostgresBooks) -> None:
    """Two at once, with rows of the same kinds: each row once, the sums right, and numbers in the order of arrival."""
    with books.running() as one, books.running() as other:
        assert one.journal.folder != other.journal.folder
        for n in range(300):
            for server in (one, other):
                server.journal.open(row := made(NOW + n))
                server.journal.append(row, nothing)
            if n % 20 == 0:
                await asyncio.sleep(0.01)
        await one.settled()
        await other.settled()
    with books.reports() as reports:
        total = reports.report(ReportQuery()).total
        assert (total.requests, total.cost_nano_usd) == (600, 600_000)
        assert set(reports.rebuild().values()) == {0}
    assert len({row.id for row in rows_of(books)}) == 600


async def test_the_rows_of_a_killed_process_are_its_successors(
    books: PostgresBooks, postgres: servers.Postgres, tmp_path: Path
) -> None:
    """Killed while the store was away: the next process of the node takes its folder, and what was open is closed."""
    go = tmp_path / "go"
    child = books.child(
        "import asyncio, os, time\n"
        "from llmgw import ids\n"
        "async def main():\n"
        "    with books.running() as server:\n"
        "        os.write(1, b'ready\\n')\n"
        f"        while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        "        for n in range(50):\n"
        "            server.journal.open(row := made())\n"
        "            if n: server.journal.append(row, lambda: None)\n"
        "        await asyncio.sleep(0.3)\n"
        "        os.write(1, b'written\\n')\n"
        "        time.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        postgres.freeze()
        go.touch()
        assert child.stdout.readline() == b"written\n"
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    postgres.thaw()
    with books.running() as server:
        await server.settled()
    rows = rows_of(books)
    assert len(rows) == 50 and len(list(books.folder.iterdir())) == 1


@pytest.mark.parametrize("text", ["", "a", "\0", "a\0b\ufdd0", "\ufdd01\0\ufdd00"])
def test_every_text_can_be_stored(text: str) -> None:
    """Also what Postgres does not take, and what stands for that."""
    assert "\0" not in to_store(text) and from_store(to_store(text)) == text


async def test_a_slot_is_used_first_once(books: PostgresBooks, postgres: servers.Postgres) -> None:
    """Of many who ask at once, one is told so; nobody ever again, and while the store is away nobody is told anything."""
    pool = Postgres(books.url, deadline_s=2.0)
    lives = PostgresLives(pool)
    found = await asyncio.gather(*(lives.first_use("org_1") for _ in range(20)))
    assert sorted(found) == [False] * 19 + [True]
    assert await lives.first_use("org_2") and not await lives.first_use("org_1")
    postgres.kill()
    with pytest.raises(DependencyUnavailable):
        await lives.first_use("org_3")
    pool.close()
