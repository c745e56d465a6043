"""What was used, for counters that begin: the store's sums and, exactly once, this process's rows on their way there.

The statement that reads the sums reads up to where this process's journal is in them; what stands in the journal behind
that is added. Rows of other processes are in the sums as soon as those have written them, some tenths of a second after
their calls.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg

from llmgw.cluster.failures import Unavailable
from llmgw.cluster.postgres import Postgres
from llmgw.cluster.texts import to_store
from llmgw.errors import DependencyUnavailable
from llmgw.rules.demand import Measure, Scope
from llmgw.spool import Position, SpoolJournal
from llmgw.spool.lines import HOUR_S
from llmgw.spool.tail import MEASURES, Tail


class PostgresLedger:
    """Implements `ports.Ledger` over the store and the journal in front of it."""

    def __init__(self, postgres: Postgres, journal: SpoolJournal) -> None:
        self._postgres = postgres
        self._journal = journal
        self._tail = Tail(journal.folder)
        self._turn = asyncio.Lock()
        """The tail is read by one thread at a time."""

    async def used(self, scope: Scope, measure: Measure, since: float) -> int:
        if measure == "parallel":
            return 0
        hour = int(since // HOUR_S * HOUR_S)
        try:
            async with asyncio.timeout(self._postgres.deadline_s):
                while True:
                    # Rows that the disk did not take, and the spool as it is without them.
                    unwritten = self._journal.unwritten
                    end = self._journal.end if unwritten else None
                    row = await self._postgres.fetchrow(
                        _USED[measure], scope.kind, to_store(scope.id), hour, self._journal.folder.name
                    )
                    assert row is not None
                    used, *place = row
                    stored = Position(*place)
                    if end is not None and stored > end:
                        continue
                    async with self._turn:
                        try:
                            waiting = await asyncio.to_thread(
                                self._tail.used,
                                stored, end or self._journal.end, unwritten, scope, MEASURES[measure], hour,
                            )  # fmt: skip
                        except FileNotFoundError:  # what was in the file went into the store meanwhile
                            continue
                    return int(used) + waiting
        except (TimeoutError, Unavailable, asyncpg.PostgresError, OSError) as error:
            detail = str(error) or f"the ledger did not answer within {self._postgres.deadline_s:g} s"
            raise DependencyUnavailable(
                "The ledger cannot be read just now; try again.", retry_after_s=1, detail=detail
            ) from error


_USED: Final = {
    measure: f"""
        SELECT
            (
                SELECT coalesce(sum({column}), 0) FROM scope_rollups
                WHERE scope = $1 AND id = $2 AND start >= $3
            ),
            coalesce((SELECT segment FROM journals WHERE id = $4), 0),
            coalesce((SELECT "offset" FROM journals WHERE id = $4), 0)
    """  # noqa: S608
    for measure, column in (("requests", "requests"), ("tokens", "tokens"), ("usd", "cost_nano_usd"))
}
