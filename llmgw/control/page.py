"""Lists in pieces: a page and the cursor of the next.

The cursor is the last id shown (keyset paging), so a page costs the same wherever it is, and nothing is shown
twice or skipped while others write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from msgspec import Struct

from llmgw.errors import UsageError

T = TypeVar("T")
Row = TypeVar("Row")

DEFAULT_LIMIT: Final = 100
LIMIT: Final = 1000


class Page(Struct, Generic[T], frozen=True):
    """`{"items": [...], "next": cursor or null}`."""

    items: list[T]
    next: str | None


def page(
    read: Callable[[str | None, int], Sequence[Row]],
    show: Callable[[Row], T],
    id_of: Callable[[Row], str],
    after: str | None,
    limit: int,
) -> Page[T]:
    """One page of what `read(after, limit)` finds, each row turned by `show`."""
    if not 1 <= limit <= LIMIT:
        raise UsageError(f"A page has 1 to {LIMIT} items, not {limit}.")
    rows = read(after, limit + 1)
    more = len(rows) > limit
    return Page([show(row) for row in rows[:limit]], id_of(rows[limit - 1]) if more else None)
