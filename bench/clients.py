"""Load: requests at a fixed rate, timed from when they were due, and many streams at once.

An open loop: a slow answer does not delay the next request, and its wait counts from the schedule, so a stall shows in
every request it held up (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from functools import partial
from time import perf_counter
from typing import NamedTuple

import uvloop

from bench.provider import CHUNKS


class Address(NamedTuple):
    """Where to send, and the request's bytes."""

    port: int
    request: bytes


class _Plain(asyncio.Protocol):
    """One keep-alive connection; answers have a content-length."""

    def __init__(self, idle: deque[_Plain], waits: list[float]) -> None:
        self._idle = idle
        self._waits = waits
        self._due = 0.0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's own class

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the answer was {head[:200]!r}")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) >= length:
            self._buffer = b""
            self._waits.append(perf_counter() - self._due)
            self._idle.append(self)


def latencies(target: Address, rate: int, seconds: float) -> list[float]:
    """The wait of every request, in seconds, sorted; after a warm-up of a tenth."""
    return sorted(uvloop.run(_at_rate(target, rate, seconds)))


async def _at_rate(target: Address, rate: int, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    idle: deque[_Plain] = deque()
    waits: list[float] = []
    for _ in range(32):
        _, connection = await loop.create_connection(lambda: _Plain(idle, waits), "127.0.0.1", target.port)
        idle.append(connection)
    gc.freeze()
    gc.disable()
    count = int(rate * seconds)
    began = perf_counter() + 0.01
    for number in range(count):
        due = began + number / rate
        # Sleeping is a millisecond coarse; the rest is spent turning the loop, which also reads the answers.
        while (left := due - perf_counter()) > 0:
            await asyncio.sleep(left - 0.0015 if left > 0.003 else 0)
        if not idle:
            _, connection = await loop.create_connection(
                lambda: _Plain(idle, waits), "127.0.0.1", target.port
            )
        else:
            connection = idle.popleft()
        connection.send(target.request, due)
    deadline = perf_counter() + 10
    while len(waits) < count and perf_counter() < deadline:
        await asyncio.sleep(0.01)
    if len(waits) < count:
        raise RuntimeError(f"{count - len(waits)} answers did not come")
    gc.enable()
    return waits[count // 10 :]


# What a complete stream ends with, of OpenAI's API or Anthropic's, whoever framed the chunk that holds it.
_LAST = b"\r\n0\r\n\r\n"
_ENDS = (b"data: [DONE]\n\n" + _LAST, b'data: {"type":"message_stop"}\n\n' + _LAST)
_TAIL = max(map(len, _ENDS))


class _Stream(asyncio.Protocol):
    def __init__(self, ended: asyncio.Future[int]) -> None:
        self._ended = ended
        self._events = 0
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        self._events += data.count(b'"delta":{')
        self._tail = (self._tail + data)[-_TAIL:]
        if self._tail.endswith(_LAST) and not self._ended.done():
            if self._tail.endswith(_ENDS):
                self._ended.set_result(self._events)
            else:
                self._ended.set_exception(RuntimeError("a stream ended without its terminator"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_exception(RuntimeError("a stream was cut"))


def streams(target: Address, count: int, rounds: int) -> int:
    """Read `count` streams at once, `rounds` times; the number of chunks, each of which must have come."""
    return uvloop.run(_streams(target, count, rounds))


async def _streams(target: Address, count: int, rounds: int) -> int:
    loop = asyncio.get_running_loop()
    total = 0
    for _ in range(rounds):
        ends: list[asyncio.Future[int]] = [loop.create_future() for _ in range(count)]
        connections = []
        for end in ends:
            _, connection = await loop.create_connection(partial(_Stream, end), "127.0.0.1", target.port)
            connections.append(connection)
        for connection in connections:
            connection.transport.write(target.request)
        async with asyncio.timeout(30):
            events = await asyncio.gather(*ends)
        if set(events) != {CHUNKS}:
            raise RuntimeError(f"streams of {sorted(set(events))} chunks instead of {CHUNKS}")
        total += sum(events)
        for connection in connections:
            connection.transport.close()
    return total
