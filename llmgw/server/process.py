"""One worker as its supervisor sees it: what it has said, how long it may take, how it is told to end."""

from __future__ import annotations

import enum
import logging
import os
import selectors
import signal
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from llmgw.server.worker import CUT, DRAINING, FAILED, READY, Worker

_log = logging.getLogger("llmgw.server")

START_S: Final = 60.0
"""Seconds until the first sign of life, and until it is ready where it is to replace another."""
SILENT_S: Final = 20.0
"""Seconds without a sign of life after which a worker's event loop counts as stuck. A probe from outside cannot
find that out: the other workers answer it."""
MARGIN_S: Final = 3.0
"""Seconds after its time to stop is over until a worker is killed."""


class Plan(NamedTuple):
    """What workers do from here on. `stop_s`: how long one may take to stop; `work` returns when it has."""

    workers: int
    stop_s: float
    work: Callable[[Worker], None]


class Heard(enum.Enum):
    """What there is to do for the supervisor."""

    NOTHING = enum.auto()
    READY = enum.auto()
    DRAINING = enum.auto()
    END = enum.auto()


class Process:
    """A worker. `number` is its own among all of the supervisor's, `pipe` the end that it is heard at.

    `heard_at`: when it last gave a sign of life, in monotonic seconds; None before it has come up.
    `ending`: whether it was told to end, or said that it does.
    `replaces`: whether another one serves until this one is ready.
    """

    def __init__(self, pid: int, number: int, pipe: int, plan: Plan) -> None:
        self.pid = pid
        self.number = number
        self.pipe = pipe
        self.plan = plan
        self.started_at = time.monotonic()
        self.heard_at: float | None = None
        self.ready = False
        self.ending = False
        self.replaces = False
        self.kill_at: float | None = None
        self._reason = bytearray()

    def hear(self) -> Heard:
        """Read what it says."""
        try:
            said = os.read(self.pipe, 4096)
        except BlockingIOError:
            return Heard.NOTHING
        if not said:
            return Heard.END
        if self._reason or FAILED in said:
            self._reason += said
            return Heard.NOTHING
        self.heard_at = time.monotonic()
        if DRAINING in said and not self.ending:
            self._ends_within(self.plan.stop_s)
            return Heard.DRAINING
        if READY in said and not self.ready:
            self.ready = True
            return Heard.READY
        return Heard.NOTHING

    def has_said_more(self) -> bool:
        """Whether there is something to read, be it the end."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.pipe, selectors.EVENT_READ)
            return bool(selector.select(0))

    def why(self, code: int) -> str:
        """Why it has ended, with that exit code, or by a signal where it is negative."""
        reason = self._reason.partition(FAILED)[2].decode("utf-8", "replace")
        if reason:
            return reason
        if code < 0:
            return f"A worker was ended by {signal.Signals(-code).name}."
        return f"A worker ended with exit code {code}; its log says why."

    def end(self, *, cut: bool = False) -> None:
        """Tell it to drain, or to cut what runs."""
        self._ends_within(0.0 if cut else self.plan.stop_s)
        os.kill(self.pid, CUT if cut else signal.SIGTERM)

    def kill_if_overdue(self, now: float) -> None:
        """End it where it has not ended, started or said anything in time."""
        late = not self.ready and now > self.started_at + START_S
        if self.kill_at is not None:
            overdue = now >= self.kill_at
        elif self.heard_at is None:
            overdue = late
        else:
            overdue = now > self.heard_at + SILENT_S or (late and self.replaces)
        if overdue:
            if self.kill_at is None:
                _log.error("worker %d is stuck and is killed", self.number)
            self.kill_at = now + 1.0  # and once more, should it not have gone by then
            os.kill(self.pid, signal.SIGKILL)

    def excuse(self) -> None:
        """Do not take its last silence for its own."""
        if self.heard_at is not None:
            self.heard_at = time.monotonic()

    def _ends_within(self, seconds: float) -> None:
        self.ending = True
        self.kill_at = time.monotonic() + seconds + MARGIN_S
