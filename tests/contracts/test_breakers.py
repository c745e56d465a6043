"""What every adapter of the port `Breakers` keeps to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

import pytest

from llmgw.breaking.memory import MemoryBreakers
from llmgw.cluster.breakers import RedisBreakers
from llmgw.config import breakers as config
from llmgw.ports import Breakers
from tests.cluster.link import Link
from tests.servers import Redis

NAME: Final = "openai/gpt-4o"
SETTINGS: Final = config.Breakers(failures=5, window_s=30, cooldown_s=15, half_open=1)

pytestmark = pytest.mark.anyio


class Settling(Breakers, Protocol):
    """What this process knows of others may lag; after `settle` it does not."""

    async def settle(self) -> None: ...


class Alone(MemoryBreakers):
    """Nobody else is there."""

    async def settle(self) -> None:
        pass


class Shared(RedisBreakers):
    """Times are those of the tests, for all nodes."""

    def __init__(self, link: Link, settings: config.Breakers) -> None:
        super().__init__(link, settings, clock=None)

    async def settle(self) -> None:
        # The answer comes after that of everything sent before it.
        await self.refresh()


Make = Callable[[config.Breakers], Awaitable[Settling]]


@contextlib.asynccontextmanager
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    async def make(settings: config.Breakers) -> Settling:
        return Alone(settings)

    yield make


@contextlib.asynccontextmanager
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    server: Redis = request.getfixturevalue("redis")
    async with Link.to(server.port, deadline_s=5) as link:

        async def make(settings: config.Breakers) -> Settling:
            breakers = Shared(link, settings)
            await breakers.settle()
            return breakers

        yield make


BREAKERS: Final = {"memory": memory, "redis": redis}


@pytest.fixture(params=BREAKERS)
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    async with BREAKERS[request.param](request) as make:
        yield make


async def fail(breakers: Settling, times: int, now: float, name: str = NAME, *, settled: bool = True) -> None:
    for _ in range(times):
        permit = await breakers.admit(name, now)
        assert permit is not None
        breakers.report(name, permit, "failure", now)
        if settled:
            await breakers.settle()


async def test_it_opens_at_the_threshold(make: Make) -> None:
    """One failure fewer does not; afterwards nothing passes until the cooldown is over."""
    breakers = await make(SETTINGS)
    await fail(breakers, 4, 100)
    assert breakers.look(NAME, 100) == "closed" and await breakers.admit(NAME, 100) is not None
    await fail(breakers, 1, 101)
    assert breakers.look(NAME, 101) == "open"
    assert await breakers.admit(NAME, 115.9) is None
    assert breakers.free_in([NAME], 102) == 14
    assert breakers.states(102) == {NAME: "open"}
    assert breakers.look("openai/other", 101) == "closed"


async def test_old_failures_do_not_count(make: Make) -> None:
    """Only those of the window do."""
    breakers = await make(SETTINGS)
    await fail(breakers, 4, 100)
    await fail(breakers, 4, 130)
    assert breakers.look(NAME, 130) == "closed"


async def test_a_share_of_failures_opens_it_too(make: Make) -> None:
    """Once there were calls enough."""
    breakers = await make(config.Breakers(failures=1000, ratio=0.5, min_calls=10))
    for n in range(9):
        permit = await breakers.admit(NAME, 100)
        assert permit is not None
        breakers.report(NAME, permit, "failure" if n % 2 else "success", 100)
        await breakers.settle()
    assert breakers.look(NAME, 100) == "closed"
    await fail(breakers, 1, 101)
    assert breakers.look(NAME, 101) == "open"


async def test_fifty_failures_at_once_open_it_once(make: Make) -> None:
    """What calls say that were under way neither prolongs the cooldown nor closes the breaker."""
    breakers = await make(SETTINGS)
    permits = [await breakers.admit(NAME, 100) for _ in range(50)]

    async def end(n: int) -> None:
        await asyncio.sleep(0)
        permit = permits[n]
        assert permit is not None
        breakers.report(NAME, permit, "failure" if n % 10 else "success", 100 + n)
        await breakers.settle()

    await asyncio.gather(*(end(n) for n in range(50)))
    await breakers.settle()
    assert breakers.look(NAME, 118) == "open"
    assert breakers.look(NAME, 150) == "half_open"
    assert breakers.opened == 1


async def test_exactly_one_probe_goes_out(make: Make) -> None:
    """Of fifty who ask at once when the cooldown is over; the next only after the first has failed and cooled."""
    breakers = await make(SETTINGS)
    await fail(breakers, 5, 100)
    permits = await asyncio.gather(*(breakers.admit(NAME, 115) for _ in range(50)))
    [probe] = [permit for permit in permits if permit is not None]
    assert await breakers.admit(NAME, 120) is None
    breakers.report(NAME, probe, "failure", 121)
    await breakers.settle()
    assert await breakers.admit(NAME, 135.9) is None
    assert await breakers.admit(NAME, 136) is not None


async def test_a_probe_that_succeeds_closes_it(make: Make) -> None:
    """And what failed before is forgotten."""
    breakers = await make(SETTINGS)
    await fail(breakers, 5, 100)
    probe = await breakers.admit(NAME, 115)
    assert probe is not None
    breakers.report(NAME, probe, "success", 116)
    await breakers.settle()
    assert breakers.look(NAME, 116) == "closed" and breakers.states(116) == {}
    await fail(breakers, 4, 116)
    assert breakers.look(NAME, 116) == "closed"


async def test_a_probe_that_says_nothing_leaves_its_place(make: Make) -> None:
    """Because its client left, or because it never ends."""
    breakers = await make(SETTINGS)
    await fail(breakers, 5, 100)
    probe = await breakers.admit(NAME, 115)
    assert probe is not None
    breakers.report(NAME, probe, "neither", 116)
    await breakers.settle()
    assert await breakers.admit(NAME, 116) is not None
    assert await breakers.admit(NAME, 130.9) is None
    assert await breakers.admit(NAME, 131) is not None


async def test_what_is_nobodys_failure_is_not_counted(make: Make) -> None:
    breakers = await make(SETTINGS)
    for _ in range(20):
        permit = await breakers.admit(NAME, 100)
        assert permit is not None
        breakers.report(NAME, permit, "neither", 100)
        await breakers.settle()
    assert breakers.look(NAME, 100) == "closed"


async def test_a_secret_is_left_alone_after_its_first_refusal(make: Make) -> None:
    breakers = await make(SETTINGS)
    await fail(breakers, 1, 100, "credential:openai:1")
    assert await breakers.admit("credential:openai:1", 101) is None
    assert await breakers.admit("credential:openai:2", 101) is not None


async def test_other_settings_hold_for_what_is_open(make: Make) -> None:
    """A cooldown that a reload makes shorter ends sooner, and a threshold that it lowers is reached sooner."""
    breakers = await make(SETTINGS)
    await fail(breakers, 5, 100)
    await fail(breakers, 2, 100, "openai/other")
    breakers.configure(config.Breakers(failures=3, cooldown_s=2))
    assert breakers.free_in([NAME], 101) == 1
    assert await breakers.admit(NAME, 102) is not None
    await fail(breakers, 1, 102, "openai/other")
    assert breakers.look("openai/other", 102) == "open"


async def test_the_first_that_is_free_counts(make: Make) -> None:
    """Of several names; a half-open breaker is free while it lets more probes through."""
    breakers = await make(config.Breakers(failures=1, cooldown_s=15, half_open=2))
    await fail(breakers, 1, 100)
    await fail(breakers, 1, 104, "openai/other")
    assert breakers.free_in([NAME, "openai/other"], 105) == 10
    assert breakers.free_in([NAME, "openai/third"], 105) == 0
    assert await breakers.admit(NAME, 115) is not None and breakers.free_in([NAME], 115) == 0
    assert await breakers.admit(NAME, 116) is not None and breakers.free_in([NAME], 116) == 14
    assert breakers.free_in([], 116) == 0


async def test_it_tells_of_each_transition(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """One line for each, with the name."""
    caplog.set_level(logging.INFO, "llmgw.breakers")
    breakers = await make(SETTINGS)
    await fail(breakers, 5, 100)
    for now, outcome in ((115.0, "failure"), (130.0, "success")):
        permit = await breakers.admit(NAME, now)
        assert permit is not None and await breakers.admit(NAME, now) is None
        breakers.report(NAME, permit, "failure" if outcome == "failure" else "success", now)
        await breakers.settle()
    assert len(caplog.records) == 5 and all(NAME in record.getMessage() for record in caplog.records)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING", "INFO", "INFO"]


async def test_made_up_names_do_not_fill_the_memory(make: Make) -> None:
    """Clients can name any model of a provider: what is open stays known, and no more is told than can be read."""
    breakers = await make(SETTINGS)
    for n in range(25_000):
        await fail(breakers, 1, 100, f"openai/made-up-{n}", settled=n % 100 == 0)
        if n == 9_000:
            await fail(breakers, 5, 100)
    assert breakers.look(NAME, 101) == "open"
    for n in range(3_000):
        await fail(breakers, 5, 101, f"openai/bad-{n}", settled=n % 100 == 0)
    await breakers.settle()
    assert breakers.look(NAME, 102) == "open"
    told = breakers.states(102)
    assert len(told) == 1000 and NAME not in told, "those that opened last"


async def test_calls_of_a_forgotten_name_are_not_taken_for_later_ones(make: Make) -> None:
    """What a call says that began before its name was forgotten neither opens nor closes what goes by it then."""
    breakers = await make(SETTINGS)
    early = await breakers.admit(NAME, 100)
    await fail(breakers, 5, 100)
    probe = await breakers.admit(NAME, 115)
    assert early is not None and probe is not None
    breakers.report(NAME, probe, "success", 115)
    await breakers.settle()
    for n in range(25_000):
        await fail(breakers, 1, 115, f"openai/made-up-{n}", settled=n % 100 == 0)
    for _ in range(5):
        breakers.report(NAME, early, "failure", 116)
        await breakers.settle()
    assert breakers.look(NAME, 116) == "closed"
    await fail(breakers, 5, 117)
    assert await breakers.admit(NAME, 132) is not None
    for stale in (early, probe):
        breakers.report(NAME, stale, "success", 133)
        await breakers.settle()
    assert breakers.look(NAME, 133) == "half_open"
