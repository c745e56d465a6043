"""Breakers that all nodes share, in Redis.

Each node keeps the states of Redis at hand, in a `MemoryBreakers`, and goes by these: a closed breaker costs nothing.
Failures go to Redis at once and are counted there, by a script with the transitions of `rules.breaker`; transitions
come back to every node as messages, numbered. What is missed is found by a look twice a second. A probe is leased from
Redis. With a ratio set, successes are gathered, for a tenth of a second or until the next failure.

Without Redis each node goes on by itself, from what it knows: the same object then makes the transitions. When Redis
is back, what is open here is told to it.

States and leases are in the time of Redis' clock, which no two machines disagree on. The clock of this process becomes
that at the edge, by an offset that every look measures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from time import monotonic
from typing import Final

import msgspec
from msgspec import Struct

from llmgw.breaking.memory import MemoryBreakers
from llmgw.cluster.redis import Arg, Lost, Redis, Script
from llmgw.config import breakers as config
from llmgw.rules.breaker import Outcome, Permit, Phase, Slice, State

LOOK_S: Final = 0.5
GATHER_S: Final = 0.1
CHANNEL: Final = "llmgw:{breakers}:news"
KEYS: Final = ["llmgw:{breakers}:states", "llmgw:{breakers}:changes", "llmgw:{breakers}:meta"]
SCRIPT: Final = Script(files("llmgw.cluster").joinpath("breakers.lua").read_text())
GATHERED: Final = 10_000
"""Names whose successes are gathered at once; those of more are sent by themselves."""


class _State(Struct, array_like=True):
    """As the script packs it."""

    phase: Phase
    generation: int
    failed_at: tuple[float, ...]
    slices: tuple[tuple[float, int, int], ...]
    opened_at: float
    leases: tuple[float, ...]

    def known(self) -> State:
        return State(
            phase=self.phase,
            generation=self.generation,
            failed_at=self.failed_at,
            slices=tuple([Slice(*one) for one in self.slices]),
            opened_at=self.opened_at,
            leases=self.leases,
        )


class _News(Struct, array_like=True):
    """As the script answers."""

    now: float
    version: int
    fresh: int
    full: bool
    """Whether `changes` is all there is."""
    changes: tuple[tuple[str, _State], ...]
    permit: tuple[float, ...] | bool
    """Generation and lease; the latter of a probe only."""


_decode: Final = msgspec.msgpack.Decoder(_News).decode
_pack: Final = msgspec.msgpack.encode


class RedisBreakers:
    """Implements `ports.Breakers`. `run()` must run.

    Args:
        clock: of this process; times that callers give are of it. None: callers' times are those of all nodes.
    """

    def __init__(
        self, redis: Redis, settings: config.Breakers, *, clock: Callable[[], float] | None = monotonic
    ) -> None:
        self._redis = redis
        self._near = MemoryBreakers(settings)
        self._clock = clock
        self._offset = 0.0
        """Redis' clock less ours."""
        self._alone = True
        """Since Redis was lost, or never found, until it has been told what is open here."""
        self._fresh = -1
        self._version = -1
        self._successes: dict[tuple[str, int], int] = {}
        self._look = asyncio.Event()
        self._looking = asyncio.Lock()
        self.configure(settings)
        redis.on_return.append(self._look.set)
        redis.subscribe(CHANNEL, self._hear)

    @property
    def opened(self) -> int:
        return self._near.opened

    def configure(self, settings: config.Breakers) -> None:
        self._near.configure(settings)
        self._gathers = settings.ratio is not None

    def look(self, name: str, now: float) -> Phase:
        return self._near.look(name, now + self._offset)

    def permit(self, name: str) -> Permit | None:
        return self._near.permit(name)

    async def admit(self, name: str, now: float) -> Permit | None:
        there = now + self._offset
        if self._near.look(name, there) != "half_open" or self._is_alone():
            return await self._near.admit(name, there)
        if self._near.free_in([name], there) > 0:
            return None
        try:
            news = _decode(
                await self._redis.call(SCRIPT, KEYS, self._arguments("admit", name, now, _name(name)))
            )
        except Lost:
            self._alone = True
            return await self._near.admit(name, now + self._offset)
        self._take(news)
        if isinstance(news.permit, bool):
            return None
        generation, *lease = news.permit
        return Permit(int(generation), *lease)

    def report(self, name: str, permit: Permit, outcome: Outcome, now: float) -> None:
        if self._is_alone():
            self._near.report(name, permit, outcome, now + self._offset)
        elif permit.lease is not None:
            self._send(name, permit, outcome, now, 0)
        elif outcome == "failure":
            # In the order they happened: a share is looked at when a failure comes.
            self._send(name, permit, outcome, now, self._successes.pop((name, permit.generation), 0))
        elif outcome == "success" and self._gathers:
            self._gather(name, permit, now)

    def free_in(self, names: Iterable[str], now: float) -> float:
        return self._near.free_in(names, now + self._offset)

    def states(self, now: float) -> Mapping[str, Phase]:
        return self._near.states(now + self._offset)

    async def run(self) -> None:
        """Keep up with the other nodes until cancelled."""
        while True:
            await self.refresh()
            self._look.clear()
            try:
                await asyncio.wait_for(self._look.wait(), LOOK_S)
            except TimeoutError:
                continue

    async def refresh(self) -> None:
        """Know what is known by now; where Redis is lost, nothing changes."""
        async with self._looking:
            if not self._redis.available:
                self._alone = True
                return
            try:
                if self._alone:
                    await self._tell_open()
                began = monotonic()
                arguments = self._arguments("look", "", None, self._fresh, self._version)
                news = await self._ask(arguments)
            except Lost:
                self._alone = True
                return
            if self._clock is not None:
                # The answer was made half-way, as far as anybody can tell.
                self._offset = news.now - (self._clock() - (monotonic() - began) / 2)
            self._take(news, whole=True)
            if news.full or news.fresh == self._fresh:
                self._alone = False

    async def _ask(self, arguments: Sequence[Arg]) -> _News:
        try:
            return _decode(await self._redis.call(SCRIPT, KEYS, arguments))
        except msgspec.MsgspecError as error:
            raise Lost(f"its answer is not one of this script: {error}") from error

    def _is_alone(self) -> bool:
        if not self._redis.available:
            self._alone = True
        return self._alone

    async def _tell_open(self) -> None:
        """Make known what has opened here. Its age is told: the clock may be another one by now."""
        now = (monotonic() if self._clock is None else self._clock()) + self._offset
        ages = [(_name(name).decode(), max(0.0, now - at)) for name, at in self._near.open_since().items()]
        # Whatever is there now, and under whichever numbers, is read as a whole.
        self._fresh = -1
        if ages:
            await self._redis.call(SCRIPT, KEYS, self._arguments("merge", "", None, _pack(ages)))

    def _take(self, news: _News, *, whole: bool = False) -> None:
        """Go by what an answer or a message says, where nothing is missing before it; `whole` answers a look."""
        if news.full:
            self._near.reset({name: state.known() for name, state in news.changes}, news.fresh)
        elif news.fresh != self._fresh:
            return self._look.set()
        elif news.version <= self._version:
            return None
        elif not whole and news.version != self._version + len(news.changes):
            return self._look.set()
        else:
            for name, state in news.changes:
                self._near.put(name, state.known())
        self._fresh, self._version = news.fresh, news.version
        return None

    def _hear(self, message: bytes) -> None:
        if self._alone:
            return
        try:
            self._take(_decode(message))
        except msgspec.MsgspecError:
            self._look.set()  # whoever said it: what is true is found by a look

    def _gather(self, name: str, permit: Permit, now: float) -> None:
        key = (name, permit.generation)
        known = self._successes.get(key)
        if known is not None:
            self._successes[key] = known + 1
        elif len(self._successes) >= GATHERED:
            self._send(name, permit, "success", now, 1)
        else:
            self._successes[key] = 1
            asyncio.get_running_loop().call_later(GATHER_S, self._flush, name, permit, now)

    def _flush(self, name: str, permit: Permit, now: float) -> None:
        count = self._successes.pop((name, permit.generation), 0)
        if count and not self._is_alone():
            self._send(name, permit, "success", now, count)

    def _send(self, name: str, permit: Permit, outcome: Outcome, now: float, successes: int) -> None:
        lease = "" if permit.lease is None else repr(permit.lease)
        rest = (_name(name), permit.generation, lease, outcome, successes)
        self._redis.send(SCRIPT, KEYS, self._arguments("report", name, now, *rest))

    def _arguments(self, what: str, name: str, now: float | None, *rest: Arg) -> list[Arg]:
        settings = self._near.settings_of(name)
        rules = (
            *(settings.failures, settings.ratio, settings.min_calls),
            *(settings.window_s, settings.cooldown_s, settings.half_open),
        )
        # Redis' own clock is the truth; a time that is given is one of a clock that all nodes have in common.
        at = "" if now is None or self._clock is not None else repr(now)
        return [what, CHANNEL, at, _pack(rules), *rest]


def _name(name: str) -> bytes:
    """Clients make names up: one that is no text is still to be sent."""
    return name.encode(errors="replace")
