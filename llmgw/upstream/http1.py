"""Our own HTTP/1.1 client: a pool of connections to one origin, answers pushed as they are read.

It exists because the layers of general clients cost more than the whole relay (docs/performance.md). It does
one thing: POST or GET with a complete body, answer pushed into a `Receiver`. No redirects, cookies, proxies or
HTTP/2; `httpx_transport.py` serves the same port for those.

The rules that protect a connection:
- it belongs to at most one transfer; a transfer that has ended cannot touch it any more;
- it goes back to the pool only after an answer that its framing ended, with the request fully written and not
  a byte too many: whatever a provider sends beyond its answer must not answer the next request;
- a request is repeated once, and only when a *kept-alive* connection broke before any byte of an answer:
  the server closed an idle connection while the request was on its way (RFC 9112 section 9.3.1).
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import httptools

from llmgw.errors import UpstreamFailed, UpstreamTimeout
from llmgw.ports import Header, Receiver, UpstreamRequest
from llmgw.upstream import guard
from llmgw.upstream.tls import SessionContext

_T = TypeVar("_T")

HEAD_LIMIT: Final = 64 * 1024
"""Bytes in a row that bring no body: a head, trailers, chunk extensions. Real heads stay below 16 KiB."""
IDLE_LIMIT: Final = 256
"""Idle connections kept; what a burst opened beyond this is closed when it falls idle."""
IDLE_S: Final = 30.0
"""An idle connection is closed after this long, before a NAT box forgets it without a word."""


class Http1Client:
    """A pool for one origin, `scheme://host[:port]`; implements `ports.Upstream`."""

    def __init__(self, origin: str, *, allow_private: bool) -> None:
        parts = urlsplit(origin)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._allow_private = allow_private
        self._tls: ssl.SSLContext | None = SessionContext() if secure else None
        self._host_line = f"host: {parts.netloc}\r\n".encode("ascii")
        self._idle: deque[_Connection] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def send(
        self, request: UpstreamRequest, receiver: Receiver, *, connect_timeout_s: float
    ) -> Transfer:
        transfer = Transfer(self, self._encode(request), receiver, connect_timeout_s)
        connection = self._take_idle()
        if connection is None:
            # In a task of the pool's own: the caller may have none (see ports.Upstream), and a connection
            # made for a caller who left meanwhile serves the next one.
            connecting = self._own(self._connect(connect_timeout_s))
            try:
                connection = await asyncio.shield(connecting)
            except asyncio.CancelledError:
                connecting.add_done_callback(self._adopt)
                raise
        connection.start(transfer)
        return transfer

    async def aclose(self) -> None:
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        while self._idle:
            self._idle.pop().close()

    def _encode(self, request: UpstreamRequest) -> bytes:
        lines = [request.method, b" ", request.target, b" HTTP/1.1\r\n", self._host_line]
        for name, value in request.headers:
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(request.body))
        lines.append(request.body)
        return b"".join(lines)

    # The pool. Newest first: the connection used last is the least likely to have been closed meanwhile.

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    def release(self, connection: _Connection) -> None:
        """Take back a connection whose answer is complete."""
        if self._closed or len(self._idle) >= IDLE_LIMIT:
            connection.close()
            return
        loop = connection.loop
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = loop.call_later(IDLE_S, self._reap, loop)

    def forget(self, connection: _Connection) -> None:
        """An idle connection was closed by the server."""
        if connection in self._idle:
            self._idle.remove(connection)

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        oldest = loop.time() - IDLE_S
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.popleft().close()
        self._reaper = (
            loop.call_at(self._idle[0].idle_since + IDLE_S, self._reap, loop) if self._idle else None
        )

    async def _connect(self, timeout_s: float) -> _Connection:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        last_error: OSError | None = None
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await guard.resolve(self._host, self._port, allow_private=self._allow_private)
                for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
                    # Each address gets its share, so that a dead first one leaves time for the second.
                    share = loop.time() + (deadline - loop.time()) / left
                    try:
                        async with asyncio.timeout_at(share):
                            _, connection = await loop.create_connection(
                                lambda: _Connection(self, loop),
                                address.ip,
                                address.port,
                                ssl=self._tls,
                                server_hostname=self._host if self._tls else None,
                            )
                            return connection
                    except OSError as error:  # TimeoutError is an OSError
                        last_error = error
        except TimeoutError as error:
            last_error = error
        if isinstance(last_error, TimeoutError):
            raise UpstreamTimeout(
                "No connection to the provider could be made in time.",
                detail=f"connect to {self._host}:{self._port} took more than {timeout_s:g} s",
            ) from last_error
        raise UpstreamFailed(
            "No connection to the provider could be made.",
            detail=f"connect to {self._host}:{self._port}: {last_error}",
        ) from last_error

    def _adopt(self, connecting: asyncio.Task[_Connection]) -> None:
        if not connecting.cancelled() and connecting.exception() is None:
            self.release(connecting.result())

    def repeat(self, transfer: Transfer) -> None:
        """Send `transfer` once more on a fresh connection; its failure goes to its receiver."""
        self._own(self._repeat(transfer))

    async def _repeat(self, transfer: Transfer) -> None:
        try:
            connection = await self._connect(transfer.connect_timeout_s)
        except (UpstreamTimeout, UpstreamFailed) as error:
            if not transfer.ended:
                transfer.ended = True
                transfer.receiver.failed(error)
            return
        if transfer.ended:  # aborted meanwhile
            self.release(connection)
        else:
            connection.start(transfer)

    def _own(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class Transfer:
    """One request and its answer; implements `ports.Transfer`."""

    __slots__ = (
        "connect_timeout_s",
        "connection",
        "ended",
        "message",
        "paused",
        "pool",
        "receiver",
        "repeated",
    )

    def __init__(
        self, pool: Http1Client, message: bytes, receiver: Receiver, connect_timeout_s: float
    ) -> None:
        self.pool = pool
        self.message = message
        self.receiver = receiver
        self.connect_timeout_s = connect_timeout_s
        self.connection: _Connection | None = None
        self.repeated = False
        self.paused = False
        self.ended = False

    def pause(self) -> None:
        self.paused = True
        if self.connection is not None:
            self.connection.pause()

    def resume(self) -> None:
        self.paused = False
        if self.connection is not None:
            self.connection.resume()

    def abort(self) -> None:
        self.ended = True
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()


class _Connection(asyncio.Protocol):
    """One TCP or TLS connection; also the callbacks of its response parser."""

    transport: asyncio.Transport

    def __init__(self, pool: Http1Client, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = pool
        self.loop = loop
        self.parser = httptools.HttpResponseParser(self)
        self.transfer: Transfer | None = None
        self.idle_since = 0.0
        self.served = 0
        self._reading_paused = False
        self._reset()

    def _reset(self) -> None:
        self._headers: list[Header] = []
        self._barren_bytes = 0
        self._fruitful = False
        self._head_done = False
        self._complete = False
        self._reusable = False
        self._surplus = False
        self._received = False

    @property
    def usable(self) -> bool:
        """Whether it is open with nothing left to read: bytes nobody asked for, which the loop has not come to
        yet, would be taken for the answer to the next request, and an end of file would fail it."""
        return not self.transport.is_closing() and not self._unread.poll(0)

    def start(self, transfer: Transfer) -> None:
        self.transfer = transfer
        transfer.connection = self
        self._reset()
        if transfer.paused:
            self.pause()
        self.transport.write(transfer.message)

    def pause(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transfer = None
        self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self._unread = select.poll()
        self._unread.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self.transfer is None:  # nothing was asked: whatever this is, it must not answer the next request
            self.transport.abort()
            return
        self._received = True
        self._fruitful = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("it switched protocols (101) unasked")
        except httptools.HttpParserCallbackError as error:
            self._fail("an error inside the gateway")
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            if self._complete:
                self._surplus = True
            else:
                self._fail(f"not HTTP/1.1: {error}")
        # Only now, with the parser done: `end()` may send the next request on this very connection.
        if self._complete:
            self._conclude()
        elif self._fruitful:
            self._barren_bytes = 0
        else:
            self._barren_bytes += len(data)
            if self._barren_bytes > HEAD_LIMIT:
                self._fail(f"{self._barren_bytes} bytes of head, trailers or chunk sizes without any body")

    def connection_lost(self, exc: Exception | None) -> None:
        transfer = self.transfer
        if transfer is None:
            self.pool.forget(self)
        elif self._head_done and exc is None and _ends_with_connection(self._headers):
            self._finish(transfer)
        elif self.served and not self._received and not transfer.repeated:
            self.transfer = transfer.connection = None
            transfer.repeated = True
            self.pool.repeat(transfer)
        else:
            self._fail(
                "it closed the connection " + ("in mid-answer" if self._received else "without an answer")
            )

    def _fail(self, reason: str) -> None:
        transfer, self.transfer = self.transfer, None
        self.transport.abort()
        if transfer is not None:
            transfer.connection = None
            transfer.ended = True
            transfer.receiver.failed(
                UpstreamFailed("The provider's answer broke off or was not valid HTTP.", detail=reason)
            )

    def _finish(self, transfer: Transfer) -> None:
        self.transfer = transfer.connection = None
        transfer.ended = True
        transfer.receiver.end()

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_done:  # later ones are trailers, which nobody asked for
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        transfer = self.transfer
        if transfer is None or self._complete:
            return
        status = self.parser.get_status_code()
        if status < 200:  # interim: 100 Continue, 103 Early Hints (RFC 9110 section 15.2)
            self._headers = []
            return
        self._head_done = True
        transfer.receiver.head(status, self._headers)

    def on_body(self, body: bytes) -> None:
        self._fruitful = True
        if self.transfer is not None and not self._complete:
            self.transfer.receiver.data(body)

    def on_message_complete(self) -> None:
        if self._head_done and not self._complete:
            self._complete = True
            self._reusable = self.parser.should_keep_alive()  # the parser forgets once it returns

    def _conclude(self) -> None:
        """The answer is whole: give the connection back, or close it, and say so."""
        transfer, self.transfer = self.transfer, None
        self.served += 1
        self.resume()
        whole = self.transport.get_write_buffer_size() == 0
        if whole and self._reusable and not self._surplus and not self.transport.is_closing():
            self.pool.release(self)  # before `end()`, which may send the next request and should find it
        else:
            self.transport.close()
        if transfer is not None:
            transfer.connection = None
            transfer.ended = True
            transfer.receiver.end()


def _ends_with_connection(headers: list[Header]) -> bool:
    """Whether the body has no framing of its own (RFC 9112 section 6.3, rule 8)."""
    for name, value in headers:
        if name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower()):
            return False
    return True
