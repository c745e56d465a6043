"""Times of the week at which something holds: what the settings may say, and how their text is read."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from msgspec import Meta, field

from llmgw.config.section import Section, Text

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As `datetime.weekday` counts them."""
DAY_MINUTES: Final = 24 * 60

_clock: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])").fullmatch


class Hours(Section):
    """A part of the week, by the clock on the wall of a place."""

    days: Annotated[
        tuple[Day, ...],
        Meta(description="mon to sun; none is every day. A span over midnight belongs to the day it begins."),
    ] = ()
    start: Annotated[Text, Meta(description="The first minute, such as 22:00.")] = field(
        default="00:00", name="from"
    )
    end: Annotated[
        Text,
        Meta(description="The minute after the last, such as 06:00; before `from`, it is of the next day."),
    ] = field(default="24:00", name="to")
    zone: Annotated[Text, Meta(description="Whose clock: an IANA time zone, such as Europe/Berlin.")] = "UTC"


def minute(text: str) -> int | None:
    """Minutes since midnight of `HH:MM`, 24:00 included; None where it is none."""
    if text == "24:00":
        return DAY_MINUTES
    match = _clock(text)
    return None if match is None else int(match[1]) * 60 + int(match[2])


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """The time zone; None where this machine knows none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A name with a path in it is a ValueError, that of a directory of the data an OSError.
        return None


@cache
def zones() -> frozenset[str]:
    """The names of all time zones that this machine knows; reads its whole directory of them."""
    return frozenset(available_timezones())
