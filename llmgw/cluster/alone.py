"""What a node may admit by itself while the shared counters cannot be asked.

Of every limit a node takes its share: what was left of it when it was last known, divided by the number of nodes seen
last. Of budgets and long windows that is the most that Redis or the ledger say; of rates what Redis said, if it did;
places are counted by the process alone. So all nodes together spend no more than that, but for what the others
spent since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic

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
    at: float = 0.0
    """When it was known, of `time.monotonic`."""


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
    since: float
    """Of `time.monotonic`."""


class Alone:
    """A meter of shares. A share lasts until Redis has been asked about its limit again: losses may follow each other
    faster than what other nodes have used gets to where this one reads it, and no share is to be taken twice."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._meter = MemoryMeter(_Nothing())
        self._count = 0
        self._now = 0.0
        self._shares: dict[str, _Share] = {}
        self._readings: dict[str, asyncio.Task[Known | DependencyUnavailable]] = {}

    def begin(self) -> None:
        """Redis is lost."""
        for name in [name for name, share in self._shares.items() if share.known.until <= self._now]:
            del self._shares[name]

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
            own, last = self._shares.get(name), known.get(name)
            if own is None or (last is not None and last.at > own.since):
                found = await self._found(limit, now, last)
                self._count += 1
                counted = msgspec.structs.replace(limit, counter=f"{name}#{self._count}")
                own = self._shares[name] = _Share(found, counted, monotonic())
            left = limit.amount - (own.known.taken if now < own.known.until else 0)
            share = max(1, left // nodes) if left > 0 else 0
            limits.append(msgspec.structs.replace(own.limit, amount=share))
        return await self._meter.reserve(
            id, msgspec.structs.replace(demand, limits=tuple(limits)), now, lease_s
        )

    async def _found(self, limit: Limit, now: float, last: Known | None) -> Known:
        """The most that is known: by the ledger, where it can be asked, and by what Redis said last."""
        said = [] if last is None or now >= last.until else [last]
        try:
            said.append(await self._used(limit, now))
        except DependencyUnavailable:
            if not said:
                raise
        return max(said, key=lambda one: one.taken)

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
        share = self._shares.get(limit.counter)
        found = self._meter.standing((limit if share is None else share.limit,), now)[0]
        return msgspec.structs.replace(found, limit=limit)
