"""The journal on a disk that spoils lines, fills up and says no, and in front of a store that is swapped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmgw.errors import DependencyUnavailable, StoreUnavailable
from llmgw.ports import Journal, LedgerRow
from llmgw.spool import segments
from llmgw.spool.lines import DAY_S, encode
from llmgw.spool.segments import Position, Spool
from llmgw.standalone.journal import folder_beside
from tests.contracts.books import NOW, SqliteBooks, died, made, rows_of, scope, used
from tests.provider import eventually, wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture
def books(tmp_path: Path) -> SqliteBooks:
    """A new store."""
    return SqliteBooks(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where segments go."""
    path = tmp_path / "x.db.journal"
    path.mkdir()
    return path


def nothing() -> None:
    """Nobody waits for the row."""


async def restarted(books: SqliteBooks) -> list[LedgerRow]:
    """The ledger after one more process has run."""
    with books.running() as server:
        await server.settled()
    return list(rows_of(books))


def left_behind(books: SqliteBooks, rows: list[LedgerRow], lost: LedgerRow) -> Path:
    """A journal as a killed process leaves it: `rows` ended, `lost` under way and then ended; its one segment."""
    folder = folder_beside(books.path)
    folder.mkdir(exist_ok=True)
    lines = [line for row in rows for line in (segments.opened(encode(row)), segments.closed(encode(row)))]
    lines += [segments.opened(encode(made(**died(lost), time=lost.time))), segments.closed(encode(lost))]
    path = segments.segment_path(folder, 1)
    path.write_bytes(b"".join(lines))
    return path


async def test_a_last_line_that_is_torn_anywhere_is_set_aside(tmp_path: Path) -> None:
    """Cut at each of its bytes: every line before it counts, the call whose end it was is there as it was opened, and
    what is left of the line is kept beside the segment."""
    rows, lost = [made(NOW + n) for n in range(3)], made(NOW + 9)
    opened = made(lost.time, **died(lost))
    length = len(segments.closed(encode(lost)))
    for cut in (*range(1, 14), *range(14, length, 29), length - 1, length):
        case = tmp_path / str(cut)
        case.mkdir()
        books = SqliteBooks(case)
        path = left_behind(books, rows, lost)
        whole = path.read_bytes()
        path.write_bytes(whole[:-cut])
        with books.running() as server:
            await server.settled()
            assert server.journal.torn == (cut < length)
        assert rows_of(books) == [*rows, opened]
        kept = path.with_suffix(".torn")
        assert (kept.read_bytes() if kept.exists() else b"") == whole[len(whole) - length : -cut]


async def test_spoilt_lines_anywhere_cost_no_other(books: SqliteBooks) -> None:
    """Bytes changed in the middle, a line of zeros, and garbage without an end: the rest is read."""
    rows, lost = [made(NOW + n) for n in range(20)], made(NOW + 99)
    path = left_behind(books, rows, lost)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b"openai", b"0penai")  # the end of the third call
    lines[8] = b"\0" * 3000 + b"\n"  # the beginning of the fifth
    lines[11] = b"zzzzzzzz" + lines[11][8:]  # the end of the sixth
    path.write_bytes(b"".join(lines) + os.urandom(50_000).replace(b"\n", b""))
    found = await restarted(books)
    assert found == [row for n, row in enumerate(rows) if n not in (2, 5)] + [lost, rows[2], rows[5]]
    assert path.with_suffix(".torn").stat().st_size > 53_000


async def test_a_journal_that_is_read_twice_counts_once(books: SqliteBooks) -> None:
    """The same segments again, after the store has their rows: no row and no sum changes."""
    rows, lost = [made(NOW + n) for n in range(50)], made(NOW + 99)
    path = left_behind(books, rows, lost)
    copy = path.read_bytes()
    assert await restarted(books) == [*rows, lost]
    for number in (1, 7, 1000):
        folder = folder_beside(books.path)
        segments.segment_path(folder, number).write_bytes(copy)
        with books.running() as server:
            await server.settled()
            assert await used(server, scope("org", "org_1"), "usd", 0) == 51 * 1_000
        assert rows_of(books) == [*rows, lost]


async def test_nothing_is_left_of_a_process_that_ended_well(books: SqliteBooks) -> None:
    """Its rows are in the store and its segments gone; the folder is for its owner alone."""
    with books.running() as server:
        server.journal.append(made(), nothing)
    folder = folder_beside(books.path)
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(rows_of(books)) == 1


async def test_segments_go_when_their_rows_are_in_the_store(books: SqliteBooks) -> None:
    """However many calls, and however long one of them takes, a few segments stay; those of a locked store all do."""
    folder = folder_beside(books.path)
    with books.running(segment_bytes=20_000) as server:
        server.journal.open(made(NOW - 1, **died(made(NOW - 1))))
        for locked in (True, False):
            with books.locked() if locked else contextlib.nullcontext():
                for n in range(500):
                    server.journal.open(row := made(NOW + n))
                    server.journal.append(row, nothing)
                    if n % 100 == 0:
                        await asyncio.sleep(0.02)
                assert not locked or len(segments.segments(folder)) > 10
            await server.settled()
            await eventually(lambda: len(segments.segments(folder)) <= 2)
    assert len(rows_of(books)) == 1_000
    assert len(await restarted(books)) == 1_001


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def until_refused(journal: Journal, rows: list[LedgerRow]) -> int:
    """Open calls as long as that is possible; how many."""
    for number, row in enumerate(rows):
        try:
            journal.open(row)
        except DependencyUnavailable:
            return number
    return len(rows)


async def test_a_full_disk_refuses_calls_and_loses_none(tmp_path: Path, small_disk: Path) -> None:
    """When nothing more can be written, no call begins; those under way end, and their rows are written when there is
    room again. Whoever waits for them is told then."""
    books = SqliteBooks(tmp_path)
    folder_beside(books.path).symlink_to(small_disk)
    told, rows = [], [made(NOW + n) for n in range(1_000)]
    with books.running() as server, books.locked():
        (small_disk / "filler").write_bytes(b"\0" * 150_000)
        rows = rows[: until_refused(server.journal, rows)]
        assert 50 < len(rows) < 1_000
        for row in rows:
            server.journal.append(row, lambda id=row.id: told.append(id))  # type: ignore[misc]
        await eventually(lambda: server.journal.degraded == "journal")
        assert await used(server, scope("org", "org_1"), "requests", 0) == len(rows)
        with pytest.raises(DependencyUnavailable):
            server.journal.open(made())
        (small_disk / "filler").unlink()
        await eventually(lambda: len(told) == len(rows))
        server.journal.open(last := made())
        server.journal.append(last, nothing)
        assert await used(server, scope("org", "org_1"), "requests", 0) == len(rows) + 1
        assert server.journal.degraded in (None, "ledger")
    assert sorted(told) == sorted(row.id for row in rows)
    assert await restarted(books) == [*rows, last]


def test_half_a_line_is_taken_back(folder: Path) -> None:
    """A write that the disk takes in part leaves the segment as it was; the next line stands where it should."""
    disk = Spool(folder, 1)
    line = segments.opened(encode(made()))
    disk.write(line)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(line) + 100, hard))
        with pytest.raises(OSError, match="large"):
            disk.write(line)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    disk.write(segments.closed(encode(made())))
    assert segments.recover(folder, Position(0, 0))._replace(died=[]) == (1, [], 1, 0)
    disk.close()


def descriptor_of(path: Path) -> int:
    """The number under which this process has the file open."""
    links = Path("/proc/self/fd").iterdir()
    return next(int(link.name) for link in links if link.is_symlink() and link.readlink() == path)


@contextlib.contextmanager
def unsyncable(path: Path) -> Iterator[None]:
    """For a while, what this process writes to the open file is lost, and the kernel says so when it is to be synced:
    the file is a pipe then."""
    file = descriptor_of(path)
    kept = os.dup(file)
    reading, writing = os.pipe()
    os.dup2(writing, file)
    try:
        yield
    finally:
        os.dup2(kept, file)
        for descriptor in (kept, reading, writing):
            os.close(descriptor)


async def test_a_sync_that_fails_has_the_rows_written_again(books: SqliteBooks) -> None:
    """A disk that says no to a sync may have lost what it was given: no call begins until it is written anew, and nobody
    is told before that."""
    told = []
    with books.running() as server:
        server.journal.open(open_row := made(NOW, **died(made(NOW))))
        with unsyncable(segment(books)):
            server.journal.append(ended := made(NOW + 1), lambda: told.append(1))
            await eventually(lambda: server.journal.degraded == "journal")
            assert told == []
            with pytest.raises(DependencyUnavailable):
                server.journal.open(made())
        await eventually(lambda: told == [1])
        await eventually(lambda: server.journal.degraded is None)
        server.journal.open(made(open_row.time, id="call_next"))
        await server.settled()
    assert sorted(row.id for row in await restarted(books)) == sorted([open_row.id, ended.id, "call_next"])


async def test_a_sync_behind_one_that_failed_says_nothing(
    books: SqliteBooks, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel reports a lost write once, and the next sync succeeds: what was not synced is written again all the
    same before anybody is told."""
    told = []
    with books.running() as server:
        path = segment(books)
        with unsyncable(path):
            server.journal.append(made(NOW), lambda: told.append(1))
            await asyncio.sleep(0)
            wait_until(lambda: "not synced" in caplog.text)  # and the event loop stands still
        server.journal.append(made(NOW + 1), lambda: told.append(2))
        await asyncio.sleep(0)
        wait_until(lambda: len(rows_of(books)) == 1)  # the second: it was synced
        assert told == []
        await eventually(lambda: told == [1, 2])
        assert segment(books) != path
        await server.settled()
    assert len(rows_of(books)) == 2


def segment(books: SqliteBooks) -> Path:
    """The file that lines go to now."""
    folder = folder_beside(books.path)
    return segments.segment_path(folder, segments.segments(folder)[-1])


async def test_a_store_that_is_taken_away_gets_its_rows_when_it_is_back(books: SqliteBooks) -> None:
    """Deleted under a running server: rows wait. Brought back as it was: they are there, those from before too, and no
    sum is wrong; counters can be read again."""
    rows = [made(NOW + n) for n in range(30)]
    backup = books.path.with_name("backup.db")
    with books.running() as server:
        for row in rows[:10]:
            server.journal.append(row, nothing)
        await server.settled()
        with sqlite3.connect(books.path) as source, sqlite3.connect(backup) as target:
            source.backup(target)
        source.close()
        target.close()
        for row in rows[10:20]:  # after the backup: the journal has them still
            server.journal.append(row, nothing)
        await server.settled()
        for suffix in ("", "-wal", "-shm"):
            books.path.with_name(books.path.name + suffix).unlink(missing_ok=True)
        for row in rows[20:]:
            server.journal.append(row, nothing)
        with pytest.raises(DependencyUnavailable):
            await server.ledger.used(scope("org", "org_1"), "requests", 0)
        await eventually(lambda: server.journal.degraded == "ledger", timeout_s=10)
        shutil.copy(backup, books.path)
        await eventually(lambda: len(rows_of(books)) == 30, timeout_s=10)
        assert await used(server, scope("org", "org_1"), "requests", 0) == 30
    assert rows_of(books) == rows


async def test_rows_that_are_too_old_go(books: SqliteBooks) -> None:
    """Whole days of them, a piece at a time, while others arrive; the sums of reports stay, and a rebuild leaves those
    of what has gone alone."""
    today = time.time() // DAY_S * DAY_S
    old = [made(today - 3 * DAY_S + n) for n in range(1_200)]
    new = [made(today - n) for n in range(0, 2 * DAY_S, 7_200)]
    with books.running() as server:
        for row in [*old, *new]:
            server.journal.append(row, nothing)
        await server.settled()
    with books.running(retention_s=2 * DAY_S) as server:
        await eventually(lambda: len(rows_of(books)) <= len(new), timeout_s=20)
        assert await used(server, scope("org", "org_1"), "requests", 0) == 1_200 + len(new)
    assert rows_of(books) == new
    with books.reports() as reports:
        assert set(reports.rebuild().values()) == {0}
    with books.running() as server:
        assert await used(server, scope("org", "org_1"), "requests", 0) == 1_200 + len(new)


async def test_a_line_that_is_no_row_stops_nothing(books: SqliteBooks) -> None:
    """Whole, and yet no row, or with an amount that no call has: it is set aside, and those behind it are taken."""
    rows, lost = [made(NOW + n) for n in range(4)], made(NOW + 9)
    path = left_behind(books, rows, lost)
    absurd = made(NOW + 5, cost_nano_usd=10**30)
    with path.open("ab") as file:
        file.write(segments.closed(b'["call_x",1]') + segments.closed(encode(absurd)))
    row = made(NOW + 20)
    with books.running() as server:
        server.journal.append(row, nothing)
        await server.settled()
        assert await used(server, scope("org", "org_1"), "requests", 0) == 6
    assert rows_of(books) == [*rows, lost, row]
    assert absurd.id.encode() in path.with_suffix(".torn").read_bytes()


def test_a_folder_that_cannot_be_written_is_said_at_the_start(books: SqliteBooks) -> None:
    """In one sentence, before any call is taken."""
    folder_beside(books.path).write_text("no folder")
    with pytest.raises(StoreUnavailable, match="journal"), books.running():
        pass


def test_a_reader_leaves_out_what_the_store_has(folder: Path) -> None:
    """From any place, across segments, in pieces of any size, every closed call comes once and in order."""
    disk = Spool(folder, 3)
    payloads = []
    for n in range(60):
        payloads.append(encode(made(NOW + n)))
        disk.write(segments.opened(payloads[-1]))
        disk.write(segments.closed(payloads[-1]))
        if n % 25 == 24:
            disk.rotate(segments.opened(b"[1]"))
    disk.write(segments.opened(b"[2]"))
    for size in (100, 1_000, 7_777, 10**6):
        found, place = [], Position(0, 0)
        while place != disk.end:
            lines, place = segments.read(folder, place, disk.end, size)
            found += lines
        assert found == payloads
    assert segments.read(folder, Position(99, 5), disk.end, 10**6)[0] == payloads[:25], (
        "a store from elsewhere"
    )
    disk.close()


def test_the_journal_is_one_that_people_can_read(folder: Path) -> None:
    """A line is a checksum, a letter and JSON; other programs can check it."""
    line = segments.closed(encode(made()))
    done = subprocess.run(
        [sys.executable, "-c", "import json,sys,zlib; l=sys.stdin.buffer.readline()[:-1]; assert int(l[:8],16)==zlib.crc32(l[9:]); print(json.loads(l[11:])[6])"],
        input=line, capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stdout == b"key_1\n"
