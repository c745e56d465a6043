"""One process on SQLite: what stands behind the ports, and what commands open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmgw.assembly.shared import Shared
from llmgw.breaking.memory import MemoryBreakers
from llmgw.config.schema import Config
from llmgw.errors import StoreUnavailable
from llmgw.ports import Applied, FlagSource, Kms, Status
from llmgw.standalone import migrations, panic, store
from llmgw.standalone.directory import SqliteDirectory
from llmgw.standalone.flags import SqliteFlags, SqliteFlagSwitch
from llmgw.standalone.journal import journal
from llmgw.standalone.ledger import SqliteLedger
from llmgw.standalone.lock import StoreLock
from llmgw.standalone.meter import MemoryMeter
from llmgw.standalone.panic import PanicFile, PanicWatch
from llmgw.standalone.registry import SqliteRegistry
from llmgw.standalone.reports import SqliteReports
from llmgw.standalone.request_log import RequestLog, path_beside


def store_path(config: Config, base: Path) -> Path:
    """The SQLite file; a relative path is relative to the configuration file's folder."""
    return base / config.store.url.removeprefix("sqlite:///")


def keeper(config: Config, base: Path) -> RequestLog:
    """Keeps the records of calls for operators to look at."""
    return RequestLog(path_beside(store_path(config, base)), config.telemetry.queue)


@contextmanager
def shared(config: Config, base: Path, kms: Kms, source: FlagSource | None) -> Iterator[Shared]:
    """What the calls of the one process share.

    Args:
        source: the provider of flags elsewhere, if there is one.

    Raises:
        OperatorError: another process serves this store.
        StoreUnavailable: it cannot be opened.
    """
    path = store_path(config, base)
    with (
        StoreLock(path),
        SqliteDirectory(path, kms) as directory,
        journal(path) as kept,
        SqliteLedger(path, kept) as ledger,
        SqliteFlags(path, config.flags, source) as flags,
    ):
        watch = PanicWatch(panic.path_beside(path))
        yield Shared(
            directory=directory,
            journal=kept,
            meter=MemoryMeter(ledger),
            breakers=MemoryBreakers(config.breakers),
            panic=watch,
            flags=flags,
            tasks=(directory.run, watch.run, flags.run),
        )


def offline(config: Config, base: Path) -> tuple[MemoryBreakers, PanicWatch, SqliteFlags]:
    """What is known without a server: no failures, what panic is on for, and flags as operators and guards have left
    them, or as the file has them where no store says anything."""
    path = store_path(config, base)
    flags = SqliteFlags(path, config.flags)
    with suppress(StoreUnavailable):
        flags.load()
    return MemoryBreakers(config.breakers), PanicWatch(panic.path_beside(path)), flags


def open_registry(config: Config, base: Path) -> SqliteRegistry:
    """What operators manage; StoreUnavailable where there is no store, or its schema is another."""
    return SqliteRegistry(store_path(config, base))


def open_reports(config: Config, base: Path) -> SqliteReports:
    """The ledger for operators; StoreUnavailable likewise."""
    return SqliteReports(store_path(config, base))


def open_panic(config: Config, base: Path) -> PanicFile:
    """The panic switch, which needs no store."""
    return PanicFile(panic.path_beside(store_path(config, base)))


def open_flags(config: Config, base: Path) -> SqliteFlagSwitch:
    """What operators say of flags; StoreUnavailable as `open_registry`."""
    return SqliteFlagSwitch(store_path(config, base))


def create_store(config: Config, base: Path) -> bool:
    """Make the store where there is none and bring its schema up to date; whether it was made."""
    path = store_path(config, base)
    made = store.create(path)
    migrations.up(path)
    return made


def migrate(config: Config, base: Path) -> list[Applied]:
    """Take the pending steps of the store's schema, making the store where there is none."""
    path = store_path(config, base)
    store.create(path)
    return migrations.up(path)


def migration_status(config: Config, base: Path) -> Status:
    """Which steps of the schema the store has taken."""
    return migrations.status(store_path(config, base))
