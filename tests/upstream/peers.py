"""What stands on the other side of the httpx transport: an HTTP/2 server and proxies, on real sockets.

They run inside the test's event loop; `with` blocks start and stop them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import cast

import h2.config
import h2.connection
import h2.events

from tests.provider import certificates

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Http2Server:
    """Answers every POST with its own body as a 200, unless a behaviour for the next requests says otherwise.

    Behaviours: `answer`, `hang` (head and first piece, then silence), `close` (no answer, connection closed),
    `goaway` (answers, then announces that the connection ends, and ends it).
    """

    url: str = ""
    ca_file: Path = Path()
    behaviours: list[str] = field(default_factory=list)
    connections: list[Http2Connection] = field(default_factory=list)
    requests: list[tuple[int, dict[bytes, bytes], bytes]] = field(default_factory=list)
    """Connection number, header fields, body."""


class Http2Connection(asyncio.Protocol):
    """One connection of the server."""

    transport: asyncio.Transport

    def __init__(self, server: Http2Server) -> None:
        self.server = server
        self.number = len(server.connections)
        self.closed_at: float | None = None
        self.state = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self.pending: dict[int, tuple[dict[bytes, bytes], bytearray]] = {}
        server.connections.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.state.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed_at = monotonic()

    def data_received(self, data: bytes) -> None:
        for event in self.state.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                fields = {bytes(name): bytes(value) for name, value in event.headers or []}
                self.pending[event.stream_id or 0] = (fields, bytearray())
            elif isinstance(event, h2.events.DataReceived):
                stream = event.stream_id or 0
                self.state.acknowledge_received_data(event.flow_controlled_length or 0, stream)
                self.pending[stream][1].extend(event.data or b"")
            elif isinstance(event, h2.events.StreamEnded):
                self._answer(event.stream_id or 0)
        self._flush()

    def _answer(self, stream: int) -> None:
        fields, body = self.pending.pop(stream)
        self.server.requests.append((self.number, fields, bytes(body)))
        behaviour = self.server.behaviours.pop(0) if self.server.behaviours else "answer"
        if behaviour == "close":
            self.transport.close()
            return
        self.state.send_headers(stream, [(":status", "200"), ("x-served-by", str(self.number))])
        if behaviour == "hang":
            self.state.send_data(stream, b"first")
            return
        size = self.state.max_outbound_frame_size
        for start in range(0, len(body), size):
            self.state.send_data(stream, bytes(body[start : start + size]))
        self.state.end_stream(stream)
        if behaviour == "goaway":
            self.state.close_connection()
            self._flush()
            self.transport.close()

    def _flush(self) -> None:
        self.transport.write(self.state.data_to_send())


@contextlib.asynccontextmanager
async def http2_server(folder: Path) -> AsyncIterator[Http2Server]:
    """A server on `https://localhost`; its authority's certificate is `ca_file`."""
    server = Http2Server(ca_file=certificates.make(folder))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "good.pem")
    tls.set_alpn_protocols(["h2", "http/1.1"])
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Http2Connection(server), "127.0.0.1", 0, ssl=tls)
    server.url = f"https://localhost:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for connection in server.connections:
            connection.transport.abort()
        await listener.wait_closed()


@dataclass
class ProxyServer:
    """Where a proxy listens and what it was asked: `CONNECT host:port`, `POST http://…`, `SOCKS host:port`."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    credentials: list[bytes] = field(default_factory=list)


@contextlib.asynccontextmanager
async def http_proxy(*, refuses: bool = False) -> AsyncIterator[ProxyServer]:
    """An HTTP proxy: tunnels with CONNECT (RFC 9110 section 9.3.6), forwards absolute-form requests."""
    proxy = ProxyServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b" ", 2)
        proxy.asked.append(f"{method.decode()} {target.decode()}")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"proxy-authorization:"):
                proxy.credentials.append(line.partition(b":")[2].strip())
        if refuses:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        elif method == b"CONNECT":
            host, _, port = target.decode().rpartition(":")
            await _splice(reader, writer, host, int(port), b"", b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            authority, _, path = target.removeprefix(b"http://").partition(b"/")
            host, _, port = authority.decode().rpartition(":")
            await _splice(reader, writer, host, int(port), head.replace(target, b"/" + path, 1), b"")

    async with _listening(proxy, serve):
        yield proxy


@contextlib.asynccontextmanager
async def socks_proxy(*, refuses: bool = False) -> AsyncIterator[ProxyServer]:
    """A SOCKS5 proxy with user and password (RFC 1928, RFC 1929)."""
    proxy = ProxyServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        with_password = 2 in await reader.readexactly(count)
        writer.write(b"\x05\x02" if with_password else b"\x05\x00")
        if with_password:
            _, size = await reader.readexactly(2)
            user = await reader.readexactly(size)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            proxy.credentials.append(user + b":" + password)
            writer.write(b"\x01\x00")
        *_, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = ".".join(str(part) for part in await reader.readexactly(4))
        port = int.from_bytes(await reader.readexactly(2), "big")
        proxy.asked.append(f"SOCKS {host}:{port}")
        if refuses:
            writer.write(b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00")
        else:
            granted = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
            await _splice(reader, writer, host, port, b"", granted)

    async with _listening(proxy, serve):
        yield proxy


@contextlib.asynccontextmanager
async def _listening(proxy: ProxyServer, serve: Serve) -> AsyncIterator[None]:
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _splice(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    host: str,
    port: int,
    first: bytes,
    reply: bytes,
) -> None:
    """Connect and copy both ways until one side ends."""
    onward_reader, onward_writer = await asyncio.open_connection(host, port)
    onward_writer.write(first)
    writer.write(reply)
    copies = [
        asyncio.create_task(_copy(reader, onward_writer)),
        asyncio.create_task(_copy(onward_reader, writer)),
    ]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)
        onward_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
