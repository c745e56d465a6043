"""Redis as the event loop sees it: killed, frozen, slow, out of memory, started anew; with users and TLS."""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic

import pytest
from redis.exceptions import ResponseError

from llmgw.cluster.redis import Lost, Redis, Script
from tests import servers
from tests.cluster.shared import DEADLINE_S, connected
from tests.provider import eventually
from tests.servers import Relay

pytestmark = pytest.mark.anyio

SLACK_S = 0.15
"""What a machine busy with other things may add."""
ECHO = Script("return {KEYS[1], ARGV[1]}")
PUSH = Script("return redis.call('RPUSH', KEYS[1], ARGV[1])")
LIST = "llmgw:{test}:list"


async def lost_within(redis: Redis) -> float:
    """Seconds that a call took to say that the server is lost."""
    began = monotonic()
    with pytest.raises(Lost):
        await redis.call(ECHO, [LIST], [b"x"])
    return monotonic() - began


async def assert_nobody_waits(redis: Redis) -> None:
    """A thousand calls fail before anything else can happen."""
    began = monotonic()
    for _ in range(1000):
        with pytest.raises(Lost):
            await redis.call(ECHO, [LIST], [b"x"])
    assert monotonic() - began < DEADLINE_S


async def back(redis: Redis) -> None:
    """It is used again within a second, and a script that the server no longer knows is loaded."""
    began = monotonic()
    await eventually(lambda: redis.available)
    assert monotonic() - began < 1.0 + SLACK_S
    assert await redis.call(ECHO, [LIST], [b"again"]) == [LIST.encode(), b"again"]


async def test_calls_answer_in_order_and_a_script_is_loaded_by_itself(redis: servers.Redis) -> None:
    """Whatever is asked in whatever way, it happens in the order in which it was asked."""
    async with connected(redis.url) as client:
        answers = []
        for n in range(600):
            if n % 3:
                answers.append(client.submit(PUSH, [LIST], [n]))
            else:
                client.send(PUSH, [LIST], [n])
        assert [await answer for answer in answers] == [n + 1 for n in range(600) if n % 3]
        await client.set("llmgw:{test}:a", b"\x00b", ttl_s=10)
        assert await client.get("llmgw:{test}:a") == b"\x00b"
        assert await client.get("llmgw:{test}:none") is None
    with redis.client() as look:
        assert [int(n) for n in look.lrange(LIST, 0, -1)] == list(range(600))
        assert 9_000 < look.pttl("llmgw:{test}:a") <= 10_000


async def test_what_is_asked_in_one_turn_goes_out_in_one_piece(redis: servers.Redis) -> None:
    """200 calls make a few writes and not 200."""
    async with connected(redis.url) as client:
        await client.call(ECHO, [LIST], [b"x"])
        with redis.client() as look:
            before = look.info("stats")
            await asyncio.gather(*(client.call(ECHO, [LIST], [b"x"]) for _ in range(200)))
            after = look.info("stats")
    assert after["total_reads_processed"] - before["total_reads_processed"] < 10


async def test_a_script_that_is_wrong_is_an_error_of_its_own(redis: servers.Redis) -> None:
    """It says nothing about the server; the calls beside it are answered."""
    async with connected(redis.url) as client:
        wrong = client.submit(Script("return redis.call('NOSUCH')"), [LIST])
        right = client.submit(ECHO, [LIST], [b"x"])
        with pytest.raises(ResponseError):
            await wrong
        assert await right == [LIST.encode(), b"x"]
        assert client.available


async def test_a_caller_that_goes_away_disturbs_nobody(redis: servers.Redis) -> None:
    """Its answer is thrown away, and the next ones reach those who asked."""
    async with connected(redis.url) as client:
        tasks = [asyncio.create_task(client.call(ECHO, [LIST], [n])) for n in range(50)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        for n, task in list(enumerate(tasks))[1::2]:
            assert await task == [LIST.encode(), str(n).encode()]
        assert client.available


async def test_killed(redis: servers.Redis) -> None:
    """The next call says so at once; started anew it is used again, without what it knew."""
    async with connected(redis.url) as client:
        await client.call(ECHO, [LIST], [b"x"])
        seen: list[str] = []
        client.on_loss.append(lambda: seen.append("lost"))
        client.on_return.append(lambda: seen.append("back"))
        redis.kill()
        assert await lost_within(client) < DEADLINE_S + SLACK_S
        await assert_nobody_waits(client)
        assert seen == ["lost"] and client.lost_since is not None and client.problem
        await asyncio.to_thread(redis.start)
        await back(client)
        assert seen == ["lost", "back"]


async def test_frozen(redis: servers.Redis) -> None:
    """One deadline for everybody who waits, nothing for those who come later."""
    async with connected(redis.url) as client:
        await client.call(ECHO, [LIST], [b"x"])
        redis.freeze()
        waits = await asyncio.gather(*(lost_within(client) for _ in range(100)))
        assert max(waits) < DEADLINE_S + SLACK_S
        await assert_nobody_waits(client)
        await asyncio.sleep(0.6)
        await assert_nobody_waits(client)
        redis.thaw()
        await back(client)


async def test_frozen_with_calls_that_come_later_in_the_queue(redis: servers.Redis) -> None:
    """Who comes while others wait for a silent server waits no longer than they."""
    async with connected(redis.url) as client:
        await client.call(ECHO, [LIST], [b"x"])
        redis.freeze()
        first = asyncio.create_task(lost_within(client))
        await asyncio.sleep(DEADLINE_S / 2)
        assert await lost_within(client) < DEADLINE_S / 2 + SLACK_S
        await first


async def test_slow(redis: servers.Redis) -> None:
    """Five seconds more on the way are a loss like any other."""
    with Relay(redis.address) as relay:
        async with connected(f"redis://127.0.0.1:{relay.port}/0") as client:
            await client.call(ECHO, [LIST], [b"x"])
            relay.delay_s = 5.0
            assert await lost_within(client) < DEADLINE_S + SLACK_S
            await assert_nobody_waits(client)
            relay.restore()
            relay.cut()
            await back(client)


async def test_cut_off(redis: servers.Redis) -> None:
    """Nothing passes, or connections break and none can be made."""
    with Relay(redis.address) as relay:
        async with connected(f"redis://127.0.0.1:{relay.port}/0") as client:
            await client.call(ECHO, [LIST], [b"x"])
            relay.black_hole()
            assert await lost_within(client) < DEADLINE_S + SLACK_S
            relay.restore()
            await eventually(lambda: client.available)
            relay.refuse()
            relay.cut()
            await lost_within(client)
            await assert_nobody_waits(client)
            relay.restore()
            await back(client)


async def test_out_of_memory(redis: servers.Redis) -> None:
    """A server that answers and takes nothing is lost; with memory again it is used again."""
    async with connected(redis.url) as client:
        await client.call(PUSH, [LIST], [b"x"])
        with redis.client() as look:
            look.config_set("maxmemory-policy", "noeviction")
            look.config_set("maxmemory", 1)
            with pytest.raises(Lost, match="memory"):
                await client.call(PUSH, [LIST], [b"x"])
            await assert_nobody_waits(client)
            await asyncio.sleep(0.6)
            await assert_nobody_waits(client)
            look.config_set("maxmemory", 0)
            await back(client)
            assert look.llen(LIST) == 1


async def test_users() -> None:
    """A user that may touch our names only is enough; a wrong password is said in words."""
    with servers.Redis.running() as server:
        with server.client() as look:
            look.acl_setuser(
                "gateway", enabled=True, reset_channels=True, passwords=["+s3cret"], keys=["llmgw:*"], channels=["llmgw*"],
                commands=["+eval", "+evalsha", "+get", "+set", "+publish", "+subscribe", "+ping", "+rpush"],
            )  # fmt: skip
        async with connected(f"redis://gateway:s3cret@127.0.0.1:{server.port}/0") as client:
            assert await client.call(PUSH, [LIST], [b"x"]) == 1
        wrong = Redis(f"redis://gateway:wrong@127.0.0.1:{server.port}/0")
        task = asyncio.create_task(wrong.run())
        await eventually(lambda: "password" in wrong.problem)
        assert not wrong.available and "wrong" not in wrong.problem.replace("WRONGPASS", "")
        task.cancel()


async def test_a_socket(redis: servers.Redis) -> None:
    """A server on the same machine needs no port."""
    async with connected(f"unix://{redis.socket}?db=0") as client:
        assert await client.call(PUSH, [LIST], [b"x"]) == 1


async def test_messages(redis: servers.Redis) -> None:
    """They are heard by every process, and again after the server was away."""
    async with connected(redis.url) as one, connected(redis.url) as two:
        heard: list[bytes] = []
        two.subscribe("llmgw:news", heard.append)

        async def says(text: bytes) -> None:
            deadline = monotonic() + 5
            while text not in heard:
                assert monotonic() < deadline
                with contextlib.suppress(Lost):
                    await one.publish("llmgw:news", text)
                await asyncio.sleep(0.02)

        await says(b"first")
        redis.kill()
        await asyncio.to_thread(redis.start)
        await says(b"second")
        later: list[bytes] = []
        two.subscribe("llmgw:other", later.append)
        while not later:
            await one.publish("llmgw:other", b"x")
            await asyncio.sleep(0.02)


async def test_a_server_that_is_not_there_yet() -> None:
    """A process starts without it, and finds it when it comes."""
    server = servers.Redis()
    client = Redis(server.url, deadline_s=DEADLINE_S)
    task = asyncio.create_task(client.run())
    try:
        await eventually(lambda: "refused" in client.problem.lower() or "connect" in client.problem.lower())
        await assert_nobody_waits(client)
        await asyncio.to_thread(server.start)
        await back(client)
    finally:
        task.cancel()
        server.close()
