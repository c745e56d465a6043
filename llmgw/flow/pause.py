"""A wait between two tries, during which the client may leave."""

from __future__ import annotations

import asyncio

from llmgw.errors import CallError, ClientGone
from llmgw.ports import Client


class Pause:
    """Implements `ports.Source`: there is nothing to feed the client with."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._over: asyncio.Future[CallError | None] = loop.create_future()

    async def last(self, client: Client, seconds: float) -> None:
        """Wait for so long.

        Raises:
            CallError: the client has left, or the process ends.
        """
        client.attach(self)
        timer = self._loop.call_later(seconds, self._end, None)
        try:
            error = await self._over
        finally:
            timer.cancel()
        if error is not None:
            raise error

    def _end(self, error: CallError | None) -> None:
        if not self._over.done():
            self._over.set_result(error)

    def pause(self) -> None:
        """Nothing is being sent."""

    def resume(self) -> None:
        """Nor now."""

    def abandon(self) -> bool:
        self._end(ClientGone("The client closed the connection while the call was about to be tried again."))
        return True

    def fail(self, error: CallError) -> None:
        self._end(error)
