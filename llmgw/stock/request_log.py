"""How calls went, for operators: kept by a thread when there is time, and lost rather than waited for.

The event loop appends to a bounded queue; one thread writes what has gathered. A store that is slow, locked or full
fills the queue, and what finds no room is dropped and counted.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from typing import ClassVar, Final, Self

from llmgw.ports import CallRecord

_log = logging.getLogger("llmgw.store")

GATHER_S: Final = 0.2
"""How long a record waits for others."""
BATCH: Final = 5_000
RETENTION_DAYS: Final = 7
STOP_S: Final = 2.0

COLUMNS: Final = (
    "time", "request_id", "trace_id", "org", "key_id", "endpoint", "model_asked", "model", "provider", "streamed",
    "status", "upstream_status", "error", "attempts", "request_bytes", "response_bytes", "total_s", "overhead_s",
    "first_token_s",
)  # fmt: skip
values_of: Final = attrgetter(*COLUMNS)


class QueuedRequestLog(ABC):
    """A context manager around the run of its thread. `_keep` and `_close` are called in that thread alone.

    Args:
        name: where the records go, for sentences.
        limit: records that may wait.
    """

    FAILURES: ClassVar[tuple[type[Exception], ...]]
    """What `_keep` raises where the store takes nothing."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._queue: deque[CallRecord] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # A daemon: a store that hangs must not keep the process from its end.
        self._thread = threading.Thread(target=self._run, name="llmgw-request-log", daemon=True)
        self._failing = False
        self.dropped = 0
        """Records that were not kept: the queue was full, or the store refused them."""

    @abstractmethod
    def _keep(self, records: Sequence[CallRecord]) -> None:
        """Write them, and delete those that are older than RETENTION_DAYS."""

    @abstractmethod
    def _close(self) -> None:
        """Let go of the store."""

    @property
    def waiting(self) -> int:
        """Records in the queue."""
        return len(self._queue)

    def offer(self, record: CallRecord) -> None:
        """Take the record of an ended call; never waits and never raises."""
        if len(self._queue) >= self._limit:
            self.dropped += 1
            return
        self._queue.append(record)
        if not self._wake.is_set():
            self._wake.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._wake.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            self._wake.wait()
            stopping = self._stopping.wait(GATHER_S)
            self._wake.clear()
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                try:
                    self._keep(batch)
                    self._failing = False
                except self.FAILURES as error:
                    self._lose(batch, error)
        self._close()

    def _lose(self, batch: Sequence[CallRecord], error: Exception) -> None:
        self.dropped += len(batch)
        if not self._failing:
            self._failing = True
            _log.warning("the request log %s loses records: %s", self._name, error)
