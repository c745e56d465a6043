"""What a node may admit by itself while the shared counters cannot be asked.

Of every limit a node takes its share: what was left of it when it was last known, divided by the number of nodes seen
last. Of budgets and long windows that is what Redis said, or else what the ledger says; of rates what Redis said, if it
did; places are counted by the process alone. So all nodes together spend no more than that, but for what the others
spent since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from llmgw.errors import DependencyUnavailable
from llmgw.ports import Hold, Ledger, Standing
from llmgw.rules.demand import Demand, Limit, Measure, Scope
from llmgw.rules.period import HOUR_S, bounds
from llmgw.stock.meter import MemoryMeter


class Known(Struct, gc=False):
    """What was taken of a limit, and until when that counts, Unix seconds."""

    taken: int
    until: float


class _Nothing:
    """A ledger for counters that begin with nothing."""

    async def used(self, scope: Scope, measure: Measure, since: float) -> int:
        return 0


def remembered(limit: Limit) -> bool:
    """Whether the ledger knows what its counter begins with."""
    if limit.measure == "parallel":
        return False
    return limit.measure == "usd" or limit.window_s is None or limit.window_s >= HOUR_S


class _Share(Struct, gc=False):
    """What was known of a limit when this node began to count it by itself, and the limit that it counts."""

    known: Known
    limit: Limit


class Alone:
    """A meter of shares. `begin` is said at every loss: what was known before counts no more, but as the least that can
    have been used."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._meter = MemoryMeter(_Nothing())
        self._losses = 0
        self._now = 0.0
        self._shares: dict[str, _Share] = {}
        self._least: dict[str, Known] = {}
        """By earlier losses: what was known then and what was admitted since. Redis may come and go while the ledger is
        away, and no share is to be spent twice."""
        self._readings: dict[str, asyncio.Task[Known | DependencyUnavailable]] = {}

    def begin(self) -> None:
        self._losses += 1
        self._least = {name: least for name, least in self._least.items() if least.until > self._now}
        for name, share in self._shares.items():
            (standing,) = self._meter.standing([share.limit], 0.0)
            self._least[name] = Known(
                share.known.taken + standing.used + standing.reserved, share.known.until
            )
        self._shares.clear()

    async def reserve(
        self,
        id: str,
        demand: Demand,
        now: float,
        lease_s: float,
        *,
        nodes: int,
        known: Mapping[str, Known],
        places: Mapping[str, int],
    ) -> Hold:
        """Raises as `Meter.reserve`.

        Args:
            known: what was last known of each counter.
            places: how many of each limit this node has besides those it took here.
        """
        self._now = now
        limits = []
        for limit in demand.limits:
            if not remembered(limit):
                last = known.get(limit.counter)
                left = limit.amount - (0 if last is None or now >= last.until else last.taken)
                share = max(1, left // nodes) if left > 0 else 0
                if limit.measure == "parallel":
                    share = max(0, share - places.get(limit.counter, 0))
                limits.append(msgspec.structs.replace(limit, amount=share))
                continue
            name = limit.counter
            own = self._shares.get(name)
            if own is None:
                found = known.get(name) or await self._used(limit, now)
                least = self._least.get(name)
                if least is not None and least.taken > found.taken and now < least.until:
                    found = least
                counted = msgspec.structs.replace(limit, counter=f"{name}#{self._losses}")
                own = self._shares[name] = _Share(found, counted)
            left = limit.amount - (own.known.taken if now < own.known.until else 0)
            share = max(1, left // nodes) if left > 0 else 0
            limits.append(msgspec.structs.replace(own.limit, amount=share))
        return await self._meter.reserve(
            id, msgspec.structs.replace(demand, limits=tuple(limits)), now, lease_s
        )

    async def _used(self, limit: Limit, now: float) -> Known:
        """By the ledger, which is asked once for all who wait for it."""
        reading = self._readings.get(limit.counter)
        if reading is None:
            # A task, for callers need not be one, and may go away while others wait.
            reading = asyncio.get_running_loop().create_task(self._read(limit, now))
            self._readings[limit.counter] = reading
        found = await asyncio.shield(reading)
        if isinstance(found, DependencyUnavailable):
            raise found
        return found

    async def _read(self, limit: Limit, now: float) -> Known | DependencyUnavailable:
        if limit.window_s is not None:
            since, until = now - limit.window_s, now + limit.window_s
        else:
            assert limit.period is not None
            since, until = bounds(limit.period, now)
        try:
            return Known(await self._ledger.used(limit.scope, limit.measure, since), until)
        except DependencyUnavailable as error:
            return error
        finally:
            del self._readings[limit.counter]

    def leave(self, hold: Hold, *, tokens: int | None = None, cost_nano_usd: int | None = None) -> None:
        self._meter.leave(hold, tokens=tokens, cost_nano_usd=cost_nano_usd)

    def settle(self, hold: Hold, *, tokens: int, cost_nano_usd: int, now: float) -> None:
        self._meter.settle(hold, tokens=tokens, cost_nano_usd=cost_nano_usd, now=now)

    def release(self, hold: Hold, now: float) -> None:
        self._meter.release(hold, now)

    def standing(self, limit: Limit, now: float) -> Standing:
        name = f"{limit.counter}#{self._losses}" if remembered(limit) else limit.counter
        found = self._meter.standing((msgspec.structs.replace(limit, counter=name),), now)[0]
        return msgspec.structs.replace(found, limit=limit)
