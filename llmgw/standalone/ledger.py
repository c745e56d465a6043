"""What was used, for counters that begin: the store's sums and, exactly once, the rows on their way there.

The store says, in the moment its sums are read, up to where the journal's rows are in them; what stands in the
journal behind that is added. So nothing is missed and nothing counted twice while rows move from one to the other.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from llmgw.errors import DependencyUnavailable
from llmgw.rules.demand import Measure, Scope
from llmgw.spool import Position, SpoolJournal
from llmgw.spool.lines import HOUR_S
from llmgw.spool.tail import MEASURES, Tail
from llmgw.standalone.journal import position
from llmgw.standalone.reader import Opened, Reader

DEADLINE_S: Final = 0.25


class SqliteLedger:
    """Implements `ports.Ledger` over the store at `path` and the journal in front of it; a context manager."""

    def __init__(self, path: Path, journal: SpoolJournal) -> None:
        self._journal = journal
        self._reader = Reader(path, deadline_s=DEADLINE_S)
        self._tail = Tail(journal.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    async def used(self, scope: Scope, measure: Measure, since: float) -> int:
        """As the port says; to be called from a task. `parallel` is nothing that was used."""
        if measure == "parallel":
            return 0
        scoped = partial(self._used, scope, MEASURES[measure], int(since // HOUR_S * HOUR_S))
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    # Rows that the disk did not take, and the spool as it is without them.
                    unwritten = self._journal.unwritten
                    end = self._journal.end if unwritten else None
                    used = await self._reader.submit(partial(scoped, unwritten, end))
                    if used is not None:
                        return used
        except (TimeoutError, sqlite3.Error, OSError) as error:
            detail = str(error) or f"the ledger did not answer within {DEADLINE_S:g} s"
            raise DependencyUnavailable(
                "The ledger cannot be read just now; try again.", retry_after_s=1, detail=detail
            ) from error

    def _used(
        self,
        scope: Scope,
        measure: int,
        since: int,
        unwritten: Sequence[bytes],
        end: Position | None,
        opened: Opened,
    ) -> int | None:
        """None where the store has gone past `end` meanwhile."""
        with opened.database.atomic():
            stored = position(opened.database)
            ((used,),) = opened.database.execute(_USED[measure], [scope.kind, scope.id, since])
        if end is not None and stored > end:
            return None
        try:
            waiting = self._tail.used(stored, end or self._journal.end, unwritten, scope, measure, since)
        except FileNotFoundError:  # what was in the file went into the store meanwhile
            return None
        return int(used) + waiting


_USED: Final = [
    f"SELECT coalesce(sum({column}), 0) FROM scope_rollups WHERE scope = ? AND id = ? AND start >= ?"  # noqa: S608
    for column in ("requests", "tokens", "cost_nano_usd")
]
