"""What a window begins with: the ledger's sums of it."""

from __future__ import annotations

from math import ceil
from typing import Final

from llmgw.ports import Ledger
from llmgw.rules.demand import Limit
from llmgw.rules.period import HOUR_S

SLICES: Final = 24
"""So many readings tell when the past use of a window was; it leaves at most one slice too late."""


async def past(ledger: Ledger, limit: Limit, window_s: float, now: float) -> list[tuple[float, int]]:
    """Past use in slices of whole hours, each counted at its end; what is added meanwhile is in the last."""
    slices = []
    slice_s = HOUR_S * ceil(window_s / (HOUR_S * SLICES))
    since = now - window_s
    left = await ledger.used(limit.scope, limit.measure, since)
    while left > 0:
        end = min((since // slice_s + 1) * slice_s, now)
        later = 0 if end == now else await ledger.used(limit.scope, limit.measure, end)
        slices.append((end, max(left - later, 0)))
        since, left = end, later
    return slices
