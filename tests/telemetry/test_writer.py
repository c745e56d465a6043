"""The writer against real pipes: slow, frozen, gone."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from llmgw.telemetry.writer import PIECE_BYTES, Writer
from tests.provider import wait_until


@dataclass
class Pipe:
    """Two ends; `read_end` is closed by whoever wants the reader gone."""

    read_end: int
    write_end: int

    def fill(self) -> None:
        """Leave no room, so that the next blocking write waits."""
        os.set_blocking(self.write_end, False)
        try:
            while True:
                os.write(self.write_end, b"x" * 65536)
        except BlockingIOError:
            os.set_blocking(self.write_end, True)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe that is closed after the test."""
    made = Pipe(*os.pipe())
    yield made
    for end in (made.read_end, made.write_end):
        try:
            os.close(end)
        except OSError:
            continue


def encode(entry: str) -> bytes:
    return entry.encode() + b"\n"


def read_all(pipe: Pipe) -> bytes:
    """Everything that was written; closes the write end."""
    os.close(pipe.write_end)
    found = b""
    while piece := os.read(pipe.read_end, 65536):
        found += piece
    return found


def test_writers_that_share_a_pipe_do_not_mix_their_lines(pipe: Pipe) -> None:
    """Several processes have one stderr: with a reader so slow that the pipe is always full, each line is whole."""
    writers = [Writer(encode, pipe.write_end, 10_000, select.PIPE_BUF) for _ in range(4)]
    for writer in writers:
        writer.start()
    wanted = Counter[bytes]()
    for number in range(2000):
        for name, writer in zip("abcd", writers, strict=True):
            line = f"{name}{number}" + name * (number % 700)
            wanted[line.encode()] += 1
            writer.offer(line)
    found = b""
    while found.count(b"\n") < wanted.total():
        found += os.read(pipe.read_end, 1000)
    for writer in writers:
        writer.stop(5)
    assert Counter(found.splitlines()) == wanted


def test_every_entry_is_a_line_in_order(pipe: Pipe) -> None:
    """What was offered before the stop is written, in the order of the offers."""
    writer = Writer(encode, pipe.write_end, 1000)
    writer.start()
    offered = [f"line {number}" for number in range(500)]
    for entry in offered:
        writer.offer(entry)
    writer.stop(5)
    assert read_all(pipe).decode().splitlines() == offered
    assert writer.dropped == 0


def test_lines_are_written_without_a_stop(pipe: Pipe) -> None:
    """A line reaches the reader soon, and the next one after a pause does too."""
    writer = Writer(encode, pipe.write_end, 10)
    writer.start()
    for _ in range(3):
        writer.offer("hello")
        os.set_blocking(pipe.read_end, False)
        assert wait_until(lambda: _read_now(pipe), timeout_s=5) == b"hello\n"
    writer.stop(5)


def _read_now(pipe: Pipe) -> bytes | None:
    try:
        return os.read(pipe.read_end, 65536)
    except BlockingIOError:
        return None


def test_a_frozen_reader_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    """Offers return at once, the queue keeps to its limit, and what did not fit is counted."""
    pipe.fill()
    writer = Writer(encode, pipe.write_end, 100)
    writer.start()
    writer.offer("the one in the thread's hands")
    wait_until(lambda: not writer.waiting or None)
    for number in range(1000):
        writer.offer(str(number))
    assert writer.waiting == 100
    assert writer.dropped == 900
    began = time.monotonic()
    writer.stop(0.2)
    assert time.monotonic() - began < 5
    # Thawed, so that the thread can end before its descriptor is closed.
    os.set_blocking(pipe.read_end, False)
    wait_until(lambda: (_read_now(pipe), not _alive("llmgw-log"))[1] or None, timeout_s=30)


def _alive(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def test_a_reader_that_is_gone_is_counted(pipe: Pipe) -> None:
    """Writing into the void neither raises nor ends the thread; the lines are counted as dropped."""
    os.close(pipe.read_end)
    writer = Writer(encode, pipe.write_end, 100)
    writer.start()
    writer.offer("a")
    wait_until(lambda: writer.dropped == 1 or None)
    writer.offer("b")
    writer.stop(5)
    assert writer.dropped == 2


def test_a_non_blocking_descriptor_loses_nothing(pipe: Pipe) -> None:
    """A terminal or pipe that was made non-blocking by its owner gets every byte once it has room."""
    os.set_blocking(pipe.write_end, False)
    writer = Writer(encode, pipe.write_end, 10)
    writer.start()
    entry = "x" * (3 * PIECE_BYTES)
    writer.offer(entry)
    found = b""
    while len(found) <= len(entry):
        found += os.read(pipe.read_end, 65536)
    writer.stop(5)
    assert found == encode(entry)
    assert writer.dropped == 0


def test_offers_from_many_threads(pipe: Pipe) -> None:
    """Every line is whole and there exactly once."""
    writer = Writer(encode, pipe.write_end, 10_000)
    writer.start()
    names = [f"{thread}-{number}" for thread in range(4) for number in range(250)]

    def offer(part: list[str]) -> None:
        for name in part:
            writer.offer(name)

    threads = [threading.Thread(target=offer, args=(names[at : at + 250],)) for at in range(0, 1000, 250)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.stop(5)
    assert sorted(read_all(pipe).decode().splitlines()) == sorted(names)
