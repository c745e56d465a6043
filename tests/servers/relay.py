"""A TCP relay in front of a server, that can be slow, refuse, cut connections and let nothing pass.

It runs in a thread of its own, so that it goes on whatever the test's event loop does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final, Self

from tests.servers.process import Address, free_port

_CHUNKS: Final = 256
"""Pieces that are on their way in one direction; who sends more waits."""


class Relay:
    """A context manager. `port` on 127.0.0.1 leads to `target`, and stays the same throughout."""

    def __init__(self, target: Address) -> None:
        self.port = free_port()
        self.delay_s = 0.0
        """For every piece, in both directions; from now on."""
        self.accepted = 0
        """How many connections were made."""
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._listener: socket.socket | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self.restore()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._links)

    def refuse(self) -> None:
        """New connections are refused. Those that are open stay."""
        self._do(self._close)

    def cut(self) -> None:
        """Connections that are open are reset."""

        self._do(self._cut)

    def black_hole(self) -> None:
        """Nothing passes any more; connections are still made. What is sent waits to be let through."""

        async def shut() -> None:
            self._open.clear()

        self._do(shut)

    def restore(self) -> None:
        """Everything passes, at once."""

        async def restore() -> None:
            self.delay_s = 0.0
            self._open.set()
            if self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
                self._listener.setblocking(False)
                self._loop.add_reader(self._listener, self._accept, self._listener)

        self._do(restore)

    def _do(self, work: Callable[[], object]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(10)  # type: ignore[arg-type]

    async def _cut(self) -> None:
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _end(self) -> None:
        await self._close()
        await self._cut()
        await asyncio.sleep(0)  # what was cut is closed in the next turn

    async def _close(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        # Not by asyncio's server: one that is closed loses connections that it has accepted in the same turn.
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = listener.accept()
            connection.setblocking(False)
            # asyncio sets it for sockets whose protocol is written on them, and on those that are accepted it is not.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            link = self._loop.create_task(self._link(connection))
            self._links.add(link)
            link.add_done_callback(partial(self._gone, connection))

    def _gone(self, connection: socket.socket, link: asyncio.Task[None]) -> None:
        connection.close()  # also where the link was cut before it began
        self._links.discard(link)

    async def _link(self, connection: socket.socket) -> None:
        mine: list[asyncio.StreamWriter] = []
        try:
            reader, writer = await asyncio.open_connection(sock=connection)
            mine.append(writer)
            await self._open.wait()
            there, back = await asyncio.open_connection(*self._target)
            mine.append(back)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back))
                group.create_task(self._pass(there, writer))
            for one in mine:
                one.close()
                await one.wait_closed()
        except* (OSError, asyncio.CancelledError):
            for one in mine:
                _reset(one)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction: read as it comes, written when it is due."""
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS)

        async def write() -> None:
            while True:
                at, data = await due.get()
                await asyncio.sleep(max(0.0, at - self._loop.time()))
                await self._open.wait()
                if not data:
                    return writer.write_eof()
                writer.write(data)
                await writer.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            data = b"."
            while data:
                data = await reader.read(65536)
                await due.put((self._loop.time() + self.delay_s, data))


def _reset(writer: asyncio.StreamWriter) -> None:
    """Not an end but a reset: SO_LINGER of 0 (socket(7))."""
    with contextlib.suppress(OSError):  # it is closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
