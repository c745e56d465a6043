"""The counters of many nodes in one Redis: exact, through the loss of its data, and stated while it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator
from time import time

import pytest

from llmgw.cluster.meter import MOST, OnLoss, RedisMeter
from llmgw.cluster.redis import Redis
from llmgw.errors import BudgetExceeded, CallError, DependencyUnavailable, RateLimitExceeded
from llmgw.ports import Hold, Ledger, Meter
from llmgw.rules.demand import Demand, Limit, Measure, Scope, ScopeKind
from llmgw.rules.period import Period
from llmgw.stock.meter import MemoryMeter
from tests import servers
from tests.cluster.shared import Slots, connected
from tests.provider import eventually
from tests.servers import Relay

pytestmark = pytest.mark.anyio

LEASE_S = 600.0
NOW = 1_760_000_000.0


class Rows:
    """A ledger of calls that ended, each with its cost; of one organisation."""

    def __init__(self) -> None:
        self.costs: list[int] = []
        self.away = False

    async def used(self, scope: Scope, measure: Measure, since: float) -> int:
        await asyncio.sleep(0)
        if self.away:
            raise DependencyUnavailable("The ledger cannot be read.")
        return sum(self.costs) if measure == "usd" else len(self.costs)


def limit(
    measure: Measure,
    amount: int,
    *,
    window_s: float | None = None,
    period: Period | None = None,
    kind: ScopeKind = "org",
    id: str = "org_1",
) -> Limit:
    return Limit(
        scope=Scope(kind=kind, id=id, name="acme", org_id="" if kind in ("model", "provider") else "org_1"),
        measure=measure,
        amount=amount,
        window_s=window_s,
        period=period,
        counter=f"{kind}:{id}:{measure}:{period or window_s or ''}",
    )


def demand(*limits: Limit, tokens: int = 0, cost: int = 0) -> Demand:
    return Demand(limits=limits, tokens=tokens, cost_nano_usd=cost)


@contextlib.asynccontextmanager
async def node(
    url: str, ledger: Ledger, slots: Slots, on_loss: OnLoss = "local", grace_s: float = 0.5
) -> AsyncIterator[tuple[RedisMeter, Redis]]:
    """A meter that runs, with its own connection."""
    async with connected(url) as client:
        meter = RedisMeter(client, ledger, slots, on_shared_loss=on_loss, grace_s=grace_s)
        task = asyncio.create_task(meter.run())
        try:
            yield meter, client
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def passed(meter: Meter, id: str, wanted: Demand, now: float) -> Hold | None:
    try:
        return await meter.reserve(id, wanted, now, LEASE_S)
    except (RateLimitExceeded, BudgetExceeded):
        return None


# -- the same answers as in one process


@pytest.mark.parametrize("seed", range(12))
async def test_the_same_answers_as_the_counters_of_one_process(redis: servers.Redis, seed: int) -> None:
    """Whatever the order of calls, ends and times: the same calls pass, and refusals read the same."""
    chance = random.Random(seed)
    rows = Rows()
    rows.costs = [chance.randrange(50) for _ in range(chance.choice([0, 3]))]
    amounts = chance.choice([(3, 60, 2, 300), (8, 200, 5, 1000), (100, 3000, 90, 9000)])
    known = [
        limit("requests", amounts[0], window_s=60.0),
        limit("tokens", amounts[1], window_s=60.0, kind="key", id="key_1"),
        limit("tokens", amounts[1] * 9, window_s=86400.0),
        limit("parallel", amounts[2]),
        limit("usd", amounts[3], period="hour"),
        limit("usd", amounts[3] * 5, period="month", kind="tag", id="org_1/a=b"),
        limit("usd", amounts[3] * 3, period="total", kind="model", id="gpt"),
        limit("requests", amounts[0], window_s=0.5, kind="provider", id="openai"),
        limit("usd", amounts[3] * 2, window_s=7200.0),
    ]
    step_s = chance.choice([0.01, 0.5, 10.0, 200.0])
    async with connected(redis.url) as client:
        oracle, meter = MemoryMeter(rows), RedisMeter(client, rows, Slots())
        now = NOW
        holds: list[Hold] = []
        for n in range(300):
            now += chance.choice([0.0, 0.0, step_s, step_s * chance.random(), -step_s])
            what = chance.random()
            if what < 0.6 or not holds:
                limits = tuple(chance.sample(known, chance.randrange(1, len(known))))
                wanted = demand(*limits, tokens=chance.choice([0, 1, 7, 40]), cost=chance.choice([0, 5, 90]))
                answers: list[Hold | tuple[type[CallError], str, float | None]] = []
                for one in (oracle, meter):
                    try:
                        answers.append(await one.reserve(f"call_{n}", wanted, now, LEASE_S))
                    except CallError as error:
                        answers.append((type(error), error.message, error.retry_after_s))
                assert answers[0] == answers[1]
                if isinstance(answers[0], Hold):
                    holds.append(answers[0])
            else:
                hold = chance.choice(holds)
                tokens, cost = chance.choice([0, 3, 50]), chance.choice([0, 4, 120])
                kind = chance.randrange(3)
                for one in (oracle, meter):
                    if kind == 0:
                        one.leave(hold, tokens=tokens, cost_nano_usd=None if cost == 0 else cost)
                    elif kind == 1:
                        one.settle(hold, tokens=tokens, cost_nano_usd=cost, now=now)
                    else:
                        one.release(hold, now)
                if kind:
                    holds.remove(hold)


async def test_places_are_free_again_after_a_lease_of_a_process_that_died(redis: servers.Redis) -> None:
    """Nobody ends its calls; the counters do, for every node."""
    slots, rows = Slots(), Rows()
    places, budget = limit("parallel", 2), limit("usd", 100, period="month")
    async with node(redis.url, rows, slots) as (dies, _):
        for n in range(2):
            await dies.reserve(f"call_{n}", demand(places, budget, cost=50), NOW, LEASE_S)
    async with node(redis.url, rows, slots) as (lives, _):
        assert await passed(lives, "early", demand(places, budget, cost=50), NOW + LEASE_S - 1) is None
        for n in range(2):
            await lives.reserve(f"late_{n}", demand(places, budget, cost=50), NOW + LEASE_S, LEASE_S)


async def test_amounts_beyond_what_counters_hold_are_refused(redis: servers.Redis) -> None:
    """2^53 nano-dollars are the most that can be counted to the last one."""
    async with node(redis.url, Rows(), Slots()) as (meter, _):
        vast = limit("usd", 10**18, period="month")
        with pytest.raises(BudgetExceeded):
            await meter.reserve("one", demand(vast, cost=MOST + 1), NOW, LEASE_S)
        hold = await meter.reserve("two", demand(vast, cost=MOST), NOW, LEASE_S)
        meter.settle(hold, tokens=0, cost_nano_usd=MOST - 1, now=NOW)
        await meter.reserve("three", demand(vast, cost=1), NOW, LEASE_S)
        assert await passed(meter, "four", demand(vast, cost=1), NOW) is None


NODE = """
import asyncio, sys
from tests.cluster.test_meter import *
async def main():
    name, url = sys.argv[1:3]
    rows, slots = Rows(), Slots()
    slots.used.add("org_1") if name != "0" else None
    async with node(url, rows, slots, grace_s=0.2) as (meter, client):
        wanted = demand(limit("requests", 100, window_s=3600.0), limit("usd", 50, period="total"), cost=1)
        await asyncio.sleep(max(0.0, float(sys.argv[3]) - time()))
        async def one(n):
            while True:
                try:
                    hold = await meter.reserve(f"{name}_{n}", wanted, time(), 600.0)
                    return 1
                except (RateLimitExceeded, BudgetExceeded):
                    return 0
                except DependencyUnavailable:
                    await asyncio.sleep(0.05)
        print(sum(await asyncio.gather(*(one(n) for n in range(200)))), meter.degraded, flush=True)
asyncio.run(main())
"""


async def test_five_processes_and_never_one_more(redis: servers.Redis) -> None:
    """200 calls at once in each of five processes, against 100 requests and a budget for 50: fifty pass."""
    # The slot is begun beforehand, so that every process finds it alive.
    async with node(redis.url, Rows(), Slots()) as (meter, _):
        await meter.reserve("first", demand(limit("parallel", 5)), time(), 1.0)
    start = str(time() + 3)

    async def process(name: str) -> list[bytes]:
        command = (sys.executable, "-c", NODE, name, redis.url, start)
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        return (await child.communicate())[0].split()

    outs = await asyncio.gather(*(process(str(n)) for n in range(5)))
    assert sum(int(out[0]) for out in outs) == 50
    assert all(out[1] == b"None" for out in outs)


# -- lost data


async def test_started_empty_in_the_middle(redis: servers.Redis) -> None:
    """What was spent comes from the ledger, what is under way from the nodes; not one call more passes."""
    rows, slots = Rows(), Slots()
    budget, places = limit("usd", 50, period="month"), limit("parallel", 30)
    wanted = demand(budget, places, cost=1)
    now = time()
    async with node(redis.url, rows, slots) as (one, client), node(redis.url, rows, slots) as (two, other):
        await eventually(lambda: one.nodes == 2 and two.nodes == 2)
        holds = [
            (one if n % 2 else two, await (one if n % 2 else two).reserve(f"a{n}", wanted, now, LEASE_S))
            for n in range(30)
        ]
        for meter, hold in holds[:20]:
            meter.settle(hold, tokens=0, cost_nano_usd=1, now=now)
            rows.costs.append(1)
        await passed(one, "seen_1", demand(budget, cost=0), now)
        await passed(two, "seen_2", demand(budget, cost=0), now)
        redis.kill()
        await asyncio.to_thread(redis.start)
        await eventually(lambda: client.available and other.available)
        alone = 0
        for n in range(200):
            for meter, name in ((one, "one"), (two, "two")):
                alone += await passed(meter, f"b_{name}{n}", wanted, now) is not None
            await asyncio.sleep(0.005)
        await eventually(lambda: one.degraded is None and two.degraded is None)
        after = 0
        for n in range(100):
            after += await passed(one, f"c{n}", wanted, now) is not None
        # 20 spent, 10 under way and what passed since, of 50; 30 places.
        assert 10 + alone + after == 30
        standing = one.standing((budget, places), now)
        assert [(s.used, s.reserved) for s in standing] == [(20, 30), (0, 30)]


async def test_nothing_is_seeded_twice(redis: servers.Redis) -> None:
    """Ten nodes that find a counter unknown at the same time count what the ledger has once."""
    rows, slots = Rows(), Slots()
    rows.costs = [40]
    wanted = demand(limit("usd", 100, period="month"), cost=1)
    async with contextlib.AsyncExitStack() as stack:
        nodes = [(await stack.enter_async_context(node(redis.url, rows, slots)))[0] for _ in range(10)]
        first = await passed(nodes[0], "first", demand(limit("parallel", 9)), NOW)
        assert first is not None
        results = await asyncio.gather(
            *(passed(meter, f"{k}_{n}", wanted, NOW) for k, meter in enumerate(nodes) for n in range(20))
        )
    assert sum(result is not None for result in results) == 60


# -- while Redis is lost


async def test_each_node_takes_its_share(redis: servers.Redis) -> None:
    """Frozen: half of the places for each of two nodes, half of what was left of the budget; then as before."""
    rows, slots = Rows(), Slots()
    budget, rate = limit("usd", 100, period="month"), limit("requests", 20, window_s=60.0)
    now = time()
    with Relay(redis.address) as relay:
        url = f"redis://127.0.0.1:{relay.port}/0"
        async with node(url, rows, slots) as (one, client), node(redis.url, rows, slots) as (two, _):
            await eventually(lambda: one.nodes == 2 and two.nodes == 2)
            hold = await one.reserve("spent", demand(budget, cost=60), now, LEASE_S)
            one.settle(hold, tokens=0, cost_nano_usd=60, now=now)
            rows.costs.append(60)
            assert one.degraded is None
            relay.black_hole()
            got = [await passed(one, f"rate_{n}", demand(rate), now) for n in range(30)]
            assert sum(hold is not None for hold in got) == 10
            assert one.degraded == "limits" and not client.available
            spent = [await passed(one, f"usd_{n}", demand(budget, cost=1), now) for n in range(100)]
            assert sum(hold is not None for hold in spent) == 20
            for ended in spent:
                if ended is not None:
                    one.settle(ended, tokens=0, cost_nano_usd=1, now=now)
                    rows.costs.append(1)
            relay.restore()
            await eventually(lambda: client.available)
            await eventually(lambda: one.degraded is None)
            assert (await passed(two, "more", demand(budget, cost=21), now)) is None
            assert (await passed(two, "fits", demand(budget, cost=20), now)) is not None


async def test_redis_comes_and_goes_while_the_ledger_is_away(redis: servers.Redis) -> None:
    """Calls go on by what the node knew, and however often Redis is lost, no dollar is spent twice."""
    rows = Rows()
    budget = limit("usd", 100, period="month")
    now = time()
    with Relay(redis.address) as relay:
        async with node(f"redis://127.0.0.1:{relay.port}/0", rows, Slots(), grace_s=0.1) as (meter, client):
            hold = await meter.reserve("spent", demand(budget, cost=60), now, LEASE_S)
            meter.settle(hold, tokens=0, cost_nano_usd=60, now=now)
            rows.away = True
            count = 0
            for blip in range(4):
                relay.black_hole()
                for n in range(5):
                    count += await passed(meter, f"lost_{blip}_{n}", demand(budget, cost=1), now) is not None
                assert not client.available
                relay.restore()
                await eventually(lambda: client.available)
                for n in range(5):
                    count += await passed(meter, f"back_{blip}_{n}", demand(budget, cost=1), now) is not None
                    await asyncio.sleep(0.05)
                assert count == 10 * (blip + 1)
            for n in range(50):
                count += await passed(meter, f"end_{n}", demand(budget, cost=1), now) is not None
            assert count == 40


async def test_open_and_closed(redis: servers.Redis) -> None:
    """Everything passes and is counted afterwards; or nothing, with a word on when to come again."""
    places = limit("parallel", 3)
    async with node(redis.url, Rows(), Slots(), on_loss="open") as (meter, client):
        await meter.reserve("first", demand(places), NOW, LEASE_S)
        redis.kill()
        holds = [await meter.reserve(f"open_{n}", demand(places), NOW, LEASE_S) for n in range(5)]
        meter.configure("closed")
        with pytest.raises(DependencyUnavailable) as caught:
            await meter.reserve("closed", demand(places), NOW, LEASE_S)
        assert caught.value.retry_after_s == 1
        await asyncio.to_thread(redis.start)
        meter.configure("open")
        await eventually(lambda: client.available)
        await asyncio.sleep(1.2)
        assert await passed(meter, "full", demand(places), NOW) is None
        for hold in holds:
            meter.settle(hold, tokens=0, cost_nano_usd=0, now=NOW)
        assert await passed(meter, "free", demand(places), NOW) is not None


async def test_ends_of_calls_that_did_not_arrive_are_sent_again(redis: servers.Redis) -> None:
    """Frozen for a while, then as it was: the places of calls that ended meanwhile are free, their use counts."""
    rows, slots = Rows(), Slots()
    places, budget = limit("parallel", 4), limit("usd", 100, period="month")
    async with (
        node(redis.url, rows, slots, on_loss="closed") as (meter, client),
        node(redis.url, rows, slots) as (other, _),
    ):
        holds = [
            await meter.reserve(f"c{n}", demand(places, budget, cost=10), NOW, LEASE_S) for n in range(4)
        ]
        redis.freeze()
        with pytest.raises(DependencyUnavailable):
            await meter.reserve("frozen", demand(places), NOW, LEASE_S)
        for hold in holds:
            meter.settle(hold, tokens=0, cost_nano_usd=7, now=NOW)
        redis.thaw()
        await eventually(lambda: client.available)

        async def free() -> bool:
            return await passed(other, "probe", demand(places, budget, cost=1), NOW) is not None

        for _ in range(100):
            if await free():
                break
            await asyncio.sleep(0.05)
        assert [(s.used, s.reserved) for s in other.standing((places, budget), NOW)] == [(0, 1), (28, 1)]


# -- Redis Cluster


async def test_a_demand_over_several_slots_is_all_or_nothing(cluster: str) -> None:
    """An organisation, a model and a provider lie on different servers: what was taken of one is given back."""
    rows, slots = Rows(), Slots()
    org, model = limit("requests", 9, window_s=60.0), limit("usd", 100, period="day", kind="model", id="gpt")
    provider = limit("parallel", 3, kind="provider", id="openai")
    async with node(cluster, rows, slots) as (one, _), node(cluster, rows, slots) as (two, _):
        wanted = demand(org, model, provider, cost=30)
        results = await asyncio.gather(
            *(passed(one if n % 2 else two, f"call_{n}", wanted, NOW) for n in range(40))
        )
        holds = [hold for hold in results if hold is not None]
        # Of calls at the same time some may stand in each other's way and be refused; never is one too many.
        assert len(holds) <= 3
        for n in range(20):
            more = await passed(one, f"more_{n}", wanted, NOW)
            if more is not None:
                holds.append(more)
        assert len(holds) == 3
        standing = one.standing((org, model, provider), NOW)
        assert [(s.used, s.reserved) for s in standing] == [(0, 3), (0, 90), (0, 3)]
        assert one.degraded is None
