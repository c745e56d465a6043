"""Durations and sizes as people write them: `500ms 30s 5m 24h 30d`, `512B 64KiB 32MiB 1GiB`."""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_duration: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)").fullmatch
_size: Final = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB)").fullmatch

DURATION_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$|^0$"
SIZE_PATTERN: Final = r"^[0-9]+(B|KiB|MiB|GiB)$"


def seconds(text: str) -> float | None:
    """The duration in seconds; None where it is none. Zero needs no unit."""
    if text == "0":
        return 0.0
    match = _duration(text)
    return float(match[1]) * _SECONDS[match[2]] if match is not None else None


def size(text: str) -> int | None:
    """The size in bytes; None where it is none. A plain number is bytes."""
    match = _size(text)
    if match is not None:
        return int(match[1]) * _BYTES[match[2]]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def duration_text(value_s: float) -> str:
    """The shortest way to write a duration that reads as the same."""
    for unit in ("d", "h", "m", "s"):
        if value_s and value_s % _SECONDS[unit] == 0:
            return f"{int(value_s / _SECONDS[unit])}{unit}"
    return f"{value_s * 1000:.6f}".rstrip("0").rstrip(".") + "ms" if value_s else "0"


def size_text(value: int) -> str:
    """The shortest way to write a size that reads as the same."""
    for unit in ("GiB", "MiB", "KiB"):
        if value and value % _BYTES[unit] == 0:
            return f"{value // _BYTES[unit]}{unit}"
    return f"{value}B"
