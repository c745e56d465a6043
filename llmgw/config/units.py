"""Durations and sizes as people write them: `500ms 30s 5m 24h 30d`, `512B 64KiB 32MiB 1GiB`.

Decimal on the way in and out, so that what `config show` prints reads as exactly the same value.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_SECONDS: Final = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_BYTES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

# No leading zeros: YAML 1.1 reads 010 as eight.
DURATION_PATTERN: Final = r"^(0|(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?(ms|s|m|h|d))$"
SIZE_PATTERN: Final = r"^(0|[1-9][0-9]{0,14})(B|KiB|MiB|GiB)?$"
_duration: Final = re.compile(r"((?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,6})?)(ms|s|m|h|d)").fullmatch
_size: Final = re.compile(r"(0|[1-9][0-9]{0,14})(B|KiB|MiB|GiB)?").fullmatch


def seconds(text: str) -> float | None:
    """The duration in seconds; None where it is none. Zero needs no unit."""
    if text == "0":
        return 0.0
    match = _duration(text)
    return None if match is None else float(Decimal(match[1]) * _SECONDS[match[2]])


def size(text: str) -> int | None:
    """The size in bytes; None where it is none. A plain number is bytes."""
    match = _size(text)
    return None if match is None else int(match[1]) * _BYTES[match[2] or "B"]


def duration_text(value_s: float) -> str:
    """The largest unit that writes the duration as a whole number; below that, seconds or milliseconds."""
    exact = Decimal(repr(value_s))
    if not exact:
        return "0"
    for unit in ("d", "h", "m", "s"):
        if exact % _SECONDS[unit] == 0:
            return f"{int(exact / _SECONDS[unit])}{unit}"
    if exact >= 1 and exact == round(exact, 6):
        return f"{exact:f}s"
    return f"{(exact * 1000).normalize():f}ms"


def size_text(value: int) -> str:
    """The largest unit that writes the size as a whole number."""
    for unit in ("GiB", "MiB", "KiB"):
        if value and value % _BYTES[unit] == 0:
            return f"{value // _BYTES[unit]}{unit}"
    return f"{value}B"
