"""What every journal guarantees (`ports.Journal`)."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from llmgw.canonical import Usage
from tests.contracts.books import BOOKS, NOW, Books, died, made, rows_of, scope, used
from tests.provider import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture(params=BOOKS)
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Books:
    """A new store."""
    return BOOKS[request.param](request)(tmp_path)


def nothing() -> None:
    """Nobody waits for the row."""


ODD: Final[tuple[dict[str, Any], ...]] = (
    {"usage": Usage(), "cost_nano_usd": None, "usage_source": "estimated", "status": 499, "error": "client_closed_request"},
    {"usage": Usage(input=0, cache_read=0, cache_write_5m=0, cache_write_1h=0, input_audio=0, output=0, reasoning=0, output_audio=0), "cost_nano_usd": 0},
    {"cost_nano_usd": 10**15, "asked_cost_nano_usd": 10**15, "usage": Usage(input=10**12)},
    {"tags": {}, "route": "cheap", "attempts": 7, "streamed": True, "first_token_ms": 0, "price_version": "2026-11-01"},
    {"tags": {"a\"b": "c'd\n\u2028=\u00e9\U0001f600"}, "model_asked": "x\\y/\u00fc", "error": "", "request_id": "\x7f"},
)  # fmt: skip


async def test_a_row_comes_into_the_ledger_as_it_was(books: Books) -> None:
    """Every field, None apart from zero, and text that is special to JSON or SQL."""
    rows = [made(NOW + n, **fields) for n, fields in enumerate(ODD)]
    with books.running() as server:
        for row in rows:
            server.journal.open(made(row.time, **died(row)))
            server.journal.append(row, nothing)
        await server.settled()
    assert rows_of(books) == rows


async def test_whoever_waits_is_told_on_the_event_loop(books: Books) -> None:
    """Once for each row, in the loop's own thread, and not before `append` has returned."""
    told = []
    with books.running() as server:
        for n in range(50):
            server.journal.append(made(NOW + n), lambda n=n: told.append((n, threading.get_ident())))  # type: ignore[misc]
        assert told == []
        await eventually(lambda: len(told) >= 50)
    assert told == [(n, threading.get_ident()) for n in range(50)]


async def test_one_who_fails_takes_nothing_from_the_others(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback that raises is logged; those behind it are called."""
    told = []

    def broken() -> None:
        raise RuntimeError("no counter")

    with books.running() as server:
        server.journal.append(made(), broken)
        server.journal.append(made(), lambda: told.append(1))
        await eventually(lambda: told)
    assert "no counter" in caplog.text


async def test_a_row_that_is_repeated_is_one_row(books: Books) -> None:
    """At once, when it is safe, when it is in the ledger, and by the next process: the first one stays; whoever waits is
    told each time."""
    row, told = made(), []
    for _ in range(2):
        with books.running() as server:
            for _ in range(2):
                server.journal.open(row)
                server.journal.append(row, lambda: told.append(1))
            await eventually(lambda: len(told) % 3 == 2)
            await server.settled()
            server.journal.append(made(row.time, id=row.id, status=502), lambda: told.append(1))
            await eventually(lambda: len(told) % 3 == 0)
            await server.settled()
            assert await used(server, scope("org", "org_1"), "requests", 0) == 1
    assert rows_of(books) == [row]
    assert len(told) == 6


async def test_a_call_that_never_ended_is_in_the_ledger(books: Books) -> None:
    """As it was opened, as soon as the next process runs; one that did end is there as it ended."""
    ended, lost = made(NOW), made(NOW + 1)
    with books.running() as server:
        for row in (ended, lost):
            server.journal.open(made(row.time, **died(row)))
        server.journal.append(ended, nothing)
        await server.settled()
    with books.running() as server:
        assert await used(server, scope("key", "key_1"), "requests", 0) == 2
        await server.settled()
    assert rows_of(books) == [ended, made(lost.time, **died(lost))]


async def test_a_long_call_outlives_many_short_ones(books: Books) -> None:
    """However much is written while a call is open, and whatever of it is thrown away, its opened row is kept."""
    lost = made(NOW, **died(made(NOW)))
    with books.running() as server:
        server.journal.open(lost)
        for n in range(20_000):
            row = made(NOW + n / 100, tags={"filler": "x" * 400})
            server.journal.open(row)
            server.journal.append(row, nothing)
            if n % 500 == 0:
                await asyncio.sleep(0.01)
        await server.settled()
    with books.running() as server:
        await server.settled()
        assert await used(server, scope("org", "org_1"), "requests", 0) == 20_001
    assert lost in rows_of(books)


async def test_a_store_that_is_locked_holds_nobody_up(books: Books) -> None:
    """While another process holds the store for seconds, rows are safe as fast as ever and the loop goes round; after
    it they are all in the ledger. It is told that the ledger is behind, and that it is no more."""
    told = 0
    slowest_s = 0.0

    def count() -> None:
        nonlocal told
        told += 1

    with books.running() as server:
        with books.locked():
            began = time.monotonic()
            appended = 0
            while server.journal.degraded is None:
                assert time.monotonic() - began < 10, "it never said that the ledger is behind"
                for _ in range(10):
                    server.journal.open(row := made(NOW + appended / 100))
                    server.journal.append(row, count)
                    appended += 1
                before = time.monotonic()
                await asyncio.sleep(0.005)
                slowest_s = max(slowest_s, time.monotonic() - before)
            assert server.journal.degraded == "ledger"
            await eventually(lambda: told == appended)
            assert server.journal.waiting == appended
            assert await used(server, scope("org", "org_1"), "requests", 0) == appended
            assert rows_of(books) == []
        await server.settled()
        assert await used(server, scope("org", "org_1"), "requests", 0) == appended
        await eventually(lambda: server.journal.degraded is None)
    assert len(rows_of(books)) == appended
    assert slowest_s < 1.0, "the event loop waited for the store"


LOOP: Final = """
import asyncio, os
from llmgw import ids

def say(word, id):
    os.write(1, f"{word} {id}\\n".encode())

async def main():
    with books.running(segment_bytes=100_000) as server:
        print("ready", flush=True)
        n = 0
        while True:
            n += 1
            row = made(1_790_000_000 + n / 1000)
            lost = made(row.time, id=row.id, status=500)
            server.journal.open(lost)
            say("opened", row.id)
            if n % 7:
                server.journal.append(row, lambda id=row.id: say("safe", id))
                # Accepted for good by the loop's next turn.
                asyncio.get_running_loop().call_soon(say, "ended", row.id)
            if n % 50 == 0:
                await asyncio.sleep(0.001)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_process_that_is_killed_loses_nothing(books: Books) -> None:
    """At whatever moment: each call that was accepted is in the ledger once, by its end if that was accepted, and else
    as it was opened; nothing else is."""
    random.seed(4)
    opened: set[str] = set()
    ended: set[str] = set()
    for _ in range(12):
        child = books.child(LOOP)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        killer = threading.Timer(random.uniform(0.0, 0.4), child.send_signal, [signal.SIGKILL])
        killer.start()
        said = [line.split() for line in child.stdout.read().decode().splitlines()]
        child.stdout.close()
        child.wait()
        opened |= {id for word, id in said if word == "opened"}
        ended |= {id for word, id in said if word == "ended"}
        assert {id for word, id in said if word == "safe"} <= ended
    with books.running() as server:
        await server.settled()
        count = await used(server, scope("org", "org_1"), "requests", 0)
    rows = rows_of(books)
    assert len(opened) > 1_000
    assert count == len(rows)
    assert Counter(row.id for row in rows).most_common(1)[0][1] == 1
    statuses = {row.id: row.status for row in rows}
    # A call may have been accepted and the process killed before it could say so: one for each time.
    assert opened <= set(statuses)
    assert len(set(statuses) - opened) <= 12
    assert all(statuses[id] == 200 for id in ended)
    # A turn of the loop has 50 calls.
    assert sum(status == 200 for status in statuses.values()) - len(ended) <= 12 * 50
