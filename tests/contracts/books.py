"""The ledgers and journals that their contract suites run over. Another adapter joins by one entry in `BOOKS`.

Each stands for one new store. `running()` is what a server process has, `reports()` what operators do; `locked()`
keeps everybody from writing the store; `child(code)` is another process in which `running` is at hand.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import pytest

from llmgw import ids
from llmgw.canonical import Usage
from llmgw.cluster import migrations as postgres_migrations
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.journal import journal as cluster_journal
from llmgw.cluster.ledger import PostgresLedger
from llmgw.cluster.postgres import Postgres as Pool
from llmgw.cluster.reports import PostgresReports
from llmgw.errors import DependencyUnavailable
from llmgw.ports import Journal, Ledger, LedgerRow, Reports
from llmgw.rules.demand import Measure, Scope, ScopeKind
from llmgw.spool import SpoolJournal
from llmgw.standalone import migrations, store
from llmgw.standalone.journal import journal
from llmgw.standalone.ledger import SqliteLedger
from llmgw.standalone.reports import SqliteReports
from tests.provider import eventually
from tests.servers import Postgres

NOW: Final = 1_790_000_000.0
"""Some minutes past an hour in 2026."""


class RunningJournal(Journal, Protocol):
    """A journal with what its owner sees of it."""

    @property
    def waiting(self) -> int: ...


JournalT = TypeVar("JournalT", bound=RunningJournal, covariant=True)


class Server(NamedTuple, Generic[JournalT]):
    """What a server process has."""

    journal: JournalT
    ledger: Ledger

    async def settled(self) -> None:
        """Return when no row waits any more."""
        await eventually(lambda: self.journal.waiting == 0, timeout_s=30)


class Books(Protocol):
    """One store."""

    def running(self) -> AbstractContextManager[Server[RunningJournal]]: ...

    def reports(self) -> AbstractContextManager[Reports]: ...

    def locked(self) -> AbstractContextManager[None]: ...

    def child(self, code: str) -> subprocess.Popen[bytes]: ...


class SqliteBooks:
    """The standalone store in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "llmgw.db"
        store.create(self.path)
        migrations.up(self.path)

    @contextlib.contextmanager
    def running(self, **settings: Any) -> Iterator[Server[SpoolJournal]]:
        with (
            # The rows' times are made up, and none of them is too old, whatever the year.
            journal(self.path, **{"retention_s": 1e12, **settings}) as kept,
            SqliteLedger(self.path, kept) as ledger,
        ):
            yield Server(kept, ledger)

    def reports(self) -> SqliteReports:
        return SqliteReports(self.path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        code = (
            f"import sqlite3; d = sqlite3.connect({str(self.path)!r}, isolation_level=None)\n"
            "d.execute('BEGIN EXCLUSIVE'); print('ready', flush=True); input()"
        )
        other = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with other:
            assert other.stdout is not None
            assert other.stdout.readline()
            yield
            other.kill()

    def child(self, code: str) -> subprocess.Popen[bytes]:
        prelude = (
            "from pathlib import Path\n"
            "from tests.contracts.books import SqliteBooks, made\n"
            f"books = SqliteBooks(Path({str(self.path.parent)!r}))\n"
        )
        return subprocess.Popen([sys.executable, "-c", prelude + code], stdout=subprocess.PIPE)


class PostgresBooks:
    """A database of its own, and a folder for the journals of its processes."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        self.folder = folder / "spool"
        server.start()  # an earlier test may have ended it
        self.url = server.url(server.database(migrated))

    @contextlib.contextmanager
    def running(self, **settings: Any) -> Iterator[Server[SpoolJournal]]:
        with cluster_journal(self.url, self.folder, **{"retention_s": 1e12, **settings}) as kept:
            # Its deadline is a busy machine's: what is asked here is what is counted.
            pool = Pool(self.url, deadline_s=2.0, size=4)
            yield Server(kept, PostgresLedger(pool, kept))
            pool.close()

    def reports(self) -> PostgresReports:
        return PostgresReports(self.url)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        with Blocking(self.url) as other, other.transaction("LOCK TABLE ledger, journals IN EXCLUSIVE MODE"):
            yield

    def child(self, code: str) -> subprocess.Popen[bytes]:
        prelude = (
            "from pathlib import Path\n"
            "from tests.contracts.books import PostgresBooks, made\n"
            "books = PostgresBooks.__new__(PostgresBooks)\n"
            f"books.folder, books.url = Path({str(self.folder)!r}), {self.url!r}\n"
        )
        return subprocess.Popen([sys.executable, "-c", prelude + code], stdout=subprocess.PIPE)


def migrated(url: str) -> None:
    """Bring an empty database up to date."""
    with Blocking(url) as store_:
        postgres_migrations.up(store_)


BOOKS: Final[dict[str, Callable[[pytest.FixtureRequest], Callable[[Path], Books]]]] = {
    "sqlite": lambda request: SqliteBooks,
    "postgres": lambda request: partial(PostgresBooks, request.getfixturevalue("postgres_process")),
}
"""By name: what makes a new store whose files are in a folder."""


def made(time: float = NOW, **fields: Any) -> LedgerRow:
    """A row of a call that went well."""
    values: dict[str, Any] = {
        "id": ids.new("call", time),
        "time": time,
        "request_id": "req_1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "org_id": "org_1",
        "org": "acme",
        "key_id": "key_1",
        "tags": {"team": "red"},
        "endpoint": "chat.completions",
        "model_asked": "smart",
        "model": "gpt-4o",
        "provider": "openai",
        "attempts": 1,
        "streamed": False,
        "status": 200,
        "usage": Usage(input=10, cache_read=20, output=30),
        "usage_source": "reported",
        "reserved_nano_usd": 9_000,
        "cost_nano_usd": 1_000,
        "latency_ms": 250,
        **fields,
    }
    return LedgerRow(**values)


def died(row: LedgerRow) -> dict[str, Any]:
    """What the flow says of a call when it begins, should its process not live to see its end."""
    return {"id": row.id, "status": 500, "error": "gateway_died", "usage_source": "estimated"}


def rows_of(books: Books) -> Sequence[LedgerRow]:
    """Every row of the ledger."""
    with books.reports() as reports:
        return list(reports.rows())


def scope(kind: ScopeKind, id: str) -> Scope:
    """Whose use is asked for."""
    return Scope(kind=kind, id=id, name=id)


async def used(server: Server[RunningJournal], scope: Scope, measure: Measure, since: float) -> int:
    """What the ledger says, once it can; on a machine that is busy with other things it may take too long at first."""
    deadline = monotonic() + 20
    while True:
        try:
            return await server.ledger.used(scope, measure, since)
        except DependencyUnavailable:
            assert monotonic() < deadline
