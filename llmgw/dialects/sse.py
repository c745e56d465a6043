"""Server-sent events as bytes: where an event ends, and what one says.

A relay passes events as they came, so it needs boundaries only; the fields are parsed where a decision hangs
on them. Line ends are LF, CRLF or CR and an event ends with an empty line (WHATWG HTML, section 9.2.6).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

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
