"""Who is warned of a budget, and how often."""

from __future__ import annotations

import pytest

from llmgw.config.budget import NANO
from llmgw.flow.alarm import Alarm
from llmgw.ports import BudgetWarning, CallRecord, Hold
from llmgw.rules.demand import Demand, Limit, Measure, Scope
from llmgw.standalone.meter import MemoryMeter

NOW = 1_760_000_000.0
SHARES = (0.5, 0.8, 1.0)
ACME = Scope(kind="org", id="org_1", name="acme")
MONTH = Limit(scope=ACME, measure="usd", amount=10 * NANO, period="month", counter="org:org_1:usd:month")
ROLLING = Limit(scope=ACME, measure="usd", amount=10 * NANO, window_s=100.0, counter="org:org_1:usd:100s")

pytestmark = pytest.mark.anyio


class Before:
    """A ledger in which so many dollars have been spent."""

    def __init__(self, dollars: float) -> None:
        self._nano = int(dollars * NANO)

    async def used(self, scope: Scope, measure: Measure, since: float) -> int:
        return self._nano


class Told:
    """A sink that keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[BudgetWarning] = []

    def warn(self, warning: BudgetWarning) -> None:
        self.warnings.append(warning)

    def began(self) -> None:
        """Of no interest."""

    def offer(self, record: CallRecord) -> None:
        """Nor is this."""


async def warned(limit: Limit, *spends: tuple[float, float], before: float = 0) -> list[float]:
    """The shares warned of when so many dollars are spent so many seconds after the beginning."""
    told, meter = Told(), MemoryMeter(Before(before))
    alarm = Alarm(meter, told)
    demand = Demand(limits=(limit,), tokens=0, cost_nano_usd=0)

    async def admitted(n: int, at: float) -> Hold:
        hold = await meter.reserve(f"call_{n}", demand, at, 1000.0)
        alarm.look(demand.limits, SHARES, at)
        return hold

    early = [await admitted(-n, NOW) for n in range(1, len(spends) + 1)] if limit is MONTH else []
    for n, (after_s, dollars) in enumerate(spends):
        now = NOW + after_s
        hold = early[n] if early else await admitted(n, now)
        meter.settle(hold, tokens=0, cost_nano_usd=round(dollars * NANO), now=now)
        alarm.look(demand.limits, SHARES, now)
    return [warning.share for warning in told.warnings]


async def test_each_share_is_warned_of_once() -> None:
    """However often a budget is looked at."""
    assert await warned(MONTH, *((n, 1.0) for n in range(11))) == [0.5, 0.8, 1.0]


async def test_a_leap_is_one_warning() -> None:
    """Of the largest share that was passed."""
    assert await warned(MONTH, (0, 9.0)) == [0.8]


async def test_what_was_spent_before_is_old_news() -> None:
    """A restart finds a budget nearly used up and does not warn again."""
    assert await warned(MONTH, (0, 0.1), before=9) == []


async def test_a_rolling_budget_that_hovers_is_no_flood() -> None:
    """Falling a little below a share and passing it again says nothing new."""
    assert await warned(ROLLING, (0, 0.2), (1, 4.9), (100.5, 0.2), (200.6, 0.3)) == [0.5]


async def test_a_rolling_budget_that_fell_far_is_warned_of_again() -> None:
    """What was spent has left the window, and as much is spent anew."""
    assert await warned(ROLLING, (0, 5.5), (101, 0.1), (102, 5.5)) == [0.5, 0.5]
