"""Keys and credentials for the running server, cached in the process.

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
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Generic, NoReturn, Self, TypeVar

from msgspec import Struct

from llmgw.errors import DependencyUnavailable, IntegrityError
from llmgw.keyring import envelope
from llmgw.keyring.envelope import DataKey, SealedSecret
from llmgw.ports import Kms
from llmgw.rules.access import KeyRecord
from llmgw.secret import Secret
from llmgw.standalone import migrations, store
from llmgw.standalone.reader import Opened, Reader
from llmgw.standalone.rows import read_keys

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


class _Entry(Struct, Generic[V], frozen=True):
    """What the store said under the stamp."""

    value: V
    stamp: int


class _Answer(Struct, Generic[V], frozen=True):
    """A value and the state of the store it was read in."""

    value: V
    state: tuple[int, int]
    """How often the file was opened, and its revision."""


class _Cache(OrderedDict[Name, _Entry[V]]):
    """The entries used last, up to a limit."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, name: Name, entry: _Entry[V]) -> None:
        self[name] = entry
        self.move_to_end(name)
        if len(self) > self._limit:
            self.popitem(last=False)


class SqliteDirectory:
    """Implements `ports.Directory` over the store at `path`; a context manager around its whole use.

    `run()` must run for changes to be noticed. `stale_s`: seconds for which known entries outlive the store.

    Raises, on entering:
        StoreUnavailable: there is no store, or its schema is not this code's.
    """

    def __init__(self, path: Path, kms: Kms, *, stale_s: float = STALE_S) -> None:
        self._path = path
        self._kms = kms
        self._stale_s = stale_s
        self._reader = Reader(path, deadline_s=DEADLINE_S)
        self._keys: _Cache[KeyRecord] = _Cache(KEYS_LIMIT)
        self._credentials: _Cache[Secret] = _Cache(CREDENTIALS_LIMIT)
        # Apart from what exists, so that made-up names never push out real ones.
        self._absent: _Cache[None] = _Cache(ABSENT_LIMIT)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loading: dict[Name, asyncio.Future[Any]] = {}
        self._unknown_loading = 0
        self._stamp = 0
        self._state: tuple[int, int] | None = None
        self._checked_at = float("-inf")
        self._down: str | None = None
        self._secrets: dict[str, str] = {}
        self._probed_at = float("-inf")
        self._probed_stamp = -1

    def __enter__(self) -> Self:
        migrations.require_current(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    @property
    def degraded(self) -> str | None:
        return None if self._down is None else "store"

    async def run(self) -> None:
        """Check the store every POLL_S seconds until cancelled."""
        while True:
            await self._check()
            await asyncio.sleep(POLL_S)

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
        return await self._look_up(self._keys, public_id, partial(_read_key, public_id))

    async def credential(self, org_id: str, name: str) -> Secret | None:
        entry = self._credentials.get((org_id, name))
        if entry is not None and entry.stamp == self._stamp:
            self._credentials.move_to_end((org_id, name))
            return entry.value
        return await self._look_up(
            self._credentials, (org_id, name), partial(_read_credential, self._kms, org_id, name)
        )

    async def probe(self) -> dict[str, str]:
        """For each KEK term in use: `ok` if a secret under it opens, else `failing`; at most PROBE_S old.

        While the store is down: what was found last.
        """
        now = asyncio.get_running_loop().time()
        if self._down is None and (self._probed_stamp != self._stamp or now - self._probed_at > PROBE_S):
            try:
                async with asyncio.timeout(DEADLINE_S):
                    problems = await self._reader.submit(partial(_probe, self._kms))
            except (TimeoutError, sqlite3.Error, OSError) as error:
                _log.warning("the secrets of the store %s could not be probed: %s", self._path, error)
            else:
                self._probed_at, self._probed_stamp = now, self._stamp
                for problem in filter(None, problems.values()):
                    _log.error("a stored secret does not open, see 'llmgw kms verify': %s", problem)
                self._secrets = {term: "failing" if problem else "ok" for term, problem in problems.items()}
        return self._secrets

    async def _look_up(
        self, cache: _Cache[V], name: Name, read: Callable[[Opened], _Answer[V | None]]
    ) -> V | None:
        """The value of a name that is not fresh in `cache`."""
        if self._down is None:
            absent = self._absent.get(name)
            if absent is not None and absent.stamp == self._stamp:
                self._absent.move_to_end(name)
                return None
            # Deadlines need a task, and the caller may be none.
            answer = self._ask(cache, name, read)
            task = asyncio.get_running_loop().create_task(answer)
            self._tasks.add(task)
            task.add_done_callback(self._forget)
            return await task
        return self._stale(cache, name)

    async def _ask(
        self, cache: _Cache[V], name: Name, read: Callable[[Opened], _Answer[V | None]]
    ) -> V | None:
        """What the store says within the deadline, or else what is known."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                try:
                    return (await asyncio.shield(self._load(cache, name, read))).value
                except (sqlite3.Error, OSError, ValueError) as error:
                    await self._check()
                    if self._down is None:
                        _unavailable(
                            "The gateway's store cannot be read in part; try again later.", str(error)
                        )
        except TimeoutError as error:
            self._failed(error)
        return self._stale(cache, name)

    def _stale(self, cache: _Cache[V], name: Name) -> V:
        """What was known of the name when the store last answered.

        That a name was absent is not served: it may be a new key by now, and that must not look wrong.
        """
        known = cache.get(name)
        if known is None or asyncio.get_running_loop().time() - self._checked_at > self._stale_s:
            _unavailable("The gateway's store does not answer; try again.", self._down)
        return known.value

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even where the caller has gone

    def _load(
        self, cache: _Cache[V], name: Name, read: Callable[[Opened], _Answer[V | None]]
    ) -> asyncio.Future[_Answer[V | None]]:
        """Read a name, once for all who ask at the same time."""
        future = self._loading.get(name)
        if future is None:
            unknown = name not in cache
            if unknown and self._unknown_loading >= UNKNOWN_LIMIT:
                _unavailable("Too many unknown keys are being looked up; try again.", None)
            future = self._reader.submit(read)
            self._unknown_loading += unknown
            self._loading[name] = future
            future.add_done_callback(partial(self._loaded, cache, name, unknown))
        return future

    def _loaded(
        self, cache: _Cache[V], name: Name, unknown: bool, future: asyncio.Future[_Answer[V | None]]
    ) -> None:
        self._unknown_loading -= unknown
        del self._loading[name]
        if future.cancelled() or future.exception() is not None:
            return
        answer = future.result()
        self._seen(answer.state)
        if answer.value is None:
            cache.pop(name, None)
            self._absent.keep(name, _Entry(None, self._stamp))
        else:
            self._absent.pop(name, None)
            cache.keep(name, _Entry(answer.value, self._stamp))

    async def _check(self) -> None:
        """Learn the store's state, and whether it answers at all."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                self._seen(await self._reader.submit(_state))
        except (TimeoutError, sqlite3.Error, OSError) as error:
            self._failed(error)

    def _seen(self, state: tuple[int, int]) -> None:
        if state != self._state:
            self._state = state
            self._stamp += 1
        self._checked_at = asyncio.get_running_loop().time()
        if self._down is not None:
            self._down = None
            _log.info("the store %s answers again", self._path)

    def _failed(self, error: Exception) -> None:
        if self._down is None:
            self._down = _reason(self._path, error)
            _log.warning(
                "the store %s %s Known keys are served for %d s.", self._path, self._down, self._stale_s
            )
        if asyncio.get_running_loop().time() - self._checked_at > self._stale_s:
            self._stamp += 1  # nothing is fresh any more
            self._state = None


def _state(opened: Opened) -> tuple[int, int]:
    row = opened.database.execute("SELECT value FROM revision").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("the table revision is empty")
    return opened.epoch, row[0]


def _read_key(public_id: str, opened: Opened) -> _Answer[KeyRecord | None]:
    with opened.database.atomic():
        found = read_keys(opened.database, "WHERE public_id = :public_id", {"public_id": public_id})
        return _Answer(found[0] if found else None, _state(opened))


def _read_credential(kms: Kms, org_id: str, name: str, opened: Opened) -> _Answer[Secret | None]:
    with opened.database.atomic():
        state = _state(opened)
        rows = list(
            opened.database.query("SELECT * FROM credentials WHERE org_id = ? AND name = ?", [org_id, name])
        )
        if not rows:
            return _Answer(None, state)
        row = SealedSecret(**rows[0])
        return _Answer(envelope.open_secret(kms.unwrap, _data_key(opened, row), row), state)


def _data_key(opened: Opened, row: SealedSecret) -> DataKey | None:
    found = opened.database.query(
        "SELECT * FROM data_keys WHERE org_id = ? AND term = ?", [row.org_id, row.data_key_term]
    )
    return next((DataKey(**key) for key in list(found)), None)


def _probe(kms: Kms, opened: Opened) -> dict[str, str | None]:
    """Per KEK term: None, or why one secret under it does not open."""
    problems: dict[str, str | None] = {}
    for row in list(opened.database.query(_ONE_KEY_PER_TERM)):
        credential_id = row.pop("credential_id")
        key = DataKey(**row)
        try:
            envelope.unwrap_data_key(kms.unwrap, key)
            for sealed in list(
                opened.database.query("SELECT * FROM credentials WHERE id = ?", [credential_id])
            ):
                envelope.open_secret(kms.unwrap, key, SealedSecret(**sealed))
        except IntegrityError as error:
            problems[key.kek_term] = str(error)
        else:
            problems[key.kek_term] = None
    return problems


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, sqlite3.Error):
        return store.explain(path, error)
    if isinstance(error, FileNotFoundError):
        return "does not exist any more."
    return f"does not answer: {str(error) or 'the deadline has passed'}."


def _unavailable(message: str, detail: str | None) -> NoReturn:
    raise DependencyUnavailable(message, retry_after_s=1, detail=detail)


# SQLite takes the other columns from the row that has the maximum: a key that seals something, if one does.
_ONE_KEY_PER_TERM: Final = """
    SELECT d.*, max(c.id) AS credential_id
    FROM data_keys d LEFT JOIN credentials c ON c.org_id = d.org_id AND c.data_key_term = d.term
    GROUP BY d.kek_term
"""
