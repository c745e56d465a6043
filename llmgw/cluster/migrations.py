"""The schema in Postgres, brought up to date beside nodes that go on working.

One migrator at a time, by an advisory lock that is asked for and never waited for: who waits for a lock is a
transaction that CREATE INDEX CONCURRENTLY waits for in turn. A step in a transaction asks for the locks it needs with a
time limit: whoever comes after it waits behind it, so a look-up waits no longer than that, whatever long transaction
keeps the step waiting. When the limit passes, everything is undone and tried again a little later.

A step is noted with its checksum in the transaction that takes it. A store whose steps are not these is refused; one
that has more of them is used as long as those are additive, so that a release can be rolled out, and back, over a
schema that is a step ahead.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

import asyncpg

from llmgw.cluster import failures
from llmgw.cluster import steps as known
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.postgres import Connection
from llmgw.cluster.statements import statements
from llmgw.cluster.steps import Step
from llmgw.errors import StoreUnavailable
from llmgw.ports import Applied, Status

_log = logging.getLogger("llmgw.store")

LOCK_TIMEOUT_S: Final = 0.1
"""Less than the deadline of a look-up."""
PATIENCE_S: Final = 300.0
"""For other migrators, for locks and for indexes, all together."""
_LOCK: Final = 0x6C6C6D6777
"""Of the advisory lock: `llmgw`."""
_TRY_AGAIN: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


def status(store: Blocking, steps: Sequence[Step] | None = None) -> Status:
    """Where the store stands.

    Raises:
        StoreUnavailable: it cannot be read, or its steps are not those of this llmgw or of a compatible newer one.
    """
    return store.run(lambda connection: _status(store, connection, steps or known.released()))


def up(
    store: Blocking,
    steps: Sequence[Step] | None = None,
    *,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
    patience_s: float = PATIENCE_S,
) -> list[Applied]:
    """Take every pending step; returns those that were taken now.

    Raises:
        StoreUnavailable: as `status`, or locks or another migrator were in the way for `patience_s`. The steps before
            the one that failed stay; take the rest by the same command.
    """
    deadline = monotonic() + patience_s
    work = _Migrator(store, steps or known.released(), lock_timeout_s, deadline)
    return store.run(work.up, deadline_s=patience_s + store.deadline_s)


def require_current(store: Blocking, steps: Sequence[Step] | None = None) -> None:
    """Raise StoreUnavailable unless the store can be read and has taken every step that this llmgw needs."""
    found = status(store, steps)
    if found.pending:
        raise StoreUnavailable(
            f"The schema of the store {store.name} is at step {found.current} and this llmgw needs step "
            f"{found.latest}; run: llmgw migrate up"
        )


class _Migrator:
    """One `up`."""

    def __init__(
        self, store: Blocking, steps: Sequence[Step], lock_timeout_s: float, deadline: float
    ) -> None:
        self._store = store
        self._steps = steps
        self._lock_timeout_s = lock_timeout_s
        self._deadline = deadline

    async def up(self, connection: Connection) -> list[Applied]:
        await self._alone(connection)
        try:
            await connection.execute("SET client_min_messages = warning")
            await connection.execute(_OWN_TABLE)
            before = await _status(self._store, connection, self._steps)
            for step in self._steps[len(before.applied) :]:
                await self._take(connection, step)
            return (await _status(self._store, connection, self._steps)).applied[len(before.applied) :]
        finally:
            if not connection.is_closed():
                await connection.execute("RESET ALL")
                await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)

    async def _alone(self, connection: Connection) -> None:
        told = False
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
            if not told:
                _log.info("another 'llmgw migrate up' is at work on %s; waiting for it", self._store.name)
                told = True
            await self._pause(0.2, "another 'llmgw migrate up' is at work")

    async def _take(self, connection: Connection, step: Step) -> None:
        tries = 0
        while True:
            try:
                return await (self._inside if step.in_transaction else self._outside)(connection, step)
            except _TRY_AGAIN as error:
                tries += 1
                if tries == 1:
                    _log.info("step %d waits for locks (%s); trying again", step.number, error)
                # Each try holds up for a moment those who come behind it: the pauses are long beside it.
                pause_s = min(5.0, self._lock_timeout_s * 2**tries) * random.uniform(0.5, 1.5)  # noqa: S311
                await self._pause(pause_s, f"long transactions hold locks that step {step.number} needs")
            except asyncpg.PostgresError as error:
                if failures.diagnose(error) is not None:
                    raise
                raise StoreUnavailable(
                    f"Step {step.number} ({step.name}) cannot be taken by the store {self._store.name}: {error}. The "
                    "steps before it stay."
                ) from error

    async def _inside(self, connection: Connection, step: Step) -> None:
        async with connection.transaction():
            # Both for this transaction alone. What waits for no lock may take its time.
            await connection.execute(f"SET LOCAL lock_timeout = {round(self._lock_timeout_s * 1000)}")
            await connection.execute(f"SET LOCAL statement_timeout = {self._left_ms()}")
            await connection.execute(step.text)
            await _note(connection, step)

    async def _outside(self, connection: Connection, step: Step) -> None:
        """Statement by statement. An index whose making was broken off is there and not valid: it is made anew."""
        for statement in statements(step.text):
            await connection.execute(f"SET statement_timeout = {self._left_ms()}")
            index = _INDEX.match(statement.plain)
            if index is not None and await connection.fetchval(_INVALID, index["name"].strip('"')):
                await connection.execute(f"DROP INDEX CONCURRENTLY {index['name']}")
            await connection.execute(statement.text)
        await _note(connection, step)

    async def _pause(self, pause_s: float, reason: str) -> None:
        if monotonic() + pause_s > self._deadline:
            raise StoreUnavailable(
                f"The schema of the store {self._store.name} could not be brought up to date: {reason}. Nothing of "
                "that step was done; end what is in the way (see pg_stat_activity), or try again later."
            )
        await asyncio.sleep(pause_s)

    def _left_ms(self) -> int:
        # A little more than there is: a lock that is not given is to be told as that.
        return round((max(0.0, self._deadline - monotonic()) + 2 * self._lock_timeout_s) * 1000)


async def _status(store: Blocking, connection: Connection, steps: Sequence[Step]) -> Status:
    there = await connection.fetchval("SELECT to_regclass('migrations') IS NOT NULL")
    rows: list[Any] = await connection.fetch(_APPLIED) if there else []
    for row, step in zip(rows, steps, strict=False):
        if (row["number"], row["checksum"]) != (step.number, step.checksum):
            raise StoreUnavailable(
                f"Step {row['number']} of the store {store.name} is not the one this llmgw knows; use the llmgw "
                "that migrated it."
            )
    for row in rows[len(steps) :]:
        if not row["additive"]:
            raise StoreUnavailable(
                f"The store {store.name} has taken step {row['number']} ({row['name']}), with which this llmgw cannot "
                "work; it was migrated by a newer llmgw: upgrade this one."
            )
    applied = [
        Applied(
            number=row["number"],
            name=row["name"],
            applied_at=datetime.fromtimestamp(row["applied_at"], UTC),
        )
        for row in rows
    ]
    return Status(
        current=applied[-1].number if applied else 0,
        latest=steps[-1].number,
        applied=applied,
        pending=[step.name for step in steps[len(applied) :]],
    )


async def _note(connection: Connection, step: Step) -> None:
    await connection.execute(
        "INSERT INTO migrations (number, name, checksum, additive, applied_at) VALUES ($1, $2, $3, $4, $5)",
        *(step.number, step.name, step.checksum, step.additive, time.time()),
    )


_OWN_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS migrations (
        number bigint PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        additive boolean NOT NULL,
        applied_at double precision NOT NULL
    )
"""
_APPLIED: Final = "SELECT number, name, checksum, additive, applied_at FROM migrations ORDER BY number"
_INDEX: Final = re.compile(
    r'create (?:unique )?index concurrently (?:if not exists )?(?P<name>"[^"]+"|\w+) on '
)
_INVALID: Final = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(quote_ident($1)) AND NOT indisvalid"
