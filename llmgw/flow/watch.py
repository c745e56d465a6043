"""One clock for every call under way.

A timer per call would cost more than it is worth: it hardly ever fires. All running attempts stand in one set
that is looked through every PERIOD_S while it is not empty, so a limit is noticed at most that much late.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from llmgw.errors import CallError
from llmgw.rules.panic import Entry

PERIOD_S: Final = 0.05


class Timed(Protocol):
    """Something with limits."""

    def check(self) -> None:
        """See whether a limit has passed."""
        ...

    def fail(self, error: CallError) -> None:
        """Stop now."""
        ...

    def is_concerned(self, entry: Entry) -> bool:
        """Whether panic is for it."""
        ...


class Watch:
    """Calls `check` on each of its members every PERIOD_S."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._members: set[Timed] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, member: Timed) -> None:
        """Watch `member` until it is discarded."""
        self._members.add(member)
        if self._timer is None:
            self._timer = self.loop.call_later(PERIOD_S, self._look)

    def discard(self, member: Timed) -> None:
        """Watch it no more."""
        self._members.discard(member)

    def fail(self, error: CallError) -> None:
        """Stop every member: the process ends, and some have no client left that would be cut off."""
        for member in list(self._members):
            member.fail(error)

    def cut(self, entry: Entry, error: CallError) -> None:
        """Stop those that panic is for."""
        for member in list(self._members):
            if member.is_concerned(entry):
                member.fail(error)

    def _look(self) -> None:
        for member in list(self._members):
            member.check()
        self._timer = self.loop.call_later(PERIOD_S, self._look) if self._members else None
