"""What a journal needs of a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from llmgw.spool.segments import Position


class Shelf(Protocol):
    """Where one journal's rows go. One thread at a time calls; any method may raise what the store's library raises,
    after which the next call begins anew."""

    def begin(self) -> Position:
        """As `position`, when the process starts; StoreUnavailable where the store cannot be read."""
        ...

    def position(self) -> Position:
        """Up to where the journal's rows are in the store; the store's own word, also after it was brought back from a
        backup."""
        ...

    def take(
        self,
        lines: Sequence[bytes],
        before: Position,
        after: Position,
        set_aside: Callable[[Sequence[bytes]], None],
    ) -> bool:
        """Add rows that are not there yet, with all that is added up of them, and note `after` as the position: all of
        it or nothing.

        Args:
            lines: payloads of closed calls.
            before: where they begin.
            set_aside: given lines that are no rows, before the position goes past them.

        Returns:
            False where the store stood elsewhere than at `before`, and nothing was done.
        """
        ...

    def purge(self, now: float) -> bool:
        """Let some of the rows go that are too old; whether there may be more of them."""
        ...

    def explain(self, error: Exception) -> str:
        """Why the store takes nothing, as the end of a sentence that begins with its name."""
        ...

    def close(self) -> None:
        """Let go of the store, until the next call."""
        ...
