"""One server process per SQLite store, held by a lock on a file beside it.

The standalone mode keeps counters and caches in memory: a second server would not know of them. The kernel
frees the lock when the process ends, however it ends, so a stale file is never in the way. Commands run
beside the server and do not take the lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from llmgw.errors import OperatorError, StoreUnavailable


class StoreLock:
    """A context manager: within it, this process is the one server of the store at `path`.

    Raises, on entering:
        OperatorError: another server runs on this store.
        StoreUnavailable: the lock file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = path.with_name(path.name + ".lock")
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        try:
            number = os.open(self._beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"Cannot open the lock file {self._beside}: {error.strerror}.") from error
        file = os.fdopen(number, "r+")
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            with file:
                holder = file.read(20).strip() or "unknown"
            raise OperatorError(
                f"A server (process {holder}) already runs on the store {self._path}, and a SQLite store "
                "serves one. Stop that one, or use Postgres and Redis for several."
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
