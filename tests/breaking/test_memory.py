"""What the breakers in memory keep to beyond their port: bounds that are seen from inside only."""

from __future__ import annotations

from typing import Final

import pytest

from llmgw.breaking.memory import LIMIT, MemoryBreakers
from llmgw.config.breakers import Breakers

pytestmark = pytest.mark.anyio
SETTINGS: Final = Breakers(failures=2)


@pytest.mark.parametrize("times", [1, 2], ids=["closed", "open"])
async def test_no_more_are_known_than_the_limit(times: int) -> None:
    """Whether the made-up names have failed once or are all open; those that failed last are the ones that stay."""
    breakers = MemoryBreakers(SETTINGS)
    most = 0
    for n in range(3 * LIMIT):
        for _ in range(times):
            permit = await breakers.admit(f"openai/{n}", 100 + n / 1e6)
            assert permit is not None
            breakers.report(f"openai/{n}", permit, "failure", 100 + n / 1e6)
        most = max(most, len(breakers._states))
    assert most == LIMIT
    assert breakers.look(f"openai/{3 * LIMIT - 1}", 101) == ("open" if times == 2 else "closed")


async def test_what_does_not_fail_takes_no_memory() -> None:
    """Unless a ratio is set, for that counts all calls."""
    breakers = MemoryBreakers(SETTINGS)
    for n in range(100):
        permit = await breakers.admit(f"openai/{n}", 100)
        assert permit is not None
        breakers.report(f"openai/{n}", permit, "success", 100)
    assert not breakers._states


async def test_what_failed_last_is_known_longest() -> None:
    """However long its name has been known, what fails just now is not forgotten for names that failed earlier."""
    breakers = MemoryBreakers(Breakers(failures=3))

    async def fail(name: str, now: float) -> None:
        permit = await breakers.admit(name, now)
        assert permit is not None
        breakers.report(name, permit, "failure", now)

    await fail("openai/gpt-4o", 100)
    for n in range(LIMIT - 1):
        await fail(f"openai/{n}", 101)
    await fail("openai/gpt-4o", 102)
    await fail("openai/one-more", 103)
    assert len(breakers._states) < LIMIT
    await fail("openai/gpt-4o", 104)
    assert breakers.look("openai/gpt-4o", 104) == "open"
