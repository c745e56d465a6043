"""What the gateway tells the outside: metrics that are read, log lines that are written.

One object is assembled from the two and stands behind the port `Sink`. On the event loop it counts and
appends to a queue, nothing else; a frozen reader of the log or a slow scraper costs a request nothing.
"""

from __future__ import annotations

import contextlib
import logging
import select
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Protocol, Self

from prometheus_client import CONTENT_TYPE_LATEST, Metric, generate_latest
from prometheus_client.registry import Collector

from llmgw.config import schema
from llmgw.ports import BudgetWarning, CallRecord, Flags, Panic
from llmgw.telemetry.board import Board, Place
from llmgw.telemetry.lines import Entry, encode, severity
from llmgw.telemetry.log import DirectWriter, JsonHandler
from llmgw.telemetry.metrics import BreakerStates, JournalCounts, Metrics
from llmgw.telemetry.webhook import Webhook
from llmgw.telemetry.writer import PIECE_BYTES, Writer

_log = logging.getLogger("llmgw.telemetry")

FLUSH_S: Final = 2.0
"""How long the end of the process waits for the reader of the log."""

STDERR: Final = 2


class Keeper(Protocol):
    """Keeps the records of ended calls, some of them perhaps; never waits and never raises."""

    dropped: int

    def offer(self, record: CallRecord) -> None: ...


class Telemetry(Collector):
    """A process's metrics and its log; a context manager around the whole run. Implements `ports.Sink`.

    Args:
        settings: the section of the configuration.
        descriptor: the file descriptor that log lines go to.
        webhook: URL that warnings are sent to.
        keeper: keeps the records of calls for operators to look at.
        board, worker: where this process, as one of several workers, tells what it counts, and its number.
    """

    def __init__(
        self,
        settings: schema.Telemetry,
        descriptor: int = STDERR,
        webhook: str | None = None,
        keeper: Keeper | None = None,
        board: Board | None = None,
        worker: int = 0,
    ) -> None:
        self._level = _level(settings)
        self._metrics = Metrics()
        piece_bytes = PIECE_BYTES if board is None else select.PIPE_BUF
        self._writer: Writer[Entry] = Writer(encode, descriptor, settings.queue, piece_bytes)
        self._handler = JsonHandler(self._writer)
        self._keeper = keeper
        self._webhook = None if webhook is None else Webhook(webhook)
        self._place: Place | None = None if board is None else board.place(worker, self)

    @property
    def in_flight(self) -> int:
        """Calls that have begun and not ended."""
        return self._metrics.in_flight

    def began(self) -> None:
        self._metrics.in_flight += 1

    def offer(self, record: CallRecord) -> None:
        self._metrics.in_flight -= 1
        self._metrics.observe(record)
        if severity(record) >= self._level:
            self._writer.offer(record)
        if self._keeper is not None:
            self._keeper.offer(record)

    def warn(self, warning: BudgetWarning) -> None:
        self._metrics.warned(warning.scope)
        _log.warning(
            "the budget %s of %s %s is used to %d %%: %s USD",
            warning.budget, warning.scope, warning.name, warning.share * 100, warning.spent_usd,
        )  # fmt: skip
        if self._webhook is not None:
            self._webhook.offer(warning)

    def follow(self, journal: JournalCounts) -> None:
        """Show what `journal` counts among the metrics."""
        self._metrics.journal = journal

    def watch(self, breakers: BreakerStates, panic: Panic, flags: Flags) -> None:
        """Show what these say among the metrics."""
        self._metrics.breakers = breakers
        self._metrics.panic = panic
        self._metrics.flags = flags

    def refused(self, status: int) -> None:
        """Bytes that were no request were answered with `status`."""
        self._metrics.refused(status)

    def reloaded(self, ok: bool) -> None:
        """A configuration was read again and is in force, or was refused."""
        self._metrics.reloaded(ok)

    @property
    def refusal(self) -> str | None:
        """Why the supervisor of this process has refused the newest configuration."""
        return None if self._place is None else self._place.refusal

    def render_metrics(self) -> tuple[bytes, str]:
        """What Prometheus reads, of all workers together, and its media type; from any thread.

        Raises:
            OSError: the folder that the workers share has gone, or is full.
        """
        if self._place is not None:
            return self._place.render()
        return generate_latest(self), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        """What this process has counted; from any thread."""
        self._metrics.dropped("log", self._writer.dropped)
        if self._keeper is not None:
            self._metrics.dropped("requests", self._keeper.dropped)
        if self._webhook is not None:
            self._metrics.dropped("webhook", self._webhook.dropped)
        yield from self._metrics.registry.collect()

    def start(self) -> None:
        """Take over the logging of the process."""
        self._writer.start()
        self._handler.install(self._level)
        if self._place is not None:
            self._place.start()

    def stop(self) -> None:
        """Give it back and write what is waiting, for `FLUSH_S` at most."""
        if self._webhook is not None:
            self._webhook.stop()
        if self._place is not None:
            self._place.stop()
        self._handler.remove()
        self._writer.stop(FLUSH_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextlib.contextmanager
def supervisor_log(settings: schema.Telemetry, descriptor: int = STDERR) -> Iterator[None]:
    """The logging of a supervisor: lines of the same form, without a thread."""
    handler = JsonHandler(DirectWriter(descriptor))
    handler.install(_level(settings))
    try:
        yield
    finally:
        handler.remove()


def _level(settings: schema.Telemetry) -> int:
    return logging.getLevelNamesMapping()[settings.log_level.upper()]
