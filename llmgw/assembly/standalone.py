"""One process on SQLite: what stands behind the ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmgw.assembly.shared import Shared
from llmgw.assembly.standalone_backend import store_path
from llmgw.breaking.memory import MemoryBreakers
from llmgw.config.schema import Config
from llmgw.errors import StoreUnavailable
from llmgw.ports import FlagSource, Kms
from llmgw.standalone import panic
from llmgw.standalone.directory import SqliteDirectory
from llmgw.standalone.flags import SqliteFlags
from llmgw.standalone.journal import journal
from llmgw.standalone.ledger import SqliteLedger
from llmgw.standalone.lock import StoreLock
from llmgw.standalone.meter import MemoryMeter
from llmgw.standalone.panic import PanicWatch
from llmgw.standalone.request_log import RequestLog, path_beside


def keeper(config: Config, base: Path) -> RequestLog:
    """As `Kind`."""
    return RequestLog(path_beside(store_path(config, base)), config.telemetry.queue)


@contextmanager
def shared(config: Config, base: Path, kms: Kms, source: FlagSource | None) -> Iterator[Shared]:
    """As `Kind`: what the calls of the one process share; OperatorError where another process serves this store."""
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
    """As `Kind`."""
    path = store_path(config, base)
    flags = SqliteFlags(path, config.flags)
    with suppress(StoreUnavailable):
        flags.load()
    return MemoryBreakers(config.breakers), PanicWatch(panic.path_beside(path)), flags
