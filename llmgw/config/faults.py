"""What is wrong with a configuration file, and where: every fault at once, each with what to do.

A fault never quotes a value that could be a secret: it has a line and a path, and the author has the file.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Final, Literal

import yaml
from msgspec import Struct

ERROR_LIMIT: Final = 100
"""Errors after which reading stops: nobody mends more at a time, and a hostile file could make millions."""

_CHOICES_LIMIT: Final = 200  # comparing a long file's errors with more names takes seconds
_LISTED_LIMIT: Final = 12
_QUOTED_LIMIT: Final = 12  # no provider's secret is as short

Place = tuple[str | int, ...]
"""Where a value stands: the keys and indices that lead to it."""


class Fault(Struct, frozen=True, kw_only=True):
    """One thing wrong. `line` and `column` count from 1; `path` is such as `providers.openai.timeouts.connect`."""

    line: int
    column: int
    path: str
    message: str
    severity: Literal["error", "warning"]

    def __str__(self) -> str:
        return f"{self.line}: {self.path}: {self.message}" if self.path else f"{self.line}: {self.message}"


class TooMany(Exception):
    """`ERROR_LIMIT` is reached; nothing more is noted."""


class Faults:
    """Collects faults while a file is read."""

    def __init__(self) -> None:
        self._found: list[Fault] = []
        self._errors = 0

    def error(self, mark: yaml.Mark, path: Place, message: str) -> None:
        """The file cannot be used. Raises TooMany with the last one that is taken."""
        self._errors += 1
        if self._errors == ERROR_LIMIT:
            message += " There may be more errors than are listed here; mend these first."
        self._add(mark, path, message, "error")
        if self._errors == ERROR_LIMIT:
            raise TooMany

    def warning(self, mark: yaml.Mark, path: Place, message: str) -> None:
        """The file can be used; its author should know."""
        self._add(mark, path, message, "warning")

    def _add(self, mark: yaml.Mark, path: Place, message: str, severity: Literal["error", "warning"]) -> None:
        fault = Fault(
            line=mark.line + 1, column=mark.column + 1, path=dotted(path), message=message, severity=severity
        )
        self._found.append(fault)

    def in_order(self) -> tuple[Fault, ...]:
        """All of them, in the order of the file."""
        return tuple(sorted(self._found, key=lambda fault: (fault.line, fault.column)))


def dotted(path: Place) -> str:
    """`models.smart.targets[1]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def nearest(name: str, known: Collection[str]) -> str:
    """The end of a sentence about an unknown name: the known one it is near to, or the known ones."""
    if len(known) <= _CHOICES_LIMIT:
        close = difflib.get_close_matches(name, known, n=1)
        if close:
            return f"; did you mean {close[0]!r}?"
    if not known:
        return "; there is none."
    listed = ", ".join(sorted(known)[:_LISTED_LIMIT])
    return f"; known are: {listed}" + (", and more." if len(known) > _LISTED_LIMIT else ".")


def quoted(text: str) -> str:
    """`, not 'text'` where that is short enough to be a slip and no secret."""
    return f", not {text!r}" if len(text) <= _QUOTED_LIMIT and text.isprintable() else ""
