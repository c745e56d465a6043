"""The second transport: HTTP/2, HTTP proxies and SOCKS, through httpx's own engine, httpcore.

httpcore is used without the client above it, for three things that the client hides: a network backend of
ours, so that the guard chooses the addresses; the header list exactly as given; and a say over which
connection serves which call. One task per call pulls the answer and pushes it into the `Receiver`.

A connection serves one call at a time:
- HTTP/1.1: one call in its life. httpcore keeps surplus bytes behind an answer and would take them for the
  answer to the next request, which may be another organisation's.
- HTTP/2: reused, never shared. httpcore cannot reset one stream, so an abort has to close its connection.

Through a proxy the name is resolved by the proxy, whose address is the operator's own choice; of the guard
only the refusal of IP literals remains.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpcore

from llmgw.errors import CallError, UpstreamFailed, UpstreamTimeout
from llmgw.ports import Receiver, Transfer, UpstreamRequest
from llmgw.upstream import guard

IDLE_LIMIT: Final = 64
"""Idle HTTP/2 connections kept."""
IDLE_S: Final = 30.0
"""An idle connection is closed after this long, before a NAT box forgets it without a word."""


class HttpxTransport:
    """One origin, `scheme://host[:port]`, directly or through `proxy`; implements `ports.Upstream`.

    Args:
        proxy: `http://`, `https://`, `socks5://` or `socks5h://` URL, with user and password where needed.
    """

    def __init__(self, origin: str, *, allow_private: bool, proxy: str | None = None) -> None:
        parts = urlsplit(origin)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._scheme = parts.scheme.encode()
        self._host_line = (b"host", parts.netloc.encode())
        self._allow_private = allow_private
        self._proxy = None if proxy is None else _Proxy(proxy)
        self._tls = ssl.create_default_context()  # verifies; honours SSL_CERT_FILE and SSL_CERT_DIR
        self._idle: deque[tuple[float, _Connection]] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        # At debug level these write out header fields, the provider's secret among them.
        for name in ("httpcore", "hpack", "h2"):
            logging.getLogger(name).setLevel(logging.WARNING)

    async def send(
        self, request: UpstreamRequest, receiver: Receiver, *, connect_timeout_s: float
    ) -> Transfer:
        if self._proxy is not None:
            guard.check_literal(self._host, allow_private=self._allow_private)
        transfer = _Transfer(self, self._encode(request, connect_timeout_s), receiver)
        await transfer.start(connect_timeout_s)
        return transfer

    async def aclose(self) -> None:
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        while self._idle:
            await self._idle.pop()[1].aclose()

    def _encode(self, request: UpstreamRequest, connect_timeout_s: float) -> httpcore.Request:
        length = (b"content-length", b"%d" % len(request.body))
        return httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=self._scheme, host=self._host.encode(), port=self._port, target=request.target
            ),
            headers=[self._host_line, *request.headers, length],
            content=request.body,
            extensions={"timeout": {"connect": connect_timeout_s}},
        )

    def take(self) -> _Connection:
        """An idle connection, newest first, or a new one that is not connected yet."""
        return self._idle.pop()[1] if self._idle else self.connection()

    def connection(self) -> _Connection:
        """A new connection."""
        return _Connection(self._tls, self._proxy, self._allow_private)

    def release(self, connection: _Connection) -> bool:
        """Take back a connection whose answer is complete; False where it must be closed instead."""
        if self._closed or len(self._idle) >= IDLE_LIMIT:
            return False
        loop = asyncio.get_running_loop()
        self._idle.append((loop.time(), connection))
        if self._reaper is None:
            self._reaper = loop.call_later(IDLE_S, self._reap, loop)
        return True

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        oldest = loop.time() - IDLE_S
        while self._idle and self._idle[0][0] <= oldest:
            self.own(self._idle.popleft()[1].aclose())
        self._reaper = loop.call_at(self._idle[0][0] + IDLE_S, self._reap, loop) if self._idle else None

    def own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` in a task that is kept until it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Transfer:
    """One call: the task that pulls its answer; implements `ports.Transfer`."""

    def __init__(self, owner: HttpxTransport, request: httpcore.Request, receiver: Receiver) -> None:
        self._owner = owner
        self._request = request
        self._receiver = receiver
        self._under_way: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._readable = asyncio.Event()
        self._readable.set()
        self._connected_now = False
        self._ended = False
        request.extensions["trace"] = self._trace

    async def start(self, connect_timeout_s: float) -> None:
        """Return when a connection carries the request."""
        loop = asyncio.get_running_loop()
        self._task = self._owner.own(self._run())
        # Over everything a connection takes: look-up, TCP, proxy, TLS. httpcore bounds only each of them.
        timer = loop.call_later(connect_timeout_s, self._too_slow, connect_timeout_s)
        try:
            await self._under_way
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            timer.cancel()

    def pause(self) -> None:
        self._readable.clear()

    def resume(self) -> None:
        self._readable.set()

    def abort(self) -> None:
        if not self._ended:
            self._ended = True
            self._task.cancel()

    async def _run(self) -> None:
        connection = self._owner.take()
        reusable = False
        try:
            try:
                response = await connection.send(self._request)
            except (httpcore.NetworkError, httpcore.RemoteProtocolError):
                if self._connected_now:
                    raise
                # It was idle, and the server closed it while the request was on its way.
                await connection.aclose()
                connection = self._owner.connection()
                response = await connection.send(self._request)
            if response.status == 101:
                raise httpcore.RemoteProtocolError("it switched protocols (101) unasked")
            await self._relay(response)
            if response.extensions["http_version"] == b"HTTP/2" and not self._ended:
                await response.aclose()
                reusable = self._owner.release(connection)
        # The libraries below raise more than they declare (h2, hpack, socksio, ssl). Whatever it is, the
        # receiver must hear of it, and this task has nobody else to tell.
        except Exception as error:  # noqa: BLE001
            self._finish(_call_error(error))
        else:
            self._finish(None)
        finally:
            if not reusable:
                await connection.aclose()

    async def _relay(self, response: httpcore.Response) -> None:
        receiver, readable = self._receiver, self._readable
        if not self._ended:
            receiver.head(response.status, [(name.lower(), value) for name, value in response.headers])
        async for piece in response.aiter_stream():
            if not readable.is_set():
                await readable.wait()
            if self._ended:
                return
            receiver.data(piece)

    async def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Told by httpcore of each step; the documented way to learn when the request itself goes out."""
        if event.endswith(".connect_tcp.started"):
            self._connected_now = True
        elif event.endswith(".send_request_headers.started"):
            to_proxy = info["request"].method == b"CONNECT"
            if not to_proxy and not self._under_way.done():
                self._under_way.set_result(None)

    def _too_slow(self, connect_timeout_s: float) -> None:
        if self._under_way.done():
            return
        self._finish(
            UpstreamTimeout(
                "No connection to the provider could be made in time.",
                detail=f"connect took more than {connect_timeout_s:g} s",
            )
        )
        self._task.cancel()

    def _finish(self, error: CallError | None) -> None:
        """Tell whoever waits: the caller of `send` before the request is under way, then the receiver."""
        if self._ended:
            return
        self._ended = True
        if error is None:
            self._receiver.end()
        elif self._under_way.done():
            self._receiver.failed(error)
        else:
            self._under_way.set_exception(error)


class _Connection:
    """One connection, made when it is first used: a pool of one, since httpcore keeps bare ones to itself."""

    def __init__(self, tls: ssl.SSLContext, proxy: _Proxy | None, allow_private: bool) -> None:
        self._network = _Network(None if proxy is not None else allow_private)
        options: dict[str, Any] = {
            "ssl_context": tls,
            "max_connections": 1,
            "keepalive_expiry": IDLE_S,
            "http2": True,
            "network_backend": self._network,
        }
        if proxy is None:
            self._pool = httpcore.AsyncConnectionPool(**options)
        elif proxy.is_socks:
            self._pool = httpcore.AsyncSOCKSProxy(proxy.url, proxy_auth=proxy.auth, **options)
        else:
            self._pool = httpcore.AsyncHTTPProxy(proxy.url, proxy_auth=proxy.auth, **options)

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        return await self._pool.handle_async_request(request)

    async def aclose(self) -> None:
        await self._pool.aclose()
        await self._network.aclose()


class _Network(httpcore.AsyncNetworkBackend):
    """TCP connections: to the addresses that the guard hands out, in their order; to a proxy as it is named.

    Args:
        allow_private: as the guard takes it; None for no guard.
    """

    def __init__(self, allow_private: bool | None) -> None:
        self._allow_private = allow_private
        self._tcp = httpcore.AnyIOBackend()
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109, the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if self._allow_private is None:
            addresses = [guard.Address(host, port)]
        else:
            addresses = await guard.resolve(host, port, allow_private=self._allow_private)
        # Each address gets its share, so that a dead first one leaves time for the second.
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._connect(address, share)
        return await self._connect(addresses[-1], share)

    async def _connect(self, address: guard.Address, share: float | None) -> httpcore.AsyncNetworkStream:
        self._stream = await self._tcp.connect_tcp(address.ip, address.port, share)
        return self._stream

    async def aclose(self) -> None:
        """Close the socket; httpcore loses sight of it where it is cancelled during the TLS handshake."""
        if self._stream is not None:
            await self._stream.aclose()


class _Proxy:
    """A proxy's URL, taken apart."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 1080)
        self.is_socks = parts.scheme.startswith("socks")
        scheme = "socks5" if self.is_socks else parts.scheme
        self.url = httpcore.URL(
            scheme=scheme.encode(), host=(parts.hostname or "").encode(), port=port, target=b"/"
        )
        self.auth: tuple[bytes, bytes] | None = None
        if parts.username is not None:
            self.auth = (unquote(parts.username).encode(), unquote(parts.password or "").encode())


def _call_error(error: Exception) -> CallError:
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, CallError):
        return error
    if isinstance(error, httpcore.TimeoutException):
        return UpstreamTimeout("No connection to the provider could be made in time.", detail=detail)
    if isinstance(error, httpcore.ConnectError | httpcore.ProxyError):
        return UpstreamFailed("No connection to the provider could be made.", detail=detail)
    return UpstreamFailed("The provider's answer broke off or was not valid HTTP.", detail=detail)
