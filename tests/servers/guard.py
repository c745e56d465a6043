"""Ends servers when the test process ends, also when that is killed and runs no code any more.

A small process that learns by a pipe whom to watch; the pipe's end is the end of the test process. A stopped process
is ended as well as a running one, together with its children (those of Postgres have sessions of their own, so that no
process group holds them).
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path


class Guard:
    """The test process's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-S", __file__], stdin=subprocess.PIPE)

    def watch(self, server: int, folder: Path) -> None:
        """End that process, if it still runs, and delete the folder."""
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(f"{server} {folder}\n".encode())
        pipe.flush()


@functools.cache
def guard() -> Guard:
    """The one of this process."""
    return Guard()


def tree(process: int) -> list[int]:
    """The process and all that come of it, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name of the program, in parentheses, may hold anything (proc(5)).
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [process]
    for one in found:
        found += children.get(one, [])
    return found


def send(process: int, kind: signal.Signals) -> None:
    """A signal to the process and all that come of it; none is made meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGSTOP)
        for one in tree(process)[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, kind)
        os.kill(process, kind)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the test process, which ends in its own time
    watched: dict[Path, int] = {}
    for line in sys.stdin:
        server, _, folder = line.rstrip("\n").partition(" ")
        watched[Path(folder)] = int(server)
    for path, process in watched.items():
        if process:
            send(process, signal.SIGKILL)
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
