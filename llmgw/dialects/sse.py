"""Server-sent events as bytes: where an event ends, and what one says.

A relay passes events as they came, so it needs boundaries only; the fields are parsed where a decision hangs
on them. Line ends are LF, CRLF or CR and an event ends with an empty line (WHATWG HTML, section 9.2.6).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from llmgw.errors import UpstreamFailed

BOUNDARIES: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
# The last byte of an unfinished CRLF boundary must not be cut off from its LF.


class ServerSentEvent(NamedTuple):
    """One event: its name (empty where the stream gives none) and its data lines joined by LF."""

    name: bytes
    data: bytes


def complete_until(buffer: bytes) -> int:
    """The offset just behind the last complete event in `buffer`; 0 where none is complete."""
    end = 0
    for boundary in BOUNDARIES:
        at = buffer.rfind(boundary)
        if at >= 0:
            end = max(end, at + len(boundary))
    return end


def parse(block: bytes) -> Iterator[ServerSentEvent]:
    """The events of `block`, which ends at a boundary. A block of comments alone yields nothing."""
    name = b""
    data: list[bytes] = []
    for line in block.splitlines():
        if not line:
            if data or name:
                yield ServerSentEvent(name, b"\n".join(data))
            name, data = b"", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    if data or name:
        yield ServerSentEvent(name, b"\n".join(data))


EVENT_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of one event at most where events are translated, which needs them whole (an image in one event)."""


class Splitter:
    """Cuts a stream that comes in arbitrary pieces into events. Memory: one unfinished event."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that `data` completes.

        Raises:
            UpstreamFailed: an event is larger than EVENT_LIMIT.
        """
        if self._pending:
            data = self._pending + data
        if data.endswith(BOUNDARIES):
            self._pending = b""
            return list(parse(data))
        cut = complete_until(data)
        self._pending = data[cut:]
        if len(self._pending) > EVENT_LIMIT:
            raise UpstreamFailed(f"The provider sent an event of more than {EVENT_LIMIT >> 20} MiB.")
        return list(parse(data[:cut])) if cut else []

    def end(self) -> list[ServerSentEvent]:
        """What came last without the empty line that ends an event, in case it is one all the same."""
        pending, self._pending = self._pending, b""
        return list(parse(pending)) if pending else []
