"""Whether a moment lies in a part of the week, by the clock on the wall of a place. Pure.

A span that ends before it begins goes over midnight and belongs to the day on which it begins. What counts is what the
clock shows: an hour that comes twice in autumn is in a span both times, one that is left out in spring never.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final

from llmgw.config import hours
from llmgw.config.hours import DAY_MINUTES, DAYS, Hours

_MINUTE_S: Final = 60


def compile(settings: tuple[Hours, ...]) -> Callable[[float], bool]:
    """Whether a moment (Unix seconds) is in any of these.

    Raises:
        ValueError: a time or a zone is not understood.
    """
    spans = tuple(_span(one) for one in settings)

    def holds(now: float) -> bool:
        at = int(now // _MINUTE_S)
        for zone, days, start, end in spans:
            weekday, minute = wall(zone, at)
            if start < end:
                if start <= minute < end and weekday in days:
                    return True
            elif (minute >= start and weekday in days) or (minute < end and (weekday - 1) % 7 in days):
                return True
        return False

    return holds


def _span(one: Hours) -> tuple[str, frozenset[int], int, int]:
    start, end = hours.minute(one.start), hours.minute(one.end)
    if start is None or end is None or hours.zone(one.zone) is None:
        raise ValueError(f"from {one.start} to {one.end} in {one.zone} is no part of a day")
    days = one.days or DAYS
    return one.zone, frozenset(DAYS.index(day) for day in days), start, end % DAY_MINUTES


@lru_cache(maxsize=1024)
def wall(zone: str, at: int) -> tuple[int, int]:
    """What the clock of a zone shows at a minute of Unix time: the day of the week, Monday being 0, and the minute of
    the day. Zones differ from UTC by whole minutes since 1972, so one answer holds for the minute."""
    local = datetime.fromtimestamp(at * _MINUTE_S, hours.zone(zone))
    return local.weekday(), local.hour * 60 + local.minute


def text(one: Hours) -> str:
    """As people say it: `mon, tue 22:00-06:00 Europe/Berlin`."""
    return f"{', '.join(one.days) or 'daily'} {one.start}-{one.end} {one.zone}"


def seen(settings: tuple[Hours, ...], now: float) -> str:
    """What the clocks of these show."""
    shown = []
    for zone in dict.fromkeys(one.zone for one in settings):
        weekday, minute = wall(zone, int(now // _MINUTE_S))
        shown.append(f"{DAYS[weekday]} {minute // 60:02}:{minute % 60:02} {zone}")
    return "; ".join(shown)
