"""The registry on Postgres: many writers at once, and a server that is frozen, away or read-only."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import asyncpg
import msgspec
import pytest

from llmgw.cluster.blocking import StoreUnreachable
from llmgw.cluster.registry import PostgresRegistry
from llmgw.control import credentials, keys, orgs
from llmgw.errors import AlreadyExists, StoreUnavailable
from llmgw.secret import Secret
from tests.cluster.conftest import Stored
from tests.provider import eventually


def test_many_writers_never_meet_half_way(stored: Stored) -> None:
    """Whatever they write, in transactions or not, in whatever order: nobody fails, and all of it is there."""
    with stored.registry() as registry:
        both = [
            key for key in (registry.key(stored.key.id, None), registry.key(stored.other.id, None)) if key
        ]

    def write(number: int) -> None:
        with stored.registry() as registry:
            for turn in range(10):
                first, second = both if number % 2 else both[::-1]
                if number % 3:
                    with registry.transaction():
                        registry.update_key(msgspec.structs.replace(first, updated_at=float(turn)))
                        registry.update_key(msgspec.structs.replace(second, updated_at=float(turn)))
                        orgs.create(registry, f"org-{number}-{turn}")
                else:
                    registry.update_key(msgspec.structs.replace(first, updated_at=float(turn)))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, range(6)))
    with stored.registry() as registry:
        assert len(registry.orgs(None, 1000)) == 1 + 4 * 10


@pytest.mark.anyio
async def test_every_write_is_announced_with_its_commit(stored: Stored) -> None:
    """Whoever listens hears the store's new number, once it can be read, whatever table was written."""
    heard: list[int] = []
    listener = await asyncpg.connect(stored.url)
    await listener.add_listener("llmgw", lambda *said: heard.append(int(said[3])))
    try:
        with stored.registry() as registry:
            for write in (
                lambda: orgs.create(registry, "globex"),
                lambda: credentials.set_(
                    registry, stored.kms, org="globex", name="openai", secret=Secret("sk")
                ),
                lambda: keys.rotate(registry, stored.key.id),
                lambda: credentials.delete(registry, "openai", org="globex"),
            ):
                write()
                newest = stored.server.execute("SELECT value FROM revision", stored.database)[0][0]
                await eventually(lambda newest=newest: heard[-1:] == [newest])  # type: ignore[misc]
    finally:
        await listener.close()


def test_what_a_transaction_has_read_holds(stored: Stored) -> None:
    """Two who each make a name that both have found free: one makes it, the other finds it taken."""

    def make(_: int) -> bool:
        with stored.registry() as registry, registry.transaction():
            if registry.org("new") is not None:
                return False
            orgs.create(registry, "new")
            return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(make, range(4))) == [False, False, False, True]


def test_a_name_that_is_taken_does_not_spoil_the_transaction(stored: Stored) -> None:
    """Who catches AlreadyExists goes on, as with the standalone store."""
    with stored.registry() as registry:
        with registry.transaction():
            orgs.create(registry, "one")
            with pytest.raises(AlreadyExists):
                keys.create(registry, org="acme", name="key")
            orgs.create(registry, "two")
        assert registry.org("one") is not None
        assert registry.org("two") is not None


@pytest.mark.slow
def test_commands_hear_in_time_that_the_store_is_away(stored: Stored) -> None:
    """Frozen or gone: one sentence within five seconds, and the same registry serves when it is back."""
    with stored.registry() as registry:
        stored.server.freeze()
        began = monotonic()
        with pytest.raises(StoreUnreachable, match="does not answer"):
            registry.orgs(None, 10)
        assert monotonic() - began < 6
        stored.server.thaw()
        assert len(registry.orgs(None, 10)) == 1
        stored.server.kill()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                registry.orgs(None, 10)
        stored.server.start()
        assert len(registry.orgs(None, 10)) == 1
        orgs.create(registry, "back")


@pytest.mark.slow
def test_a_writer_that_was_frozen_gives_its_locks_back(stored: Stored) -> None:
    """A process that stands still in the middle of a transaction does not keep the others waiting for ever."""
    with stored.registry() as stuck, stored.registry() as other:
        held = stuck.transaction()
        held.__enter__()
        began = monotonic()
        with pytest.raises(StoreUnavailable, match="did not come to an end in time"):
            orgs.create(other, "one")
        assert monotonic() - began < 6
        deadline = began + 20
        while True:
            try:
                orgs.create(other, "one")
                break
            except StoreUnavailable:
                assert monotonic() < deadline
        with pytest.raises(StoreUnavailable):
            held.__exit__(None, None, None)


def test_rights_that_are_missing_are_told(stored: Stored) -> None:
    """With the server's own words."""
    stored.server.execute("REVOKE SELECT ON orgs FROM llmgw", stored.database)
    stored.server.execute("ALTER TABLE orgs OWNER TO postgres", stored.database)
    with PostgresRegistry(stored.url) as registry, pytest.raises(StoreUnavailable, match="permission denied"):
        registry.org(os.urandom(4).hex())
