"""Keys and credentials for the running server, cached in the process, whatever engine keeps them.

Every control write raises the store's revision. Each read takes the revision with the row, and a check takes
it alone, five times a second. When it moves, the directory's stamp moves, and whatever was read under an
older stamp is read again when next used. A hit under the current stamp is a look-up and one comparison.

A check decides whether the store is down. While it is, known keys and credentials are served for `stale_s`
after the last good answer, and anything else is DependencyUnavailable. A read that fails while the check
succeeds fails alone: a damaged row must neither look absent nor be served from memory for ever.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any, ClassVar, Final, Generic, NoReturn, TypeVar

from msgspec import Struct

from llmgw.errors import DependencyUnavailable
from llmgw.ports import Kms
from llmgw.rules.access import KeyRecord
from llmgw.secret import Secret

_log = logging.getLogger("llmgw.store")

POLL_S: Final = 0.2
DEADLINE_S: Final = 0.25
STALE_S: Final = 600.0
PROBE_S: Final = 10.0
KEYS_LIMIT: Final = 10_000
ABSENT_LIMIT: Final = 10_000
CREDENTIALS_LIMIT: Final = 4_096
UNKNOWN_LIMIT: Final = 64
"""Look-ups under way for names not seen before: made-up keys must not delay the refresh of real ones."""

V = TypeVar("V")
Name = str | tuple[str, str]
"""A key's public id, or an organisation's id and the name of a credential."""


class Answer(Struct, Generic[V], frozen=True):
    """A value and the state of the store it was read in: what differs may have other values."""

    value: V
    state: Hashable


class Entry(Struct, Generic[V], frozen=True):
    """What the store said under the stamp."""

    value: V
    stamp: int
    until: float | None = None
    """How long it may be served while the store is down, in the loop's time; None: as long as any other."""


class Cache(OrderedDict[Name, Entry[V]]):
    """The entries used last, up to a limit."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, name: Name, entry: Entry[V]) -> None:
        self[name] = entry
        self.move_to_end(name)
        if len(self) > self._limit:
            self.popitem(last=False)


class CachedDirectory(ABC):
    """`ports.Directory`, all but the reading. `run()` must run for changes to be noticed.

    What the engine's reads raise besides IntegrityError is one of `FAILURES`; they need no deadline of their own, but
    may have a shorter one. `stale_s`: seconds for which known entries outlive the store.
    """

    FAILURES: ClassVar[tuple[type[Exception], ...]]

    def __init__(self, name: str, kms: Kms, *, deadline_s: float, stale_s: float) -> None:
        self._name = name
        self._kms = kms
        self._deadline_s = deadline_s
        self._stale_s = stale_s
        self._misses: tuple[type[Exception], ...] = (TimeoutError, *self.FAILURES)
        self._unread: tuple[type[Exception], ...] = (*self._misses, ValueError)
        self._keys: Cache[KeyRecord] = Cache(KEYS_LIMIT)
        self._credentials: Cache[Secret] = Cache(CREDENTIALS_LIMIT)
        # Apart from what exists, so that made-up names never push out real ones.
        self._absent: Cache[None] = Cache(ABSENT_LIMIT)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loading: dict[Name, asyncio.Future[Any]] = {}
        self._unknown_loading = 0
        self._stamp = 0
        self._state: Hashable = None
        self._checked_at = float("-inf")
        self._down: str | None = None
        self._told = False
        self._secrets: dict[str, str] = {}
        self._probed_at = float("-inf")
        self._probed_stamp = -1

    @abstractmethod
    def _read_key(self, public_id: str) -> asyncio.Future[Answer[KeyRecord | None]]: ...

    @abstractmethod
    def _read_credential(self, org_id: str, name: str) -> asyncio.Future[Answer[Secret | None]]: ...

    @abstractmethod
    def _read_state(self) -> asyncio.Future[Hashable]: ...

    @abstractmethod
    def _read_problems(self) -> asyncio.Future[Mapping[str, str | None]]:
        """Per KEK term: None, or why one secret under it does not open."""

    @abstractmethod
    def _reason(self, error: Exception) -> str:
        """Why the store is down: the rest of a sentence that begins with its name."""

    def _tells(self, error: Exception) -> bool:
        """Whether it is this directory's to say that the store is down."""
        return True

    async def _pause(self) -> None:
        """Until the next check."""
        await asyncio.sleep(POLL_S)

    async def _elsewhere(self, cache: Cache[V], name: Name) -> V | None:
        """What is known of a name in another place, while the store is down; what is found belongs into the cache."""
        return None

    @property
    def degraded(self) -> str | None:
        return None if self._down is None else "store"

    async def run(self) -> None:
        """Check the store every POLL_S seconds until cancelled."""
        while True:
            await self._check()
            await self._pause()

    def known(self, public_id: str) -> KeyRecord | None:
        entry = self._keys.get(public_id)
        if entry is None or entry.stamp != self._stamp:
            return None
        self._keys.move_to_end(public_id)
        return entry.value

    async def key(self, public_id: str) -> KeyRecord | None:
        known = self.known(public_id)
        if known is not None:
            return known
        return await self._look_up(self._keys, public_id, partial(self._read_key, public_id))

    async def credential(self, org_id: str, name: str) -> Secret | None:
        entry = self._credentials.get((org_id, name))
        if entry is not None and entry.stamp == self._stamp:
            self._credentials.move_to_end((org_id, name))
            return entry.value
        return await self._look_up(
            self._credentials, (org_id, name), partial(self._read_credential, org_id, name)
        )

    async def probe(self) -> dict[str, str]:
        """For each KEK term in use: `ok` if a secret under it opens, else `failing`; at most PROBE_S old.

        While the store is down: what was found last.
        """
        now = asyncio.get_running_loop().time()
        if self._down is None and (self._probed_stamp != self._stamp or now - self._probed_at > PROBE_S):
            try:
                async with asyncio.timeout(self._deadline_s):
                    problems = await self._read_problems()
            except self._misses as error:
                _log.warning("the secrets of the store %s could not be probed: %s", self._name, error)
            else:
                self._probed_at, self._probed_stamp = now, self._stamp
                for problem in filter(None, problems.values()):
                    _log.error("a stored secret does not open, see 'llmgw kms verify': %s", problem)
                self._secrets = {term: "failing" if problem else "ok" for term, problem in problems.items()}
        return self._secrets

    async def _look_up(
        self, cache: Cache[V], name: Name, read: Callable[[], asyncio.Future[Answer[V | None]]]
    ) -> V | None:
        """The value of a name that is not fresh in `cache`."""
        if self._down is None:
            absent = self._absent.get(name)
            if absent is not None and absent.stamp == self._stamp:
                self._absent.move_to_end(name)
                return None
        elif name in cache:
            return self._stale(cache, name)
        # Deadlines need a task, and the caller may be none.
        answer = self._ask(cache, name, read)
        task = asyncio.get_running_loop().create_task(answer)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await task

    async def _ask(
        self, cache: Cache[V], name: Name, read: Callable[[], asyncio.Future[Answer[V | None]]]
    ) -> V | None:
        """What the store says within the deadline, or else what is known."""
        if self._down is None:
            try:
                async with asyncio.timeout(self._deadline_s):
                    try:
                        return (await asyncio.shield(self._load(cache, name, read))).value
                    except self._unread as error:
                        await self._check()
                        if self._down is None:
                            _unavailable(
                                "The gateway's store cannot be read in part; try again later.", str(error)
                            )
            except TimeoutError as error:
                self._failed(error)
        if name not in cache:
            found = await self._elsewhere(cache, name)
            if found is not None:
                return found
        return self._stale(cache, name)

    def _stale(self, cache: Cache[V], name: Name) -> V:
        """What was known of the name when the store last answered.

        That a name was absent is not served: it may be a new key by now, and that must not look wrong.
        """
        known = cache.get(name)
        if known is None or asyncio.get_running_loop().time() > self._until(known):
            _unavailable("The gateway's store does not answer; try again.", self._down)
        return known.value

    def _until(self, entry: Entry[V]) -> float:
        return self._checked_at + self._stale_s if entry.until is None else entry.until

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even where the caller has gone

    def _load(
        self, cache: Cache[V], name: Name, read: Callable[[], asyncio.Future[Answer[V | None]]]
    ) -> asyncio.Future[Answer[V | None]]:
        """Read a name, once for all who ask at the same time."""
        future = self._loading.get(name)
        if future is None:
            unknown = name not in cache
            if unknown and self._unknown_loading >= UNKNOWN_LIMIT:
                _unavailable("Too many unknown keys are being looked up; try again.", None)
            future = read()
            self._unknown_loading += unknown
            self._loading[name] = future
            future.add_done_callback(partial(self._loaded, cache, name, unknown))
        return future

    def _loaded(
        self, cache: Cache[V], name: Name, unknown: bool, future: asyncio.Future[Answer[V | None]]
    ) -> None:
        self._unknown_loading -= unknown
        del self._loading[name]
        if future.cancelled() or future.exception() is not None:
            return
        answer = future.result()
        self._seen(answer.state)
        if answer.value is None:
            cache.pop(name, None)
            self._absent.keep(name, Entry(None, self._stamp))
        else:
            self._absent.pop(name, None)
            cache.keep(name, Entry(answer.value, self._stamp))

    async def _check(self) -> None:
        """Learn the store's state, and whether it answers at all."""
        try:
            async with asyncio.timeout(self._deadline_s):
                self._seen(await self._read_state())
        except self._misses as error:
            self._failed(error)

    def _seen(self, state: Hashable) -> None:
        if state != self._state:
            self._state = state
            self._stamp += 1
        self._checked_at = asyncio.get_running_loop().time()
        if self._down is not None:
            self._down = None
            if self._told:
                _log.info("the store %s answers again", self._name)

    def _failed(self, error: Exception) -> None:
        if self._down is None:
            self._down = self._reason(error)
            self._told = self._tells(error)
            if self._told:
                _log.warning(
                    "the store %s %s Known keys are served for %d s.", self._name, self._down, self._stale_s
                )
        if asyncio.get_running_loop().time() - self._checked_at > self._stale_s:
            self._stamp += 1  # nothing is fresh any more
            self._state = None


def _unavailable(message: str, detail: str | None) -> NoReturn:
    raise DependencyUnavailable(message, retry_after_s=1, detail=detail)
