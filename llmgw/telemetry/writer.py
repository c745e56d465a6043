"""The one thread that writes log lines, so that the event loop never waits for whoever reads them.

Lines wait in a bounded queue; when it is full they are dropped and counted. The thread takes what has gathered and
writes it in one go, at most every PERIOD_S.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from typing import Final

PERIOD_S: Final = 0.05
FLUSH_S: Final = 2.0
"""How long the end of the process waits for a reader that has stopped reading."""


class Writer:
    """Writes lines to a file descriptor. `offer` may be called from any thread."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._lines: deque[bytes] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="llmgw-log", daemon=True)
        self.dropped = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is left; gives up after FLUSH_S."""
        self._stop.set()
        self._thread.join(FLUSH_S)

    def offer(self, line: bytes) -> None:
        """Queue a line (with its newline), or drop it."""
        if len(self._lines) >= self._limit:
            self.dropped += 1
        else:
            self._lines.append(line)

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self._write()
        self._write()

    def _write(self) -> None:
        lines = self._lines
        batch = b"".join(lines.popleft() for _ in range(len(lines)))
        with contextlib.suppress(OSError):  # nobody reads any more, and there is nowhere to say so
            while batch:
                batch = batch[os.write(self._descriptor, batch) :]
