"""Which slots of the meter were ever used, in Postgres: so a Redis that comes back empty is told from a new one."""

from __future__ import annotations

from typing import Final

import asyncpg

from llmgw.cluster.failures import Unavailable
from llmgw.cluster.postgres import Postgres
from llmgw.cluster.texts import to_store
from llmgw.errors import DependencyUnavailable


class PostgresLives:
    """Implements `cluster.meter.Lives`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def first_use(self, slot: str) -> bool:
        try:
            found = await self._postgres.fetch(_FIRST, to_store(slot))
        except (Unavailable, asyncpg.PostgresError) as error:
            raise DependencyUnavailable(
                "It cannot be known just now what has been used of a limit; try again.",
                retry_after_s=1,
                detail=str(error),
            ) from error
        return bool(found)


_FIRST: Final = "INSERT INTO meter_slots (slot) VALUES ($1) ON CONFLICT DO NOTHING RETURNING slot"
