"""The counters of all nodes, in Redis.

One script takes all of a demand or nothing (`meter.lua`); in a Redis Cluster one for each hash slot, and what was taken
is given back where another refused. A slot is an organisation, with its keys and tags, or a model or provider. The ends
of calls are sent behind one another without waiting, before the next reservation, and again when they did not arrive:
each is counted once, by the call's id. What Redis said last of a counter, and what this node ended since, is what
`standing` tells.

Lost data. All of a slot has the name of its *life*. A slot without one is new, or lost its data; `Lives` knows. Lost,
it begins a new life with a grace, in which calls are admitted as while Redis is lost and every node registers the calls
it has under way; then counters begin again with what the ledger has. A node that admitted calls without Redis ends the
life of their slots in the same way, for what these used is in no counter. Call by call: what ended before a counter was
read is in the ledger, for none is read while a node says that older rows of it wait; what ends later was registered
and settles here. A call that ends just while the ledger is being read may be in both, and is then counted twice rather
than not at all.

Amounts are exact up to 2^53 (9 million dollars in nano-dollars): a limit above that counts as that, so that a demand
above it is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import Callable, Sequence
from importlib.resources import files
from math import inf
from random import SystemRandom
from time import monotonic
from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec import Struct

from llmgw.cluster.alone import Alone, Known, remembered
from llmgw.cluster.redis import Lost, Redis, Script
from llmgw.errors import DependencyUnavailable
from llmgw.ports import Hold, Ledger, Standing
from llmgw.rules.demand import Demand, Limit, Scope
from llmgw.rules.period import bounds
from llmgw.rules.refusal import Reading, refusal
from llmgw.stock.past import past

OnLoss = Literal["local", "open", "closed"]
MOST: Final = 2**53 - 1
GRACE_S: Final = 2.0
BLIND_S: Final = 1.0
"""How long it is told that calls were admitted by what a node knew, after the last of them."""
LOOK_S: Final = 0.5
BEAT_S: Final = 1.0
BEATS: Final = 5
"""So long a node counts that is not heard of."""
LAG_MS: Final = 3000
"""So long it counts that a node said that it has rows which the ledger lacks."""
LOAD_S: Final = 1.0
"""The longest that a call waits for what the ledger says of its counters."""
FIRST_USE_S: Final = 0.05
"""How long another node may take from its first use of a slot to beginning its life."""
KEEP_S: Final = 3600.0
TRIES: Final = 16
OPS: Final = 50_000
"""Ends of calls that wait for Redis; beyond that the slots they are of begin a new life instead."""
OPS_AT_ONCE: Final = 200
IMAGES: Final = 100_000

_UNITS: Final = {"requests": 1, "tokens": 2, "usd": 3, "parallel": 4}
_WINDOW, _CALENDAR, _PLACES = 0, 1, 2
_LEAVE, _SETTLE, _RELEASE, _HOLD = 0, 1, 2, 3
_FACTS: Final = struct.Struct("<dddd")
_encode: Final = msgspec.msgpack.Encoder().encode
_random: Final = SystemRandom()
_LAGGING: Final = "llmgw:{nodes}:lagging"
LAG: Final = Script("""
    local now = redis.call('TIME')
    local ms = now[1] * 1000 + math.floor(now[2] / 1000)
    if ARGV[2] == '0' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
    redis.call('ZADD', KEYS[1], ms + ARGV[3], ARGV[1])
    return redis.call('PEXPIRE', KEYS[1], ARGV[3])
""")
LAGGING: Final = Script("""
    local now = redis.call('TIME')
    redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now[1] * 1000 + math.floor(now[2] / 1000))
    local own = redis.call('ZSCORE', KEYS[1], ARGV[1]) and 1 or 0
    return redis.call('ZCARD', KEYS[1]) - own
""")
SCRIPT: Final = Script(files("llmgw.cluster").joinpath("meter.lua").read_text())


class Lives(Protocol):
    """Which slots were ever used, remembered elsewhere than in Redis."""

    async def first_use(self, slot: str) -> bool:
        """Whether nobody asked this of `slot` before; of many who ask at once, it is true for one.

        Raises:
            DependencyUnavailable: that cannot be known just now.
        """
        ...


class _Image(Struct, gc=False):
    """What is known of a counter."""

    settled: int
    held: int
    empty_at: float
    start: float
    """Of a calendar's period."""
    at: float
    """When Redis said so, of `time.monotonic`."""


class _Call(Struct, eq=False):
    """A call under way."""

    hold: Hold
    time: float
    held: list[int]
    lives: dict[str, str]
    """Of each slot that knows of it, the life."""
    alone: Hold | None = None
    """Its share, where this node admitted it by itself."""


class _Begin(Exception):
    """A slot has no life."""

    def __init__(self, slot: str) -> None:
        super().__init__(slot)
        self.slot = slot


class RedisMeter:
    """Implements `ports.Meter` for one node. `run()` is its background task."""

    def __init__(
        self,
        redis: Redis,
        ledger: Ledger,
        lives: Lives,
        *,
        on_shared_loss: OnLoss = "local",
        grace_s: float = GRACE_S,
        lags: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            on_shared_loss: what holds while Redis is lost.
            grace_s: how long a slot that lost its data takes to hear of the calls under way.
            lags: whether the ledger lacks rows of this node that are older than the last time this was asked.
        """
        self._lags = lags
        self._redis = redis
        self._ledger = ledger
        self._first_use = lives
        self._on_loss = on_shared_loss
        self._grace_s = grace_s
        self._now = -inf
        self._alone = Alone(ledger)
        self._calls: dict[str, _Call] = {}
        self._lives: dict[str, str] = {}
        self._images: dict[str, _Image] = {}
        self._places: dict[str, int] = {}
        self._ops: deque[tuple[int, str, list[Any]]] = deque()
        self._said = 0
        self._loads: dict[tuple[str, int], asyncio.Task[str | None]] = {}
        self._to_renew: set[str] = set()
        self._grace_until = -inf
        self._node = f"{_random.getrandbits(64):016x}"
        self._wake = asyncio.Event()
        self._seen: deque[int] = deque([1], maxlen=BEATS)
        self.nodes = 1
        """How many there were when Redis was last asked."""
        redis.on_loss.append(self._alone.begin)
        redis.on_return.append(self._wake.set)

    def configure(self, on_shared_loss: OnLoss) -> None:
        """From now on this holds while Redis is lost."""
        self._on_loss = on_shared_loss

    @property
    def degraded(self) -> str | None:
        """`limits` while calls are admitted without the shared counters."""
        return "limits" if not self._redis.available or monotonic() < self._grace_until else None

    # -- the port

    async def reserve(self, id: str, demand: Demand, now: float, lease_s: float) -> Hold:
        if id in self._calls:
            raise ValueError(f"the call {id} has reserved already")
        tokens, cost = demand.tokens, demand.cost_nano_usd
        held = [1, tokens if tokens > 0 else 0, cost if cost > 0 else 0, 1]
        slots: dict[str, list[Limit]] = {}
        for limit in demand.limits:
            slots.setdefault(slot_of(limit.scope), []).append(limit)
        try:
            for _ in range(TRIES):
                now = self._advance(now)
                hold = Hold(id=id, demand=demand, expires_at=now + lease_s)
                if not slots:
                    return hold
                call = _Call(hold, now, held, {})
                # What was admitted without Redis is in none of its counters before their slots live anew.
                if not self._redis.available or not self._to_renew.isdisjoint(slots):
                    return await self._admit(call, slots, lease_s)
                self.flush()
                try:
                    if await self._take(call, slots, lease_s):
                        self._calls[id] = call
                        self._place(call, 1)
                        return hold
                except Lost:
                    self._undo(id, slots)
                    return await self._admit(call, slots, lease_s)
                except _Grace:
                    return await self._admit(call, slots, lease_s)
                except DependencyUnavailable:
                    # A counter has to begin and the ledger is away too: the node goes by what it knew.
                    if self._on_loss != "local":
                        raise
                    self._undo(id, slots)
                    self._grace_until = max(self._grace_until, monotonic() + BLIND_S)
                    return await self._admit(call, slots, lease_s)
                except _Begin as missing:
                    await self._begin(missing.slot)
        except asyncio.CancelledError:
            self._undo(id, slots)
            raise
        raise DependencyUnavailable(
            "The counters of this call's limits change too fast just now; try again.", retry_after_s=1
        )

    def leave(self, hold: Hold, *, tokens: int | None = None, cost_nano_usd: int | None = None) -> None:
        call = self._calls.get(hold.id)
        if call is None:
            return
        left = [
            call.held[0],
            call.held[1] if tokens is None else max(tokens, 0),
            call.held[2] if cost_nano_usd is None else max(cost_nano_usd, 0),
            0,
        ]
        self._show(
            call, [before - after for before, after in zip(call.held, left, strict=True)], [0, 0, 0, 0]
        )
        self._place(call, -1)
        call.held = left
        if call.alone is not None:
            self._alone.leave(call.alone, tokens=tokens, cost_nano_usd=cost_nano_usd)
        self._say(
            call,
            [_LEAVE, hold.id, -1 if tokens is None else left[1], -1 if cost_nano_usd is None else left[2]],
        )

    def settle(self, hold: Hold, *, tokens: int, cost_nano_usd: int, now: float) -> None:
        call = self._ended(hold, now)
        if call is not None:
            tokens, cost = max(tokens, 0), max(cost_nano_usd, 0)
            self._show(call, call.held, [1, tokens, cost, 0])
            if call.alone is not None:
                self._alone.settle(call.alone, tokens=tokens, cost_nano_usd=cost, now=now)
            self._say(call, [_SETTLE, hold.id, min(tokens, MOST), min(cost, MOST)])

    def release(self, hold: Hold, now: float) -> None:
        call = self._ended(hold, now)
        if call is not None:
            self._show(call, call.held, [0, 0, 0, 0])
            if call.alone is not None:
                self._alone.release(call.alone, now)
            self._say(call, [_RELEASE, hold.id])

    def standing(self, limits: Sequence[Limit], now: float) -> list[Standing]:
        now = self._advance(now)
        found = []
        for limit in limits:
            image = self._images.get(limit.counter)
            if image is None:
                found.append(self._alone.standing(limit, now))
            elif limit.measure == "parallel":
                found.append(Standing(limit=limit, used=0, reserved=image.held, reset_s=0.0))
            elif now >= image.empty_at:
                found.append(Standing(limit=limit, used=0, reserved=0, reset_s=0.0))
            else:
                reset_s = None if image.empty_at == inf else image.empty_at - now
                if image.settled + image.held == 0:
                    reset_s = 0.0
                found.append(Standing(limit=limit, used=image.settled, reserved=image.held, reset_s=reset_s))
        return found

    # -- with Redis

    async def _take(self, call: _Call, slots: dict[str, list[Limit]], lease_s: float) -> bool:
        """Whether it was taken; if not, once more."""
        names = list(slots)
        groups = [[name] for name in names] if self._redis.cluster else [names]
        now = call.time
        mark = _random.getrandbits(52) + 1
        answers = await asyncio.gather(
            *(
                self._redis.submit(
                    SCRIPT,
                    [_life(name) for name in group],
                    [
                        _encode(
                            [
                                "reserve", now, mark, lease_s + KEEP_S, call.hold.id, call.hold.expires_at,
                                call.held, [[_facts(limit, now) for limit in slots[name]] for name in group],
                            ]
                        )
                    ],
                )
                for group in groups
            ),
            return_exceptions=True,
        )  # fmt: skip
        taken: list[str] = []
        readings: list[Reading] = []
        other: list[tuple[list[str], Any]] = []
        lost: BaseException | None = None
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, BaseException):
                lost = answer
                continue
            what = answer[0]
            if what in (b"ok", b"no"):
                self._adopt(group, answer[1])
                readings += self._read(group, slots, call, answer[2], float(answer[3]))
            if what == b"ok":
                taken += group
                for name, life in zip(group, answer[1], strict=True):
                    call.lives[name] = life.decode()
            elif what != b"no":
                other.append((group, answer))
        if lost is None and not other and not readings:
            return True
        if taken:
            self._undo(call.hold.id, taken)
            for limit in (limit for name in taken for limit in slots[name]):
                image = self._images[limit.counter]
                image.held = max(0, image.held - call.held[_UNITS[limit.measure] - 1])
            call.lives.clear()
        if lost is not None:
            raise lost
        for group, answer in other:
            await self._answered(group, slots, answer, call)
        if readings:
            # Of those that take equally long the first of the demand is named, whatever its slot.
            order = {limit.counter: n for n, limit in enumerate(call.hold.demand.limits)}
            readings.sort(key=lambda reading: order[reading.limit.counter])
            raise refusal(readings, self._now)
        return False

    async def _answered(
        self, group: list[str], slots: dict[str, list[Limit]], answer: list[Any], call: _Call
    ) -> None:
        what = answer[0]
        if what == b"twice":
            raise ValueError(f"the call {call.hold.id} has reserved already")
        if what == b"dead":
            raise _Begin(group[answer[1] - 1])
        if what == b"grace":
            name = group[answer[1] - 1]
            self._grace_until = monotonic() + LOOK_S
            self._adopt([name], [answer[2]])
            raise _Grace
        if what == b"late":
            self._advance(float(answer[1]))
            return
        assert what == b"unknown"
        self._adopt(group, answer[1])
        flat = answer[2]
        await self._know(
            [
                (name, slots[name][flat[n + 1] - 1], int(flat[n + 2]))
                for n in range(0, len(flat), 3)
                for name in [group[flat[n] - 1]]
            ]
        )

    def _read(
        self, group: list[str], slots: dict[str, list[Limit]], call: _Call, raw: bytes, now: float
    ) -> list[Reading]:
        """Takes up what the script says of each counter; gives those without room."""
        now = self._advance(now)
        readings = []
        limits = [limit for name in group for limit in slots[name]]
        if len(self._images) > IMAGES:
            self._images.clear()
        for limit, (settled, held, empty_s, free_s) in zip(limits, _FACTS.iter_unpack(raw), strict=True):
            start = 0.0 if limit.period is None else bounds(limit.period, now)[0]
            self._images[limit.counter] = _Image(
                int(settled), int(held), inf if empty_s < 0 else now + empty_s, start, monotonic()
            )
            if free_s != -2:
                readings.append(
                    Reading(
                        limit=limit,
                        asked=call.held[_UNITS[limit.measure] - 1],
                        settled=int(settled),
                        held=int(held),
                        free_s=None if free_s < 0 else free_s,
                        reset_s=None if empty_s < 0 else empty_s,
                    )
                )
        return readings

    async def _know(self, unknown: list[tuple[str, Limit, int]]) -> None:
        """Counters that begin are read from the ledger, each once for all who wait for it."""
        loads = []
        for slot, limit, mark in unknown:
            key = (limit.counter, mark)
            load = self._loads.get(key)
            if load is None:
                # A task, for the deadline and because the caller may go away while others wait.
                load = asyncio.get_running_loop().create_task(self._load(slot, limit, mark))
                self._loads[key] = load
            loads.append(load)
        for load in loads:
            problem = await asyncio.shield(load)
            if problem is not None:
                raise DependencyUnavailable(
                    "What has been used of a limit cannot be read just now; try again.",
                    retry_after_s=1,
                    detail=problem,
                )

    async def _load(self, slot: str, limit: Limit, mark: int) -> str | None:
        now = self._now
        amount, slices = 0, []
        try:
            async with asyncio.timeout(LOAD_S):
                if await self._redis.call(LAGGING, [_LAGGING], [self._node]):
                    return "the ledger lacks calls of another node, which are on their way"
                if limit.window_s is not None:
                    slices = await past(self._ledger, limit, limit.window_s, now)
                else:
                    assert limit.period is not None
                    amount = await self._ledger.used(limit.scope, limit.measure, bounds(limit.period, now)[0])
            flat = [part for end, used in slices for part in (end, min(used, MOST))]
            await self._ask([slot], ["seed", _facts(limit, now), mark, min(amount, MOST), flat])
        except TimeoutError:
            return f"the ledger did not answer within {LOAD_S:g} s"
        except DependencyUnavailable as error:
            return error.detail or error.message
        except Lost:
            return None  # the next attempt finds that by itself
        finally:
            del self._loads[limit.counter, mark]
        return None

    async def _ask(self, slots: Sequence[str], ask: list[Any]) -> Any:
        return await self._redis.call(SCRIPT, [_life(slot) for slot in slots], [_encode(ask)])

    # -- without Redis

    async def _admit(self, call: _Call, slots: dict[str, list[Limit]], lease_s: float) -> Hold:
        """By this node alone, as the settings say."""
        call.lives.clear()
        if self._on_loss == "closed":
            raise DependencyUnavailable(
                "Limits cannot be counted just now, and calls are not admitted without; try again.",
                retry_after_s=1,
                detail=self._redis.problem,
            )
        if self._on_loss == "local":
            known = {
                limit.counter: Known(image.settled + image.held, image.empty_at, image.at)
                for limit in call.hold.demand.limits
                if limit.measure != "parallel" and (image := self._images.get(limit.counter)) is not None
            }
            call.alone = await self._alone.reserve(
                call.hold.id,
                call.hold.demand,
                call.time,
                lease_s,
                nodes=self.nodes,
                known=known,
                places=self._places,
            )
        else:
            self._place(call, 1)
        self._calls[call.hold.id] = call
        if self._redis.available:
            for slot in slots:  # in its grace a slot takes what is registered
                if slot in self._lives:
                    self._register(call, slot, self._lives[slot])
        else:
            self._to_renew.update(slots)
        return call.hold

    # -- lives of slots

    async def _begin(self, slot: str) -> None:
        """A slot without a life: new, or its data was lost."""
        lost = slot in self._lives
        if not lost:
            try:
                lost = not await self._first_use.first_use(slot)
            except DependencyUnavailable:
                lost = True
            if lost:
                await asyncio.sleep(FIRST_USE_S)
        with contextlib.suppress(Lost):
            await self._live(slot, grace_s=self._grace_s if lost else 0.0, anew=False)

    async def _live(self, slot: str, *, grace_s: float, anew: bool) -> None:
        new = f"{_random.getrandbits(64):016x}"
        life = await self._ask([slot], ["begin", new, round(grace_s * 1000), int(anew)])
        self._adopt([slot], [life])

    def _adopt(self, slots: Sequence[str], lives: Sequence[bytes]) -> None:
        """A slot that lives anew is told of the calls under way."""
        for slot, raw in zip(slots, lives, strict=True):
            life = raw.decode()
            if self._lives.get(slot) != life:
                self._lives[slot] = life
                for call in self._calls.values():
                    if call.lives.get(slot) != life:
                        self._register(call, slot, life)

    def _register(self, call: _Call, slot: str, life: str) -> None:
        limits = [limit for limit in call.hold.demand.limits if slot_of(limit.scope) == slot]
        if not limits or call.hold.expires_at <= self._now:
            return
        call.lives[slot] = life
        facts = []
        for limit in limits:
            fact = _facts(limit, call.time)
            fact[6] = _random.getrandbits(52) + 1 if fact[6] else 0
            facts.append(fact)
        ttl = call.hold.expires_at - call.time + KEEP_S
        held = list(call.held)
        self._queue(slot, [_HOLD, call.hold.id, call.time, ttl, call.hold.expires_at, held, facts])

    async def run(self) -> None:
        """Look after the slots of calls under way; until it is cancelled."""
        beat_at = -inf
        said: bool | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            lags = self._lags()
            if not self._redis.available:
                said = None
                continue
            with contextlib.suppress(Lost):
                if lags != said or monotonic() - beat_at >= BEAT_S:
                    await self._redis.call(LAG, [_LAGGING], [self._node, int(lags), LAG_MS])
                    said = lags
                if monotonic() - beat_at >= BEAT_S:
                    beat = [_encode(["beat", self._node, BEATS])]
                    self._seen.append(await self._redis.call(SCRIPT, ["llmgw:{nodes}:meter"], beat))
                    # A Redis that lost its data knows fewer than there are, until all have said that they live.
                    self.nodes = max(1, *self._seen)
                    beat_at = monotonic()
                while self._to_renew:
                    slot = next(iter(self._to_renew))
                    await self._live(slot, grace_s=self._grace_s, anew=True)
                    self._grace_until = monotonic() + self._grace_s
                    self._to_renew.discard(slot)
                self.flush()
                await self._look()
            self._forget()

    async def _look(self) -> None:
        """Are the slots of the calls under way those that they were?"""
        slots = list({slot for call in self._calls.values() for slot in call.lives})
        size = 1 if self._redis.cluster else 500
        for n in range(0, len(slots), size):
            group = slots[n : n + size]
            for slot, life in zip(group, await self._ask(group, ["lives"]), strict=True):
                if life is None:
                    await self._live(slot, grace_s=self._grace_s, anew=False)
                else:
                    self._adopt([slot], [life])
        self.flush()

    def _forget(self) -> None:
        """Calls that nobody ended, long after their lease."""
        gone = [id for id, call in self._calls.items() if call.hold.expires_at + KEEP_S < self._now]
        for id in gone:
            self._place(self._calls.pop(id), -1)

    # -- ends of calls

    def flush(self) -> None:
        """Send what waits, in order; what does not arrive waits again."""
        while self._ops and self._redis.available:
            batch = [self._ops.popleft() for _ in range(min(len(self._ops), OPS_AT_ONCE))]
            groups: dict[str, list[tuple[int, str, list[Any]]]] = {}
            for one in batch:
                groups.setdefault(one[1] if self._redis.cluster else "", []).append(one)
            for group in groups.values():
                self._send(group)

    def _send(self, group: list[tuple[int, str, list[Any]]]) -> None:
        slots: dict[str, list[list[Any]]] = {}
        for _, slot, op in group:
            slots.setdefault(slot, []).append(op)

        def again(answer: asyncio.Future[Any]) -> None:
            if answer.cancelled() or answer.exception() is not None:
                self._ops = deque(sorted((*group, *self._ops), key=lambda one: one[0]))

        answer = self._redis.submit(
            SCRIPT, [_life(slot) for slot in slots], [_encode(["end", list(slots.values())])]
        )
        answer.add_done_callback(again)

    def _say(self, call: _Call, op: list[Any]) -> None:
        for slot in call.lives:
            if self._ops and self._ops[-1][2][:2] == [_LEAVE, call.hold.id] and self._ops[-1][1] == slot:
                self._ops.pop()  # it ended before anybody could be told that its place is free
            self._queue(slot, op)

    def _undo(self, id: str, slots: Sequence[str] | dict[str, list[Limit]]) -> None:
        """Give back what was, or may have been, taken."""
        for slot in slots:
            self._queue(slot, [_RELEASE, id])

    def _queue(self, slot: str, op: list[Any]) -> None:
        if not self._ops and self._redis.available:
            asyncio.get_running_loop().call_soon(self.flush)
        self._said += 1
        self._ops.append((self._said, slot, op))
        if len(self._ops) > OPS:
            self._to_renew.add(self._ops.popleft()[1])

    def _ended(self, hold: Hold, now: float) -> _Call | None:
        self._advance(now)
        call = self._calls.pop(hold.id, None)
        if call is not None:
            self._place(call, -1)
        return call

    def _place(self, call: _Call, change: int) -> None:
        """How many places this node has of each limit; those it took alone are counted there."""
        if call.alone is None and call.held[3]:
            for limit in call.hold.demand.limits:
                if limit.measure == "parallel":
                    left = self._places.get(limit.counter, 0) + change
                    if left:
                        self._places[limit.counter] = left
                    else:
                        del self._places[limit.counter]

    def _show(self, call: _Call, held: Sequence[int], settled: Sequence[int]) -> None:
        """Of what the call holds so much is no longer held, and so much is used."""
        expired = call.hold.expires_at <= self._now
        for limit in call.hold.demand.limits:
            image = self._images.get(limit.counter)
            if image is None or (limit.window_s is not None and self._now - call.time >= limit.window_s):
                continue
            if limit.period is not None and bounds(limit.period, call.time)[0] != image.start:
                continue
            unit = _UNITS[limit.measure] - 1
            if not expired:
                image.held = max(0, image.held - held[unit])
            if unit != 3:
                image.settled += settled[unit]

    def _advance(self, now: float) -> float:
        if now > self._now:
            self._now = now
        return self._now


class _Grace(Exception):
    """A slot is being filled again."""


def slot_of(scope: Scope) -> str:
    """Whose counters are changed together, and so lie in one place."""
    name = scope.org_id or (scope.id if scope.kind == "org" else f"{scope.kind}:{scope.id}")
    return name.replace("{", "%7B").replace("}", "%7D")


def _life(slot: str) -> str:
    return f"llmgw:{{{slot}}}:life"


def _facts(limit: Limit, now: float) -> list[Any]:
    unit, amount = _UNITS[limit.measure], min(limit.amount, MOST)
    if unit == 4:
        return [limit.counter, _PLACES, unit, amount, 0, 0, 0]
    if limit.window_s is not None:
        return [limit.counter, _WINDOW, unit, amount, limit.window_s, 0, int(remembered(limit))]
    assert limit.period is not None
    start, end = bounds(limit.period, now)
    return [limit.counter, _CALENDAR, unit, amount, start, end, 1]
