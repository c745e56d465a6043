"""A TCP relay in front of a server, that can be slow, refuse, cut connections and let nothing pass.

It runs in a thread of its own, so that it goes on whatever the test's event loop does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
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
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self.restore()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self.cut()
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

        async def cut() -> None:
            for link in self._links:
                link.cancel()
            await asyncio.gather(*self._links, return_exceptions=True)

        self._do(cut)

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
            if self._server is None:
                self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

        self._do(restore)

    def _do(self, work: Callable[[], object]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(10)  # type: ignore[arg-type]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        writers = [writer]
        try:
            await self._open.wait()
            there, back = await asyncio.open_connection(*self._target)
            writers.append(back)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back))
                group.create_task(self._pass(there, writer))
        except* (OSError, asyncio.CancelledError):
            for one in writers:  # a reset, not an end: SO_LINGER of 0 (socket(7))
                with contextlib.suppress(OSError):  # it is closed already
                    one.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                    )
                one.transport.abort()
        finally:
            self._links.discard(link)
            for one in writers:
                one.close()
                with contextlib.suppress(OSError):
                    await one.wait_closed()

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
