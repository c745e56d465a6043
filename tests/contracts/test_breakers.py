"""What every adapter of the port `Breakers` keeps to."""

from __future__ import annotations

import asyncio
import logging
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
    assert breakers.opened == 1


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


async def test_other_settings_hold_for_what_is_open(make: Make) -> None:
    """A cooldown that a reload makes shorter ends sooner, and a threshold that it lowers is reached sooner."""
    breakers = make(SETTINGS)
    await fail(breakers, 5, 100)
    await fail(breakers, 2, 100, "openai/other")
    breakers.configure(config.Breakers(failures=3, cooldown_s=2))
    assert breakers.free_in([NAME], 101) == 1
    assert await breakers.admit(NAME, 102) is not None
    await fail(breakers, 1, 102, "openai/other")
    assert breakers.look("openai/other", 102) == "open"


async def test_the_first_that_is_free_counts(make: Make) -> None:
    """Of several names; a half-open breaker is free while it lets more probes through."""
    breakers = make(config.Breakers(failures=1, cooldown_s=15, half_open=2))
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
    breakers = make(SETTINGS)
    await fail(breakers, 5, 100)
    for now, outcome in ((115.0, "failure"), (130.0, "success")):
        permit = await breakers.admit(NAME, now)
        assert permit is not None and await breakers.admit(NAME, now) is None
        breakers.report(NAME, permit, "failure" if outcome == "failure" else "success", now)
    assert len(caplog.records) == 5 and all(NAME in record.getMessage() for record in caplog.records)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING", "INFO", "INFO"]


async def test_made_up_names_do_not_fill_the_memory(make: Make) -> None:
    """Clients can name any model of a provider: what is open stays known, and no more is told than can be read."""
    breakers = make(SETTINGS)
    for n in range(25_000):
        await fail(breakers, 1, 100, f"openai/made-up-{n}")
        if n == 9_000:
            await fail(breakers, 5, 100)
    assert breakers.look(NAME, 101) == "open"
    for n in range(3_000):
        await fail(breakers, 5, 101, f"openai/bad-{n}")
    assert breakers.look(NAME, 102) == "open"
    told = breakers.states(102)
    assert len(told) == 1000 and NAME not in told, "those that opened last"


async def test_calls_of_a_forgotten_name_are_not_taken_for_later_ones(make: Make) -> None:
    """What a call says that began before its name was forgotten neither opens nor closes what goes by it then."""
    breakers = make(SETTINGS)
    early = await breakers.admit(NAME, 100)
    await fail(breakers, 5, 100)
    probe = await breakers.admit(NAME, 115)
    assert early is not None and probe is not None
    breakers.report(NAME, probe, "success", 115)
    for n in range(25_000):
        await fail(breakers, 1, 115, f"openai/made-up-{n}")
    for _ in range(5):
        breakers.report(NAME, early, "failure", 116)
    assert breakers.look(NAME, 116) == "closed"
    await fail(breakers, 5, 117)
    assert await breakers.admit(NAME, 132) is not None
    for stale in (early, probe):
        breakers.report(NAME, stale, "success", 133)
    assert breakers.look(NAME, 133) == "half_open"
