"""The real gateway with several workers, as a program: `python -m tests.server.several CONFIG WORKERS`.

A SQLite store serves one process, so each worker gets a copy of the installation of its own: what workers share
through Redis and Postgres is not looked at here, but everything that belongs to the processes is.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

import msgspec

from llmgw.assembly.installation import Board, Installation
from llmgw.config.read import load
from llmgw.errors import OperatorError
from llmgw.server.run import run_workers


class Copied(Installation):
    """An installation that each worker enters in a folder of its own, `worker-N`."""

    def join(self, board: Board, worker: int) -> None:
        super().join(board, worker)
        own = self.path.parent / f"worker-{worker}"
        own.mkdir()
        for name in ("llmgw.yaml", "llmgw.db", "llmgw.keyring"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(self.path.with_name(name), own)
        self.path = own / "llmgw.yaml"


def _read(path: Path, workers: int) -> Installation:
    config, _ = load(path)
    return Copied(
        path,
        msgspec.structs.replace(
            config, server=msgspec.structs.replace(config.server, port=0, workers=workers)
        ),
    )


if __name__ == "__main__":
    file, count = Path(sys.argv[1]), int(sys.argv[2])
    try:
        run_workers(_read(file, count), lambda: _read(file, count))
    except OperatorError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
