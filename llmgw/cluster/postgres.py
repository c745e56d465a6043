"""Postgres for the event loop: a few connections, a deadline on every call, and no waiting for a server that is gone.

A call takes a connection, at once or within its deadline, and lets it go. When the deadline passes, its connection is
closed, for whatever comes of it would be the answer to nobody; the server breaks the statement off a little earlier by
itself, so that one that waits for a lock fails alone and keeps its connection. A call that gets no answer at all says
that the server is gone: from then on calls fail at once, those under way included, and one connection after another
is tried, four times a second, until one answers. Nothing is ever waited for twice.

The pool is our own and not asyncpg's: that one resets connections and cancels statements by further connections, with
waits of its own; before a frozen server these add up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeAlias, TypeVar

import asyncpg

from llmgw.cluster import failures
from llmgw.cluster.failures import FAILURES, Unavailable

_log = logging.getLogger("llmgw.store")

DEADLINE_S: Final = 0.25
SIZE: Final = 8
PROBE_S: Final = 0.25
CONNECT_S: Final = 1.0
"""A connection takes several round trips, and TLS and SCRAM take time: it is made in the background."""
LISTEN_AGAIN_S: Final = 5.0

_BUSY: Final = "is asked for more than the connections of this process carry; try again."
_SLOW: Final = "did not come to an end in time; try again."

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Work: TypeAlias = Callable[[Connection], Awaitable[T]]


def connect(url: str, *, timeout_s: float, statement_s: float) -> Awaitable[Connection]:
    """A connection whose statements the server itself breaks off after `statement_s`.

    What a process that was frozen or cut off holds is given back: its transactions after twice that long, its
    connections when the machine has not been heard of for half a minute.
    """
    return asyncpg.connect(
        url,
        timeout=timeout_s,
        server_settings={
            "application_name": "llmgw",
            "statement_timeout": str(round(statement_s * 1000)),
            "idle_in_transaction_session_timeout": str(round(2000 * statement_s)),
            "tcp_keepalives_idle": "15",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        },
    )


class _Turn:
    """One call: waiting for a connection, then at work on it."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.waiter: asyncio.Future[Connection] | None = None
        self.connection: Connection | None = None
        self.over: Unavailable | None = None

    def end(self, why: Unavailable) -> None:
        """Let whoever waits have this instead of an answer."""
        self.over = why
        if self.connection is not None:
            self.connection.terminate()
        elif self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(why)


class Postgres:
    """At most `size` connections, and one more for each process that listens. `run()` must run.

    A call raises Unavailable within `deadline_s`, at once while `available` is False; and asyncpg.PostgresError where
    the statement or its data are wrong. The caller need not be a task. Work that writes may have been done all the
    same when it raises Unavailable: nobody knows what became of the answer.
    """

    def __init__(self, url: str, *, deadline_s: float = DEADLINE_S, size: int = SIZE) -> None:
        self.name = failures.name(url)
        """The server and the database, for sentences."""
        self.deadline_s = deadline_s
        self.on_return: list[Callable[[], None]] = []
        """Called when the server answers again."""
        self.url = url
        """With the password."""
        self._size = size
        self._idle: list[Connection] = []
        self._count = 0
        """Connections, those that are being made included."""
        self._waiting: deque[_Turn] = deque()
        self._turns: set[_Turn] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._answered_at = float("-inf")
        self._lost: Unavailable | None = None
        self._lost_since = 0.0
        self._went = asyncio.Event()
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    @property
    def available(self) -> bool:
        return self._lost is None

    @property
    def lost(self) -> Unavailable | None:
        """Why calls fail at once; None while they do not."""
        return self._lost

    @property
    def lost_since(self) -> float | None:
        """`time.monotonic` of the first call that failed; None while the server answers."""
        return None if self._lost is None else self._lost_since

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """For reading: what was asked over a connection that broke is asked once more."""
        return await self.call(lambda connection: connection.fetch(sql, *arguments), repeat=True)

    async def fetchrow(self, sql: str, *arguments: object) -> asyncpg.Record | None:
        """As `fetch`."""
        return await self.call(lambda connection: connection.fetchrow(sql, *arguments), repeat=True)

    async def execute(self, sql: str, *arguments: object) -> str:
        return await self.call(lambda connection: connection.execute(sql, *arguments))

    async def call(self, work: Work[T], *, repeat: bool = False) -> T:
        """What `work` makes of a connection, all of it within one deadline. Transactions begin and end in it.

        `repeat`: do it once more, on a new connection, where its own breaks; for work that changes nothing.
        """
        if self._lost is not None:
            raise self._lost.again()
        turn = _Turn()
        self._turns.add(turn)
        timer = asyncio.get_running_loop().call_later(self.deadline_s, self._expired, turn)
        try:
            while True:
                try:
                    return await self._attempt(turn, work)
                except Unavailable as found:
                    if turn.over is not None:
                        raise
                    if not failures.concerns_server(found):
                        self._answered_at = monotonic()
                        raise
                    if not repeat or found.cause != "lost":
                        self._lose(found)
                        raise
                    repeat = False
                    self._drop_idle()  # their server may have gone with this one
        finally:
            timer.cancel()
            self._turns.discard(turn)

    async def _attempt(self, turn: _Turn, work: Work[T]) -> T:
        broken_off = False
        try:
            turn.connection = await self._connection(turn)
            if turn.over is not None:  # its time was up when it came
                raise turn.over.again()
            result = await work(turn.connection)
        except Unavailable:
            raise
        except Exception as error:
            if (
                turn.over is not None
            ):  # a connection that is closed between two steps makes asyncpg stumble anyhow
                raise turn.over from error
            found = failures.diagnose(error)
            if found is not None:
                raise found from error
            if isinstance(error, asyncpg.PostgresError):
                self._answered_at = monotonic()
            raise
        except asyncio.CancelledError:
            broken_off = True  # in a statement, perhaps: what the connection would say next is not known
            raise
        else:
            self._answered_at = monotonic()
            return result
        finally:
            connection, turn.connection = turn.connection, None
            if connection is not None:
                if broken_off:
                    connection.terminate()
                self._give_back(connection)

    def listen(self, channel: str, callback: Callable[[], None]) -> None:
        """Have `callback` called from the event loop when something is said on `channel`, and whenever something may
        have been missed. To be set up before `run`. A standby has no notices: poll as well."""
        self._listeners.setdefault(channel, []).append(callback)

    async def run(self) -> None:
        """Look for the server while it is gone, and listen, until cancelled; then close all connections."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._return())
                if self._listeners:
                    group.create_task(self._listen())
        finally:
            self.close()

    def close(self) -> None:
        """Close all connections; calls under way fail."""
        for turn in list(self._turns):
            turn.end(Unavailable("lost", "is not used any more."))
        for task in self._opening:
            task.cancel()
        self._drop_idle()

    async def _connection(self, turn: _Turn) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._count -= 1
        turn.waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._open()
        try:
            return await turn.waiter
        except asyncio.CancelledError:
            if turn.waiter.done() and not turn.waiter.cancelled() and turn.waiter.exception() is None:
                self._give_back(turn.waiter.result())
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(turn)

    def _open(self) -> None:
        """Make a connection for each that waits, up to the size."""
        for _ in range(min(len(self._waiting) - len(self._opening), self._size - self._count)):
            self._count += 1
            task = asyncio.get_running_loop().create_task(self._make())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _make(self) -> None:
        began = monotonic()
        try:
            connection = await self._connected()
        except FAILURES as error:
            self._count -= 1
            found = failures.diagnose(error) or Unavailable("refused", f"does not let us in: {error}.")
            if self._count > 0 and found.cause == "full":
                return  # the connections that there are serve those who wait
            if self._answered_at < began:  # else it has come back meanwhile
                self._lose(found)
        except asyncio.CancelledError:
            self._count -= 1
            raise
        else:
            self._give_back(connection)

    def _connected(self) -> Awaitable[Connection]:
        return connect(self.url, timeout_s=max(CONNECT_S, self.deadline_s), statement_s=self.deadline_s * 0.8)

    def _give_back(self, connection: Connection) -> None:
        if not connection.is_closed() and connection.is_in_transaction():
            connection.terminate()
        if connection.is_closed() or self._lost is not None:
            connection.terminate()
            self._count -= 1
            self._open()
            return
        while self._waiting:
            waiter = self._waiting.popleft().waiter
            if waiter is not None and not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def _expired(self, turn: _Turn) -> None:
        # A loop that stood still has answers that it has not read yet; libuv runs timers before it reads.
        asyncio.get_running_loop().call_later(0.001, self._end, turn)

    def _end(self, turn: _Turn) -> None:
        if turn not in self._turns:
            return
        if self._answered_at > turn.began:  # others have had their answers meanwhile
            turn.end(Unavailable("busy", _BUSY) if turn.connection is None else Unavailable("slow", _SLOW))
            return
        found = Unavailable("timeout", f"does not answer within {self.deadline_s:g} s.")
        turn.end(found)
        self._lose(found)

    def _lose(self, why: Unavailable) -> None:
        """From now on nobody waits, and who does is told."""
        if self._lost is None:
            _log.warning("the store %s %s", self.name, why)
            self._lost, self._lost_since = why, monotonic()
            self._went.set()
        self._drop_idle()
        for turn in list(self._turns):
            # A connection that broke says nothing of the others; a silence does.
            if turn.connection is None or why.cause == "timeout":
                turn.end(why.again())

    def _drop_idle(self) -> None:
        while self._idle:
            self._count -= 1
            self._idle.pop().terminate()

    async def _return(self) -> None:
        """Try until the server answers, each time that it is gone."""
        while True:
            await self._went.wait()
            began = monotonic()
            try:
                connection = await self._connected()
                try:
                    await connection.fetchval("SELECT 1", timeout=self.deadline_s)
                except BaseException:
                    connection.terminate()
                    raise
            except FAILURES as error:
                self._lost = failures.diagnose(error) or self._lost
                await asyncio.sleep(max(0.0, began + PROBE_S - monotonic()))
                continue
            self._went.clear()
            self._lost = None
            self._answered_at = monotonic()
            self._count += 1
            self._give_back(connection)
            _log.info("the store %s answers again, after %.1f s", self.name, monotonic() - self._lost_since)
            for callback in self.on_return:
                callback()

    async def _listen(self) -> None:
        """Hold a connection that listens, and make another when it breaks."""
        while True:
            with contextlib.suppress(*FAILURES):
                connection = await self._connected()
                try:
                    await self._hear(connection)
                finally:
                    connection.terminate()
            await asyncio.sleep(PROBE_S if self._lost is not None else LISTEN_AGAIN_S / 10)

    async def _hear(self, connection: Connection) -> None:
        """Until it breaks, or is silent where it is asked for a word: a line may be dead and look idle."""
        broken = asyncio.Event()
        connection.add_termination_listener(lambda _: broken.set())
        for channel, callbacks in self._listeners.items():

            def said(*_: object, callbacks: list[Callable[[], None]] = callbacks) -> None:
                for callback in callbacks:
                    callback()

            async with asyncio.timeout(CONNECT_S):
                await connection.add_listener(channel, said)
            said()
        while not broken.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LISTEN_AGAIN_S):
                    await broken.wait()
            if not broken.is_set():
                await connection.fetchval("SELECT 1", timeout=CONNECT_S)
