"""The SQLite file of one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from llmgw.assembly.backend import Finding
from llmgw.config.schema import Config
from llmgw.ports import Applied, Fault, Status
from llmgw.standalone import migrations, panic, store
from llmgw.standalone.flags import SqliteFlagSwitch
from llmgw.standalone.panic import PanicFile
from llmgw.standalone.registry import SqliteRegistry
from llmgw.standalone.reports import SqliteReports


def store_path(config: Config, base: Path) -> Path:
    """The SQLite file; a relative path is relative to the configuration file's folder."""
    return base / config.store.url.removeprefix("sqlite:///")


class StandaloneBackend:
    """Implements `Backend`."""

    def __init__(self, config: Config, base: Path) -> None:
        self.file = store_path(config, base)
        self.name = f"SQLite at {self.file}"

    def registry(self) -> SqliteRegistry:
        return SqliteRegistry(self.file)

    def reports(self) -> SqliteReports:
        return SqliteReports(self.file)

    def flags(self) -> SqliteFlagSwitch:
        return SqliteFlagSwitch(self.file)

    def panic(self) -> PanicFile:
        return PanicFile(panic.path_beside(self.file))

    def create(self) -> bool:
        made = store.create(self.file)
        migrations.up(self.file)
        return made

    def migrate(self) -> list[Applied]:
        store.create(self.file)
        return migrations.up(self.file)

    def migration_status(self) -> Status:
        return migrations.status(self.file)

    def migration_faults(self) -> Sequence[Fault]:
        return ()  # nobody else uses the file meanwhile

    def findings(self) -> Iterator[Finding]:
        yield Finding(
            "limits",
            "ok",
            "limits and budgets are counted in the memory of the one process; the ledger is in the store",
        )
