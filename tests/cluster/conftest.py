"""A store in Postgres with one organisation, two keys and one credential, and nodes that serve from it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from time import monotonic, sleep

import pytest
from redis import Redis, RedisCluster
from redis.asyncio import Redis as RedisClient
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from llmgw.cluster import migrations
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.directory import PostgresDirectory
from llmgw.cluster.mirror import Mirror
from llmgw.cluster.postgres import Postgres
from llmgw.cluster.registry import PostgresRegistry
from llmgw.control import credentials, keys, orgs
from llmgw.control.keys import NewKey
from llmgw.keyring.ring import Keyring
from llmgw.kms.local import LocalKms
from llmgw.secret import Secret
from tests import servers
from tests.servers import Relay

SECRET = "sk-provider-secret"


class Cupboard:
    """Redis with a deadline on every command."""

    def __init__(self, server: servers.Redis) -> None:
        self.client = RedisClient(port=server.port, socket_timeout=0.05, retry=Retry(NoBackoff(), 0))

    async def get(self, key: str) -> bytes | None:
        found = await self.client.get(key)
        assert not isinstance(found, str)
        return found

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> object:
        return await self.client.set(key, value, px=round(ttl_s * 1000))


@dataclass
class Node:
    """One process's connections and directory."""

    pool: Postgres
    directory: PostgresDirectory


@dataclass
class Stored:
    """A store and what is in it. Nodes reach it through the relay."""

    server: servers.Postgres
    database: str
    relay: Relay
    kms: LocalKms
    key: NewKey
    other: NewKey

    @property
    def url(self) -> str:
        return self.server.url(self.database)

    @property
    def org_id(self) -> str:
        return self.key.org_id

    @contextlib.asynccontextmanager
    async def node(
        self, redis: servers.Redis | None = None, *, stale_s: float = 600.0
    ) -> AsyncIterator[Node]:
        """A node that runs and knows nothing yet."""
        pool = Postgres(self.server.url(self.database, self.relay.port), size=4)
        cupboard = None if redis is None else Cupboard(redis)
        mirror = None if cupboard is None else Mirror(cupboard, self.kms, pool.name, stale_s=stale_s)
        with PostgresDirectory(pool, self.kms, mirror=mirror, stale_s=stale_s) as directory:
            tasks = [asyncio.create_task(pool.run()), asyncio.create_task(directory.run())]
            try:
                yield Node(pool, directory)
                assert not any(task.done() for task in tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if cupboard is not None:
                    await cupboard.client.aclose()

    @contextlib.asynccontextmanager
    async def knowing(
        self, redis: servers.Redis | None = None, *, stale_s: float = 600.0
    ) -> AsyncIterator[Node]:
        """A node with `key` and the credential at hand and `other` not."""
        async with self.node(redis, stale_s=stale_s) as node:
            assert await node.directory.key(self.key.public_id) is not None
            assert await node.directory.credential(self.org_id, "openai") == Secret(SECRET)
            yield node

    def registry(self) -> PostgresRegistry:
        return PostgresRegistry(self.url)


def migrated(url: str) -> None:
    """Bring an empty database up to date."""
    with Blocking(url) as store:
        migrations.up(store)


@pytest.fixture
def stored(postgres: servers.Postgres) -> Iterator[Stored]:
    """A new store in use."""
    database = postgres.database(migrated)
    kms = LocalKms(Keyring.generate())
    with PostgresRegistry(postgres.url(database)) as registry:
        orgs.create(registry, "acme")
        key = keys.create(registry, org="acme", name="key")
        other = keys.create(registry, org="acme", name="other")
        credentials.set_(registry, kms, org="acme", name="openai", secret=Secret(SECRET))
    with Relay(postgres.address) as relay:
        yield Stored(postgres, database, relay, kms, key, other)


@pytest.fixture(scope="session")
def cluster_of_redis() -> Iterator[str]:
    """A Redis Cluster of three masters; its URL."""
    with contextlib.ExitStack() as stack:
        masters = [
            stack.enter_context(
                servers.Redis.running("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
            )
            for _ in range(3)
        ]
        bounds = (0, 5461, 10923, 16384)
        for n, master in enumerate(masters):
            with master.client() as client:
                client.cluster("ADDSLOTS", *range(bounds[n], bounds[n + 1]))
                client.cluster("SET-CONFIG-EPOCH", n + 1)
                client.cluster("MEET", "127.0.0.1", masters[0].port)
        for master in masters:
            with master.client() as client:
                deadline = monotonic() + 20
                while client.cluster("INFO")["cluster_state"] != "ok":
                    assert monotonic() < deadline
                    sleep(0.05)
        yield f"redis+cluster://127.0.0.1:{masters[0].port}"


@pytest.fixture
def cluster(cluster_of_redis: str) -> str:
    """The URL of a Redis Cluster, empty."""
    for node in RedisCluster.from_url(cluster_of_redis.replace("+cluster", "")).get_primaries():  # type: ignore[no-untyped-call]
        with Redis(host=node.host, port=node.port) as client:
            client.flushall()
    return cluster_of_redis
