"""Who is warned of a budget, and how often."""

from __future__ import annotations

from collections.abc import Sequence

from llmgw.config.budget import NANO
from llmgw.flow.alarm import Alarm
from llmgw.ports import BudgetWarning, CallRecord, Standing
from llmgw.rules.demand import Limit, Scope

NOW = 1_760_000_000.0
SHARES = (0.5, 0.8, 1.0)
MONTH = Limit(
    scope=Scope(kind="org", id="org_1", name="acme"),
    measure="usd",
    amount=10 * NANO,
    period="month",
    counter="org:org_1:usd:month",
)


class Spent:
    """As much of `Meter` as is asked, over one number; and the sink."""

    def __init__(self) -> None:
        self.used = 0
        self.warnings: list[BudgetWarning] = []

    def standing(self, limits: Sequence[Limit], now: float) -> list[Standing]:
        return [Standing(limit=limit, used=self.used, reserved=0, reset_s=None) for limit in limits]

    def warn(self, warning: BudgetWarning) -> None:
        self.warnings.append(warning)

    def began(self) -> None: ...

    def offer(self, record: CallRecord) -> None: ...


def looked(*dollars: float, now: float = NOW) -> list[float]:
    """The shares warned of while so much had been spent at each look."""
    spent = Spent()
    alarm = Alarm(spent, spent)  # type: ignore[arg-type]  # the part of a meter that is asked
    for amount in dollars:
        spent.used = int(amount * NANO)
        alarm.look([MONTH], SHARES, now)
    return [warning.share for warning in spent.warnings]


def test_each_share_is_warned_of_once() -> None:
    """However often a budget is looked at."""
    assert looked(0, 4, 5, 6, 7, 8, 9, 9.5, 10, 11) == [0.5, 0.8, 1.0]


def test_a_leap_is_one_warning() -> None:
    """Of the largest share that was passed."""
    assert looked(0, 9) == [0.8]


def test_what_was_spent_before_is_old_news() -> None:
    """A restart finds a budget used up and does not warn again."""
    assert looked(9, 9.1) == []


def test_a_rolling_budget_that_hovers_is_no_flood() -> None:
    """Falling a little below a share and passing it again says nothing new; falling far does."""
    assert looked(0, 5.1, 4.9, 5.1, 4.9, 5.1) == [0.5]
    assert looked(0, 5.1, 3, 5.1) == [0.5, 0.5]
