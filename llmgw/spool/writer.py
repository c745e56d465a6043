"""The one thread that puts the journal's rows into the store, adds them to the rollups, and lets old rows go.

It keeps nothing in memory. Each round reads from the journal's files where the store says that it stands, and one
transaction takes the rows, their sums and the new position: so a row is in the store with its sums or not at all, a
round may be repeated, and a store that was brought back from a backup goes on where that one ends. A store that is
locked, full or away is tried again, and rows wait in the files meanwhile.

Rows too old are deleted some hundred at a time, between rounds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from llmgw.spool import segments
from llmgw.spool.segments import Position, Spool
from llmgw.spool.shelf import Shelf

_log = logging.getLogger("llmgw.store")

GATHER_S: Final = 0.05
"""How long a row waits for others."""
RETRY_S: Final = 0.25
DEGRADED_S: Final = 3.0
"""Rows that wait no longer than this are nobody's business."""
PURGE_S: Final = 600.0
"""How often it is looked for rows that are too old."""


class LedgerWriter:
    """Puts what `spool` has synced on the shelf.

    Args:
        waiting: closed calls whose rows an earlier process has left in the journal.
    """

    def __init__(self, shelf: Shelf, spool: Spool, waiting: int) -> None:
        self._shelf = shelf
        self._spool = spool
        self._synced = spool.synced
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # A daemon: a disk that hangs must not keep the process from its end.
        self._thread = threading.Thread(target=self._run, name="llmgw-ledger", daemon=True)
        self._failing_since: float | None = None
        self._purged_at = float("-inf")
        self.expected = waiting
        """Rows that have to be in the store: `taken` and those that wait."""
        self.taken = 0
        """Rows that are out of the journal."""
        self.failures = 0
        """Rounds that the store refused."""

    @property
    def failing(self) -> bool:
        """Whether the store has taken nothing for DEGRADED_S."""
        since = self._failing_since
        return since is not None and time.monotonic() - since > DEGRADED_S

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def wake(self, synced: Position) -> None:
        """There may be rows up to this position."""
        self._synced = synced
        self._wake.set()

    def stop(self, deadline_s: float) -> bool:
        """Write what there is, for so long at most; whether all of it is in the store."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(deadline_s)
        return not self._thread.is_alive() and self.taken == self.expected

    def _run(self) -> None:
        stopping = False
        while not stopping:
            self._wake.wait(PURGE_S)
            stopping = self._stopping.wait(GATHER_S)
            self._wake.clear()
            more = True
            while more:
                try:
                    more = self._take() or (not stopping and self._purge())
                    self._well()
                except Exception as error:  # noqa: BLE001 - the thread outlives whatever a round meets; rows wait
                    self._failed(error)
                    more = not stopping
                    stopping = self._stopping.wait(RETRY_S)
        self._shelf.close()

    def _take(self) -> bool:
        """One round; whether there may be more to do."""
        stored = self._shelf.position()
        expected = self.expected
        lines, after = segments.read(self._spool.folder, stored, self._synced)
        while not lines and after < self._synced:
            lines, after = segments.read(self._spool.folder, after, self._synced)
        if (
            not lines
            and after.segment == stored.segment
            and after.offset - stored.offset < segments.READ_BYTES
        ):
            # Nothing but calls that were opened: not worth a transaction.
            self._taken_all(expected)
            return False
        if not self._shelf.take(lines, stored, after, partial(self._set_aside, after.segment)):
            return True
        self.taken += len(lines)
        if after.segment != stored.segment:
            self._spool.drop_before(after.segment)
        return True

    def _set_aside(self, segment: int, wrong: Sequence[bytes]) -> None:
        segments.set_aside(self._spool.folder, segment, (line + b"\n" for line in wrong))
        _log.error("%d lines of the journal are no rows and are set aside in its folder", len(wrong))

    def _taken_all(self, expected: int) -> None:
        """Nothing is left up to where the journal is synced. If that is its end, what is still expected was spoilt on
        the disk."""
        if self._spool.end == self._synced:
            self.taken = expected

    def _purge(self) -> bool:
        """Let rows go that are too old; whether there may be more of them."""
        if time.monotonic() - self._purged_at < PURGE_S:
            return False
        if self._shelf.purge(time.time()):
            return True
        self._purged_at = time.monotonic()
        return False

    def _well(self) -> None:
        if self.failing:
            _log.info("the ledger takes rows again")
        self._failing_since = None

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._shelf.close()  # what was cached of the store may be what is wrong with it
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            reason = self._shelf.explain(error)
            _log.warning(
                "the ledger takes no rows, they wait in %s: the store %s", self._spool.folder, reason
            )
