"""Ways to Redis by its URL: one server, the one that Sentinel names, or all of a Redis Cluster."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import sha1
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import hiredis
from msgspec import Struct
from redis.asyncio import Redis as Client
from redis.asyncio import RedisCluster
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from llmgw.errors import StoreUnavailable

FAULTS: Final = (RedisError, OSError, EOFError, asyncio.IncompleteReadError, TimeoutError)
Arg = bytes | int | float | str


class Script:
    """A Lua script; the server knows it by its digest, once it has seen it."""

    def __init__(self, text: str) -> None:
        self.text: Final = text

    @cached_property
    def digest(self) -> str:
        return sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Command(Struct, gc=False, eq=False):
    args: tuple[Arg, ...]
    script: Script | None
    given: float
    answer: asyncio.Future[Any] | None


class Line(Protocol):
    """A way to the server. `run` gives one answer or ResponseError for each command, in order."""

    async def run(self, commands: Sequence[Command]) -> list[Any]: ...

    async def eviction(self) -> dict[str, str]:
        """The `maxmemory-policy` of each server that keeps data, by its place."""
        ...

    async def close(self) -> None: ...


_pack: Final[Callable[[tuple[Arg, ...]], bytes]] = hiredis.pack_command  # type: ignore[assignment]  # of one, it says


class Single:
    """One connection to one server."""

    def __init__(self, pool: ConnectionPool, connection: AbstractConnection) -> None:
        self._pool = pool
        self._connection = connection

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection
        await connection.send_packed_command(
            b"".join([_pack(command.args) for command in commands]), check_health=False
        )
        answers: list[Any] = []
        read = connection.read_response
        for _ in commands:
            try:
                answers.append(await read())
            except ResponseError as error:
                if not connection.is_connected:
                    raise
                answers.append(error)
        return answers

    async def eviction(self) -> dict[str, str]:
        (answer,) = await self.run([Command(("INFO", "memory"), None, 0.0, None)])
        if isinstance(answer, ResponseError):
            raise answer
        found = re.search(rb"^maxmemory_policy:(\S+)", answer, re.MULTILINE)
        options = self._pool.connection_kwargs
        place = options.get("path") or f"{options.get('host', 'master')}:{options.get('port', '')}".rstrip(
            ":"
        )
        return {place: found[1].decode() if found else "unknown"}

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)
        await self._pool.aclose()


class Cluster:
    """All servers of a Redis Cluster."""

    def __init__(self, client: RedisCluster) -> None:
        self._client = client

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._client.pipeline()
        for command in commands:
            pipeline.execute_command(*command.args)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            # A server that cannot be reached is an answer too, here.
            if isinstance(answer, FAULTS) and not isinstance(answer, ResponseError):
                raise answer
        return answers

    async def eviction(self) -> dict[str, str]:
        answers: dict[str, dict[str, Any]] = await self._client.info(
            "memory", target_nodes=RedisCluster.PRIMARIES
        )
        return {place: str(answer.get("maxmemory_policy", "unknown")) for place, answer in answers.items()}

    async def close(self) -> None:
        await self._client.aclose()


async def open_line(url: str, connect_s: float) -> Line:
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    if kind == "cluster":
        cluster = RedisCluster.from_url(
            urlunsplit((scheme, *parts[1:])),
            protocol=2,
            socket_connect_timeout=connect_s,
            retry=Retry(NoBackoff(), 0),
        )
        await cluster.initialize()
        for node in cluster.get_primaries():
            await cluster.ping(target_nodes=node)
        return Cluster(cluster)
    if kind == "sentinel":
        sentinel, service, options = _sentinel(url, connect_s)
        try:
            pool = sentinel.master_for(service, **options).connection_pool
            connection = await pool.get_connection()
        finally:
            for one in sentinel.sentinels:
                await one.aclose()
        return Single(pool, connection)
    pool = ConnectionPool.from_url(url, **_options(connect_s))
    return Single(pool, await pool.get_connection())  # type: ignore[no-untyped-call]


def _options(connect_s: float) -> dict[str, Any]:
    # A connection that broke is not made again by itself: what was under way on it is not known.
    return {
        "protocol": 2,
        "socket_connect_timeout": connect_s,
        "socket_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": 4,
    }


def _sentinel(url: str, connect_s: float) -> tuple[Sentinel, str, dict[str, Any]]:
    """redis+sentinel://user:password@host:port,host:port/service/0?sentinel_password=…"""
    parts = urlsplit(url)
    account, _, places = parts.netloc.rpartition("@")
    hosts = []
    for place in places.split(","):
        host, _, port = place.rpartition(":") if ":" in place.rpartition("]")[2] else (place, "", "26379")
        hosts.append((host.strip("[]"), int(port)))
    service, _, number = parts.path.strip("/").partition("/")
    user, _, password = account.partition(":") if ":" in account else ("", "", account)
    own = dict(parse_qsl(parts.query))
    options: dict[str, Any] = {**_options(connect_s), "db": int(number or 0)}
    if user:
        options["username"] = user
    if password:
        options["password"] = password
    watch: dict[str, Any] = {"socket_timeout": connect_s, "socket_connect_timeout": connect_s}
    for name in ("username", "password"):
        if f"sentinel_{name}" in own:
            watch[name] = own.pop(f"sentinel_{name}")
    if parts.scheme.startswith("rediss"):
        options |= {"ssl": True, **own}
        watch |= {"ssl": True, **own}
    sentinel = Sentinel(hosts, sentinel_kwargs=watch)  # type: ignore[no-untyped-call]
    return sentinel, service or "mymaster", options


async def listener(url: str, connect_s: float) -> Client:
    """A client for messages alone; in a Redis Cluster every server passes on every message."""
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    options = _options(connect_s)
    if kind == "sentinel":
        sentinel, service, options = _sentinel(url, connect_s)
        client: Client = sentinel.master_for(service, **options)
        return client
    if kind == "cluster":
        cluster = RedisCluster.from_url(urlunsplit((scheme, *parts[1:])), protocol=2)
        try:
            await cluster.initialize()
            node = random.choice(cluster.get_primaries())  # noqa: S311  any of them will do
        finally:
            await cluster.aclose()
        account = parts.netloc.rpartition("@")
        url = urlunsplit((scheme, f"{account[0]}{account[1]}{node.host}:{node.port}", "", parts.query, ""))
    return Client.from_url(url, **options)


def eviction(url: str, wait_s: float = 2.0) -> dict[str, str]:
    """The `maxmemory-policy` of each server that keeps data, by its place, for commands.

    Raises:
        StoreUnavailable: one of them does not answer.
    """

    async def ask() -> dict[str, str]:
        async with asyncio.timeout(wait_s):
            line = await open_line(url, wait_s)
            try:
                return await line.eviction()
            finally:
                await line.close()

    try:
        return asyncio.run(ask())
    except FAULTS as error:
        why = str(error) or f"it does not answer within {wait_s:g} s"
        raise StoreUnavailable(f"Redis cannot be asked: {why}.") from error
