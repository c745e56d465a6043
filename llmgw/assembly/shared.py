"""What the calls of a process share, behind the ports: the same for every kind of store.

`standalone` and `cluster` are the two kinds; each is a module that implements `Kind`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from llmgw.config import flags
from llmgw.config.schema import Config
from llmgw.ports import Breakers, Directory, Flags, FlagSource, Journal, Kms, Meter, Panic
from llmgw.rules.panic import Entry
from llmgw.telemetry import Keeper
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


class Kind(Protocol):
    """A kind of store; raises StoreUnavailable where what it needs cannot be had."""

    def keeper(self, config: Config, base: Path) -> AbstractContextManager[Keeper]:
        """Keeps the records of calls for operators to look at."""
        ...

    def shared(
        self, config: Config, base: Path, kms: Kms, source: FlagSource | None
    ) -> AbstractContextManager[Shared]:
        """What the calls share; `source` is the provider of flags elsewhere, if there is one."""
        ...

    def offline(self, config: Config, base: Path) -> tuple[Breakers, Panic, Flags]:
        """What is known without a server: no failures, what panic is on for, and flags as operators and guards have
        left them, or as the file has them where no store says anything."""
        ...


def kind(config: Config) -> Kind:
    """The kind of that configuration."""
    # Each brings its drivers: a process waits for those of one kind only.
    if config.store.is_cluster:
        from llmgw.assembly import cluster

        return cluster
    from llmgw.assembly import standalone

    return standalone
