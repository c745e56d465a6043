"""A mock provider for streams: every client of a tick gets its chunk in one turn of the loop.

`python -m bench.provider SECONDS` prints its port. A POST is answered with CHUNKS events, so many seconds apart, the
last of which has the finish reason, then `[DONE]`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import uvloop

CHUNKS: Final = 64
INTERVAL_S: Final = 0.01
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENT: Final = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}\n\n'
)
_FINISH: Final = _EVENT.replace(b'{"content":" token"},"finish_reason":null', b'{},"finish_reason":"stop"')
_DONE: Final = b"data: [DONE]\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_EVENT_CHUNK: Final = _chunk(_EVENT)
_FINISH_CHUNK: Final = _chunk(_FINISH)
_LAST: Final = _chunk(_DONE) + b"0\r\n\r\n"


class _Connection(asyncio.Protocol):
    """Answers each request (a head and a body that came whole enough to hold the blank line)."""

    def __init__(self, streams: dict[_Connection, int]) -> None:
        self._streams = streams
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if blank:
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(body) >= length:
                self._buffer = body[length:]
                self.transport.write(_HEAD)
                self._streams[self] = CHUNKS

    def connection_lost(self, exc: Exception | None) -> None:
        self._streams.pop(self, None)


async def _serve(interval_s: float) -> None:
    loop = asyncio.get_running_loop()
    streams: dict[_Connection, int] = {}
    server = await loop.create_server(lambda: _Connection(streams), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    due = loop.time()
    while True:
        for connection, left in list(streams.items()):
            if left == 1:
                connection.transport.write(_FINISH_CHUNK)
                streams[connection] = 0
            elif left:
                connection.transport.write(_EVENT_CHUNK)
                streams[connection] = left - 1
            else:
                connection.transport.write(_LAST)
                del streams[connection]
        due += interval_s
        await asyncio.sleep(max(0.0, due - loop.time()))


if __name__ == "__main__":
    uvloop.run(_serve(float(sys.argv[1])))
