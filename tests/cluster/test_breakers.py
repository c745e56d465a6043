"""Breakers over Redis: the script against the rules, several processes, and a Redis that goes and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis as Client

from llmgw.cluster.breakers import CHANNEL, KEYS, SCRIPT, RedisBreakers, _State
from llmgw.config.breakers import Breakers
from llmgw.rules import breaker
from llmgw.rules.breaker import Permit, State
from tests.cluster.link import Link
from tests.servers import Redis

NAME: Final = "openai/gpt-4o"
SETTINGS: Final = Breakers(failures=5, window_s=30, cooldown_s=15)

# Whole numbers meet the edges of windows and cooldowns exactly; the others say that no digit is lost on the way.
spans = st.integers(1, 6).map(float) | st.floats(1, 6)
waits = st.just(0.0) | st.integers(0, 6).map(float) | st.floats(0, 6)
steps = st.one_of(
    st.tuples(st.just("admit"), waits),
    st.tuples(st.sampled_from(["success", "failure", "neither", "failure"]), waits, st.integers(0, 3)),
)
rules = st.builds(
    Breakers,
    failures=st.integers(1, 4),
    ratio=st.none() | st.floats(0.1, 1),
    min_calls=st.integers(1, 5),
    window_s=spans,
    cooldown_s=spans,
    half_open=st.integers(1, 3),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=rules, schedule=st.lists(steps, max_size=60))
@example(
    # The failure at the window's edge is too old; the cooldown's edge lets one probe through, and one more once that
    # one's lease is over.
    Breakers(failures=2, window_s=3, cooldown_s=2),
    [
        *[("failure", 0.0, 0), ("failure", 3.0, 0), ("failure", 0.0, 0)],
        *[("admit", 2.0), ("admit", 0.0), ("admit", 2.0), ("success", 0.0, 0)],
    ],
)
def test_the_script_and_the_rules_agree(
    redis: Redis, rules: Breakers, schedule: list[tuple[Any, ...]]
) -> None:
    """Whatever is asked and reported, by permits old and new: the same states, bit for bit, and the same permits."""
    packed = msgspec.msgpack.encode(
        [
            *(rules.failures, rules.ratio, rules.min_calls),
            *(rules.window_s, rules.cooldown_s, rules.half_open),
        ]
    )
    with redis.client() as client:
        client.flushall()
        run = client.register_script(SCRIPT.text)

        def call(what: str, now: float, *rest: str | int) -> Any:
            return run(KEYS, [what, CHANNEL, repr(now), packed, *rest])

        fresh: int = msgspec.msgpack.decode(call("look", 0.0, -1, -1))[2]
        state = State(generation=fresh)
        permits = [Permit(fresh)]
        now = 100.0
        for step, wait, *which in schedule:
            now += wait
            if step == "admit":
                state, expected = breaker.admit(state, rules, now)
                got = msgspec.msgpack.decode(call("admit", now, NAME))[5]
                assert (Permit(*got) if got else None) == expected
                permits += [expected] if expected is not None else []
            else:
                permit = permits[-1 - which[0] % len(permits)]
                state = breaker.report(state, rules, permit, step, now)
                lease = "" if permit.lease is None else repr(permit.lease)
                call("report", now, NAME, permit.generation, lease, step, int(step == "success"))
            assert of_redis(client, fresh) == state


def of_redis(client: Client, fresh: int) -> State:
    found = client.hget(KEYS[0], NAME)
    if found is None:
        return State(generation=fresh)
    state = msgspec.msgpack.decode(found, type=_State).known()  # type: ignore[arg-type]  # redis-py: bytes or awaitable
    return msgspec.structs.replace(state, generation=state.generation or fresh)


@dataclass
class Node:
    link: Link
    breakers: RedisBreakers


@contextlib.asynccontextmanager
async def node(port: int, rules: Breakers = SETTINGS, *, deadline_s: float = 0.5) -> AsyncIterator[Node]:
    """One that runs and has found Redis."""
    async with Link.to(port, deadline_s) as link:
        breakers = RedisBreakers(link, rules)
        task = asyncio.create_task(breakers.run())
        try:
            await until(lambda: not breakers._alone)
            yield Node(link, breakers)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(fact: Callable[[], bool], within_s: float = 3.0) -> None:
    deadline = monotonic() + within_s
    while not fact():
        assert monotonic() < deadline, "it does not come true"
        await asyncio.sleep(0.005)


async def fail(one: Node, times: int, name: str = NAME) -> None:
    for _ in range(times):
        permit = await one.breakers.admit(name, monotonic())
        assert permit is not None
        one.breakers.report(name, permit, "failure", monotonic())


PROCESS: Final = """
import asyncio, json, logging, sys
from time import monotonic, time
from llmgw.cluster.breakers import RedisBreakers
from llmgw.config.breakers import Breakers
from tests.cluster.link import Link

NAME = "openai/gpt-4o"

async def line():
    return await asyncio.to_thread(sys.stdin.readline)

async def main():
    async with Link.to(int(sys.argv[1]), deadline_s=2) as link:
        breakers = RedisBreakers(link, Breakers(failures=5, window_s=30, cooldown_s=1.5))
        running = asyncio.create_task(breakers.run())
        while breakers._alone:
            await asyncio.sleep(0.01)
        permits = [await breakers.admit(NAME, monotonic()) for _ in range(10)]
        print("ready", flush=True)
        await line()
        for permit in permits:
            breakers.report(NAME, permit, "failure", monotonic())
        deadline = monotonic() + 3
        while breakers.look(NAME, monotonic()) != "open" and monotonic() < deadline:
            await asyncio.sleep(0.005)
        print(json.dumps({"seen": time(), "opened": breakers.opened}), flush=True)
        await line()
        while breakers.look(NAME, monotonic()) == "open":
            await asyncio.sleep(0.001)
        probes = [one for one in await asyncio.gather(*(breakers.admit(NAME, monotonic()) for _ in range(10))) if one]
        print(json.dumps({"probes": len(probes), "opened": breakers.opened}), flush=True)
        await line()
        for probe in probes:
            breakers.report(NAME, probe, "success", monotonic())
        deadline = monotonic() + 3
        while breakers.look(NAME, monotonic()) != "closed" and monotonic() < deadline:
            await asyncio.sleep(0.005)
        print(json.dumps({"seen": time(), "phase": breakers.look(NAME, monotonic())}), flush=True)
        running.cancel()

asyncio.run(main())
"""


def test_fifty_failures_of_five_processes_open_it_once(redis: Redis) -> None:
    """One transition and one probe in all of them; each process sees both transitions within a second."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(redis.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]

    def all_say() -> list[str]:
        return [process.stdout.readline() for process in processes if process.stdout is not None]

    def go() -> None:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    try:
        assert all_say() == ["ready\n"] * 5
        with redis.client() as client:
            # Redis tells of each transition once; this one listens, too.
            hearing = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py
            hearing.subscribe(CHANNEL)
            assert hearing.get_message(timeout=2) is None
            go()
            said = [json.loads(line) for line in all_say()]
            assert [one["opened"] for one in said] == [1] * 5
            assert max(one["seen"] for one in said) - min(one["seen"] for one in said) < 1
            go()
            said = [json.loads(line) for line in all_say()]
            assert sum(one["probes"] for one in said) == 1 and [one["opened"] for one in said] == [1] * 5
            go()
            said = [json.loads(line) for line in all_say()]
            assert [one["phase"] for one in said] == ["closed"] * 5
            assert max(one["seen"] for one in said) - min(one["seen"] for one in said) < 1
            phases = []
            while (message := hearing.get_message(timeout=0.2)) is not None:
                phases.append(msgspec.msgpack.decode(message["data"])[4][0][1][0])
            hearing.close()
        assert phases == ["open", "half_open", "closed"]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.anyio
async def test_calls_that_succeed_cost_nothing(redis: Redis) -> None:
    """No message for any of them while there is no ratio; with one, a few for a thousand, and none is lost."""
    async with node(redis.port) as one:
        for _ in range(1000):
            permit = one.breakers.permit(NAME)
            assert permit is not None
            one.breakers.report(NAME, permit, "success", monotonic())
        assert one.link.sent == 0
    rules = Breakers(failures=5000, ratio=0.5, min_calls=20)
    async with node(redis.port, rules) as one, node(redis.port, rules) as other:
        for _ in range(1000):
            permit = one.breakers.permit(NAME)
            assert permit is not None
            one.breakers.report(NAME, permit, "success", monotonic())
        assert one.link.sent == 0
        await until(lambda: one.link.sent == 1)
        await one.breakers.refresh()
        await fail(other, 999)
        await other.breakers.refresh()
        assert other.breakers.look(NAME, monotonic()) == "closed", "fewer than half have failed"
        await fail(other, 1)
        await until(lambda: one.breakers.look(NAME, monotonic()) == "open")


@pytest.mark.anyio
async def test_what_no_message_tells_is_found_all_the_same(redis: Redis) -> None:
    """A node whose subscription is cut off sees an opening within a second."""
    async with node(redis.port) as one, node(redis.port) as other:
        with redis.client() as client:
            client.client_kill_filter(_type="pubsub")
        for _ in range(5):
            await fail(one, 1)
        await until(lambda: other.breakers.look(NAME, monotonic()) == "open", within_s=1)
        assert (one.breakers.opened, other.breakers.opened) == (1, 1)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_without_redis_each_goes_on_by_itself_and_tells_later(redis: Redis, how: str) -> None:
    """What was open stays open, five failures more open another; once Redis is back every node knows of both."""
    async with (
        node(redis.port, deadline_s=0.1) as one,
        node(redis.port, deadline_s=0.1) as other,
    ):
        await fail(one, 5)
        await until(lambda: other.breakers.look(NAME, monotonic()) == "open")
        getattr(redis, how)()
        await until(lambda: not one.link.available and not other.link.available)
        began = monotonic()
        await fail(one, 5, "openai/other")
        assert one.breakers.look("openai/other", monotonic()) == "open"
        assert monotonic() - began < 0.05, "nothing waits"
        assert other.breakers.look("openai/other", monotonic()) == "closed"
        assert one.breakers.look(NAME, monotonic()) == other.breakers.look(NAME, monotonic()) == "open"
        redis.start()
        await until(lambda: other.breakers.look("openai/other", monotonic()) == "open")
        for each in (one, other):
            assert set(each.breakers.states(monotonic())) == {NAME, "openai/other"}
            assert 12 < each.breakers.free_in(["openai/other"], monotonic()) <= 15
        assert other.breakers.opened == 2


@pytest.mark.anyio
async def test_a_redis_that_is_full_is_as_good_as_lost(redis: Redis) -> None:
    """It answers and keeps nothing: each node counts by itself, until there is room."""
    async with node(redis.port) as one:
        with redis.client() as client:
            client.config_set("maxmemory", 1)
        await until(lambda: one.breakers._alone)
        await fail(one, 5)
        assert one.breakers.look(NAME, monotonic()) == "open"
        redis.reset()
        await until(lambda: not one.breakers._alone)
        assert one.breakers.look(NAME, monotonic()) == "open"


@pytest.mark.anyio
async def test_a_probe_without_redis_is_this_process_own(redis: Redis) -> None:
    """A frozen Redis holds the caller for no longer than the deadline; then one probe goes out from here."""
    rules = Breakers(failures=1, cooldown_s=0.2)
    async with node(redis.port, rules, deadline_s=0.1) as one:
        await fail(one, 1)
        await until(lambda: one.breakers.look(NAME, monotonic()) == "half_open")
        redis.freeze()
        began = monotonic()
        permits = [await one.breakers.admit(NAME, monotonic()) for _ in range(3)]
        assert monotonic() - began < 0.3
        assert [permit is not None for permit in permits] == [True, False, False]
        redis.thaw()


@pytest.mark.anyio
async def test_a_message_that_is_none_of_ours_changes_nothing(redis: Redis) -> None:
    """The node hears the next one as ever."""
    async with node(redis.port) as one, node(redis.port) as other:
        with redis.client() as client:
            assert client.publish(CHANNEL, b"\xc1 nonsense") == 2
        await fail(one, 5)
        await until(lambda: other.breakers.look(NAME, monotonic()) == "open", within_s=1)


@pytest.mark.anyio
async def test_no_name_breaks_it(redis: Redis) -> None:
    """Not one that is no text, nor one that is very long: neither raises, and others are counted as ever."""
    async with node(redis.port) as one:
        for name in ("openai/\udcff", "openai/" + "x" * 100_000, "openai/\0", ""):
            await fail(one, 5, name)
        await fail(one, 5)
        await until(lambda: one.breakers.look(NAME, monotonic()) == "open")
        await until(lambda: one.breakers.look("", monotonic()) == "open")
