"""What may be spent in a period: `25/month`, `5/24h`. Money is integer nano-dollars, never a float.

A word names a period of the calendar in UTC, which starts anew; a duration is any span of that length.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, Self, cast

from msgspec import Struct

from llmgw.config import units
from llmgw.errors import UsageError

Period = Literal["hour", "day", "week", "month", "total"]

NANO: Final = 1_000_000_000
LONGEST_S: Final = 366 * 86400

# Nine places are all that nano-dollars can hold; nine digits keep the amount within 64 bits.
_amount: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?").fullmatch
_PERIODS: Final = frozenset({"hour", "day", "week", "month", "total"})


class Budget(Struct, frozen=True):
    """At most `amount_nano_usd` (10^-9 US dollars) per `period`, or in any `window_s` seconds; exactly one of the
    two is set. `total` never starts anew."""

    amount_nano_usd: int
    period: Period | None
    window_s: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """`AMOUNT/PERIOD`, the amount in US dollars; UsageError otherwise."""
        written, _, span = text.partition("/")
        amount = dollars(written)
        window_s = units.seconds(span)
        if amount is not None and amount > 0:
            if span in _PERIODS:
                return cls(amount, cast(Period, span))
            if window_s is not None and 1 <= window_s <= LONGEST_S:
                return cls(amount, None, window_s)
        raise UsageError(
            f"The budget {text!r} is not understood; write dollars per period, such as 25/month or "
            "0.50/day (periods: hour, day, week, month, total; or any span of a length, such as 25/30d)."
        )

    def __str__(self) -> str:
        return f"{dollars_text(self.amount_nano_usd)}/{self.span}"

    @property
    def span(self) -> str:
        """The period or the length of the window, as it is written."""
        return self.period or units.duration_text(self.window_s or 0)


def moment(text: str) -> float | None:
    """Unix seconds of the end of a day (`2026-12-24`, UTC) or of a moment of it; None where it is neither."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return (found + timedelta(days=1) if len(text) == len("2026-12-24") else found).timestamp()


def day(text: str) -> float | None:
    """Unix seconds at which a day (`2026-07-01`, UTC) begins; None where it is none."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def dollars(text: str) -> int | None:
    """Nano-dollars of an amount in US dollars with at most nine places; None where it is none."""
    return int(Decimal(text) * NANO) if _amount(text) else None


def dollars_text(nano_usd: int) -> str:
    """The amount in US dollars, exactly, without zeros that say nothing."""
    sign = "-" if nano_usd < 0 else ""
    whole, nano = divmod(abs(nano_usd), NANO)
    places = f".{nano:09d}".rstrip("0") if nano else ""
    return f"{sign}{whole}{places}"
