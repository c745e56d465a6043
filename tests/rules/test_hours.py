"""Parts of the week are told by the clock on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.hours import DAYS, Hours, minute
from llmgw.rules import hours

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def holds(now: float, *settings: Hours) -> bool:
    return hours.compile(settings)(now)


WORK = Hours(days=("mon", "tue", "wed", "thu", "fri"), start="09:00", end="17:30", zone="Europe/Berlin")
NIGHT = Hours(days=("fri",), start="22:00", end="06:00")


def test_the_first_minute_is_in_and_the_last_named_one_is_not() -> None:
    """From 09:00 to 17:30 is 09:00:00 up to 17:29:59."""
    for text, expected in (
        ("2025-10-09T08:59:59", False),
        ("2025-10-09T09:00:00", True),
        ("2025-10-09T17:29:59", True),
        ("2025-10-09T17:30:00", False),
        ("2025-10-11T12:00:00", False),  # a Saturday
    ):
        assert holds(at(text, "Europe/Berlin"), WORK) is expected, text


def test_a_span_over_midnight_belongs_to_the_day_it_begins() -> None:
    """Friday from 22:00 to 06:00 is Friday's evening and Saturday's morning, and not Friday's morning."""
    for text, expected in (
        ("2025-10-10T05:00:00", False),
        ("2025-10-10T21:59:59", False),
        ("2025-10-10T22:00:00", True),
        ("2025-10-11T00:00:00", True),
        ("2025-10-11T05:59:59", True),
        ("2025-10-11T06:00:00", False),
        ("2025-10-11T23:00:00", False),
    ):
        assert holds(at(text), NIGHT) is expected, text


def test_sunday_night_reaches_into_monday() -> None:
    """The week has no seam."""
    sunday = Hours(days=("sun",), start="23:00", end="01:00")
    assert holds(at("2025-10-13T00:30:00"), sunday)
    assert not holds(at("2025-10-12T00:30:00"), sunday)


def test_until_midnight_is_the_end_of_the_day() -> None:
    """To 24:00, and to 00:00, reach the end of the day; without times it is the whole of it."""
    for span in (Hours(days=("thu",), start="20:00"), Hours(days=("thu",), start="20:00", end="00:00")):
        assert holds(at("2025-10-09T23:59:59"), span)
        assert not holds(at("2025-10-10T00:00:00"), span)
    assert all(holds(at(f"2025-10-09T{hour:02}:15:00"), Hours(days=("thu",))) for hour in range(24))


def test_an_hour_that_comes_twice_is_in_both_times() -> None:
    """On 2025-10-26 the clocks of Berlin show 02:30 twice."""
    early = Hours(start="02:00", end="03:00", zone="Europe/Berlin")
    first, second = at("2025-10-26T02:30", "Europe/Berlin"), at("2025-10-26T02:30", "Europe/Berlin", fold=1)
    assert second - first == 3600
    assert holds(first, early)
    assert holds(second, early)


def test_an_hour_that_is_left_out_is_never_in() -> None:
    """On 2025-03-30 the clocks of Berlin go from 02:00 to 03:00."""
    early = Hours(days=("sun",), start="02:00", end="03:00", zone="Europe/Berlin")
    start = at("2025-03-30T01:00", "Europe/Berlin")
    assert not any(holds(start + 60 * n, early) for n in range(180))
    assert holds(start + 7 * 86400, early)  # the week after, one hour earlier in UTC


def test_the_day_after_the_28th_of_february() -> None:
    """In a leap year it is the 29th, a Thursday in 2024; a year later the 1st of March, a Saturday."""
    thursday = Hours(days=("thu",))
    assert holds(at("2024-02-29T12:00:00"), thursday)
    assert not holds(at("2025-03-01T12:00:00"), thursday)


def test_any_of_several_is_enough() -> None:
    """Parts of the week add up."""
    assert holds(at("2025-10-10T23:00:00"), WORK, NIGHT)
    assert holds(at("2025-10-10T12:00:00"), WORK, NIGHT)
    assert not holds(at("2025-10-12T12:00:00"), WORK, NIGHT)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(ZONES),
    st.integers(0, 1439),
    st.integers(0, 1440),
    st.frozensets(st.sampled_from(DAYS)),
)
def test_as_the_minutes_of_a_span_counted_one_by_one(
    now: int, zone: str, start: int, end: int, days: frozenset[str]
) -> None:
    """The clock's day and minute are among those that the span has, written out as a set."""
    if start == end:
        return
    length = (end - start) % 1440 or 1440
    first = [n for n, day in enumerate(DAYS) if not days or day in days]
    minutes = {(day * 1440 + start + n) % 10080 for day in first for n in range(length)}
    local = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(zone))
    shown = local.weekday() * 1440 + local.hour * 60 + local.minute
    span = Hours(
        days=tuple(day for day in DAYS if day in days), start=clock(start), end=clock(end), zone=zone
    )
    assert holds(now, span) is (shown in minutes)


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@given(st.integers(0, 1440))
def test_a_time_of_the_day_reads_as_written(minutes: int) -> None:
    """`HH:MM` and minutes since midnight are the same."""
    assert minute(clock(minutes)) == minutes


@pytest.mark.parametrize("text", ["", "9:00", "24:01", "12:60", "12.30", "1200", "12:30:00", "noon", "-1:00"])
def test_what_is_no_time_of_the_day(text: str) -> None:
    """Two digits, a colon, two digits, no later than 24:00."""
    assert minute(text) is None


def test_what_the_clocks_show_is_said() -> None:
    """An explanation names the day, the time and whose they are."""
    now = at("2025-10-09T08:53:20")
    assert hours.text(NIGHT) == "fri 22:00-06:00 UTC"
    assert hours.seen((WORK, NIGHT), now) == "thu 10:53 Europe/Berlin; thu 08:53 UTC"


def test_a_year_of_a_zone_is_told_minute_by_minute() -> None:
    """Remembering a minute's answer gives what asking the zone anew gives, at every quarter of an hour of a year."""
    moment, zone = datetime(2025, 1, 1, tzinfo=UTC), ZoneInfo("Australia/Lord_Howe")
    for _ in range(365 * 96):
        local = moment.astimezone(zone)
        shown = hours.wall("Australia/Lord_Howe", int(moment.timestamp()) // 60)
        assert shown == (local.weekday(), local.hour * 60 + local.minute)
        moment += timedelta(minutes=15)
