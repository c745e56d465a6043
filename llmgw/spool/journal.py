"""The journal: what calls used, in a local file before anything else happens with it.

Each row is a line of the spool, written by the event loop in one `write` of some microseconds: from there on it
survives the process. A call that begins is written at once, before anybody is asked; rows of calls that end wait for
the next such write, or for the end of the loop's turn, and until then the opened row stands for each. A thread syncs
what has gathered, and tells the event loop up to where: from there on it survives the machine, and counters may
settle. Another thread (`LedgerWriter`) takes rows on to the store.

A disk that is full, or says no, refuses calls that begin. The row of a call that ends is kept in memory then, as is
every row that was not synced yet, and is written again, to a new segment, until the disk takes it; these are no more
than calls were open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from llmgw.errors import DependencyUnavailable, StoreUnavailable
from llmgw.ports import LedgerRow
from llmgw.spool import lines, segments
from llmgw.spool.segments import SEGMENT_BYTES, Position, Spool
from llmgw.spool.shelf import Shelf
from llmgw.spool.writer import LedgerWriter

_log = logging.getLogger("llmgw.store")

GATHER_S: Final = 0.02
"""How long a line waits for others, that one sync may serve them all."""
RETRY_S: Final = 0.5
STOP_S: Final = 5.0
ENDED_LIMIT: Final = 10_000
"""So many calls that have ended are known by their ids; a row that comes again later is recognised by the store."""


class Ended(Struct):
    """The row of a call that has ended."""

    id: str
    line: bytes
    """What is written of it; nothing once it is safe."""
    end: Position
    """Behind it, in the spool."""
    waiters: list[Callable[[], None]] | None
    """Who is told when it is safe; None once it is."""


class SpoolJournal:
    """Implements `ports.Journal` for the one event loop that uses it; a context manager around the process's run.

    The process is the only one that has the folder.

    Raises, on entering:
        StoreUnavailable: the folder or the store cannot be read or written.
    """

    def __init__(self, folder: Path, shelf: Shelf, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self._shelf = shelf
        self._segment_bytes = segment_bytes
        self._spool: Spool
        self._writer: LedgerWriter
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[str, bytes] = {}
        self._ended: dict[str, Ended] = {}
        self._gathered: list[Ended] = []
        """To be written in this turn of the loop."""
        self._unsettled: deque[Ended] = deque()
        """In the spool and not synced; in order."""
        self._unwritten: deque[Ended] = deque()
        """Not in the spool: the disk did not take them."""
        self._broken = False
        """Whether a sync failed: what is in the spool and not synced has to be written again."""
        self._retry: asyncio.TimerHandle | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # A daemon: a disk that hangs must not keep the process from its end.
        self._thread = threading.Thread(target=self._sync, name="llmgw-journal", daemon=True)
        self._asked = 0
        self.torn = 0
        """Lines that were found spoilt at the start."""

    @property
    def degraded(self) -> str | None:
        if self._broken or self._unwritten:
            return "journal"
        return "ledger" if self._writer.failing else None

    @property
    def end(self) -> Position:
        """Behind the last line of the spool; from any thread."""
        return self._spool.end

    @property
    def unwritten(self) -> Sequence[bytes]:
        """The rows that are accepted and not in the spool, each as the payload of its line."""
        return [segments.payload(ended.line) for ended in (*self._unwritten, *self._gathered)]

    @property
    def waiting(self) -> int:
        """Rows that are not in the store yet."""
        return len(self._unwritten) + len(self._gathered) + max(0, self._writer.expected - self._writer.taken)

    def lags(self) -> bool:
        """Whether rows that were accepted before this was asked last are not in the store yet."""
        before, self._asked = (
            self._asked,
            self._writer.expected + len(self._unwritten) + len(self._gathered),
        )
        return self._writer.taken < before

    @property
    def unsettled(self) -> int:
        """Rows of ended calls that are not on the disk yet."""
        return len(self._unsettled) + len(self._unwritten) + len(self._gathered)

    @property
    def failures(self) -> int:
        """How often the store refused rows."""
        return self._writer.failures

    def open(self, row: LedgerRow) -> None:
        self._loop = asyncio.get_running_loop()
        line = segments.opened(lines.encode(row))
        if self._broken:
            raise _unavailable("a sync of it failed")
        try:
            self._write_gathered(line)
        except OSError as error:
            raise _unavailable(error.strerror or str(error)) from error
        self._open[row.id] = line

    def append(self, row: LedgerRow, durable: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        known = self._ended.get(row.id)
        if known is not None:
            if known.waiters is None:
                self._loop.call_soon(durable)
            else:
                known.waiters.append(durable)
            return
        ended = Ended(row.id, segments.closed(lines.encode(row)), self._spool.end, [durable])
        self._ended[row.id] = ended
        if len(self._ended) > ENDED_LIMIT:
            del self._ended[next(iter(self._ended))]
        if self._broken or self._unwritten:
            self._unwritten.append(ended)
            self._retry_later()
            return
        self._gathered.append(ended)
        if len(self._gathered) == 1:
            self._loop.call_soon(self._end_turn)

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            stored = self._shelf.begin()
            found = segments.recover(self.folder, stored)
            # Above what the store has seen, also where the folder is a new one.
            number = max(found.last, stored.segment) + 1
            died = b"".join(map(segments.closed, found.died))
            self._spool = Spool(self.folder, number, died, segment_bytes=self._segment_bytes)
        except OSError as error:
            raise StoreUnavailable(
                f"The journal {self.folder} cannot be opened: {error.strerror}."
            ) from error
        self.torn = found.torn
        if found.torn:
            _log.error(
                "%d lines of the journal were spoilt and are set aside in %s/*.torn", found.torn, self.folder
            )
        if found.died:
            _log.warning("%d calls were under way when the last process ended", len(found.died))
        self._writer = LedgerWriter(self._shelf, self._spool, found.waiting + len(found.died))
        self._writer.start()
        self._thread.start()
        self._wake.set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._end_turn()
        if self._broken or self._unwritten:
            with contextlib.suppress(OSError):
                self._write_again()
        self._stopping.set()
        self._wake.set()
        self._thread.join(STOP_S)
        written = self._writer.stop(STOP_S)
        if self._thread.is_alive():
            return
        self._spool.close()
        if written and self._spool.synced == self._spool.end and not (self._open or self._unwritten):
            self._spool.drop_before(self._spool.end.segment + 1)

    def _write(self, line: bytes) -> None:
        if self._spool.full:
            # Where no file can be made, the old one may have room yet.
            with contextlib.suppress(OSError):
                self._spool.rotate(b"".join(self._open.values()))
        self._spool.write(line)
        if not self._wake.is_set():
            self._wake.set()

    def _end_turn(self) -> None:
        if self._gathered:
            with contextlib.suppress(OSError):
                self._write_gathered(b"")

    def _write_gathered(self, line: bytes) -> None:
        """Write the rows that have gathered, and behind them `line`, in one piece.

        Raises:
            OSError: the disk does not take them; the rows will be tried again.
        """
        gathered = self._gathered
        if not gathered:
            self._write(line)
            return
        self._gathered = []
        try:
            self._write(b"".join([ended.line for ended in gathered]) + line)
        except OSError as error:
            if not self._unwritten:
                _log.error("the journal %s takes no rows: %s", self.folder, error)
            self._unwritten.extend(gathered)
            self._retry_later()
            raise
        self._written(gathered)

    def _written(self, rows: Sequence[Ended]) -> None:
        """They are in the spool, if not on the disk."""
        end = self._spool.end
        for ended in rows:
            # Not before: a new segment must begin with the call as long as its end is not written.
            self._open.pop(ended.id, None)
            ended.end = end
        self._writer.expected += len(rows)
        self._unsettled.extend(rows)

    def _write_again(self) -> None:
        """Write what may be lost and what is not written; OSError where it cannot be."""
        if self._broken:
            lines = [ended.line for ended in self._unsettled]
            self._spool.rotate(b"".join((*self._open.values(), *lines)))
            self._writer.expected += len(lines)
            for ended in self._unsettled:
                ended.end = self._spool.end
            self._broken = False
            self._wake.set()
        while self._unwritten:
            self._write(self._unwritten[0].line)
            self._written((self._unwritten.popleft(),))
        _log.info("the journal %s takes rows again", self.folder)

    def _retry_later(self) -> None:
        if self._retry is None and self._loop is not None:
            self._retry = self._loop.call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        try:
            self._write_again()
        except OSError:
            self._retry_later()

    def _sync(self) -> None:
        """The thread's run."""
        stopping = False
        while not stopping:
            self._wake.wait()
            stopping = self._stopping.wait(GATHER_S)
            # Cleared before the sync: a line that comes from here on sets it again.
            self._wake.clear()
            try:
                synced = self._spool.sync()
            except OSError as error:
                _log.error("the journal %s is not synced: %s", self.folder, error)
                self._tell(self._sync_failed)
            else:
                self._writer.wake(synced)
                self._tell(self._settle, synced)

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        """Have the event loop do something, where one runs."""
        with contextlib.suppress(RuntimeError):  # it has ended, and nobody waits any more
            if self._loop is not None:
                self._loop.call_soon_threadsafe(what, *arguments)

    def _sync_failed(self) -> None:
        # What the kernel could not write it forgets, so that the next sync says nothing of it.
        self._broken = True
        self._retry_later()

    def _settle(self, synced: Position) -> None:
        if self._broken:
            return  # this sync came behind one that failed, and knows nothing of what was lost then
        while self._unsettled and self._unsettled[0].end <= synced:
            ended = self._unsettled.popleft()
            waiters, ended.waiters, ended.line = ended.waiters or [], None, b""
            for durable in waiters:
                try:
                    durable()
                except Exception:  # noqa: BLE001 - whoever waits for the next row must hear of it all the same
                    _log.exception("a counter was not settled")


def _unavailable(detail: str) -> DependencyUnavailable:
    return DependencyUnavailable(
        "The gateway cannot write down what calls use, so it makes none; try again.",
        retry_after_s=1,
        detail=f"the journal cannot be written: {detail}",
    )
