"""Keeps the worker processes of one node: starts them, replaces those that end, renews them one at a time.

Workers are forked, and from a process that has one thread and never an event loop, so there is no lock and no
connection to inherit. A fork takes milliseconds where a fresh interpreter takes most of a second, shares its
memory of code, and runs exactly the configuration that was checked here, whatever the file says by then.

Each worker has a listening socket of its own on the common port (`SO_REUSEPORT`), made and held here. The
kernel then spreads connections evenly: of 64 opened one after another, four workers got 14 to 20 each, and up to
60 went to one of them where all waited on one shared socket. A worker's successor inherits the socket together
with the connections that wait in it, so replacing a worker loses none.

SIGTERM and SIGINT drain every worker, a second one cuts. SIGHUP reads the configuration again and, where it is
valid, replaces the workers: a successor starts beside each, and only when it is ready the old one drains and
the next one's turn comes. A configuration whose first worker does not become ready is given up.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Final, Protocol

from llmgw.errors import OperatorError
from llmgw.server.process import SILENT_S, Heard, Plan, Process
from llmgw.server.worker import fork

_log = logging.getLogger("llmgw.server")

STABLE_S: Final = 30.0
"""Seconds after which a worker's end is no longer a failure to start."""
PAUSES_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Before a start that follows so many failures."""


class StartFailed(OperatorError):
    """No worker came up."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class Board(Protocol):
    """Where the node's processes tell what they count; see `telemetry/board.py`."""

    def retire(self, number: int) -> None: ...
    def crashed(self) -> None: ...
    def reloaded(self, ok: bool, refusal: str | None) -> None: ...
    def refresh(self, workers: int) -> None: ...


@dataclass(eq=False)
class _Slot:
    """The place of one worker. `successor` is to take the place of `process` when it is ready."""

    sock: socket.socket | None
    process: Process | None = None
    successor: Process | None = None
    failures: int = 0
    start_at: float = 0.0


class Supervisor:
    """Runs the workers of one node; `run` returns when they have stopped.

    Args:
        listen: makes a worker's listening socket. The first call decides the address, the others join it.
        plan: what workers run at first.
        read: the plan of the configuration as it is now; OperatorError where it is not valid.
        board: told of what happens to workers.
    """

    def __init__(
        self, listen: Callable[[], socket.socket], plan: Plan, read: Callable[[], Plan], board: Board
    ) -> None:
        self._listen = listen
        self._plan = plan
        self._wanted = plan
        """What is being introduced; the plan in force where nothing is."""
        self._read = read
        self._board = board
        self._slots = [_Slot(listen()) for _ in range(plan.workers)]
        self._running: dict[int, Process] = {}
        self._numbers = 0
        self._proven = False
        """Whether any worker has ever come up. Until then what ended is not started again."""
        self._stopping = 0
        """Signals to stop that have come."""
        self._signals: deque[int] = deque()
        self._selector = selectors.DefaultSelector()
        self._wake = socket.socketpair()
        for end in self._wake:
            end.setblocking(False)

    def run(self) -> None:
        """Until a signal ends it.

        Raises:
            StartFailed: every worker ended before one was ready.
        """
        wake, woken = self._wake
        with wake, woken, self._selector:
            self._selector.register(wake, selectors.EVENT_READ)
            before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
            signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
            try:
                self._turn(wake)
            finally:
                signal.set_wakeup_fd(-1)
                for number, handler in before.items():
                    signal.signal(number, handler)
                self._kill_all()
                self._close_sockets()

    def _turn(self, wake: socket.socket) -> None:
        while True:
            while self._signals:
                self._obey(self._signals.popleft())
            self._reap()
            now = time.monotonic()
            if self._stopping and not self._running:
                return
            if not self._stopping:
                self._reconcile(now)
            for process in self._running.values():
                process.kill_if_overdue(now)
            self._board.refresh(len(self._running))
            until = min(self._deadlines(now), default=now + 1.0)
            wait_s = min(max(until - now, 0.0), 1.0)
            for key, _ in self._selector.select(wait_s):
                if key.fileobj is wake:
                    while _drained(wake):
                        pass
                else:
                    self._hear(key.data)
            if time.monotonic() - now > wait_s + SILENT_S / 3:
                # This process itself was stopped for a while, and most likely its workers with it.
                for process in self._running.values():
                    process.excuse()

    # signals

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _obey(self, number: int) -> None:
        if number == signal.SIGHUP:
            if not self._stopping:
                self._renew()
        elif number != signal.SIGCHLD:
            self._stop()

    def _stop(self) -> None:
        self._stopping += 1
        self._close_sockets()
        _log.info("%s %d workers", "draining" if self._stopping == 1 else "cutting", len(self._running))
        for process in self._running.values():
            process.end(cut=self._stopping > 1)

    def _renew(self) -> None:
        try:
            plan = self._read()
        except OperatorError as error:
            self._board.reloaded(False, str(error))
            _log.error("the configuration was not reloaded, the workers stay as they are: %s", error)
            return
        _log.info("replacing %d workers, one at a time", len(self._slots))
        self._wanted = plan

    # workers

    def _reconcile(self, now: float) -> None:
        """Start what is missing; of what is outdated replace one at a time."""
        for slot in self._slots:
            waits = now < slot.start_at or (slot.failures > 0 and not self._proven)
            if slot.process is None and slot.successor is None and not waits:
                slot.process = self._start(slot, self._plan)
        if self._wanted is self._plan and all(
            slot.process is None or slot.process.plan is self._plan for slot in self._slots
        ):
            self._shrink()
            return
        if any(slot.successor is not None for slot in self._slots):
            return
        for slot in self._slots:
            if slot.process is not None and slot.process.plan is not self._wanted and now >= slot.start_at:
                slot.successor = self._start(slot, self._wanted)
                if slot.successor is not None:
                    slot.successor.replaces = True
                return

    def _start(self, slot: _Slot, plan: Plan) -> Process | None:
        """A new worker in that place; None where the system refuses a socket or a process, for now."""
        self._numbers += 1
        try:
            if slot.sock is None:
                slot.sock = self._listen()
            pid, pipe = fork(
                plan.work,
                self._numbers,
                slot.sock,
                lambda: self._forget(slot),
                introduces=plan is not self._plan,
            )
        except (OperatorError, OSError) as error:
            slot.start_at = time.monotonic() + PAUSES_S[-1]
            _log.error("no worker can be started, the next try is in %g s: %s", PAUSES_S[-1], error)
            return None
        process = Process(pid, self._numbers, pipe, plan)
        self._running[pid] = process
        self._selector.register(pipe, selectors.EVENT_READ, process)
        return process

    def _forget(self, own: _Slot) -> None:
        """In a new worker: close what is the supervisor's and the other workers'."""
        self._selector.close()
        for end in self._wake:
            end.close()
        for process in self._running.values():
            os.close(process.pipe)
        for slot in self._slots:
            if slot is not own and slot.sock is not None:
                slot.sock.close()

    def _shrink(self) -> None:
        while len(self._slots) > self._plan.workers:
            slot = self._slots.pop()
            if slot.sock is not None:
                slot.sock.close()
            if slot.process is not None:
                slot.process.end()

    def _hear(self, process: Process) -> None:
        heard = process.hear()
        self._proven = self._proven or process.heard_at is not None
        if heard is Heard.READY:
            self._on_ready(process)
        elif heard is Heard.DRAINING:
            _log.info("worker %d drains by itself", process.number)
            self._leave(process)
        elif heard is Heard.END:
            self._selector.unregister(process.pipe)  # its end is seen by `_reap`

    def _on_ready(self, process: Process) -> None:
        if process.plan is self._wanted and process.plan is not self._plan:
            self._plan = process.plan
            self._board.reloaded(True, None)
            self._slots += [_Slot(None) for _ in range(self._plan.workers - len(self._slots))]
        for slot in self._slots:
            if slot.successor is process:
                old, slot.process, slot.successor = slot.process, process, None
                if old is not None:
                    old.end()
                if all(
                    slot.process is not None and slot.process.plan is self._wanted for slot in self._slots
                ):
                    _log.info("every worker has been replaced")

    def _leave(self, process: Process) -> None:
        """A worker is gone from its place, which is free for another at once."""
        for slot in self._slots:
            if slot.process is process:
                slot.process = None
                if slot.successor is not None:
                    slot.process, slot.successor = slot.successor, None
            elif slot.successor is process:
                slot.successor = None

    def _reap(self) -> None:
        for pid, status in _ended():
            process = self._running.pop(pid, None)
            if process is None:
                continue  # an orphan of somebody else's, adopted where this is process 1
            while process.pipe in self._selector.get_map() and process.has_said_more():
                self._hear(process)
            if process.pipe in self._selector.get_map():
                self._selector.unregister(process.pipe)
            os.close(process.pipe)
            self._board.retire(process.number)
            if not process.ending:
                self._on_crash(process, os.waitstatus_to_exitcode(status))

    def _on_crash(self, process: Process, code: int) -> None:
        """A worker has ended that was not told to."""
        now = time.monotonic()
        why = process.why(code)
        slot = next((slot for slot in self._slots if process in (slot.process, slot.successor)), None)
        if slot is None:
            return
        succeeds = slot.successor is process
        introduced = process.plan is self._wanted and process.plan is not self._plan and not process.ready
        self._leave(process)
        if not self._proven and not self._running and not self._stopping:
            raise StartFailed(why, max(code, 1))
        if introduced:
            self._wanted = self._plan
            self._board.reloaded(False, why)
            _log.error("the new configuration's first worker did not start, the old workers stay: %s", why)
            return
        self._board.crashed()
        slot.failures = 1 if now - process.started_at > STABLE_S else slot.failures + 1
        pause_s = PAUSES_S[min(slot.failures, len(PAUSES_S)) - 1]
        slot.start_at = now + pause_s
        if pause_s and not succeeds and slot.sock is not None:
            # Better a refused connection than one that waits for a worker that may never come.
            slot.sock.close()
            slot.sock = None
        _log.error("worker %d has ended, another one starts in %g s: %s", process.number, pause_s, why)

    # the end

    def _close_sockets(self) -> None:
        for slot in self._slots:
            if slot.sock is not None:
                slot.sock.close()
                slot.sock = None

    def _kill_all(self) -> None:
        for process in self._running.values():
            os.kill(process.pid, signal.SIGKILL)
        for pid in list(self._running):
            os.waitpid(pid, 0)

    def _deadlines(self, now: float) -> Iterator[float]:
        for process in self._running.values():
            if process.kill_at is not None:
                yield process.kill_at
        for slot in self._slots:
            if slot.start_at > now:
                yield slot.start_at


_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def _ended() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _drained(wake: socket.socket) -> bytes:
    try:
        return wake.recv(4096)
    except BlockingIOError:
        return b""
