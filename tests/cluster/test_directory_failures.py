"""What directories do while Postgres is killed, frozen, slow, full, read-only or damaged in part; and the mirror."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable
from time import monotonic

import asyncpg
import msgspec
import pytest

from llmgw.cluster.directory import PostgresDirectory
from llmgw.cluster.postgres import DEADLINE_S, Connection, Postgres
from llmgw.control import credentials, keys, orgs
from llmgw.errors import DependencyUnavailable, IntegrityError, StoreUnavailable
from llmgw.keyring import envelope
from llmgw.keyring.ring import Keyring
from llmgw.kms.local import LocalKms
from llmgw.secret import Secret
from tests import servers
from tests.cluster.conftest import SECRET, Node, Stored
from tests.provider import eventually

pytestmark = pytest.mark.anyio

BUSY_S = 0.5
"""What a busy machine adds to a deadline."""
VISIBLE_S = 1.0
"""The promise: a change made by any process is seen, and a store that is back is noticed, within this time."""


@contextlib.asynccontextmanager
async def killed(stored: Stored) -> AsyncIterator[None]:
    stored.server.kill()
    yield
    stored.server.start()


@contextlib.asynccontextmanager
async def frozen(stored: Stored) -> AsyncIterator[None]:
    stored.server.freeze()
    yield
    stored.server.thaw()


@contextlib.asynccontextmanager
async def slow(stored: Stored) -> AsyncIterator[None]:
    stored.relay.delay_s = 5.0
    yield
    stored.relay.restore()
    stored.relay.cut()  # what is on its way would come five seconds later


@contextlib.asynccontextmanager
async def cut_off(stored: Stored) -> AsyncIterator[None]:
    stored.relay.black_hole()
    yield
    stored.relay.restore()


@contextlib.asynccontextmanager
async def full(stored: Stored) -> AsyncIterator[None]:
    """Every connection that the role may have is another's."""
    stored.server.execute("ALTER ROLE llmgw CONNECTION LIMIT 1")
    try:
        stored.relay.refuse()
        stored.relay.cut()
        taken: list[Connection] = []
        while not taken:
            with contextlib.suppress(asyncpg.TooManyConnectionsError):
                taken.append(await asyncpg.connect(stored.url))
        stored.relay.restore()
        yield
        await taken[0].close()
    finally:
        stored.server.execute("ALTER ROLE llmgw CONNECTION LIMIT -1")


FAULTS = [killed, frozen, slow, cut_off, full]


async def check_served(node: Node, stored: Stored) -> None:
    """What is known is served, what is not is 503, and none of it waits."""
    directory = node.directory
    for _ in range(10):
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
        assert monotonic() - began < 0.1
        assert directory.degraded == "store"


async def check_well(node: Node, stored: Stored) -> None:
    """Within the promised time, everything is answered from the store."""
    began = monotonic()
    await eventually(lambda: node.directory.degraded is None)
    other = await node.directory.key(stored.other.public_id)
    assert other is not None and other.id == stored.other.id
    assert await node.directory.key("0" * 12) is None
    assert monotonic() - began < VISIBLE_S + BUSY_S


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_outage(
    stored: Stored, fault: Callable[[Stored], contextlib.AbstractAsyncContextManager[None]]
) -> None:
    """Nobody waits longer than one deadline, after the first miss nobody waits, and no valid key is ever absent."""
    async with stored.knowing() as node:
        async with fault(stored):
            began = monotonic()
            answers = await asyncio.gather(
                *(node.directory.key(stored.key.public_id) for _ in range(50)),
                *(node.directory.key(stored.other.public_id) for _ in range(50)),
                *(node.directory.key(os.urandom(6).hex()) for _ in range(50)),
                return_exceptions=True,
            )
            assert monotonic() - began < DEADLINE_S + BUSY_S
            assert {record.id for record in answers[:50] if not isinstance(record, BaseException | None)} == {
                stored.key.id
            }
            # Whoever asked for what is not at hand was told that it is not known, and not that it is absent.
            assert all(isinstance(answer, DependencyUnavailable) for answer in answers[50:])
            await check_served(node, stored)
            await asyncio.sleep(0.5)
            await check_served(node, stored)
        await check_well(node, stored)


async def test_a_store_that_flaps(stored: Stored) -> None:
    """Gone and back many times: the known is served throughout, and in the end all is well."""
    async with stored.knowing() as node:
        for _ in range(5):
            stored.relay.refuse()
            stored.relay.cut()
            await eventually(lambda: node.directory.degraded == "store")
            await check_served(node, stored)
            stored.relay.restore()
            await eventually(lambda: node.directory.degraded is None)
        await check_well(node, stored)


async def test_a_store_that_is_read_only_serves(stored: Stored) -> None:
    """To a node a standby is as good as the primary; who writes is told."""
    async with stored.knowing() as node:
        stored.server.execute(f'ALTER DATABASE "{stored.database}" SET default_transaction_read_only = on')
        stored.relay.cut()
        await check_well(node, stored)
        assert await node.directory.credential(stored.org_id, "openai") == Secret(SECRET)
        with stored.registry() as registry, pytest.raises(StoreUnavailable, match="read-only"):
            orgs.create(registry, "globex")


async def test_connections_that_are_all_taken_do_not_disturb_who_has_some(stored: Stored) -> None:
    """A node at work keeps its own."""
    async with stored.knowing() as node:
        stored.server.execute("ALTER ROLE llmgw CONNECTION LIMIT 0")
        try:
            for _ in range(20):
                assert await node.directory.key(os.urandom(6).hex()) is None
            assert node.directory.degraded is None
        finally:
            stored.server.execute("ALTER ROLE llmgw CONNECTION LIMIT -1")


async def test_a_revocation_reaches_every_node(stored: Stored) -> None:
    """Within the promised time."""
    async with stored.knowing() as one, stored.knowing() as two:
        await asyncio.sleep(0.3)
        began = monotonic()
        await asyncio.to_thread(revoke, stored)
        for node in (one, two):
            while (
                record := await node.directory.key(stored.key.public_id)
            ) is None or record.revoked_at is None:
                assert monotonic() - began < VISIBLE_S
                await asyncio.sleep(0.005)


async def test_lost_announcements_are_healed(stored: Stored) -> None:
    """Without a single one, a revocation is seen all the same."""
    stored.server.execute(
        "CREATE OR REPLACE FUNCTION noticed() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN UPDATE revision SET value = value + 1, mark = gen_random_uuid(); RETURN NULL; END$$",
        stored.database,
    )
    async with stored.knowing() as node:
        await asyncio.to_thread(revoke, stored)
        began = monotonic()
        while (record := await node.directory.key(stored.key.public_id)) is None or record.revoked_at is None:
            assert monotonic() - began < VISIBLE_S
            await asyncio.sleep(0.005)


def revoke(stored: Stored) -> None:
    with stored.registry() as registry:
        keys.revoke(registry, stored.key.id)


async def test_the_same_number_for_another_state_is_noticed(stored: Stored) -> None:
    """As after a fail-over to a standby that had missed the last changes, or a restored backup."""
    async with stored.knowing() as node:
        await asyncio.sleep(0.3)
        stored.relay.refuse()
        stored.relay.cut()
        await eventually(lambda: node.directory.degraded == "store")
        for sql in (
            "ALTER TABLE orgs DISABLE TRIGGER noticed",
            "UPDATE orgs SET name = 'renamed'",
            "UPDATE revision SET mark = gen_random_uuid()",
        ):
            stored.server.execute(sql, stored.database)
        stored.relay.restore()
        await eventually(lambda: node.directory.degraded is None)
        record = await node.directory.key(stored.key.public_id)
        assert record is not None and record.org == "renamed"


async def test_known_keys_are_served_for_a_bounded_time(stored: Stored) -> None:
    """A store that stays away makes known keys 503 in the end, never 401; its return makes them work."""
    async with stored.knowing(stale_s=0.6) as node:
        stored.relay.refuse()
        stored.relay.cut()
        await eventually(lambda: node.directory.degraded == "store")
        assert await node.directory.key(stored.key.public_id) is not None
        await asyncio.sleep(1)
        with pytest.raises(DependencyUnavailable):
            await node.directory.key(stored.key.public_id)
        await eventually(lambda: node.directory.known(stored.key.public_id) is None)
        stored.relay.restore()
        await check_well(node, stored)
        assert await node.directory.key(stored.key.public_id) is not None


async def test_a_store_without_a_revision_is_down(stored: Stored) -> None:
    """A hand that emptied the table stops neither the server nor the checks: they go on and see it mended."""
    async with stored.knowing() as node:
        stored.server.execute("DELETE FROM revision", stored.database)
        await eventually(lambda: node.directory.degraded == "store")
        await check_served(node, stored)
        stored.server.execute("INSERT INTO revision VALUES (1, 1, gen_random_uuid())", stored.database)
        await check_well(node, stored)


async def test_a_table_that_is_locked_fails_alone(stored: Stored) -> None:
    """A look-up that meets the lock is 503 in time; what needs no such table is served as ever."""
    async with stored.knowing() as node:
        holder = await asyncpg.connect(stored.url)
        await holder.execute("BEGIN; LOCK TABLE virtual_keys")
        began = monotonic()
        with pytest.raises(DependencyUnavailable, match="in part"):
            await node.directory.key(stored.other.public_id)
        assert monotonic() - began < DEADLINE_S + BUSY_S
        assert node.directory.degraded is None
        assert await node.directory.key(stored.key.public_id) is not None
        await holder.close()
        await check_well(node, stored)


async def test_a_damaged_row_fails_alone(stored: Stored) -> None:
    """A known key whose row cannot be understood any more is 503; the others are served, the store is up."""
    async with stored.knowing() as node:
        assert await node.directory.key(stored.other.public_id) is not None
        stored.server.execute(
            "ALTER TABLE virtual_keys DROP CONSTRAINT virtual_keys_models_check", stored.database
        )
        stored.server.execute(
            "UPDATE virtual_keys SET models = '{' WHERE id = $1", stored.database, stored.key.id
        )

        async def damaged() -> bool:
            try:
                await node.directory.key(stored.key.public_id)
            except DependencyUnavailable:
                return True
            return False

        deadline = monotonic() + VISIBLE_S
        while not await damaged():
            assert monotonic() < deadline
            await asyncio.sleep(0.01)
        assert await damaged()
        assert await node.directory.key(stored.other.public_id) is not None
        assert node.directory.degraded is None


async def test_a_tampered_credential_does_not_open(stored: Stored) -> None:
    """What was opened before does not outlive a change of its row by a second, and the probe tells."""
    async with stored.knowing() as node:
        assert await node.directory.probe() == {"local:1": "ok"}
        stored.server.execute(
            "UPDATE credentials SET sealed = decode(repeat('00', 60), 'hex')", stored.database
        )

        async def refused() -> bool:
            try:
                await node.directory.credential(stored.org_id, "openai")
            except IntegrityError as error:
                return "openai" in str(error)
            return False

        deadline = monotonic() + VISIBLE_S
        while not await refused():
            assert monotonic() < deadline
            await asyncio.sleep(0.01)
        assert await node.directory.probe() == {"local:1": "failing"}
        assert node.directory.degraded is None


async def test_a_flood_of_made_up_keys_during_an_outage(stored: Stored, redis: servers.Redis) -> None:
    """It is refused at once and takes no memory; real keys are served throughout."""
    async with stored.knowing(redis) as node:
        async with frozen(stored):
            await eventually(lambda: node.directory.degraded == "store")

            async def flood() -> None:
                names = [os.urandom(6).hex() for _ in range(2000)]
                answers = await asyncio.gather(*map(node.directory.key, names), return_exceptions=True)
                assert all(isinstance(answer, DependencyUnavailable) for answer in answers)

            await flood()
            await settled()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(3):
                began = monotonic()
                await flood()
                assert await node.directory.key(stored.key.public_id) is not None
                assert monotonic() - began < 3
            # What is under way holds some memory, and gives it back when it has ended.
            deadline = monotonic() + 30
            while (grown := tracemalloc.get_traced_memory()[0] - before) >= 2_000_000:
                assert monotonic() < deadline, grown
                await settled()
            tracemalloc.stop()
        await check_well(node, stored)


async def settled() -> None:
    """Until nothing is held any more by the loop, nor by exceptions and their tracebacks by each other."""
    await asyncio.sleep(0.01)
    gc.collect()


async def test_what_another_node_has_read_is_in_the_mirror(stored: Stored, redis: servers.Redis) -> None:
    """A node that does not know a key has it from there while the store is away, for as long as known keys are
    served, and asks the store as soon as that is back."""
    async with stored.node(redis) as empty, stored.knowing(redis):
        await eventually(lambda: documents(redis) == 3)
        async with frozen(stored):
            await eventually(lambda: empty.directory.degraded == "store")
            for _ in range(3):
                began = monotonic()
                record = await empty.directory.key(stored.key.public_id)
                assert record is not None and record.id == stored.key.id
                assert await empty.directory.credential(stored.org_id, "openai") == Secret(SECRET)
                with pytest.raises(DependencyUnavailable):
                    await empty.directory.key(stored.other.public_id)
                assert monotonic() - began < 0.1 + BUSY_S
            assert empty.directory.known(stored.key.public_id) is None
        await check_well(empty, stored)


def documents(redis: servers.Redis) -> int:
    with redis.client() as client:
        return int(client.dbsize())


async def test_what_was_changed_since_does_not_come_back_from_the_mirror(
    stored: Stored, redis: servers.Redis
) -> None:
    """A key that was revoked just before the store went away is not served as it was."""
    async with stored.node(redis) as empty, stored.node(redis) as other:
        async with stored.knowing(redis):
            await eventually(lambda: documents(redis) == 3)
        await asyncio.to_thread(revoke, stored)
        await asyncio.sleep(0.5)
        async with cut_off(stored):
            await eventually(lambda: empty.directory.degraded == "store")
            with pytest.raises(DependencyUnavailable):
                await empty.directory.key(stored.key.public_id)
        await eventually(lambda: other.directory.degraded is None)
        record = await other.directory.key(stored.key.public_id)  # read anew, it is mirrored as it is now
        assert record is not None and record.revoked_at is not None
        await asyncio.sleep(0.1)
        async with cut_off(stored):
            await eventually(lambda: empty.directory.degraded == "store")
            record = await empty.directory.key(stored.key.public_id)
            assert record is not None and record.revoked_at is not None


async def test_the_mirror_counts_for_a_bounded_time(stored: Stored, redis: servers.Redis) -> None:
    """Of the store, not of the record: what has been at hand for long is as true as when it was read."""
    async with stored.node(redis, stale_s=2.0) as empty, stored.knowing(redis, stale_s=2.0):
        await eventually(lambda: documents(redis) == 3)
        await asyncio.sleep(2.5)
        async with cut_off(stored):
            await eventually(lambda: empty.directory.degraded == "store")
            assert await empty.directory.key(stored.key.public_id) is not None
            await asyncio.sleep(2.2)
            with pytest.raises(DependencyUnavailable):
                await empty.directory.key(stored.key.public_id)


async def test_nobody_makes_a_key_by_writing_to_redis(stored: Stored, redis: servers.Redis) -> None:
    """Neither bytes of one's own nor a record put in another's place count; nor is any secret to be read there."""
    async with stored.node(redis) as empty, stored.knowing(redis) as knowing:
        assert await knowing.directory.key(stored.other.public_id) is not None
        await eventually(lambda: documents(redis) == 4)
        with redis.client() as client:
            names = {name: client.get(name) for name in client.scan_iter()}
            everything = b"".join(bytes(value) for value in names.values() if isinstance(value, bytes))
            assert SECRET.encode() not in everything
            assert stored.key.id.encode() not in everything
            client.set(
                f"llmgw:{{{stored.key.public_id}}}:key",
                names[f"llmgw:{{{stored.other.public_id}}}:key".encode()] or b"",
            )
            client.set(f"llmgw:{{{stored.other.public_id}}}:key", b"forged")
        async with frozen(stored):
            await eventually(lambda: empty.directory.degraded == "store")
            for public_id in (stored.key.public_id, stored.other.public_id):
                with pytest.raises(DependencyUnavailable):
                    await empty.directory.key(public_id)


async def test_a_mirror_that_is_lost_or_strange_is_none(stored: Stored, redis: servers.Redis) -> None:
    """Redis frozen, empty, or full of another installation's things: the store is served from, nobody waits."""
    strangers = LocalKms(Keyring.generate())
    made = envelope.new_data_key(strangers.wrap, "(mirror)", 1, 1.0)
    sealed = envelope.seal(envelope.unwrap_data_key(strangers.unwrap, made), b"", b"")
    with redis.client() as client:
        for name in ("mirror}:mark", f"{stored.other.public_id}}}:key"):
            client.set(f"llmgw:{{{name}", msgspec.msgpack.encode([made.kek_term, made.wrapped, sealed]))
    async with stored.knowing(redis) as node:
        async with cut_off(stored):
            await eventually(lambda: node.directory.degraded == "store")
            with pytest.raises(DependencyUnavailable):
                await node.directory.key(stored.other.public_id)
        await eventually(lambda: node.directory.degraded is None)
        with redis.client() as client:
            client.flushall()
        assert await node.directory.key(stored.other.public_id) is not None
        redis.freeze()
        began = monotonic()
        assert await node.directory.key(os.urandom(6).hex()) is None
        assert monotonic() - began < BUSY_S
        async with frozen(stored):
            began = monotonic()
            with pytest.raises(DependencyUnavailable):
                await node.directory.key(os.urandom(6).hex())
            assert monotonic() - began < DEADLINE_S + 2 * 0.05 + BUSY_S
            assert await node.directory.key(stored.key.public_id) is not None
        redis.thaw()
        await eventually(lambda: node.directory.degraded is None)


async def test_a_node_starts_while_the_store_is_away(stored: Stored, redis: servers.Redis) -> None:
    """With a mirror it serves what others have read; without one it says what is wrong and does not start."""
    async with stored.knowing(redis):
        await eventually(lambda: documents(redis) == 3)
        stored.relay.refuse()
        async with stored.node(redis) as started:
            record = await started.directory.key(stored.key.public_id)
            assert record is not None and record.id == stored.key.id
            stored.relay.restore()
            await check_well(started, stored)
    stored.relay.refuse()
    pool = Postgres(stored.server.url(stored.database, stored.relay.port))
    with pytest.raises(StoreUnavailable, match="cannot be reached"), PostgresDirectory(pool, stored.kms):
        pass


async def test_a_schema_that_is_not_current_is_told_on_entering(
    stored: Stored, postgres: servers.Postgres
) -> None:
    """A server does not start on a database without a schema."""
    empty = postgres.database()
    pool = Postgres(postgres.url(empty))
    with pytest.raises(StoreUnavailable, match="llmgw migrate up"), PostgresDirectory(pool, stored.kms):
        pass
    postgres.drop(empty)


async def test_a_rotated_credential_reaches_every_node(stored: Stored) -> None:
    """As revocations do."""

    def replace() -> None:
        with stored.registry() as registry:
            credentials.set_(registry, stored.kms, org="acme", name="openai", secret=Secret("sk-new"))

    async with stored.knowing() as one, stored.knowing() as two:
        await asyncio.to_thread(replace)
        began = monotonic()
        for node in (one, two):
            while await node.directory.credential(stored.org_id, "openai") != Secret("sk-new"):
                assert monotonic() - began < VISIBLE_S
                await asyncio.sleep(0.005)
