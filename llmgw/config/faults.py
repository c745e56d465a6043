"""What is wrong with a configuration file, and where: every fault at once, each with what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

import yaml
from msgspec import Struct


class Fault(Struct, frozen=True, kw_only=True):
    """One thing wrong. `line` and `column` count from 1; `path` is such as `providers.openai.timeouts.connect`."""

    line: int
    column: int
    path: str
    message: str
    severity: Literal["error", "warning"]

    def __str__(self) -> str:
        return f"{self.line}: {self.path}: {self.message}" if self.path else f"{self.line}: {self.message}"


class Faults:
    """Collects faults while a file is read."""

    def __init__(self) -> None:
        self._found: list[Fault] = []

    def error(self, node: yaml.Node, path: str, message: str) -> None:
        """The file cannot be used."""
        self._add(node, path, message, "error")

    def warning(self, node: yaml.Node, path: str, message: str) -> None:
        """The file can be used; its author should know."""
        self._add(node, path, message, "warning")

    def _add(self, node: yaml.Node, path: str, message: str, severity: Literal["error", "warning"]) -> None:
        mark = node.start_mark
        fault = Fault(
            line=mark.line + 1, column=mark.column + 1, path=path, message=message, severity=severity
        )
        self._found.append(fault)

    def in_order(self) -> tuple[Fault, ...]:
        """All of them, in the order of the file."""
        return tuple(sorted(self._found, key=lambda fault: (fault.line, fault.column)))


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where a known name is near, else the known ones."""
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known here: {', '.join(choices)}." if choices else "."
