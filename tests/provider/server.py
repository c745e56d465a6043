"""The server: asyncio protocols and a request reader of its own, so that nothing tidies up what goes out.

One `Connection` per socket reads requests one after another and executes the steps of each answer. It reads
at all times, so a client that leaves is noticed at once, whatever the answer is doing, and it hands the
kernel no byte before the last one has left, so `written` is what the client's TCP has really taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final, cast
from urllib.parse import unquote

import msgspec

from tests.provider import certificates
from tests.provider.behaviours import BEHAVIOURS, EARLY, Call
from tests.provider.records import Ports, Script, Seen
from tests.provider.steps import Fin, Flood, Gate, Hang, Rst, Send, Step, Wait

TLS_NAMES: Final = ("good", "self-signed", "wrong-host", "expired")


@dataclass
class Server:
    """The state that outlives a connection; `listening()` makes one that serves."""

    seen: list[Seen] = field(default_factory=list)
    scripts: list[Script] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    connections: set[Connection] = field(default_factory=set)
    connected: int = 0

    @staticmethod
    @contextlib.asynccontextmanager
    async def listening(folder: Path) -> AsyncIterator[tuple[Server, Ports]]:
        """Serve on free ports of 127.0.0.1; certificates are written to `folder`."""
        server = Server()
        loop = asyncio.get_running_loop()
        ca_file = certificates.make(folder)

        async def listen(tls: str | None, control: bool) -> asyncio.Server:
            context = None
            if tls is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(folder / f"{tls}.pem")
            return await loop.create_server(
                lambda: Connection(server, control),
                "127.0.0.1",
                0,
                ssl=context,
                backlog=1024,
            )

        listeners = {
            "http": await listen(None, False),
            "control": await listen(None, True),
        }
        listeners |= {name: await listen(name, False) for name in TLS_NAMES}
        port = {name: listener.sockets[0].getsockname()[1] for name, listener in listeners.items()}
        try:
            tls = {name: port[name] for name in TLS_NAMES}
            yield server, Ports(port["http"], port["control"], tls, str(ca_file))
        finally:
            for listener in listeners.values():
                listener.close()
            for connection in list(server.connections):
                connection.transport.abort()

    def gate(self, name: str) -> asyncio.Event:
        return self.gates.setdefault(name, asyncio.Event())

    def script_for(self, target: str) -> Script:
        """What the URL asks for (`/b/NAME;option=value/…`), else the first script in waiting that matches."""
        if target.startswith("/b/"):
            name, *options = target.split("/", 3)[2].split(";")
            pairs = (option.partition("=") for option in options)
            return Script(unquote(name), {key: unquote(value) for key, _, value in pairs})
        for index, script in enumerate(self.scripts):
            if script.path in target:
                if script.times == 1:
                    del self.scripts[index]
                elif script.times:
                    self.scripts[index] = msgspec.structs.replace(script, times=script.times - 1)
                return script
        return Script()

    def control(self, target: str, body: bytes) -> object:
        """The control API; each path is a method of `client.Provider`."""
        match target:
            case "/seen":
                for connection in self.connections:
                    connection.count()
                return self.seen
            case "/script":
                script = msgspec.json.decode(body, type=Script)
                if script.behaviour not in BEHAVIOURS:
                    raise ValueError(f"no behaviour {script.behaviour!r}; there are {', '.join(BEHAVIOURS)}")
                self.scripts.append(script)
            case "/release":
                self.gate(body.decode()).set()
            case "/reset":
                self.seen.clear()
                self.scripts.clear()
                for gate in self.gates.values():
                    gate.set()
                self.gates.clear()
            case "/connections":
                return sum(not connection.is_control for connection in self.connections)
            case "/drop":
                for connection in list(self.connections):
                    if connection.idle and not connection.is_control:
                        connection.close("server")
            case _:
                raise ValueError(f"no control path {target!r}")
        return None


class Connection(asyncio.Protocol):
    """One socket: reads requests, executes answers, notes when the client went."""

    transport: asyncio.Transport
    task: asyncio.Task[None]

    def __init__(self, server: Server, is_control: bool) -> None:
        self.server = server
        self.is_control = is_control
        self.idle = True
        self.served = 0
        self.current: Seen | None = None
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = False
        self._body_read = True
        self._given = self._given_before = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=1, low=0)  # with 0 asyncio's TLS never resumes
        self.server.connected += 1
        self.number = self.server.connected
        self.server.connections.add(self)
        self.task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._arrived.set()

    def eof_received(self) -> None:
        self._left("client")

    def connection_lost(self, exc: Exception | None) -> None:
        self.count()
        if self.current is not None:
            self.current.reset |= isinstance(exc, ConnectionResetError)
        self._left("client")
        self.server.connections.discard(self)
        self.task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _left(self, who: str) -> None:
        """Note who ended the connection first."""
        if not self._gone:
            self._gone = True
            if self.current is not None:
                self.current.closed_at = monotonic()
                self.current.closed_by = who
        self._arrived.set()

    def close(self, who: str) -> None:
        self._left(who)
        self.transport.close()

    def count(self) -> None:
        """Bring `written` of the current request up to date."""
        if self.current is not None and self._given > self._given_before:
            unsent = 0 if self.transport.is_closing() else self.transport.get_write_buffer_size()
            self.current.written = max(self.current.written, self._given - unsent - self._given_before)

    # Reading requests

    async def _more(self) -> None:
        self._arrived.clear()
        if self._gone:
            raise EOFError
        await self._arrived.wait()
        if self._gone:
            raise EOFError

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def _take_until(self, mark: bytes) -> bytes:
        start = 0
        while (index := self._buffer.find(mark, start)) < 0:
            start = max(0, len(self._buffer) - len(mark) + 1)
            await self._more()
        return await self._take(index + len(mark))

    async def _take_body(self, seen: Seen) -> bytes:
        """Read the body into `seen.body` as sent; returns it without framing."""
        if b"chunked" not in (seen.header("transfer-encoding") or b""):
            seen.body = await self._take(int(seen.header("content-length") or 0))
            return seen.body
        decoded = b""
        while True:
            line = await self._take_until(b"\r\n")
            size = int(line.split(b";")[0], 16)
            data = await self._take(size + 2) if size else await self._take_until(b"\r\n")
            seen.body += line + data
            decoded += data[:size]
            if not size:
                return decoded

    # Answering

    async def _serve(self) -> None:
        with contextlib.suppress(EOFError):
            while True:
                self.idle = True
                head = (await self._take_until(b"\r\n\r\n"))[:-4]
                self.idle = False
                seen = Seen(len(self.server.seen), self.number, "answer", head, monotonic())
                if self.is_control:
                    self._answer_control(seen, await self._take_body(seen))
                    continue
                script = self.server.script_for(seen.target)
                seen.behaviour = script.behaviour
                self.current, self._given_before = seen, self._given
                self.server.seen.append(seen)
                body = b""
                self._body_read = script.behaviour not in EARLY
                if self._body_read:
                    body = await self._take_body(seen)
                for step in self._steps(script, seen, body):
                    await self._execute(step)
                self.count()
                seen.finished = True
                self.served += 1
                if self._gone:
                    return

    def _steps(self, script: Script, seen: Seen, body: bytes) -> list[Step]:
        if script.steps is not None:
            return script.steps
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            request = {}
        path, _, query = seen.target.partition("?")
        call = Call(
            path,
            request if isinstance(request, dict) else {},
            script.options,
            self.served,
            query,
        )
        if script.behaviour not in BEHAVIOURS:  # a typing error in a test's URL must not look like a hang
            return [Send(b"HTTP/1.1 555 No Such Behaviour\r\ncontent-length: 0\r\n\r\n")]
        return BEHAVIOURS[script.behaviour](call)

    async def _execute(self, step: Step) -> None:
        match step:
            case Send(data, piece, gap_s):
                size = piece or 64 * 1024
                for start in range(0, len(data), size):
                    await self._write(data[start : start + size])
                    if piece:
                        await asyncio.sleep(gap_s)
            case Flood(data, times, gap_s):
                written = 0
                while times == 0 or written < times:
                    await self._write(data)
                    written += 1
                    await asyncio.sleep(gap_s)
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Gate(name):
                await self.server.gate(name).wait()
            case Hang(deaf):
                if deaf:
                    self.transport.pause_reading()
                    await self.server.gate("deaf").wait()
                    self.transport.resume_reading()
                await asyncio.Event().wait()  # until connection_lost cancels the task
            case Fin():
                await self._finish()
            case Rst():
                self._left("server")
                raw = self.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.transport.abort()

    async def _finish(self) -> None:
        if self._body_read:
            self.close("server")
            return
        # Closing with unread input would send a reset and could destroy the answer (RFC 9112 section 9.6).
        self._left("server")
        self.transport.write_eof()
        await asyncio.sleep(1)
        self.transport.close()

    async def _write(self, data: bytes) -> None:
        if self._gone:
            raise EOFError
        self._given += len(data)
        self.transport.write(data)
        await self._writable.wait()

    def _answer_control(self, seen: Seen, body: bytes) -> None:
        status, answer = "200 OK", b""
        try:
            answer = msgspec.json.encode(self.server.control(seen.target, body))
        except ValueError as error:  # includes msgspec's; the test learns what it got wrong
            status, answer = "400 Bad Request", msgspec.json.encode(str(error))
        self.transport.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(answer)}\r\n\r\n".encode() + answer)
