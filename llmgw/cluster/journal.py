"""The journal's way into Postgres, and whose folder is whose on one machine.

Each process has a folder of its own for its journal, below the node's. A lock of the kernel on it tells whether its
owner lives: a process that starts takes a folder that nobody has, and with it the rows that its last owner has left,
before it makes a new one. The folder's id is the journal's in the store.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from llmgw.cluster import ledger_rows
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.failures import Unavailable, diagnose
from llmgw.cluster.postgres import Connection
from llmgw.errors import StoreUnavailable
from llmgw.spool import Position, SpoolJournal
from llmgw.spool.lines import DAY_S
from llmgw.spool.segments import SEGMENT_BYTES

RETENTION_S: Final = 400 * DAY_S
"""How long the ledger keeps rows: a year, and a month to look back from."""


@contextmanager
def journal(
    url: str, folder: Path, *, retention_s: float = RETENTION_S, segment_bytes: int = SEGMENT_BYTES
) -> Iterator[SpoolJournal]:
    """A process's journal below `folder`, which every process of the node shares.

    Raises:
        StoreUnavailable: the folder or the store cannot be read or written.
    """
    with owned(folder) as own, Blocking(url) as store:
        shelf = PostgresShelf(store, own.name, retention_s)
        with SpoolJournal(own, shelf, segment_bytes=segment_bytes) as made:
            yield made


@contextmanager
def owned(folder: Path) -> Iterator[Path]:
    """A folder below `folder` that no other living process has; one that is there before a new one.

    Raises:
        StoreUnavailable: there can be none.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = sorted(path for path in folder.iterdir() if path.is_dir())
        own, lock = next(
            (path, lock)
            for path in (*found, folder / f"journal-{uuid4().hex}")
            if (lock := _locked(path)) is not None
        )
    except OSError as error:
        raise StoreUnavailable(f"The journal's folder {folder} cannot be used: {error.strerror}.") from error
    try:
        yield own
    finally:
        os.close(lock)


def _locked(path: Path) -> int | None:
    """The lock on a folder, as long as it is open; None where another process has it."""
    path.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(path / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


class PostgresShelf:
    """Implements `Shelf` for the journal of that id.

    Args:
        retention_s: age at which rows go.
    """

    def __init__(self, store: Blocking, id: str, retention_s: float) -> None:
        self._store = store
        self._id = id
        self._retention_s = retention_s

    def begin(self) -> Position:
        try:
            return self.position()
        except Unavailable as error:
            raise StoreUnavailable(f"The store {self._store.name} {error}") from error

    def position(self) -> Position:
        return self._store.run(self._position)

    def take(
        self,
        lines: Sequence[bytes],
        before: Position,
        after: Position,
        set_aside: Callable[[Sequence[bytes]], None],
    ) -> bool:
        async def take(connection: Connection) -> bool:
            async with connection.transaction():
                if await self._position(connection) != before:
                    return False
                await ledger_rows.insert(connection, lines, set_aside)
                await connection.execute(_STAND, self._id, after.segment, after.offset)
                return True

        return self._store.run(take)

    def purge(self, now: float) -> bool:
        async def purge(connection: Connection) -> None:
            await ledger_rows.prepare(connection, now)
            before = int((now - self._retention_s) // DAY_S * DAY_S)
            if before > 0:
                await ledger_rows.purge(connection, before)

        self._store.run(purge)
        return False

    def explain(self, error: Exception) -> str:
        return str(diagnose(error) or error)

    def close(self) -> None:
        self._store.drop()

    async def _position(self, connection: Connection) -> Position:
        row = await connection.fetchrow('SELECT segment, "offset" FROM journals WHERE id = $1', self._id)
        return Position(0, 0) if row is None else Position(row[0], row[1])


_STAND: Final = """
    INSERT INTO journals (id, segment, "offset") VALUES ($1, $2, $3)
    ON CONFLICT (id) DO UPDATE SET segment = $2, "offset" = $3, taken_at = now()
"""
