"""What was used by rows that are in the journal and not in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

import msgspec

from llmgw.rules.demand import Measure, Scope, ScopeKind
from llmgw.spool import lines, segments
from llmgw.spool.lines import BUCKETS, HOUR_S
from llmgw.spool.segments import Position

_REQUESTS, _TOKENS, _COST = range(3)
_buckets: Final = attrgetter(*BUCKETS)
MEASURES: Final[dict[Measure, int]] = {"requests": _REQUESTS, "tokens": _TOKENS, "usd": _COST}

Group = tuple[int, str, str, str, str, bytes]
"""What calls have in common: hour, organisation, key, model asked for, provider, tags as JSON."""
Sums = dict[Group, list[int]]
"""Requests, tokens and nano-dollars."""
_FIELDS: Final[Mapping[ScopeKind, int]] = {"org": 1, "key": 2, "model": 3, "provider": 4}


class Tail:
    """The sums of a stretch of the journal. While its beginning stays, only what is new at its end is read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start = self._end = Position(-1, 0)
        self._sums: Sums = {}

    def used(
        self,
        start: Position,
        end: Position,
        unwritten: Sequence[bytes],
        scope: Scope,
        measure: int,
        since: int,
    ) -> int:
        """What calls of the scope have used, from the hour `since` on.

        Args:
            unwritten: payloads of rows that are in no segment.
            measure: one of MEASURES.

        Raises:
            FileNotFoundError: what was in the segment went into the store meanwhile.
        """
        sums = self._sums_of(start, end)
        if unwritten:
            sums = {group: list(amounts) for group, amounts in sums.items()}
            _add(sums, unwritten)
        return sum(
            amounts[measure] for group, amounts in sums.items() if group[0] >= since and _is_of(group, scope)
        )

    def _sums_of(self, start: Position, end: Position) -> Sums:
        if start != self._start or end < self._end:
            self._start = self._end = start
            self._sums = {}
        while self._end != end:
            found, after = segments.read(self._folder, self._end, end)
            _add(self._sums, found)
            self._end = after
        return self._sums


def _add(sums: Sums, payloads: Sequence[bytes]) -> None:
    for text in payloads:
        try:
            line = lines.decode(text)
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
    return any(f"{org_id}/{name}={value}" == scope.id for name, value in lines.tags_of(tags).items())
