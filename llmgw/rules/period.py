"""Calendar periods in UTC: where one begins and where the next does. Pure."""

from __future__ import annotations

from typing import Literal

Period = Literal["hour", "day", "week", "month", "total"]
