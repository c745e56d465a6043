"""What `ports.Meter` promises, of every adapter; the clock is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from llmgw.cluster.meter import RedisMeter
from llmgw.errors import BudgetExceeded, CallError, DependencyUnavailable, RateLimitExceeded
from llmgw.ports import Ledger, Meter
from llmgw.rules.demand import Demand, Limit, Measure, Scope
from llmgw.rules.period import Period
from llmgw.standalone.meter import MemoryMeter
from tests import servers
from tests.cluster.shared import Slots, connected

NOW = 1_760_000_000.0
LEASE_S = 600.0
ACME = Scope(kind="org", id="org_1", name="acme")
Made = Callable[[Ledger], Meter]

pytestmark = pytest.mark.anyio


class Used:
    """A ledger over one number; with None it cannot be read."""

    def __init__(self, amount: int | None = 0) -> None:
        self.amount = amount
        self.asked = 0

    async def used(self, scope: Scope, measure: Measure, since: float) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        if self.amount is None:
            raise DependencyUnavailable("The ledger cannot be read.")
        return self.amount


@pytest.fixture(params=["memory", "redis"])
async def made(request: pytest.FixtureRequest) -> AsyncIterator[Made]:
    if request.param == "memory":
        yield MemoryMeter
        return
    server: servers.Redis = request.getfixturevalue("redis")
    async with connected(server.url) as client:
        yield lambda ledger: RedisMeter(client, ledger, Slots())


def limit(
    measure: Measure, amount: int, *, window_s: float | None = None, period: Period | None = None
) -> Limit:
    return Limit(
        scope=ACME,
        measure=measure,
        amount=amount,
        window_s=window_s,
        period=period,
        counter=f"org:org_1:{measure}:{period or window_s}",
    )


RPM = limit("requests", 3, window_s=60.0)
TPM = limit("tokens", 100, window_s=60.0)
PLACES = limit("parallel", 2)
MONTH = limit("usd", 1000, period="month")


def demand(*limits: Limit, tokens: int = 0, cost: int = 0) -> Demand:
    return Demand(limits=limits, tokens=tokens, cost_nano_usd=cost)


async def refused(meter: Meter, id: str, wanted: Demand, now: float) -> CallError:
    with pytest.raises((RateLimitExceeded, BudgetExceeded)) as caught:
        await meter.reserve(id, wanted, now, LEASE_S)
    error = caught.value
    assert isinstance(error, CallError)
    return error


async def test_of_many_at_once_exactly_as_many_pass_as_there_is_room_for(made: Made) -> None:
    """200 calls at the same time against a budget for ten, the first of which has to read the ledger."""
    meter = made(Used())
    wanted = demand(MONTH, cost=100)
    results = await asyncio.gather(
        *(meter.reserve(f"call_{n}", wanted, NOW, LEASE_S) for n in range(200)), return_exceptions=True
    )
    passed = [result for result in results if not isinstance(result, BaseException)]
    assert len(passed) == 10
    assert all(isinstance(result, BudgetExceeded) for result in results if isinstance(result, BaseException))


async def test_all_or_nothing(made: Made) -> None:
    """A demand that one limit refuses takes nothing of the others."""
    meter = made(Used())
    for n in range(5):
        await refused(meter, f"call_{n}", demand(RPM, PLACES, TPM, tokens=101), NOW)
    for n in range(2):
        await meter.reserve(f"fits_{n}", demand(RPM, PLACES, TPM, tokens=50), NOW, LEASE_S)
    assert [one.used + one.reserved for one in meter.standing((RPM, PLACES, TPM), NOW)] == [2, 2, 100]


async def test_what_was_used_takes_the_place_of_what_was_held(made: Made) -> None:
    """Settled, a call counts with what it used; released, with nothing; each once, however often it is said."""
    meter = made(Used())
    one = await meter.reserve("one", demand(RPM, TPM, MONTH, tokens=80, cost=900), NOW, LEASE_S)
    for _ in range(3):
        meter.settle(one, tokens=10, cost_nano_usd=300, now=NOW + 1)
    meter.release(one, NOW + 1)
    two = await meter.reserve("two", demand(RPM, TPM, MONTH, tokens=80, cost=700), NOW + 1, LEASE_S)
    for _ in range(3):
        meter.release(two, NOW + 1)
    meter.settle(two, tokens=80, cost_nano_usd=700, now=NOW + 1)
    standing = meter.standing((RPM, TPM, MONTH), NOW + 1)
    assert [(one.used, one.reserved) for one in standing] == [(1, 0), (10, 0), (300, 0)]


async def test_who_has_left_holds_its_use_and_no_place(made: Made) -> None:
    """The place is free at once; of the rest no more is held than what was used, until it is settled."""
    meter = made(Used())
    full = limit("parallel", 1)
    hold = await meter.reserve("one", demand(full, TPM, MONTH, tokens=90, cost=900), NOW, LEASE_S)
    meter.leave(hold, tokens=20, cost_nano_usd=150)
    meter.leave(hold, tokens=20, cost_nano_usd=150)
    assert [(one.used, one.reserved) for one in meter.standing((full, TPM, MONTH), NOW)] == [
        (0, 0),
        (0, 20),
        (0, 150),
    ]
    await meter.reserve("two", demand(full, TPM, MONTH, tokens=80, cost=850), NOW, LEASE_S)


async def test_more_used_than_asked_for_counts_in_full(made: Made) -> None:
    """The money is spent; the next call finds the budget used up."""
    meter = made(Used())
    hold = await meter.reserve("one", demand(MONTH, cost=10), NOW, LEASE_S)
    meter.settle(hold, tokens=0, cost_nano_usd=5000, now=NOW)
    error = await refused(meter, "two", demand(MONTH, cost=0), NOW)
    assert "acme" in error.message and error.retry_after_s is not None


async def test_a_hold_that_nobody_ends_expires_and_its_spend_still_counts(made: Made) -> None:
    """From the end of the lease nothing is held; a late settlement is money spent all the same."""
    meter = made(Used())
    hold = await meter.reserve("one", demand(PLACES, MONTH, cost=1000), NOW, LEASE_S)
    await refused(meter, "two", demand(PLACES, MONTH, cost=1), NOW + LEASE_S - 1)
    later = NOW + LEASE_S
    await meter.reserve("three", demand(PLACES, MONTH, cost=600), later, LEASE_S)
    meter.settle(hold, tokens=0, cost_nano_usd=300, now=later)
    assert [(one.used, one.reserved) for one in meter.standing((MONTH,), later)] == [(300, 600)]


async def test_in_no_window_more_than_its_limit(made: Made) -> None:
    """Wherever the window lies: three now, and the next only when the first of them has left."""
    meter = made(Used())
    for n in range(3):
        meter.settle(
            await meter.reserve(f"call_{n}", demand(RPM), NOW + 10 * n, LEASE_S),
            tokens=0, cost_nano_usd=0, now=NOW + 10 * n,
        )  # fmt: skip
    error = await refused(meter, "early", demand(RPM), NOW + 59.9)
    assert error.retry_after_s == pytest.approx(0.1, abs=0.01)
    await meter.reserve("late", demand(RPM), NOW + 60, LEASE_S)
    await refused(meter, "again", demand(RPM), NOW + 60)


async def test_a_calendar_budget_starts_anew_with_its_period(made: Made) -> None:
    """What was admitted in a period counts there, also when it ends in the next."""
    meter = made(Used())
    day = limit("usd", 100, period="day")
    midnight = NOW // 86400 * 86400 + 86400
    hold = await meter.reserve("one", demand(day, cost=100), midnight - 1, LEASE_S)
    await refused(meter, "two", demand(day, cost=1), midnight - 1)
    await meter.reserve("three", demand(day, cost=40), midnight, LEASE_S)
    meter.settle(hold, tokens=0, cost_nano_usd=100, now=midnight + 1)
    assert [(one.used, one.reserved) for one in meter.standing((day,), midnight + 1)] == [(0, 40)]


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
async def test_a_clock_that_jumps_gives_nothing_away(made: Made, jump_s: float) -> None:
    """Back by an hour, the time stands still until it is passed; forward, what has left has left."""
    meter = made(Used())
    for n in range(3):
        await meter.reserve(f"call_{n}", demand(RPM), NOW, LEASE_S)
    if jump_s < 0:
        await refused(meter, "back", demand(RPM), NOW + jump_s)
    else:
        await meter.reserve("forward", demand(RPM), NOW + jump_s, LEASE_S)


async def test_a_limit_may_change_while_its_counter_stays(made: Made) -> None:
    """Lowered below what is spent it refuses; raised it allows at once, with what was spent."""
    meter = made(Used())
    hold = await meter.reserve("one", demand(MONTH, cost=500), NOW, LEASE_S)
    meter.settle(hold, tokens=0, cost_nano_usd=500, now=NOW)
    await refused(meter, "two", demand(limit("usd", 400, period="month"), cost=1), NOW)
    await meter.reserve("three", demand(limit("usd", 600, period="month"), cost=100), NOW, LEASE_S)


async def test_an_unknown_counter_begins_with_the_ledger_which_is_read_once(made: Made) -> None:
    """A restart forgets no budget; callers at the same time wait for one reading."""
    ledger = Used(950)
    meter = made(ledger)
    results = await asyncio.gather(
        *(meter.reserve(f"call_{n}", demand(MONTH, cost=25), NOW, LEASE_S) for n in range(5)),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 2
    assert ledger.asked == 1


async def test_a_ledger_that_cannot_be_read_lets_no_call_pass_and_is_asked_again(made: Made) -> None:
    """Money may not slip: 503, and the next call tries anew. Counters that need no ledger go on."""
    ledger = Used(None)
    meter = made(ledger)
    for n in range(2):
        with pytest.raises(DependencyUnavailable):
            await meter.reserve(f"call_{n}", demand(MONTH, cost=1), NOW, LEASE_S)
    await meter.reserve("rpm", demand(RPM, PLACES), NOW, LEASE_S)
    ledger.amount = 0
    await meter.reserve("now", demand(MONTH, cost=1), NOW, LEASE_S)


async def test_a_demand_that_can_never_fit_promises_no_retry(made: Made) -> None:
    """It asks for more than the limit itself; waiting does not help, and the message says so."""
    error = await refused(made(Used()), "one", demand(TPM, tokens=101), NOW)
    assert error.retry_after_s is None and "100" in error.message and "101" in error.message
