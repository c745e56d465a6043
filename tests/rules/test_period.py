"""Calendar periods against the standard library's calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmgw.rules.period import Period, bounds

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1600, 1, 1), datetime(9000, 1, 1)).map(  # noqa: DTZ001  UTC follows
    lambda moment: moment.replace(tzinfo=UTC)
)


def expected(period: Period, moment: datetime) -> tuple[datetime, datetime]:
    """As `datetime` has it."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    if period == "hour":
        return hour, hour + timedelta(hours=1)
    if period == "day":
        return day, day + timedelta(days=1)
    if period == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
@given(moment=MOMENTS)
@example(moment=datetime(2024, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC))
@example(moment=datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
@example(moment=datetime(2000, 2, 29, tzinfo=UTC))
@example(moment=datetime(2100, 2, 28, 12, tzinfo=UTC))
def test_a_period_is_the_calendars(period: Period, moment: datetime) -> None:
    """Leap years, turns of the year and times before 1970 included; a week begins on Monday."""
    start, end = bounds(period, (moment - EPOCH) / timedelta(seconds=1))
    assert (EPOCH + timedelta(seconds=start), EPOCH + timedelta(seconds=end)) == expected(period, moment)


def test_every_month_of_a_whole_cycle_is_the_calendars() -> None:
    """The calendar repeats after 400 years."""
    moment = datetime(1900, 1, 1, tzinfo=UTC)
    while moment.year < 2300:
        start, end = expected("month", moment)
        for inside in (start, end - timedelta(days=1)):
            found = bounds("month", (inside - EPOCH) / timedelta(seconds=1))
            assert (EPOCH + timedelta(seconds=found[0]), EPOCH + timedelta(seconds=found[1])) == (start, end)
        moment = end


@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
@given(now=st.floats(-1e15, 1e15))
def test_every_moment_lies_in_one_period(period: Period, now: float) -> None:
    """Periods join without gap or overlap, also where no calendar reaches, such as for milliseconds given for
    seconds; beginnings are whole hours."""
    start, end = bounds(period, now)
    assert start <= now < end
    assert start % 3600 == end % 3600 == 0
    assert bounds(period, start) == (start, end)
    assert bounds(period, end)[0] == end
    assert bounds(period, start - 1)[1] == start


@given(st.floats(0, 1e15))
def test_total_never_starts_anew(now: float) -> None:
    """It holds all that there is since 1970."""
    assert bounds("total", now) == (0.0, inf)
