"""What limits cost a call: `reserve`, `leave` and `settle` with three limits and two calendar budgets.

`python -m bench.meter` prints CPU per call, alone and with many keys and calls under way.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from statistics import median
from typing import Final

from llmgw.rules.demand import Demand, Limit, Measure, Scope
from llmgw.rules.period import Period
from llmgw.standalone.meter import MemoryMeter

START: Final = 1_700_000_000.0
RATE: Final = 2_000
"""Calls per second of the meter's clock."""
LEASE_S: Final = 600.0


class _NothingUsed:
    """A ledger without rows."""

    async def used(self, scope: Scope, measure: Measure, since: float) -> int:
        return 0


def measure(rounds: int = 7, calls: int = 20_000) -> dict[str, float]:
    """CPU of one call in microseconds; medians over rounds."""
    return {
        f"meter_us_{keys}_keys_{under_way}_under_way": round(
            median(asyncio.run(_round(keys, under_way, calls)) for _ in range(rounds)), 2
        )
        for keys, under_way in ((1, 1), (1, 500), (1_000, 500))
    }


async def _round(keys: int, under_way: int, calls: int) -> float:
    meter = MemoryMeter(_NothingUsed())
    demands = [Demand(limits=_limits(f"key{key}"), tokens=900, cost_nano_usd=40_000) for key in range(keys)]
    for number, demand in enumerate(demands):
        meter.release(await meter.reserve(f"first{number}", demand, START, LEASE_S), START)
    holds = deque(
        [await meter.reserve(f"call{n}", demands[n % keys], START, LEASE_S) for n in range(under_way - 1)]
    )
    ids = [f"call_{number:026}" for number in range(calls)]
    gc.collect()
    before = time.process_time()
    for number, id in enumerate(ids):
        now = START + number / RATE
        holds.append(await meter.reserve(id, demands[number % keys], now, LEASE_S))
        hold = holds.popleft()
        meter.leave(hold)
        meter.settle(hold, tokens=310, cost_nano_usd=12_345, now=now)
    return (time.process_time() - before) / calls * 1e6


def _limits(key: str) -> tuple[Limit, ...]:
    def limit(measure: Measure, window_s: float | None = None, period: Period | None = None) -> Limit:
        return Limit(
            scope=Scope(kind="key", id=key, name=key),
            measure=measure,
            amount=10**15,
            window_s=window_s,
            period=period,
            counter=f"key:{key}:{measure}:{period or window_s}",
        )

    return (
        limit("requests", 60.0),
        limit("tokens", 60.0),
        limit("parallel"),
        limit("usd", period="day"),
        limit("usd", period="month"),
    )


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:40} {value:8.2f}")
