"""The ledger: as counters see it, and as operators do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

from msgspec import Struct

from llmgw.canonical import Usage
from llmgw.ports.journal import LedgerRow
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


Dimension = Literal[
    "org", "key", "tag", "model_asked", "model", "provider", "route", "shadow_route", "status", "usage_source",
    "hour", "day", "month",
]  # fmt: skip


class ReportQuery(Struct, frozen=True, kw_only=True):
    """Which calls, by their time in Unix seconds (`until` is not in it), and how they are grouped."""

    by: tuple[Dimension, ...] = ()
    org_id: str | None = None
    key_id: str | None = None
    since: float | None = None
    until: float | None = None


class Total(Struct, frozen=True, kw_only=True):
    """Calls added up. What no call had is None, never 0."""

    group: Mapping[str, str | int | None]
    """What the calls have in common, in the query's order: a field of the dimension's name, and for organisations
    and keys one of their id. Hours, days and months are text as in RFC 3339; no route is None."""
    requests: int
    routed: int
    """Calls that a route sent elsewhere."""
    shadowed: int
    """Calls that a route in shadow would have sent elsewhere."""
    unpriced: int
    """Calls whose cost is not known; nothing of them is in the cost."""
    usage: Usage
    cost_nano_usd: int | None
    saved_nano_usd: int | None
    """What the models asked for would have cost, minus the cost, of calls that another model served, be it by a route
    or because the name that was asked for is an alias; where both are known. Below zero where it cost more."""
    shadow_saved_nano_usd: int | None
    """The cost, minus what it would have been by the routes in shadow, of calls that these are for; where both are
    known."""


class Report(Struct, frozen=True, kw_only=True):
    """Groups, those that cost most first, and all calls together; both of one moment. A call with several tags is in
    the group of each."""

    groups: list[Total]
    total: Total


class Reports(Protocol):
    """The ledger for operators. Synchronous; any process may have it, beside a server or without one. Rows that wait
    in a server's journal are not in it yet.

    Raises, from any method: StoreUnavailable, when the store cannot be reached, written or read.
    """

    def report(self, query: ReportQuery) -> Report:
        """The calls of the query, added up. Calls of longer ago than the ledger keeps rows are in it by whole
        hours, and not by key and tag at once."""
        ...

    def rows(
        self,
        *,
        org_id: str | None = None,
        since: float | None = None,
        until: float | None = None,
        after: str | None = None,
    ) -> Iterator[LedgerRow]:
        """Rows in the order in which they came into the ledger, behind the row of the id `after`: whoever goes on
        behind the last row read misses none and gets none twice."""
        ...

    def rebuild(self) -> Mapping[str, int]:
        """Add up everything anew from the rows that are kept; all or nothing. How many sums were not right, for each
        kind of sums."""
        ...
