"""The panic switch of a cluster: in a file of each machine, in Redis and in Postgres, so that it works while any two of
them do not.

All three have the whole state, and a number that grows with each change; whoever sees several goes by the highest
number. Two changes that were made at once, apart from each other, have the same number: then everything is on that
either has, for the brake that one operator put on must not go off because of what another did. Every process of every
node looks at each place five times a second, hears from Redis and Postgres in between, and writes what it knows
wherever something older is: a Redis that came back empty and a Postgres from yesterday's backup learn it from them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import asyncpg
from redis.exceptions import ResponseError

from llmgw.cluster import panic_places as places
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.failures import FAILURES, Unavailable
from llmgw.cluster.lines import FAULTS, Command, Script, open_line
from llmgw.cluster.lines import Arg as Arg
from llmgw.cluster.postgres import Postgres
from llmgw.cluster.redis import Lost, Redis
from llmgw.errors import OperatorError, StoreUnavailable
from llmgw.rules.panic import Entry
from llmgw.stock.panic import PERIOD_S, UNREADABLE, KnownPanic, PanicFile, State

_log = logging.getLogger("llmgw.panic")

WAIT_S: Final = 1.0
"""How long an operator's command waits for each store; it asks both at the same time."""
TRIES: Final = 30
"""Of a change that others come before."""
PAUSE_S: Final = 0.05
"""At most, before another try: of many who come at once one is always through."""


def path_in(spool: Path) -> Path:
    """The file of this machine, in the folder of `store.spool`."""
    return spool / "panic"


def newest(one: State, other: State) -> State:
    """The state that holds where both were seen. Pure; in whatever order states are seen, the same comes of them."""
    if one.number != other.number:
        return one if one.number > other.number else other
    by_scope: dict[str, Entry] = {}
    for entry in (*one.entries, *other.entries):
        known = by_scope.get(entry.text)
        if known is None or _weight(entry) > _weight(known):
            by_scope[entry.text] = entry
    return State(tuple(sorted(by_scope.values(), key=lambda entry: (entry.since, entry.text))), one.number)


def _weight(entry: Entry) -> tuple[object, ...]:
    return entry.action == "block", entry.cut, entry.since, entry.retry_after_s, entry.actor, entry.reason


class ClusterPanicSwitch:
    """Implements `ports.PanicSwitch` for commands.

    Args:
        path: this machine's file; its folder may be missing, on a machine that runs no gateway.
    """

    def __init__(self, path: Path, redis_url: str, postgres_url: str) -> None:
        self._file = PanicFile(path)
        self._redis_url = redis_url
        self._postgres_url = postgres_url
        self._base: State | None = None

    def held(self) -> AbstractContextManager[None]:
        # Commands on other machines are not held up: who comes second sees it, and puts both together.
        return self._file.held() if self._file.path.parent.is_dir() else _nothing()

    def read(self) -> tuple[Entry, ...]:
        self._base = self.state()
        return self._base.entries

    def state(self) -> State:
        """What holds, by all that can be reached; OperatorError where neither of the stores nor the file says."""
        found: list[State] = []
        unreadable: OperatorError | None = None
        try:
            found.append(self._file.state())
        except OperatorError as error:
            unreadable = error
        answers, problems = self._stores(self._read_redis, self._read_postgres)
        found += answers
        if unreadable is not None and not any(state.number for state in found):
            raise unreadable
        for problem in problems:
            _log.warning("%s", problem)
        state = State()
        for one in found:
            state = newest(state, one)
        return state

    def change(self, entries: Sequence[Entry], *, did: str, scope: str, actor: str, reason: str) -> None:
        words = {"did": did, "scope": scope, "actor": actor, "reason": reason}
        if self._base is None:
            with suppress(OperatorError):  # it is written anew
                self.read()
        base = self._base or State()
        state = State(tuple(entries), base.number + 1)
        answers, problems = self._put(state, words)
        for _ in range(TRIES):
            if all(answers):
                break
            time.sleep(random.uniform(0, PAUSE_S))  # noqa: S311 - to be out of step with the others
            # Somebody else was there first: what they have turned on stays on.
            now = self.state()
            known = {entry.text for entry in (*base.entries, *entries)}
            theirs = [entry for entry in now.entries if entry.text not in known]
            state = State((*entries, *theirs), max(now.number, state.number) + 1)
            answers, problems = self._put(state, words)
        else:
            raise StoreUnavailable("Nothing was changed: others change panic all the time; do it again.")
        self._base = None
        written = self._put_file(state, words)
        if not answers:
            raise StoreUnavailable(
                ("Changed for this machine only" if written else "Nothing was changed")
                + f": {'; '.join(problems)}. Do it on every machine that runs a gateway, or again when a store is back."
            )
        for problem in problems:
            _log.warning("%s; it is told by the nodes when it is back.", problem)

    def _put(self, state: State, words: dict[str, str]) -> tuple[list[Any], list[str]]:
        return self._stores(partial(self._put_redis, state), partial(self._put_postgres, state, words))

    def _put_file(self, state: State, words: dict[str, str]) -> bool:
        if not self._file.path.parent.is_dir():
            return False
        try:
            self._file.put(state)
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._file.path, error.strerror)
            return False
        self._file.note(**words)
        return True

    def _stores(self, *asks: Callable[[], Any]) -> tuple[list[Any], list[str]]:
        """What each answers, side by side; and what is to be said of those that do not."""
        answers, problems = [], []
        with ThreadPoolExecutor(len(asks)) as threads:
            for task in [threads.submit(ask) for ask in asks]:
                try:
                    answers.append(task.result())
                except (StoreUnavailable, asyncpg.PostgresError, ValueError) as error:
                    problems.append(str(error).rstrip("."))
        return answers, problems

    def _read_redis(self) -> State:
        return places.of_redis(self._ask_redis(places.READ, []))

    def _put_redis(self, state: State) -> bool:
        return bool(self._ask_redis(places.PUT, places.arguments(state, above=True)))

    def _ask_redis(self, script: Script, args: Sequence[Arg]) -> Any:
        async def ask() -> Any:
            async with asyncio.timeout(WAIT_S):
                line = await open_line(self._redis_url, WAIT_S)
                try:
                    command = ("EVAL", script.text, 1, places.KEY, *args)
                    (answer,) = await line.run([Command(command, None, 0.0, None)])
                finally:
                    await line.close()
                if isinstance(answer, ResponseError):
                    raise answer
                return answer

        try:
            return asyncio.run(ask())
        except FAULTS as error:
            why = str(error) or f"it does not answer within {WAIT_S:g} s"
            raise StoreUnavailable(f"Redis cannot be asked: {why}") from error

    def _read_postgres(self) -> State:
        with Blocking(self._postgres_url, deadline_s=WAIT_S) as store:
            return store.run(places.read)

    def _put_postgres(self, state: State, words: dict[str, str]) -> bool:
        with Blocking(self._postgres_url, deadline_s=WAIT_S) as store:
            taken = store.run(lambda connection: places.put(connection, state, above=True))
            if taken:
                store.run(lambda connection: places.note(connection, state.number, **words))
            return taken


@contextmanager
def _nothing() -> Iterator[None]:
    yield


class ClusterPanicWatch(KnownPanic):
    """Implements `ports.Panic` for one process; a context manager around its whole use, that looks everywhere once when
    it is entered. `run` belongs to the event loop, and so do the tasks of `redis` and `postgres`."""

    def __init__(self, path: Path, redis: Redis, postgres: Postgres) -> None:
        super().__init__()
        self._file = PanicFile(path)
        self._redis = redis
        self._postgres = postgres
        self._switch = ClusterPanicSwitch(path, redis.url, postgres.url)
        self._state = State()
        self._filed = State()
        self._stamp: tuple[int, int, int] | None = None
        self._told: dict[str, str] = {}
        self._hear_redis = asyncio.Event()
        self._hear_postgres = asyncio.Event()
        redis.subscribe(places.CHANNEL, lambda _: self._hear_redis.set())
        redis.on_return.append(self._hear_redis.set)
        postgres.listen(places.POSTGRES_CHANNEL, self._hear_postgres.set)
        postgres.on_return.append(self._hear_postgres.set)

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def load(self) -> None:
        """Look everywhere once, from any thread; takes as long as a command at most."""
        try:
            self._see(self._switch.state())
        except OperatorError as error:
            _log.error("every call is refused: %s", error)
            self.have((UNREADABLE,))

    async def run(self) -> None:
        """Keep up with all places until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(None, self._look_at_file))
            group.create_task(self._follow(self._hear_redis, self._look_at_redis))
            group.create_task(self._follow(self._hear_postgres, self._look_at_postgres))

    def _see(self, state: State) -> None:
        holds = newest(self._state, state)
        if holds != self._state:
            self._state = holds
            self.have(holds.entries)
            # They are told at once.
            self._hear_redis.set()
            self._hear_postgres.set()

    async def _follow(
        self, heard: asyncio.Event | None, look: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        while True:
            if heard is None:
                await asyncio.sleep(PERIOD_S)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(PERIOD_S):
                        await heard.wait()
                heard.clear()
            await look()

    async def _look_at_redis(self) -> None:
        with suppress(Lost), self._telling("Redis", ResponseError, ValueError):
            found = places.of_redis(await self._redis.call(places.READ, [places.KEY]))
            self._see(found)
            if self._state != found:
                state = places.arguments(self._state, above=False)
                await self._redis.call(places.PUT, [places.KEY], state)

    async def _look_at_postgres(self) -> None:
        with suppress(Unavailable), self._telling("Postgres", *FAILURES, asyncpg.PostgresError, ValueError):
            found = await self._postgres.call(places.read, repeat=True)
            self._see(found)
            state = self._state
            if state != found:
                await self._postgres.call(lambda connection: places.put(connection, state, above=False))

    async def _look_at_file(self) -> None:
        """In a thread: a disk that hangs holds up nobody."""
        with self._telling("its file", OperatorError, OSError):
            self._filed, self._stamp = await asyncio.to_thread(self._file_of, self._state)
            self._see(self._filed)
            if self.entries != self._state.entries:
                # The file can be read again, and says no more than is known.
                self.have(self._state.entries)

    def _file_of(self, known: State) -> tuple[State, tuple[int, int, int]]:
        """What the file has and its stamp, once what is known is in it too."""
        stamp = self._file.stamp()
        filed: State | None = self._filed
        if stamp != self._stamp:
            try:
                filed = self._file.state()
            except OperatorError:
                if known.number == 0:
                    raise
                filed = None
        holds = known if filed is None else newest(known, filed)
        if holds != filed:
            self._file.put(holds)
            stamp = self._file.stamp()
        return holds, stamp

    @contextmanager
    def _telling(self, place: str, *faults: type[Exception]) -> Iterator[None]:
        """Go on without a place that cannot be used, and say so once."""
        try:
            yield
            self._told.pop(place, None)
        except faults as error:
            if self._told.get(place) != str(error):
                self._told[place] = str(error)
                _log.error("panic goes by what else is known: %s cannot be used (%s)", place, error)
