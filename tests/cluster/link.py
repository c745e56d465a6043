"""A connection to Redis that runs, and counts what it is given to send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Self

from llmgw.cluster.redis import Arg, Redis, Script
from tests.provider import eventually


class Link(Redis):
    """What a node has."""

    sent = 0

    def send(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> None:
        self.sent += 1
        super().send(script, keys, args)

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port: int, deadline_s: float = 0.05) -> AsyncIterator[Self]:
        """Connected, for the length of the block."""
        link = cls(f"redis://127.0.0.1:{port}/0", deadline_s=deadline_s)
        task = asyncio.create_task(link.run())
        try:
            await eventually(lambda: link.available, timeout_s=10)
            yield link
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
