"""One bounded queue and one thread that writes lines to a file descriptor.

Whoever reads our stderr may be slow, frozen or gone, and a request must not feel it: the event loop only
appends to the queue. A full queue drops what comes and counts it. The thread wakes with the first entry, waits
a moment for company, and writes what has gathered in pieces of `PIECE_BYTES`; with nothing to write it sleeps
without a timer. The lines themselves are made there too.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

GATHER_S: Final = 0.05
"""How long a line may wait for others."""

PIECE_BYTES: Final = 64 * 1024
"""A write is made when the next line would make it longer."""

_Entry = TypeVar("_Entry")


class Writer(Generic[_Entry]):
    """Writes entries as lines.

    Args:
        encode: makes the line, line feed included; called in the writer's thread; must not raise.
        descriptor: where lines go; it stays open.
        limit: entries that may wait.
        piece_bytes: a piece of several lines is no longer. Where other processes write to the same pipe it must be
            at most PIPE_BUF, up to which writes do not mix (pipe(7)).
    """

    def __init__(
        self,
        encode: Callable[[_Entry], bytes],
        descriptor: int,
        limit: int,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._piece_bytes = piece_bytes
        self._encode = encode
        self._descriptor = descriptor
        self._limit = limit
        self._queue: deque[_Entry] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._counting = threading.Lock()
        self._dropped = 0
        # A daemon: a reader that never reads again must not keep the process from its end.
        self._thread = threading.Thread(target=self._run, name="llmgw-log", daemon=True)

    @property
    def dropped(self) -> int:
        """Entries that were not written: the queue was full, or the descriptor refused them."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """Entries in the queue."""
        return len(self._queue)

    def offer(self, entry: _Entry) -> None:
        """Take an entry, from any thread; never waits for the reader and never raises."""
        if len(self._queue) >= self._limit:
            self._drop(1)
            return
        self._queue.append(entry)
        if not self._wake.is_set():
            self._wake.set()

    def start(self) -> None:
        """Begin to write; once."""
        self._thread.start()

    def stop(self, deadline_s: float) -> None:
        """Write what is waiting, for `deadline_s` seconds at most; what is left then is lost."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(deadline_s)

    def _drop(self, entries: int) -> None:
        with self._counting:
            self._dropped += entries

    def _run(self) -> None:
        stopping = False
        while not stopping:
            self._wake.wait()
            stopping = self._stopping.wait(GATHER_S)
            # Cleared before the queue is emptied: an entry that comes from here on sets it again.
            self._wake.clear()
            self._empty_queue()

    def _empty_queue(self) -> None:
        lines: list[bytes] = []
        size = 0
        while self._queue:
            line = self._encode(self._queue.popleft())
            if lines and size + len(line) > self._piece_bytes:
                self._write(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        if lines:
            self._write(lines)

    def _write(self, lines: list[bytes]) -> None:
        rest = memoryview(b"".join(lines))
        try:
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:  # whoever started us made the descriptor non-blocking
                    select.select([], [self._descriptor], [])
        except OSError:  # the reader has gone, or the disk is full; the next lines may fare better
            self._drop(len(lines))
