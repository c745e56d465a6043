"""Warns of budgets that run out: once for each share of a budget and period.

What had been spent when a budget was first seen is old news: a restart warns of nothing that it finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from llmgw.config.budget import Budget, dollars_text
from llmgw.ports import BudgetWarning, Meter, Sink
from llmgw.rules.demand import Limit
from llmgw.rules.period import bounds

REMEMBERED: Final = 10_000
"""Budgets of which it is known what was warned of; beyond that, all are first seen again."""

SLACK: Final = 0.1
"""By so much a budget that rolls must fall before it is warned of again."""


class Alarm:
    """Looks at budgets when calls are admitted and when they have been settled."""

    def __init__(self, meter: Meter, sink: Sink) -> None:
        self._meter = meter
        self._sink = sink
        self._seen: dict[tuple[str, float], float] = {}
        """By counter and beginning of its period: the share that was last seen."""

    def look(self, limits: Sequence[Limit], shares: Sequence[float], now: float) -> None:
        """Warn of each budget among `limits` that has passed one of `shares` since it was last looked at."""
        budgets = [limit for limit in limits if limit.measure == "usd"]
        for standing in self._meter.standing(budgets, now):
            limit = standing.limit
            since = 0.0 if limit.period is None else bounds(limit.period, now)[0]
            share = standing.used / limit.amount
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            before = self._seen.setdefault((limit.counter, since), share)
            if share > before or share < before - SLACK:
                self._seen[limit.counter, since] = share
            passed = [at for at in shares if before < at <= share]
            if passed:
                self._sink.warn(
                    BudgetWarning(
                        scope=limit.scope.kind,
                        name=limit.scope.name,
                        budget=str(Budget(limit.amount, limit.period, limit.window_s)),
                        share=max(passed),
                        spent_usd=dollars_text(standing.used),
                        time=now,
                    )
                )
