"""The one thread that reads the store for a running server, so that the event loop never waits for a disk.

Jobs run in the order they were given, each on a connection to the file that bears the store's name just
then: a file that was moved away or replaced is noticed and the new one opened. A job that does not end in
time makes every later one fail at once until it does, so a hung disk piles nothing up.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final, NamedTuple, TypeVar

from sqlite_utils import Database

from llmgw.standalone import store

T = TypeVar("T")

LOCK_WAIT_S: Final = 0.2
"""Seconds that a read waits for a lock; less than the deadline, so that SQLite can say what it waited for."""


class Opened(NamedTuple):
    """The open database, and how many times one was opened: another epoch may be another file."""

    database: Database
    epoch: int


Job = tuple[Callable[[Opened], Any], asyncio.Future[Any]]


class Reader:
    """Runs jobs on the store at `path`. Nothing is opened or started before the first job."""

    def __init__(self, path: Path, *, deadline_s: float) -> None:
        self._path = path
        self._deadline_s = deadline_s
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None
        self._opened: Opened | None = None
        self._file = (0, 0)
        self._epoch = 0

    def submit(self, work: Callable[[Opened], T]) -> asyncio.Future[T]:
        """Run `work` in the thread; a cancelled future that has not begun is skipped.

        The future raises what `work` raises, or sqlite3.Error or OSError where the store cannot be opened.

        Raises:
            TimeoutError: an earlier job is stuck.
        """
        began = self._busy_since
        if began is not None and monotonic() - began > self._deadline_s:
            raise TimeoutError(f"a read has not ended for {monotonic() - began:.1f} s")
        if self._thread is None:
            # A daemon: a thread that hangs in the kernel must not keep the process from ending.
            self._thread = threading.Thread(target=self._run, name="llmgw-store", daemon=True)
            self._thread.start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put((work, future))
        return future

    def close(self) -> None:
        """End the thread after the jobs it has; waits no longer than the deadline."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(self._deadline_s)
            self._thread = None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, future = job
            if future.cancelled():
                continue
            self._busy_since = monotonic()
            result: Any = None
            failure: Exception | None = None
            try:
                result = work(self._current())
            except Exception as error:  # noqa: BLE001 - the thread's boundary: who asked gets it
                failure = error
                if isinstance(error, sqlite3.Error):
                    self._close_database()  # what was cached of the file may be what is wrong with it
            self._busy_since = None
            with contextlib.suppress(RuntimeError):  # the loop has ended and no one waits any more
                future.get_loop().call_soon_threadsafe(_deliver, future, result, failure)
        self._close_database()

    def _current(self) -> Opened:
        # An open file lives on after it was deleted or replaced, and SQLite would go on reading it.
        found = self._path.stat()
        if self._opened is None or self._file != (found.st_dev, found.st_ino):
            self._close_database()
            self._epoch += 1
            self._opened = Opened(store.connect(self._path, wait_s=LOCK_WAIT_S, any_thread=True), self._epoch)
            self._file = (found.st_dev, found.st_ino)
        return self._opened

    def _close_database(self) -> None:
        if self._opened is not None:
            with contextlib.suppress(sqlite3.Error):
                self._opened.database.close()
            self._opened = None


def _deliver(future: asyncio.Future[T], result: T, failure: Exception | None) -> None:
    if future.cancelled():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)
