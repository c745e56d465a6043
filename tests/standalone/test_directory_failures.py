"""What the directory does while its SQLite file is gone, garbage, locked, hung or damaged in part."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tracemalloc
from pathlib import Path
from time import monotonic

import pytest

from llmgw.control import keys
from llmgw.errors import DependencyUnavailable, IntegrityError, StoreUnavailable
from llmgw.keyring import virtual_key
from llmgw.secret import Secret
from llmgw.standalone.directory import SqliteDirectory
from llmgw.standalone.registry import SqliteRegistry
from llmgw.stock.directory import ABSENT_LIMIT, DEADLINE_S
from tests.provider import eventually
from tests.standalone.conftest import SECRET, Stored, process

pytestmark = pytest.mark.anyio

PATIENCE_S = DEADLINE_S + 0.25
"""The deadline, and what a busy machine adds to it."""


async def down(directory: SqliteDirectory) -> None:
    """Wait until the directory has noticed."""
    await eventually(lambda: directory.degraded == "store")


async def up(directory: SqliteDirectory) -> None:
    """Wait until the directory has noticed that the store is back."""
    await eventually(lambda: directory.degraded is None)


async def check_while_down(directory: SqliteDirectory, stored: Stored) -> None:
    """Known is served, unknown is 503 and nothing waits longer than the deadline."""
    for _ in range(3):
        began = monotonic()
        known = await directory.key(stored.key.public_id)
        assert known is not None and known.id == stored.key.id
        assert await directory.credential(stored.org_id, "openai") == Secret(SECRET)
        for public_id in (stored.other.public_id, "0" * 12):
            with pytest.raises(DependencyUnavailable):
                await directory.key(public_id)
        with pytest.raises(DependencyUnavailable):
            await directory.credential(stored.org_id, "anthropic")
        await directory.probe()
        assert monotonic() - began < PATIENCE_S


async def check_well(directory: SqliteDirectory, stored: Stored) -> None:
    """Everything is answered from the store."""
    await up(directory)
    other = await directory.key(stored.other.public_id)
    assert other is not None and other.id == stored.other.id
    assert await directory.key("0" * 12) is None


async def test_a_file_that_is_moved_away_and_back(stored: Stored) -> None:
    """An open file lives on after its name is gone; that is an outage all the same, until it returns."""
    async with stored.directory() as directory:
        away = stored.path.rename(stored.path.with_suffix(".away"))
        await down(directory)
        await check_while_down(directory, stored)
        away.rename(stored.path)
        await check_well(directory, stored)


async def test_a_file_that_is_replaced_by_garbage(stored: Stored) -> None:
    """Bytes that are no database are an outage, not an empty store."""
    async with stored.directory() as directory:
        good = stored.path.rename(stored.path.with_suffix(".good"))
        stored.path.write_bytes(os.urandom(65536))
        await down(directory)
        await check_while_down(directory, stored)
        good.rename(stored.path)
        await check_well(directory, stored)


async def test_a_file_that_is_replaced_by_an_empty_one(stored: Stored) -> None:
    """SQLite takes an empty file for a database without tables; no key is thereby unknown."""
    async with stored.directory() as directory:
        good = stored.path.rename(stored.path.with_suffix(".good"))
        stored.path.touch()
        await down(directory)
        await check_while_down(directory, stored)
        good.rename(stored.path)
        await check_well(directory, stored)


async def test_a_store_without_a_revision_is_down(stored: Stored) -> None:
    """A hand that emptied the table stops neither the server nor the checks: they go on and see it mended."""
    async with stored.directory() as directory:
        connection = sqlite3.connect(stored.path)
        with connection:
            connection.execute("DELETE FROM revision")
        await down(directory)
        await check_while_down(directory, stored)
        with connection:
            connection.execute("INSERT INTO revision VALUES (1, 1)")
        connection.close()
        await check_well(directory, stored)


async def test_a_restored_backup_is_in_force(stored: Stored) -> None:
    """A file put in place of the old one is read, though its revision may be the very same."""
    backup = stored.path.with_suffix(".backup")
    with sqlite3.connect(stored.path) as source, sqlite3.connect(backup) as target:
        source.backup(target)
        target.execute("UPDATE orgs SET name = 'renamed'")
        target.execute("UPDATE revision SET value = (SELECT value FROM revision) - 1")
    for connection in (source, target):
        connection.close()
    async with stored.directory() as directory:
        backup.replace(stored.path)
        deadline = monotonic() + 1
        while True:
            record = await directory.key(stored.key.public_id)
            assert record is not None
            if record.org == "renamed":
                break
            assert monotonic() < deadline
            await asyncio.sleep(0.01)


async def test_known_keys_are_served_for_a_bounded_time(stored: Stored) -> None:
    """A store that stays away makes known keys 503 in the end, never 401; its return makes them work."""
    async with stored.directory(stale_s=0.6) as directory:
        away = stored.path.rename(stored.path.with_suffix(".away"))
        await down(directory)
        assert await directory.key(stored.key.public_id) is not None

        async def refused() -> bool:
            try:
                assert await directory.key(stored.key.public_id) is not None
                assert await directory.credential(stored.org_id, "openai") is not None
            except DependencyUnavailable:
                return directory.known(stored.key.public_id) is None
            return False

        deadline = monotonic() + 5
        while not await refused():
            assert monotonic() < deadline
            await asyncio.sleep(0.01)
        away.rename(stored.path)
        await up(directory)
        assert await directory.key(stored.key.public_id) is not None


async def test_a_writer_does_not_disturb_readers(stored: Stored) -> None:
    """While another process holds the write lock, keys at hand and keys not at hand are answered as ever."""
    code = f"""
import sqlite3
sqlite3.connect({str(stored.path)!r}).execute("BEGIN EXCLUSIVE"); print("held", flush=True); input()
"""
    async with stored.directory() as directory:
        with process(code):
            for _ in range(3):
                await check_well(directory, stored)
                assert await directory.key(os.urandom(6).hex()) is None
                await asyncio.sleep(0.1)


async def test_a_read_that_hangs_holds_no_one_up(stored: Stored) -> None:
    """SQLite waits for these locks without regard to the busy time-out, as it does for a disk that hangs.

    The loop goes on turning, callers hear in time, and when the lock is gone everything is as before.
    """
    code = f"""
import fcntl
# The locks of the WAL index (https://sqlite.org/walformat.html, section 2.2.3: bytes 120 to 127).
index = open({str(stored.path) + "-shm"!r}, "r+b"); fcntl.lockf(index, fcntl.LOCK_EX, 8, 120)
print("held", flush=True); input()
"""
    async with stored.directory() as directory:
        with process(code):
            began = monotonic()
            with pytest.raises(DependencyUnavailable):
                await directory.key(stored.other.public_id)
            assert monotonic() - began < PATIENCE_S
            await down(directory)
            await check_while_down(directory, stored)
            # A flood meanwhile is refused at once, and so piles nothing up.
            began = monotonic()
            answers = await asyncio.gather(
                *(directory.key(f"{number:012}") for number in range(2000)), return_exceptions=True
            )
            assert all(isinstance(answer, DependencyUnavailable) for answer in answers)
            assert monotonic() - began < 2
        await check_well(directory, stored)


async def test_a_damaged_row_fails_alone(stored: Stored) -> None:
    """A known key whose row cannot be understood any more is 503; the others are served, the store is up."""
    async with stored.directory() as directory:
        assert await directory.key(stored.other.public_id) is not None
        damage = sqlite3.connect(stored.path)
        damage.execute("PRAGMA ignore_check_constraints = ON")
        damage.execute("UPDATE virtual_keys SET models = '{' WHERE id = ?", [stored.key.id])
        damage.commit()
        damage.close()

        async def damaged() -> bool:
            try:
                await directory.key(stored.key.public_id)
            except DependencyUnavailable:
                return True
            return False

        deadline = monotonic() + 1
        while not await damaged():
            assert monotonic() < deadline
            await asyncio.sleep(0.01)
        assert await damaged()
        assert await directory.key(stored.other.public_id) is not None
        assert directory.degraded is None


async def test_a_tampered_credential_does_not_open(stored: Stored) -> None:
    """What was opened before does not outlive a change of its row by a second, and the probe tells."""
    async with stored.directory() as directory:
        assert await directory.probe() == {"local:1": "ok"}
        damage = sqlite3.connect(stored.path)
        damage.execute("UPDATE credentials SET sealed = zeroblob(length(sealed))")
        damage.commit()
        damage.close()

        async def refused() -> bool:
            try:
                await directory.credential(stored.org_id, "openai")
            except IntegrityError as error:
                return "openai" in str(error)
            return False

        deadline = monotonic() + 1
        while not await refused():
            assert monotonic() < deadline
            await asyncio.sleep(0.01)
        assert await directory.probe() == {"local:1": "failing"}
        assert directory.degraded is None


async def test_a_store_that_was_never_reached_is_told_on_entering(stored: Stored, tmp_path: Path) -> None:
    """A server does not start on no store, nor on one without a schema."""
    with pytest.raises(StoreUnavailable, match="llmgw init"), SqliteDirectory(tmp_path / "no.db", stored.kms):
        pass
    (tmp_path / "empty.db").touch()
    with (
        pytest.raises(StoreUnavailable, match="llmgw migrate up"),
        SqliteDirectory(tmp_path / "empty.db", stored.kms),
    ):
        pass


@pytest.mark.slow
async def test_made_up_keys_use_bounded_memory_and_push_out_no_real_one(stored: Stored) -> None:
    """Beyond the limit, more made-up keys take no more memory, and the real key stays at hand."""

    async def answered(name: str) -> None:
        while True:  # on a busy machine a read may miss its deadline; it is memory that is looked at here
            try:
                await directory.key(name)
            except DependencyUnavailable:
                await asyncio.sleep(0.05)
            else:
                return

    async def ask(first: int, last: int) -> None:
        for start in range(first, last, 50):
            await asyncio.gather(*(answered(f"{number:012}") for number in range(start, start + 50)))

    async with stored.directory() as directory:
        await ask(0, ABSENT_LIMIT + 2_000)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        await ask(ABSENT_LIMIT + 2_000, ABSENT_LIMIT + 6_000)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        # 4,000 entries are traced that were not when they replaced others: what stays below that is bounded.
        assert grown < 4_000 * 600
        await answered(stored.key.public_id)
        assert directory.known(stored.key.public_id) is not None


async def test_a_revoked_key_is_refused_during_a_flood_of_made_up_keys(stored: Stored) -> None:
    """Made-up keys do not hold up the refresh of a real one."""
    stop = asyncio.Event()

    async def flood(directory: SqliteDirectory) -> None:
        while not stop.is_set():
            names = [virtual_key.mint().public_id for _ in range(100)]
            await asyncio.gather(*(directory.key(name) for name in names), return_exceptions=True)

    async with stored.directory() as directory:
        flooding = asyncio.create_task(flood(directory))
        await asyncio.sleep(0)
        with SqliteRegistry(stored.path) as registry:
            await asyncio.to_thread(_revoke, stored)
            assert registry.key(stored.key.id, None) is not None
        deadline = monotonic() + 1
        while True:
            record = await directory.key(stored.key.public_id)
            assert record is not None
            if record.revoked_at is not None:
                break
            assert monotonic() < deadline
            await asyncio.sleep(0.01)
        stop.set()
        await flooding


def _revoke(stored: Stored) -> None:
    with SqliteRegistry(stored.path) as registry:
        keys.revoke(registry, stored.key.id)
