"""Drives one coroutine without an asyncio task.

Most calls wait once: everything up to the sent request is at hand in memory, and the answer resumes them. A
Task costs more than all the rest of such a call's scheduling (on Python 3.11 about 8 of 60 µs), so the
exchange steps its coroutine itself: run to the next future, come back when that is done. This is the protocol
between Task and Future (PEP 3156; `asyncio.Task.__step`) without names, contexts and registries.

What it leaves out: there is no current task, so code that needs one (`asyncio.timeout`, task groups) must run
in a task of its owner; adapters do that on their slow paths.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Steps:
    """Owns a coroutine that handles its own errors but cancellation; call the instance to start it."""

    __slots__ = ("_awaited", "_coroutine")

    def __init__(self, coroutine: Coroutine[asyncio.Future[Any], None, None]) -> None:
        self._coroutine = coroutine
        self._awaited: asyncio.Future[Any] | None = None

    def __call__(self, _: asyncio.Future[Any] | None = None) -> None:
        """Run to the next wait, or to the end."""
        try:
            awaited = self._coroutine.send(None)
        except (StopIteration, asyncio.CancelledError):
            self._awaited = None
        else:
            awaited._asyncio_future_blocking = False
            self._awaited = awaited
            awaited.add_done_callback(self)

    def cancel(self) -> None:
        """Cancel what is waited for; the coroutine sees CancelledError, unless that is done already."""
        if self._awaited is not None:
            self._awaited.cancel()
