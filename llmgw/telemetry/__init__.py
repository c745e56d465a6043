"""What the gateway tells the outside: metrics that are read, log lines that are written.

One object is assembled from the two and stands behind the port `Sink`. On the event loop it counts and
appends to a queue, nothing else; a frozen reader of the log or a slow scraper costs a request nothing.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from llmgw.config import schema
from llmgw.ports import CallRecord
from llmgw.telemetry.log import JsonHandler, call_line, level_of
from llmgw.telemetry.metrics import CONTENT_TYPE, Metrics
from llmgw.telemetry.writer import Writer

STDERR = 2


class Telemetry:
    """A process's metrics and its log; a context manager around the whole run. Implements `ports.Sink`."""

    def __init__(self, settings: schema.Telemetry, descriptor: int = STDERR) -> None:
        self._level = logging.getLevelNamesMapping()[settings.log_level.upper()]
        self._metrics = Metrics()
        self._writer = Writer(descriptor, settings.queue)
        self._handler = JsonHandler(self._writer.offer)

    def began(self) -> None:
        self._metrics.in_flight += 1

    def offer(self, record: CallRecord) -> None:
        self._metrics.in_flight -= 1
        self._metrics.observe(record)
        if logging.getLevelNamesMapping()[level_of(record).upper()] >= self._level:
            self._writer.offer(call_line(record))

    def refused(self, status: int) -> None:
        """Bytes that were no request were answered with `status`."""
        self._metrics.refused(status)

    def reloaded(self, ok: bool) -> None:
        """A configuration was read again and is in force, or was refused."""
        self._metrics.reloads["applied" if ok else "refused"] += 1
        self._metrics.last_reload_ok = ok

    def render_metrics(self) -> tuple[bytes, str]:
        """What Prometheus reads, and its media type; from any thread."""
        self._metrics.dropped = self._writer.dropped
        return self._metrics.render(), CONTENT_TYPE

    def __enter__(self) -> Self:
        self._writer.start()
        root = logging.getLogger()
        root.handlers[:] = [self._handler]
        root.setLevel(self._level)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().handlers[:] = []
        self._writer.stop()
