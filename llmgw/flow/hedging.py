"""When a second target is asked beside the first, and how often: per pool, outliving reloads.

How long pools take to begin their answers is kept as the last WAITS of them; their 95th percentile is found anew every
few calls. What may be spent is earned: each call of the pool adds its share, and each hedge takes one.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from llmgw.config.models import Hedge

WAITS: Final = 512
ENOUGH: Final = 20
"""So many waits must be known before their percentile is one."""
EVERY: Final = 32
SAVED: Final = 5.0
"""Hedges that may be saved up for a bad minute."""
POOLS: Final = 10_000


class _Pool:
    __slots__ = ("earned", "p95_s", "since", "waits")

    def __init__(self) -> None:
        self.waits: deque[float] = deque(maxlen=WAITS)
        self.p95_s: float | None = None
        self.since = 0
        self.earned = 0.0


class Hedging:
    """What is known of the pools that hedge."""

    def __init__(self) -> None:
        self._pools: dict[str, _Pool] = {}

    def after_s(self, pool: str, settings: Hedge) -> float | None:
        """A call of the pool begins: the seconds after which a second target is asked; None where that is not known."""
        known = self._pool(pool)
        known.earned = min(SAVED, known.earned + settings.max_share)
        return settings.after if isinstance(settings.after, float) else known.p95_s

    def spend(self, pool: str) -> bool:
        """Whether the pool may ask a second target now; if so, that is taken from what it has earned."""
        known = self._pool(pool)
        if known.earned < 1:
            return False
        known.earned -= 1
        return True

    def note(self, pool: str, first_token_s: float) -> None:
        """A call of the pool had its first content after so long."""
        known = self._pool(pool)
        known.waits.append(first_token_s)
        known.since += 1
        if known.since >= EVERY or (known.p95_s is None and len(known.waits) >= ENOUGH):
            known.since = 0
            known.p95_s = sorted(known.waits)[int(0.95 * len(known.waits))]

    def _pool(self, name: str) -> _Pool:
        known = self._pools.get(name)
        if known is None:
            if len(self._pools) >= POOLS:
                self._pools.clear()
            known = self._pools[name] = _Pool()
        return known
