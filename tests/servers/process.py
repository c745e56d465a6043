"""A server as a process of its own: started until it answers, frozen, killed, started again at the same place."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from tests.servers.guard import guard, send

START_S: Final = 30.0
Address = tuple[str, int]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, outside the range that outgoing connections take theirs from: a server that
    was killed finds it free again."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


@functools.cache
def account() -> str | None:
    """Whom servers run as: Postgres refuses root. None: whoever runs the tests."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


def scratch() -> Path:
    """A new folder of the servers' account, that goes with the test process. Its path is short: that of a socket may
    be no longer than 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="llmgw-"))
    give(folder)
    guard().watch(0, folder)
    return folder


def give(path: Path) -> None:
    """Let the servers' account have it."""
    owner = account()
    if owner is not None:
        shutil.chown(path, owner)


def package(name: str) -> Path:
    """Where an installed package lies. What it does when it is imported is not wanted."""
    found = find_spec(name)
    if found is None or found.origin is None:
        raise RuntimeError(f"Neither is the server on PATH nor is the package {name} installed.")
    return Path(found.origin).parent


class Process:
    """One server. `command` runs it; `answers` says, without waiting long, whether it can be used."""

    def __init__(self, folder: Path, command: Sequence[str], answers: Callable[[], bool]) -> None:
        self.folder = folder
        self._command = command
        self._answers = answers
        self._running: subprocess.Popen[bytes] | None = None
        self._frozen = False

    @property
    def pid(self) -> int:
        assert self._running is not None, "it does not run"
        return self._running.pid

    def start(self) -> None:
        """Run it until it answers; nothing to do where it does."""
        if self._running is not None and self._running.poll() is None:
            return self.thaw()
        with (self.folder / "log").open("ab") as log:
            self._running = subprocess.Popen(
                self._command,
                cwd=self.folder,
                user=account(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        guard().watch(self._running.pid, self.folder)
        deadline = monotonic() + START_S
        while not self._answers():
            if self._running.poll() is not None or monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._command[0]} does not start:\n{(self.folder / 'log').read_text()}")
            sleep(0.01)

    def kill(self) -> None:
        """End it and all its processes at once, as a power cut does."""
        if self._running is not None:
            send(self._running.pid, signal.SIGKILL)
            self._running.wait()
            self._running = None
            self._frozen = False

    def freeze(self) -> None:
        """Stop every one of its processes, where it stands."""
        send(self.pid, signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Let them go on."""
        if self._frozen:
            send(self.pid, signal.SIGCONT)
            self._frozen = False

    def close(self) -> None:
        """End it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        guard().watch(0, self.folder)
