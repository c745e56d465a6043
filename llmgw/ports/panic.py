"""The panic switch, as calls see it and as operators turn it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from llmgw.rules.panic import Entry


class Panic(Protocol):
    """What is on, for the calls of one process.

    The guarantee: a change by any process of the installation is in `entries` within a second, whatever stores are
    down, and a process that starts begins with what was on.
    """

    entries: tuple[Entry, ...]

    def refused(self, entry: Entry) -> None:
        """A call was refused for it."""
        ...

    @property
    def refusals(self) -> Mapping[str, int]:
        """How many calls this process has refused for each scope that is on, since it came on."""
        ...

    @property
    def refused_total(self) -> Mapping[str, int]:
        """How many it has refused for each scope, on or off by now."""
        ...


class PanicSwitch(Protocol):
    """The switch itself, for operators; needs no store."""

    def held(self) -> AbstractContextManager[None]:
        """Within it nobody else reads and changes, so that two operators at once both have what they want."""
        ...

    def read(self) -> tuple[Entry, ...]:
        """What is on. OperatorError where that cannot be told."""
        ...

    def change(self, entries: Sequence[Entry], *, did: str, scope: str, actor: str, reason: str) -> None:
        """Have exactly these on, and write down who did it; StoreUnavailable where the disk takes neither."""
        ...
