"""A sliding window: what was taken in the last so many seconds. Pure; the reference for every other one.

In no window of that length, half open and at any position, is more taken than the caller's checks allowed: an
amount counts until it surely has left. Up to `EXACT` entries at a time each have their own moment and leave to the
instant. Beyond that, what comes within a 64th of the length after the last entry began joins it and moves its
moment to now, so that no entry spans more than a 64th of the length and nothing leaves later than by that much.
Memory is bounded whatever the amounts: entries pushed while EXACT were there begin a 64th of the length apart, at
most 65 of those are in the window at once, and before the first of them there were EXACT.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from msgspec import Struct

EXACT: Final = 64
GRAIN: Final = 1 / 64
"""A power of two, so that a float holds the 64th of a length as exactly as the length."""


class Entry(Struct, gc=False):
    """What was taken from `since` to `latest`, Unix seconds; the ticket of all who took it."""

    since: float
    latest: float
    """-inf once it has left."""
    settled: int
    held: int


class Window:
    """Counts over `length_s` seconds. A `now` that lies before an earlier one is taken as that one.

    `settled` and `held` are what is in the window as of the last `taken`: used for good, and taken but not yet
    replaced. It is the caller who compares `taken` with a limit, so that limits can change and a refusal costs
    nothing.
    """

    __slots__ = ("_entries", "_grain_s", "_length_s", "_now", "held", "settled")

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._grain_s = length_s * GRAIN
        self._entries: deque[Entry] = deque()
        self._now = -inf
        self.settled = 0
        self.held = 0

    def taken(self, now: float) -> int:
        """All that is in the window."""
        if now > self._now:
            self._now = now
            entries = self._entries
            # The difference of two Unix times within a factor of two is exact (Sterbenz); a sum is not.
            while entries and now - entries[0].latest >= self._length_s:
                gone = entries.popleft()
                gone.latest = -inf
                self.settled -= gone.settled
                self.held -= gone.held
        return self.settled + self.held

    def take(self, now: float, amount: int) -> Entry:
        """Hold `amount` from now on; the ticket is for `replace`."""
        if now > self._now:
            self.taken(now)
        now = self._now
        entries = self._entries
        self.held += amount
        if len(entries) >= EXACT:
            last = entries[-1]
            if now - last.since < self._grain_s:
                last.latest = now
                last.held += amount
                return last
        entry = Entry(now, now, 0, amount)
        entries.append(entry)
        return entry

    def replace(self, entry: Entry, held: int, settled: int) -> None:
        """Of what the ticket holds, `held` becomes `settled`, at the time when it was taken.

        Nothing happens where that has left the window.
        """
        if entry.latest == -inf:
            return
        entry.held -= held
        entry.settled += settled
        self.held -= held
        self.settled += settled

    def free_in(self, now: float, amount: int, limit: int) -> float | None:
        """Seconds until `amount` more is within `limit`, if nothing is added; None if it never is."""
        if amount > limit:
            return None
        over = self.taken(now) + amount - limit
        free_s = 0.0
        for entry in self._entries:
            if over <= 0:
                break
            over -= entry.settled + entry.held
            free_s = self._length_s - (self._now - entry.latest)
        return free_s

    def empty_in(self, now: float) -> float:
        """Seconds until nothing is in the window, if nothing is added."""
        self.taken(now)
        for entry in reversed(self._entries):
            if entry.settled + entry.held != 0:
                return self._length_s - (self._now - entry.latest)
        return 0.0

    def __len__(self) -> int:
        """Entries in memory."""
        return len(self._entries)
