"""Calendar periods in UTC: where one begins and where the next does. Pure.

Whole numbers throughout: POSIX time has days of 86,400 s, and the month comes from the day's number by Hinnant's
`civil_from_days` (https://howardhinnant.github.io/date_algorithms.html), which knows no last year as `datetime`
does. Whoever asks often keeps the answer until its end has come.
"""

from __future__ import annotations

from math import inf
from typing import Final, Literal

Period = Literal["hour", "day", "week", "month", "total"]

HOUR_S: Final = 3_600
DAY_S: Final = 86_400


def bounds(period: Period, now: float) -> tuple[float, float]:
    """Unix seconds at which the period that `now` lies in begins, and at which it is over.

    A week begins on Monday (ISO 8601). `total` begins with the epoch and is never over.
    """
    if period == "total":
        return 0.0, inf
    if period == "hour":
        start = now // HOUR_S * HOUR_S
        return start, start + HOUR_S
    day = int(now // DAY_S)
    if period == "day":
        first, following = day, day + 1
    elif period == "week":
        first = day - (day + 3) % 7  # day 0 was a Thursday
        following = first + 7
    else:
        first = day - _day_of_month(day)
        # The 1st and 31 days more lie in the next month, whatever the month.
        following = first + 31 - _day_of_month(first + 31)
    return float(first * DAY_S), float(following * DAY_S)


def _day_of_month(day: int) -> int:
    """From 0; of the day of that number since 1970-01-01."""
    # Eras of 400 years and years that begin in March put the leap day last.
    day_of_era = (day + 719_468) % 146_097
    year = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    return day_of_year - (153 * month + 2) // 5
