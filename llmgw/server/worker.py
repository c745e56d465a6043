"""One worker process, from its supervisor's fork to its end, and the pipe on which it tells how it is.

The pipe is one byte a message, towards the supervisor: a sign of life each second, that it is ready, that it
drains; or FAILED and then the sentence that says why it could not start.

A worker knows three signals. SIGTERM and SIGINT drain it, however often they come: a terminal and systemd send
theirs to every process of a service, and the supervisor's own comes on top. CUT ends the drain. SIGHUP is the
supervisor's alone.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable
from typing import Final, NoReturn

from llmgw.errors import OperatorError

_log = logging.getLogger("llmgw.server")

ALIVE: Final = b"."
READY: Final = b"R"
DRAINING: Final = b"D"
FAILED: Final = b"\0"
CUT: Final = signal.SIGUSR1

_LIMIT: Final = 4000
"""Bytes of a reason that are passed on: what a pipe takes whole (PIPE_BUF, pipe(7))."""


class Worker:
    """What a worker is given: a number no other worker of the node has or had, a socket, a supervisor.

    `introduces`: whether it is to show that a new configuration works.
    """

    def __init__(
        self, number: int, sock: socket.socket, pipe: int, supervisor: int, *, introduces: bool
    ) -> None:
        self.number = number
        self.sock = sock
        self.introduces = introduces
        self._pipe = pipe
        self._supervisor = supervisor

    @property
    def orphaned(self) -> bool:
        """Whether the supervisor is gone."""
        return os.getppid() != self._supervisor

    def alive(self) -> None:
        """Say that the event loop turns; to be called each second."""
        self._say(ALIVE)

    def ready(self) -> None:
        """Say that requests are served."""
        self._say(READY)

    def draining(self) -> None:
        """Say that no more connections are taken, so that another worker takes them."""
        self._say(DRAINING)

    def failed(self, reason: str) -> None:
        """Say why it ends."""
        self._say(FAILED + reason.encode()[:_LIMIT])

    def _say(self, message: bytes) -> None:
        # A supervisor that is stopped or gone must not hold its workers up.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._pipe, message)


def fork(
    work: Callable[[Worker], None],
    number: int,
    sock: socket.socket,
    forget: Callable[[], None],
    *,
    introduces: bool = False,
) -> tuple[int, int]:
    """Start a process that does `work`; returns its process id and the readable end of its pipe.

    The calling process must have one thread. `forget` closes, in the worker, what is the supervisor's.
    """
    heard, said = os.pipe()
    for end in (heard, said):
        os.set_blocking(end, False)
    supervisor = os.getpid()
    gc.collect()
    gc.freeze()  # what stands now is not looked at by the worker's collections, so its memory stays shared
    # A signal between the fork and the new handlers would be taken for the supervisor's.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid = os.fork()
    if pid == 0:
        _be(work, Worker(number, sock, said, supervisor, introduces=introduces), heard, forget, blocked)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    gc.unfreeze()
    os.close(said)
    return pid, heard


def _be(
    work: Callable[[Worker], None],
    worker: Worker,
    heard: int,
    forget: Callable[[], None],
    blocked: Iterable[int],
) -> NoReturn:
    """The life of a worker; the stack of the supervisor below it is never returned to."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.close(heard)
        forget()
        work(worker)
        code = 0
    except OperatorError as error:
        worker.failed(str(error))
        code = error.exit_code
    except BaseException:  # noqa: BLE001 - the edge of the process: nothing may run on in the supervisor's code
        _log.exception("worker %d failed", worker.number)
    finally:
        os._exit(code)
