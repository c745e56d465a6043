"""The ledger as counters see it."""

from __future__ import annotations

from typing import Protocol

from llmgw.rules.demand import Measure, Scope


class Ledger(Protocol):
    """What has been used, added up."""

    async def used(self, scope: Scope, measure: Measure, since: float) -> int:
        """The requests, tokens or nano-dollars of every call of `scope` whose time is `since` (Unix seconds) or
        later; every row that a Journal has accepted is in it. Where only whole hours are known, the hour that
        `since` lies in counts as a whole.

        Raises:
            DependencyUnavailable: the ledger cannot be read just now; within a quarter of a second.
        """
        ...
