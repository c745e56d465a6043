"""What one piece of text means where the schema wants a number, a duration, a size, a choice or text.

Numbers are plain decimals and booleans are `true` and `false`; nothing else of YAML 1.1's guessing is left.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import inspect

from llmgw.config import units
from llmgw.config.faults import quoted

Scalar = str | int | float | bool

_control: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]").search
_whole: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})").fullmatch
_number: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?(?:e[+-]?[0-9]{1,3})?").fullmatch
_leading_zero: Final = re.compile(r"-?0[0-9]+").fullmatch


class Option(NamedTuple):
    """One of the types that a value may have; `unit` is `duration` or `size` where it is written with one."""

    kind: inspect.Type
    unit: str | None


def parse(text: str, options: Sequence[Option]) -> Scalar | None:
    """The value as the first type that takes it; None where none does."""
    for kind, unit in options:
        value = _parse(text, kind, unit)
        if value is not None:
            return value
    return None


def _parse(text: str, kind: inspect.Type, unit: str | None) -> Scalar | None:
    match kind:
        case inspect.StrType():
            return None if len(text) < (kind.min_length or 0) or _control(text) else text
        case inspect.BoolType():
            return {"true": True, "false": False}.get(text)
        case inspect.LiteralType():
            return next((choice for choice in kind.values if str(choice) == text), None)
        case inspect.IntType() | inspect.FloatType():
            value = _number_of(text, kind, unit)
            return value if value is not None and _in_range(value, kind) else None
    raise TypeError(f"the schema has a type that is not read: {kind}")


def _number_of(text: str, kind: inspect.IntType | inspect.FloatType, unit: str | None) -> float | None:
    if unit == "duration":
        return units.seconds(text)
    if unit == "size":
        return units.size(text)
    if isinstance(kind, inspect.FloatType):
        number = float(text) if _number(text) else math.inf
        return number if math.isfinite(number) else None
    return int(text) if _whole(text) else None


def _in_range(value: float, kind: inspect.IntType | inspect.FloatType) -> bool:
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
    )


def complaint(text: str, options: Sequence[Option], *, literal: bool) -> str:
    """What to say of a text that `parse` refuses; `literal`: it stands in the file as it is."""
    if not text:
        return f"is empty; it must be {describe(options)}."
    if _control(text):
        return "holds a control character; write plain text."
    if not literal:
        return f"must be {describe(options)}, which the variables in it do not make."
    hint = ""
    if any(unit == "duration" for _, unit in options) and _number(text) and text != "0":
        hint = " Add a unit: s for seconds, ms for milliseconds."
    elif _leading_zero(text):
        hint = " Numbers are decimal, without leading zeros."
    return f"must be {describe(options)}{quoted(text)}.{hint}"


def describe(options: Sequence[Option]) -> str:
    """What a value must be, for a message: `a whole number from 0 to 65535 or same`."""
    return " or ".join(_describe(kind, unit) for kind, unit in options)


def _describe(kind: inspect.Type, unit: str | None) -> str:
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType():
            return " or ".join(str(choice) for choice in kind.values)
        case inspect.IntType() | inspect.FloatType() if unit == "size":
            return "a size, such as 64KiB or 32MiB"
        case inspect.IntType() | inspect.FloatType() if unit == "duration":
            zero = "above zero" if kind.gt is not None else "from 0"
            assert kind.le is not None
            return (
                f"a duration with a unit, such as 500ms, 30s or 5m, {zero} to {units.duration_text(kind.le)}"
            )
        case inspect.IntType() | inspect.FloatType():
            what = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
            if kind.ge is not None and kind.le is not None:
                return f"{what} from {kind.ge:g} to {kind.le:g}"
            return what if kind.ge is None else f"{what} of at least {kind.ge:g}"
    return "text"
