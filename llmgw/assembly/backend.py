"""Where an installation keeps its state, as commands see it: SQLite, or Postgres and Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from llmgw.config.schema import Config
from llmgw.ports import Applied, Fault, FlagSwitch, PanicSwitch, Registry, Reports, Status


class Finding(Struct, frozen=True):
    """One thing that was looked at; `message` says what was found and, where it is not well, what to do."""

    name: str
    state: Literal["ok", "warning", "fault"]
    message: str


class Backend(Protocol):
    """Opens it. Whatever needs the store raises StoreUnavailable where there is none, it cannot be reached, or its
    schema is another."""

    @property
    def name(self) -> str:
        """What it is and where, in words."""
        ...

    @property
    def file(self) -> Path | None:
        """The file that is the store, where it is one."""
        ...

    def registry(self) -> AbstractContextManager[Registry]:
        """What operators manage."""
        ...

    def reports(self) -> AbstractContextManager[Reports]:
        """The ledger."""
        ...

    def flags(self) -> AbstractContextManager[FlagSwitch]:
        """What operators say of flags."""
        ...

    def panic(self) -> PanicSwitch:
        """The panic switch; needs no store."""
        ...

    def create(self) -> bool:
        """Make the store where there is none and bring its schema up to date; whether it was made."""
        ...

    def migrate(self) -> list[Applied]:
        """Take the pending steps of the schema, making the store where there is none."""
        ...

    def migration_status(self) -> Status:
        """Which steps of the schema it has taken."""
        ...

    def migration_faults(self) -> Sequence[Fault]:
        """Steps of this llmgw's schema that would hold up a store in use, or break the release before."""
        ...

    def findings(self) -> Iterator[Finding]:
        """What else a careful operator would look at."""
        ...


def backend(config: Config, base: Path) -> Backend:
    """Of that configuration; relative paths are relative to `base`, the folder of its file."""
    # Each brings its drivers: a command waits for those of one kind only.
    if config.store.is_cluster:
        from llmgw.assembly.cluster_backend import ClusterBackend

        return ClusterBackend(config, base)
    from llmgw.assembly.standalone_backend import StandaloneBackend

    return StandaloneBackend(config, base)
