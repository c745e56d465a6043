"""The journal's files: append-only segments of lines, in a folder of their own.

A line is `CRC32 KIND PAYLOAD`: eight hexadecimal digits, `O` (a call was opened) or `C` (it is closed), and the row as
a JSON array. Text in lines, and no lengths: what a power cut or a bad disk spoils is the lines it hit, and whatever
stands behind them is read; people read it too.

One event loop writes, in one `write` for each line, so a line that was written survives the process. One thread
syncs. Any thread reads, up to where it was synced or to the end. A segment is never changed once the next one has
begun, and the next one begins with the lines of the calls that are open then: so an old segment goes when the rows
of its closed calls are in the store, however long some calls stay open.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

SEGMENT_BYTES: Final = 16 * 1024 * 1024
"""Some 20,000 calls. What is left of the last one is read again when the process starts."""
READ_BYTES: Final = 2 * 1024 * 1024

_NAME: Final = re.compile(r"[0-9]{12}\.log").fullmatch
_OPEN_CRC: Final = crc32(b"O ")
_CLOSED_CRC: Final = crc32(b"C ")


class Position(NamedTuple):
    """A place between two lines: the segment's number and the offset in bytes."""

    segment: int
    offset: int


def opened(payload: bytes) -> bytes:
    """The line of a call that begins."""
    return b"%08x O %b\n" % (crc32(payload, _OPEN_CRC), payload)


def closed(payload: bytes) -> bytes:
    """The line of a call that has ended."""
    return b"%08x C %b\n" % (crc32(payload, _CLOSED_CRC), payload)


def is_whole(line: bytes) -> bool:
    """Whether a line, without its line feed, is as it was written."""
    try:
        return int(line[:8], 16) == crc32(line[9:]) and line[9:11] in (b"O ", b"C ")
    except ValueError:
        return False


def payload(line: bytes) -> bytes:
    """The row in a line that is whole."""
    return line[11:].rstrip(b"\n")


def segments(folder: Path) -> list[int]:
    """The numbers of the segments that are there, ascending."""
    return sorted(int(path.stem) for path in folder.iterdir() if _NAME(path.name))


def set_aside(folder: Path, number: int, lines: Iterable[bytes]) -> None:
    """Keep lines that cannot be used, for a person, beside their segment; once, however often they are found."""
    path = segment_path(folder, number).with_suffix(".torn")
    kept = path.read_bytes() if path.exists() else b""
    with path.open("ab") as file:
        file.writelines(line for line in lines if line not in kept)


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:012}.log"


class Spool:
    """The segments as their one writer has them. `write`, `rotate` and `end` belong to the event loop, `sync` to one
    thread, the rest to anyone.

    Raises:
        OSError: the first segment cannot be made.
    """

    def __init__(self, folder: Path, number: int, first: bytes = b"", *, segment_bytes: int = SEGMENT_BYTES):
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._retired: deque[int] = deque()
        self._folder_synced = -1
        self._torn = False
        self._current = (number, self._create(number, first))
        self._first_bytes = len(first)
        self.end = Position(number, len(first))
        """Behind the last line."""
        self.synced = Position(number, 0)
        """What is before it survives a power cut."""

    @property
    def full(self) -> bool:
        """Whether it is time to rotate. A segment that began with many open calls takes at least as much again, or
        there would be no end of writing them."""
        return (
            self.end.offset - self._first_bytes >= max(self._segment_bytes, self._first_bytes) or self._torn
        )

    def write(self, line: bytes) -> None:
        """Append a line, or nothing.

        Raises:
            OSError: it cannot be written.
        """
        number, file = self._current
        if self._torn:
            raise OSError("the segment ends in half a line, and no other one can be made")
        try:
            written = os.write(file, line)
            if written < len(line):  # the disk is full; the rest would say why
                written += os.write(file, line[written:])
            if written < len(line):
                raise OSError("the disk took a part of a line only")
        except OSError:
            try:
                os.ftruncate(file, self.end.offset)
            except OSError:
                self._torn = True
            raise
        self.end = Position(number, self.end.offset + len(line))

    def rotate(self, first: bytes) -> None:
        """Begin a new segment with the lines `first`.

        Raises:
            OSError: it cannot be made; the old one goes on.
        """
        number, file = self._current
        new = self._create(number + 1, first)
        self._retired.append(file)  # before the new one is to be seen: `sync` reads them in the other order
        self._current = (number + 1, new)
        self._first_bytes = len(first)
        self._torn = False
        self.end = Position(number + 1, len(first))

    def sync(self) -> Position:
        """Wait until all that was written before the call is on the disk; returns where that ends.

        Raises:
            OSError: the disk says no. What was not synced then may be lost, whatever a later sync says.
        """
        end = self.end
        number, file = self._current
        retired = []
        while self._retired:
            retired.append(self._retired.popleft())
        try:
            for written in {*retired, file}:  # it may have retired since it was looked up
                os.fsync(written)
        finally:
            for written in retired:
                os.close(written)
        if self._folder_synced < number:
            _sync_folder(self.folder)
            self._folder_synced = number
        self.synced = end
        return end

    def drop_before(self, number: int) -> None:
        """Delete the segments before that one."""
        for old in segments(self.folder):
            if old < number:
                segment_path(self.folder, old).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files."""
        while self._retired:
            os.close(self._retired.popleft())
        os.close(self._current[1])

    def _create(self, number: int, first: bytes) -> int:
        path = segment_path(self.folder, number)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            rest = memoryview(first)
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError:
            os.close(file)
            path.unlink()
            raise
        return file


def read(
    folder: Path, start: Position, end: Position, size: int = READ_BYTES
) -> tuple[list[bytes], Position]:
    """Some payloads of closed calls between two positions, and where to go on; that is `end` once all were read.

    Where `start` is not in the segments that are there, it begins with the next one, or, behind `end`, with the first:
    the store was brought back from a backup then, or from elsewhere. Spoilt lines are left out.

    Raises:
        OSError: a segment cannot be read (FileNotFoundError: it was dropped meanwhile).
    """
    first = 0 if start > end else start.segment
    there = [number for number in segments(folder) if first <= number <= end.segment]
    if not there:
        return [], end
    number = there[0]
    offset = start.offset if number == start.segment and start <= end else 0
    last = number == end.segment
    with segment_path(folder, number).open("rb") as file:
        file.seek(offset)
        data = file.read(min(size, end.offset - offset) if last else size)
    cut = data.rfind(b"\n") + 1
    if cut == 0:
        if len(data) == size:
            return read(folder, start, end, 2 * size)
        return [], end if last else Position(there[1] if len(there) > 1 else end.segment, 0)
    found = [line[11:] for line in data[: cut - 1].split(b"\n") if line[9:10] == b"C" and is_whole(line)]
    return found, Position(number, offset + cut)


class Recovered(NamedTuple):
    """What a process left behind."""

    last: int
    """The highest number of a segment, 0 where there is none."""
    died: list[bytes]
    """Payloads of calls that were opened and never closed, in the order of their opening."""
    waiting: int
    """Closed calls whose rows are not in the store yet."""
    torn: int
    """Spoilt lines."""


def recover(folder: Path, stored: Position) -> Recovered:
    """Read every segment. Spoilt lines are copied to a file beside their segment whose name ends in `.torn`.

    Args:
        stored: up to where rows are in the store.

    Raises:
        OSError: a segment cannot be read, or a `.torn` file not be written.
    """
    open_calls: dict[bytes, bytes] = {}
    numbers = segments(folder)
    waiting = torn = 0
    for number in numbers:
        spoilt = []
        offset = 0
        with segment_path(folder, number).open("rb") as file:
            for line in file:
                if not line.endswith(b"\n") or not is_whole(line[:-1]):
                    spoilt.append(line)
                else:
                    payload = line[11:-1]
                    id = payload[: payload.find(b",")]
                    if line[9:10] == b"O":
                        open_calls[id] = payload
                    else:
                        open_calls.pop(id, None)
                        waiting += Position(number, offset) >= stored
                offset += len(line)
        if spoilt:
            torn += len(spoilt)
            set_aside(folder, number, spoilt)
    return Recovered(numbers[-1] if numbers else 0, list(open_calls.values()), waiting, torn)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
