"""What the tests of the shared counters have in common."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from llmgw.cluster.redis import Redis
from tests.provider import eventually

DEADLINE_S = 0.25
"""More than the product's: the machine may be busy with other tests."""


class Slots:
    """Which slots were used, of one store; implements `cluster.meter.Lives`."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    async def first_use(self, slot: str) -> bool:
        await asyncio.sleep(0)
        known = slot in self.used
        self.used.add(slot)
        return not known


@contextlib.asynccontextmanager
async def connected(url: str, deadline_s: float = DEADLINE_S) -> AsyncIterator[Redis]:
    """A client that runs and has found its server."""
    redis = Redis(url, deadline_s=deadline_s)
    task = asyncio.create_task(redis.run())
    try:
        await eventually(lambda: redis.available)
        yield redis
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
