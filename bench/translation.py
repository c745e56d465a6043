"""What translation costs: an Anthropic client in front of an OpenAI provider, against the same provider unchanged."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from bench import clients, servers
from bench.clients import Address
from bench.servers import Process

PATH: Final = "/v1/messages"
BODY: Final = json.dumps(
    {
        "model": "gpt-4o",
        "system": "You are a helpful assistant.",
        "messages": [
            {"role": "user", "content": "Say hello to the people who read this benchmark, in one sentence."}
        ],
        "temperature": 0.7,
        "max_tokens": 64,
    },
    separators=(",", ":"),
)
STREAMS: Final = 100
OPEN: Final = 500
"""Streams held open at once for the memory figure."""
PAUSE_S: Final = 5.0
"""Between two events of a stream that is held open."""

Load = Callable[[Path, Process, int, str, str], tuple[int, float]]
"""Requests and requests/s of a body at a path, for so many seconds."""


def measure(folder: Path, rounds: int, seconds: int, load: Load) -> dict[str, float]:
    """Medians over interleaved rounds."""
    folder = folder / "translation"
    folder.mkdir()
    return {**_plain(folder, rounds, seconds, load), **_streamed(folder, rounds), **_open(folder)}


def _plain(folder: Path, rounds: int, seconds: int, load: Load) -> dict[str, float]:
    same: list[float] = []
    translated: list[float] = []
    with (
        servers.plain_provider(folder) as provider,
        servers.llmgw(folder, "plain", provider.port) as process,
    ):
        for _ in range(rounds):
            same.append(load(folder, process, seconds, "/v1/chat/completions", servers.BODY)[1])
            translated.append(load(folder, process, seconds, PATH, BODY)[1])
    return {
        "same_dialect_rps": round(median(same), 1),
        "translated_rps": round(median(translated), 1),
        "translated_to_same": round(median(map(_ratio, translated, same)), 3),
    }


def _ratio(one: float, other: float) -> float:
    return one / other


def _streamed(folder: Path, rounds: int) -> dict[str, float]:
    found: dict[str, list[float]] = {"same_dialect": [], "translated": []}
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(servers.stream_provider())
        process = stack.enter_context(servers.llmgw(folder, "streamed", provider.port))
        requests = {
            "same_dialect": Address(process.port, process.request(stream=True)),
            "translated": Address(process.port, process.request(PATH, BODY, stream=True)),
        }
        for _ in range(rounds):
            for name, address in requests.items():
                before = process.cpu_s()
                events = clients.streams(address, STREAMS, 4)
                found[name].append((process.cpu_s() - before) / events * 1e6)
    return {f"cpu_us_per_event_{name}": round(median(values), 1) for name, values in found.items()}


def _open(folder: Path) -> dict[str, float]:
    """KiB that a translated stream adds while it is open."""
    with (
        servers.stream_provider(PAUSE_S) as provider,
        servers.llmgw(folder, "open", provider.port) as process,
    ):
        address = Address(process.port, process.request(PATH, BODY, stream=True))
        return {
            "kib_per_open_stream": round(uvloop.run(_held(address, process)), 1),
        }


class _Held(asyncio.Protocol):
    """A stream of which only the beginning is waited for."""

    def __init__(self, begun: asyncio.Future[None]) -> None:
        self._begun = begun

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        if b"content_block_delta" in data and not self._begun.done():
            self._begun.set_result(None)


async def _held(address: Address, process: Process) -> float:
    await _hold(address, 20)  # what the first streams load is not theirs alone
    before = process.rss_mib()
    after = await _hold(address, OPEN, process)
    return (after - before) * 1024 / OPEN


async def _hold(address: Address, count: int, process: Process | None = None) -> float:
    loop = asyncio.get_running_loop()
    begun: list[asyncio.Future[None]] = [loop.create_future() for _ in range(count)]
    connections = []
    for one in begun:
        _, connection = await loop.create_connection(partial(_Held, one), "127.0.0.1", address.port)
        connections.append(connection)
        connection.transport.write(address.request)
    async with asyncio.timeout(60):
        await asyncio.gather(*begun)
    size = process.rss_mib() if process is not None else 0.0
    for connection in connections:
        connection.transport.abort()
    return size
