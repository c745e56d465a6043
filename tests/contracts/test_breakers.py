"""What every adapter of the port `Breakers` keeps to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from llmgw.config import breakers as config
from llmgw.ports import Breakers
from llmgw.standalone.breakers import MemoryBreakers

NAME: Final = "openai/gpt-4o"
SETTINGS: Final = config.Breakers(failures=5, window_s=30, cooldown_s=15, half_open=1)
Make = Callable[[config.Breakers], Breakers]

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[MemoryBreakers], ids=["memory"])
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


async def fail(breakers: Breakers, times: int, now: float, name: str = NAME) -> None:
    for _ in range(times):
        permit = await breakers.admit(name, now)
        assert permit is not None
        breakers.report(name, permit, "failure", now)


async def test_it_opens_at_the_threshold(make: Make) -> None:
    """One failure fewer does not; afterwards nothing passes until the cooldown is over."""
    breakers = make(SETTINGS)
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
    breakers = make(SETTINGS)
    await fail(breakers, 4, 100)
    await fail(breakers, 4, 130)
    assert breakers.look(NAME, 130) == "closed"


async def test_a_share_of_failures_opens_it_too(make: Make) -> None:
    """Once there were calls enough."""
    breakers = make(config.Breakers(failures=1000, ratio=0.5, min_calls=10))
    for n in range(9):
        permit = await breakers.admit(NAME, 100)
        assert permit is not None
        breakers.report(NAME, permit, "failure" if n % 2 else "success", 100)
    assert breakers.look(NAME, 100) == "closed"
    await fail(breakers, 1, 101)
    assert breakers.look(NAME, 101) == "open"


async def test_fifty_failures_at_once_open_it_once(make: Make) -> None:
    """What calls say that were under way neither prolongs the cooldown nor closes the breaker."""
    breakers = make(SETTINGS)
    permits = [await breakers.admit(NAME, 100) for _ in range(50)]

    async def end(n: int) -> None:
        await asyncio.sleep(0)
        permit = permits[n]
        assert permit is not None
        breakers.report(NAME, permit, "failure" if n % 10 else "success", 100 + n)

    await asyncio.gather(*(end(n) for n in range(50)))
    assert breakers.look(NAME, 118) == "open"
    assert breakers.look(NAME, 150) == "half_open"
    assert getattr(breakers, "opened", 1) == 1


async def test_exactly_one_probe_goes_out(make: Make) -> None:
    """Of fifty who ask at once when the cooldown is over; the next only after the first has failed and cooled."""
    breakers = make(SETTINGS)
    await fail(breakers, 5, 100)
    permits = await asyncio.gather(*(breakers.admit(NAME, 115) for _ in range(50)))
    [probe] = [permit for permit in permits if permit is not None]
    assert await breakers.admit(NAME, 120) is None
    breakers.report(NAME, probe, "failure", 121)
    assert await breakers.admit(NAME, 135.9) is None
    assert await breakers.admit(NAME, 136) is not None


async def test_a_probe_that_succeeds_closes_it(make: Make) -> None:
    """And what failed before is forgotten."""
    breakers = make(SETTINGS)
    await fail(breakers, 5, 100)
    probe = await breakers.admit(NAME, 115)
    assert probe is not None
    breakers.report(NAME, probe, "success", 116)
    assert breakers.look(NAME, 116) == "closed" and breakers.states(116) == {}
    await fail(breakers, 4, 116)
    assert breakers.look(NAME, 116) == "closed"


async def test_a_probe_that_says_nothing_leaves_its_place(make: Make) -> None:
    """Because its client left, or because it never ends."""
    breakers = make(SETTINGS)
    await fail(breakers, 5, 100)
    probe = await breakers.admit(NAME, 115)
    assert probe is not None
    breakers.report(NAME, probe, "neither", 116)
    assert await breakers.admit(NAME, 116) is not None
    assert await breakers.admit(NAME, 130.9) is None
    assert await breakers.admit(NAME, 131) is not None


async def test_what_is_nobodys_failure_is_not_counted(make: Make) -> None:
    breakers = make(SETTINGS)
    for _ in range(20):
        permit = await breakers.admit(NAME, 100)
        assert permit is not None
        breakers.report(NAME, permit, "neither", 100)
    assert breakers.look(NAME, 100) == "closed"


async def test_a_secret_is_left_alone_after_its_first_refusal(make: Make) -> None:
    breakers = make(SETTINGS)
    await fail(breakers, 1, 100, "credential:openai:1")
    assert await breakers.admit("credential:openai:1", 101) is None
    assert await breakers.admit("credential:openai:2", 101) is not None


async def test_made_up_names_do_not_fill_the_memory(make: Make) -> None:
    """Clients can name any model of a provider; what is open stays known as long as there is room."""
    breakers = make(SETTINGS)
    await fail(breakers, 5, 100)
    for n in range(25_000):
        await fail(breakers, 1, 100, f"openai/made-up-{n}")
    assert breakers.look(NAME, 101) == "open"
    known = getattr(breakers, "_states", {})
    assert len(known) <= 10_001
