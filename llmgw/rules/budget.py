"""What a key may spend in a period: `25/month`. Money is integer nano-dollars, never a float."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, Literal, Self, cast

from msgspec import Struct

from llmgw.errors import UsageError

Period = Literal["hour", "day", "week", "month", "total"]

NANO: Final = 1_000_000_000

# Nine places are all that nano-dollars can hold; nine digits keep the amount within 64 bits.
_form: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)/(hour|day|week|month|total)").fullmatch


class Budget(Struct, frozen=True):
    """At most `amount_nano_usd` (10^-9 US dollars) per `period`; `total` never starts anew."""

    amount_nano_usd: int
    period: Period

    @classmethod
    def parse(cls, text: str) -> Self:
        """`AMOUNT/PERIOD`, the amount in US dollars; UsageError otherwise."""
        match = _form(text)
        amount = int(Decimal(match[1]) * NANO) if match is not None else 0
        if match is None or amount == 0:
            raise UsageError(
                f"The budget {text!r} is not understood; write dollars per period, such as 25/month or "
                "0.50/day (periods: hour, day, week, month, total)."
            )
        return cls(amount, cast(Period, match[2]))

    def __str__(self) -> str:
        dollars, nano = divmod(self.amount_nano_usd, NANO)
        places = f".{nano:09d}".rstrip("0") if nano else ""
        return f"{dollars}{places}/{self.period}"
