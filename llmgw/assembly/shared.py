"""What the calls of a process share, behind the ports: the same for every kind of store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from llmgw.config import flags
from llmgw.ports import Breakers, Directory, Flags, Journal, Meter, Panic
from llmgw.rules.panic import Entry
from llmgw.telemetry.metrics import JournalCounts


class KeptDirectory(Directory, Protocol):
    """A directory that can tell whether stored secrets open."""

    async def probe(self) -> dict[str, str]:
        """For each KEK term in use: `ok` if a secret under it opens, else `failing`."""
        ...


class KeptJournal(Journal, JournalCounts, Protocol):
    """A journal that tells what waits in it."""


class KeptPanic(Panic, Protocol):
    """A panic switch that tells of what came on."""

    on_change: Callable[[Sequence[Entry]], None] | None


class KeptFlags(Flags, Protocol):
    """Flags that a reload may define anew."""

    def configure(self, settings: Mapping[str, flags.Flag]) -> None: ...


class Shared(Struct, frozen=True, kw_only=True):
    """All of it. `tasks` run as long as the process serves."""

    directory: KeptDirectory
    journal: KeptJournal
    meter: Meter
    breakers: Breakers
    panic: KeptPanic
    flags: KeptFlags
    tasks: tuple[Callable[[], Coroutine[Any, Any, None]], ...]
