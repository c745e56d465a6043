"""What was used, for counters that begin: the store's sums and, exactly once, the rows on their way there.

The store says, in the moment its sums are read, up to where the journal's rows are in them; what stands in the
journal behind that is added. So nothing is missed and nothing counted twice while rows move from one to the other.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from llmgw.errors import DependencyUnavailable
from llmgw.rules.demand import Measure, Scope, ScopeKind
from llmgw.standalone import ledger_rows, ledger_writer, spool
from llmgw.standalone.journal import SpoolJournal
from llmgw.standalone.ledger_rows import BUCKETS, HOUR_S
from llmgw.standalone.reader import Opened, Reader
from llmgw.standalone.spool import Position

DEADLINE_S: Final = 0.25

_REQUESTS, _TOKENS, _COST = range(3)
_buckets: Final = attrgetter(*BUCKETS)
_MEASURES: Final[dict[Measure, int]] = {"requests": _REQUESTS, "tokens": _TOKENS, "usd": _COST}

Group = tuple[int, str, str, str, str, bytes]
"""What calls have in common: hour, organisation, key, model asked for, provider, tags as JSON."""
Sums = dict[Group, list[int]]
"""Requests, tokens and nano-dollars."""
_FIELDS: Final[Mapping[ScopeKind, int]] = {"org": 1, "key": 2, "model": 3, "provider": 4}


class SqliteLedger:
    """Implements `ports.Ledger` over the store at `path` and the journal in front of it; a context manager."""

    def __init__(self, path: Path, journal: SpoolJournal) -> None:
        self._journal = journal
        self._reader = Reader(path, deadline_s=DEADLINE_S)
        self._tail = _Tail(journal.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    async def used(self, scope: Scope, measure: Measure, since: float) -> int:
        """As the port says; to be called from a task. `parallel` is nothing that was used."""
        if measure == "parallel":
            return 0
        scoped = partial(self._used, scope, _MEASURES[measure], int(since // HOUR_S * HOUR_S))
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    # Rows that the disk did not take, and the spool as it is without them.
                    unwritten = self._journal.unwritten
                    end = self._journal.end if unwritten else None
                    used = await self._reader.submit(partial(scoped, unwritten, end))
                    if used is not None:
                        return used
        except (TimeoutError, sqlite3.Error, OSError) as error:
            detail = str(error) or f"the ledger did not answer within {DEADLINE_S:g} s"
            raise DependencyUnavailable(
                "The ledger cannot be read just now; try again.", retry_after_s=1, detail=detail
            ) from error

    def _used(
        self,
        scope: Scope,
        measure: int,
        since: int,
        unwritten: Sequence[bytes],
        end: Position | None,
        opened: Opened,
    ) -> int | None:
        """None where the store has gone past `end` meanwhile."""
        with opened.database.atomic():
            stored = ledger_writer.position(opened.database)
            ((used,),) = opened.database.execute(_USED[measure], [scope.kind, scope.id, since])
        if end is not None and stored > end:
            return None
        try:
            sums = self._tail.sums(stored, end or self._journal.end)
        except FileNotFoundError:  # what was in the file went into the store meanwhile
            return None
        if unwritten:
            sums = {group: list(amounts) for group, amounts in sums.items()}
            _add(sums, unwritten)
        waiting = sum(
            amounts[measure] for group, amounts in sums.items() if group[0] >= since and _is_of(group, scope)
        )
        return int(used) + waiting


class _Tail:
    """The sums of a stretch of the journal. While its beginning stays, only what is new at its end is read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start = self._end = Position(-1, 0)
        self._sums: Sums = {}

    def sums(self, start: Position, end: Position) -> Sums:
        if start != self._start or end < self._end:
            self._start = self._end = start
            self._sums = {}
        while self._end != end:
            lines, after = spool.read(self._folder, self._end, end)
            _add(self._sums, lines)
            self._end = after
        return self._sums


def _add(sums: Sums, lines: Sequence[bytes]) -> None:
    for text in lines:
        try:
            line = ledger_rows.decode(text)
        except (msgspec.MsgspecError, ValueError):  # the writer says so, and leaves it out as well
            continue
        hour = int(line.time / HOUR_S) * HOUR_S
        group = (hour, line.org_id, line.key_id, line.model_asked, line.provider, bytes(line.tags))
        amounts = sums.get(group)
        if amounts is None:
            amounts = sums[group] = [0, 0, 0]
        amounts[_REQUESTS] += 1
        amounts[_TOKENS] += sum([count for count in _buckets(line) if count is not None])
        amounts[_COST] += line.cost_nano_usd or 0


def _is_of(group: Group, scope: Scope) -> bool:
    if scope.kind != "tag":
        return group[_FIELDS[scope.kind]] == scope.id
    _, org_id, *_, tags = group
    return any(f"{org_id}/{name}={value}" == scope.id for name, value in ledger_rows.tags_of(tags).items())


_USED: Final = [
    f"SELECT coalesce(sum({column}), 0) FROM scope_rollups WHERE scope = ? AND id = ? AND start >= ?"  # noqa: S608
    for column in ("requests", "tokens", "cost_nano_usd")
]
