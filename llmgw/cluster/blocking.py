"""Postgres for commands and threads: one connection, on an event loop in a thread of its own.

Who calls waits, but never for longer than the deadline, whatever the server does. A connection that broke is made
again for the next call, but not within a transaction: what was written before would be lost in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import asyncpg
from asyncpg.transaction import Transaction

from llmgw.cluster import failures
from llmgw.cluster.failures import FAILURES, Unavailable
from llmgw.cluster.postgres import Connection, Work, connect
from llmgw.errors import StoreUnavailable

T = TypeVar("T")

DEADLINE_S: Final = 5.0


class StoreUnreachable(StoreUnavailable):
    """The store does not answer: nothing is known of it, not even that it is the wrong one."""


class Blocking:
    """A context manager that closes itself; nothing is connected before the first call. Threads take turns.

    Raises, from any call, within `deadline_s`: StoreUnavailable with what to do (StoreUnreachable where the store does
    not answer), and asyncpg.PostgresError where the statement or its data are wrong.
    """

    def __init__(self, url: str, *, deadline_s: float = DEADLINE_S) -> None:
        self.name = failures.name(url)
        self._url = url
        self.deadline_s = deadline_s
        self._turn = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._in_transaction = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, work: Work[T], *, deadline_s: float | None = None) -> T:
        """What `work` makes of the connection."""
        allowed_s = self.deadline_s if deadline_s is None else deadline_s
        try:
            with self._turn:
                return self._wait(self._work(work, allowed_s))
        except FAILURES as error:
            found = failures.diagnose(error)
            if found is None:
                raise
            raise self.unavailable(found) from error

    @contextlib.contextmanager
    def transaction(self, first: str = "SELECT 1") -> Iterator[None]:
        """All calls of this thread within it, or none; other threads wait. It begins with the statement `first`."""
        with self._turn:
            transaction = self.run(lambda connection: _begin(connection, first))
            self._in_transaction = True
            try:
                yield
                self.run(lambda _: transaction.commit())
            except BaseException:
                with contextlib.suppress(StoreUnavailable, *FAILURES):
                    self.run(lambda _: transaction.rollback())
                raise
            finally:
                self._in_transaction = False

    def unavailable(self, found: Unavailable) -> StoreUnavailable:
        """The sentence for people."""
        kind = (
            StoreUnreachable
            if found.cause in ("unreachable", "timeout", "lost", "full")
            else StoreUnavailable
        )
        return kind(f"The store {self.name} {found}")

    def drop(self) -> None:
        """Let go of the connection; the next call makes another one."""
        with self._turn:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._drop)

    def close(self) -> None:
        """Close the connection and end the thread."""
        with self._turn:
            if self._loop is None or self._thread is None:
                return
            with contextlib.suppress(*FAILURES):
                self._wait(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="llmgw-postgres", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _work(self, work: Work[T], allowed_s: float) -> T:
        until = monotonic() + allowed_s
        expired = False

        def expire() -> None:
            nonlocal expired
            expired = True
            self._drop()

        try:
            async with asyncio.timeout(allowed_s):
                connection = await self._connected()
            # Work that is cancelled rolls its transaction back first and waits for that; with its connection closed
            # nothing is left to wait for.
            timer = asyncio.get_running_loop().call_later(max(0.0, until - monotonic()), expire)
            try:
                return await work(connection)
            except Exception as error:
                if expired:
                    raise TimeoutError from error
                raise
            finally:
                timer.cancel()
        except (TimeoutError, asyncio.CancelledError):
            self._drop()
            raise

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            if self._in_transaction:
                raise ConnectionResetError("the connection broke within a transaction")
            self._drop()
            # Statements have a little less than their caller, so that it is the server that says what they wait for.
            self._connection = await connect(
                self._url, timeout_s=self.deadline_s, statement_s=self.deadline_s * 0.9
            )
        return self._connection

    async def _end(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            async with asyncio.timeout(1):
                await self._connection.close()
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


async def _begin(connection: Connection, first: str) -> Transaction:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(first)
    except asyncpg.PostgresError:
        await transaction.rollback()
        raise
    return transaction
