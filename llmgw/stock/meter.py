"""The counters of one process, in memory.

One event loop asks, and nothing awaits between the check of all limits and the taking: that is the atomic step.
A call's lease keeps the counters it took from and a ticket of each, so that its end is a few subtractions. Leases
expire by a heap that `reserve` and `standing` sweep; there is no task.

What a counter begins with. Budgets, and windows of an hour or longer, begin with what the ledger has for them; the
other windows and `parallel` begin empty, so that a restart forgets less than an hour of them. While a counter is
being read, calls that need it wait, and it is kept as long as any call that took from it has not ended. So every
call is counted once: either it was over, and in the ledger, before the counter was read, or it settles here. A call
that was admitted before the limit existed, and ends after the counter was read, is in the ledger only.

Counters unused for an hour are dropped, two looked at for each new one, so that at most half of them are idle.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any, Final

from msgspec import Struct

from llmgw.errors import DependencyUnavailable
from llmgw.ports import Hold, Ledger, Standing
from llmgw.rules.demand import Demand, Limit
from llmgw.rules.period import HOUR_S, bounds
from llmgw.stock.counters import (
    REQUESTS,
    TOKENS,
    USD,
    Calendar,
    Counter,
    Places,
    Rolling,
    refusal,
)
from llmgw.stock.past import past

LOAD_S: Final = 1.0
"""The longest that a call waits for what the ledger says of its counters."""
EXPIRED_LIMIT: Final = 4096
"""Calls that outlived their lease, of which the use is still counted when they settle."""


class Lease(Struct):
    """What a call under way has taken."""

    expires_at: float
    counters: list[Counter]
    tickets: list[Any]
    held: list[int]
    """Of each unit, what it holds of every counter of that unit."""


class MemoryMeter:
    """Implements `ports.Meter` for the one event loop that uses it.

    A used-up limit refuses every call, also one that asks nothing of it. A hold that expires leaves its request
    counted, for that was made; everything else of it is free. `settle` and `release` end a hold, its place
    included. Amounts below 0 count as 0; an amount above what was asked for counts in full.
    The limits of a demand have different counters.
    """

    degraded: str | None = None
    """It needs nobody to count."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._now = -inf
        self._counters: dict[str, Counter] = {}
        self._names: deque[str] = deque()
        self._leases: dict[str, Lease] = {}
        self._expiries: list[tuple[float, str]] = []
        self._expired: OrderedDict[str, Lease] = OrderedDict()
        self._loads: dict[str, asyncio.Task[str | None]] = {}

    async def reserve(self, id: str, demand: Demand, now: float, lease_s: float) -> Hold:
        now = self._advance(now)
        tokens, cost = demand.tokens, demand.cost_nano_usd
        held = [1, tokens if tokens > 0 else 0, cost if cost > 0 else 0, 1]
        known = self._counters
        counters = []
        refused = False
        for limit in demand.limits:
            counter = known.get(limit.counter)
            if counter is None:
                await self._know(demand.limits)
                return await self.reserve(id, demand, now, lease_s)
            if counter.taken(now) + (held[counter.unit] or 1) > limit.amount:
                refused = True
            counters.append(counter)
        if refused:
            raise refusal(demand.limits, counters, held, now)
        if id in self._leases:
            raise ValueError(f"the call {id} has reserved already")
        tickets = []
        for counter in counters:
            tickets.append(counter.take(now, held[counter.unit]))
            counter.calls += 1
            counter.touched = now
        expires_at = now + lease_s
        self._leases[id] = Lease(expires_at, counters, tickets, held)
        heappush(self._expiries, (expires_at, id))
        if len(self._expiries) > 2 * len(self._leases) + 64:
            # Most calls end long before their lease; what they leave in the heap must not outnumber the others.
            self._expiries = [(lease.expires_at, id) for id, lease in self._leases.items()]
            heapify(self._expiries)
        return Hold(id=id, demand=demand, expires_at=expires_at)

    def leave(self, hold: Hold, *, tokens: int | None = None, cost_nano_usd: int | None = None) -> None:
        lease = self._leases.get(hold.id)
        if lease is None:
            return
        held = lease.held
        left = [
            held[REQUESTS],
            held[TOKENS] if tokens is None else max(tokens, 0),
            held[USD] if cost_nano_usd is None else max(cost_nano_usd, 0),
            0,
        ]
        for counter, ticket in zip(lease.counters, lease.tickets):  # noqa: B905  as below
            unit = counter.unit
            if left[unit] != held[unit]:
                counter.replace(ticket, held[unit] - left[unit], 0)
        lease.held = left

    def settle(self, hold: Hold, *, tokens: int, cost_nano_usd: int, now: float) -> None:
        lease = self._ended(hold, now)
        if lease is not None:
            tokens, cost = tokens if tokens > 0 else 0, cost_nano_usd if cost_nano_usd > 0 else 0
            _end(lease, (lease.held[REQUESTS], tokens, cost, 0))

    def release(self, hold: Hold, now: float) -> None:
        lease = self._ended(hold, now)
        if lease is not None:
            # The request of an expired lease is settled already, and is taken back.
            _end(lease, (lease.held[REQUESTS] - 1, 0, 0, 0))

    def standing(self, limits: Sequence[Limit], now: float) -> list[Standing]:
        now = self._advance(now)
        found = []
        for limit in limits:
            counter = self._counters.get(limit.counter)
            if counter is None:
                found.append(Standing(limit=limit, used=0, reserved=0, reset_s=0.0))
            else:
                reset_s = counter.empty_in(now)
                found.append(
                    Standing(limit=limit, used=counter.settled, reserved=counter.held, reset_s=reset_s)
                )
        return found

    def _advance(self, now: float) -> float:
        """The time it is: never before one that was given earlier. What has expired by then is freed."""
        if now < self._now:
            now = self._now
        else:
            self._now = now
        expiries = self._expiries
        while expiries and expiries[0][0] <= now:
            expires_at, id = heappop(expiries)
            lease = self._leases.get(id)
            if lease is not None and lease.expires_at == expires_at:
                del self._leases[id]
                self._expire(id, lease)
        return now

    def _expire(self, id: str, lease: Lease) -> None:
        _replace(lease, (1, 0, 0, 0))
        lease.held = [0, 0, 0, 0]
        self._expired[id] = lease
        if len(self._expired) > EXPIRED_LIMIT:
            _, oldest = self._expired.popitem(last=False)
            _end(oldest, oldest.held)

    def _ended(self, hold: Hold, now: float) -> Lease | None:
        if now > self._now:
            self._now = now
        lease = self._leases.pop(hold.id, None)
        return self._expired.pop(hold.id, None) if lease is None else lease

    async def _know(self, limits: Sequence[Limit]) -> None:
        """Make the counters that are missing, or read them from the ledger."""
        while missing := {limit.counter: limit for limit in limits if limit.counter not in self._counters}:
            loads = []
            for limit in missing.values():
                if limit.measure == "parallel":
                    self._add(limit, Places(limit, self._now))
                elif limit.measure == "usd" or limit.window_s is None or limit.window_s >= HOUR_S:
                    loads.append(self._load(limit))
                else:
                    self._add(limit, Rolling(limit, limit.window_s, self._now))
            for load in loads:
                problem = await asyncio.shield(load)
                if problem is not None:
                    raise DependencyUnavailable(
                        "What has been used of a limit cannot be read just now; try again.",
                        retry_after_s=1,
                        detail=problem,
                    )

    def _load(self, limit: Limit) -> asyncio.Task[str | None]:
        """Reads a counter, once for all who wait for it; gives what was in the way."""
        load = self._loads.get(limit.counter)
        if load is None:
            # A task, for the deadline and because the caller may go away while others wait.
            load = asyncio.get_running_loop().create_task(self._read(limit, self._now))
            self._loads[limit.counter] = load
        return load

    async def _read(self, limit: Limit, now: float) -> str | None:
        try:
            async with asyncio.timeout(LOAD_S):
                if limit.window_s is not None:
                    counter: Counter = await self._window(limit, limit.window_s, now)
                else:
                    assert limit.period is not None
                    since, _ = bounds(limit.period, now)
                    used = await self._ledger.used(limit.scope, limit.measure, since)
                    counter = Calendar(limit, used, now)
        except TimeoutError:
            return f"the ledger did not answer within {LOAD_S:g} s"
        except DependencyUnavailable as error:
            return error.detail or error.message
        finally:
            del self._loads[limit.counter]
        self._add(limit, counter)
        return None

    async def _window(self, limit: Limit, window_s: float, now: float) -> Rolling:
        counter = Rolling(limit, window_s, now)
        for end, used in await past(self._ledger, limit, window_s, now):
            counter.replace(counter.take(end, used), used, used)
        return counter

    def _add(self, limit: Limit, counter: Counter) -> None:
        for _ in range(min(2, len(self._names))):
            name = self._names.popleft()
            old = self._counters[name]
            if old.calls == 0 and self._now - old.touched >= old.idle_s:
                del self._counters[name]
            else:
                self._names.append(name)
        self._names.append(limit.counter)
        self._counters[limit.counter] = counter


def _replace(lease: Lease, used: Sequence[int]) -> None:
    """What the lease holds becomes what was used, of each unit."""
    held = lease.held
    for counter, ticket in zip(lease.counters, lease.tickets):  # noqa: B905  `strict` costs as much as the loop
        unit = counter.unit
        counter.replace(ticket, held[unit], used[unit])


def _end(lease: Lease, used: Sequence[int]) -> None:
    _replace(lease, used)
    for counter in lease.counters:
        counter.calls -= 1
