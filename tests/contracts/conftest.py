"""The adapters that the contract suites run over. Another adapter joins by one entry in `BACKENDS` or `KMS`.

A backend makes stores' adapters of its kind, all over one store that is new for each test:
`registry()`, `directory(kms)`, and `run(code)`, which runs Python in another process with `registry` at hand.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

import pytest

from llmgw.cluster import migrations as postgres_migrations
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.directory import PostgresDirectory
from llmgw.cluster.postgres import Postgres as Pool
from llmgw.cluster.registry import PostgresRegistry
from llmgw.control import orgs
from llmgw.control.orgs import OrgView
from llmgw.keyring.ring import Keyring
from llmgw.kms.local import LocalKms
from llmgw.ports import Directory, Kms, Registry
from llmgw.standalone import migrations, store
from llmgw.standalone.directory import SqliteDirectory
from llmgw.standalone.registry import SqliteRegistry
from tests.servers import Postgres

DEADLINE_S: Final = 5.0
"""A busy machine's: these suites ask what is answered. What a deadline is for is tested where stores fail."""


class RunningDirectory(Directory, Protocol):
    """A Directory with what its owner needs."""

    async def run(self) -> None: ...


class Backend(Protocol):
    """One kind of store."""

    def registry(self) -> AbstractContextManager[Registry]: ...

    def directory(self, kms: Kms) -> AbstractContextManager[RunningDirectory]: ...

    def run(self, code: str) -> None: ...


class SqliteBackend:
    """The standalone store in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "llmgw.db"
        store.create(self.path)
        migrations.up(self.path)

    def registry(self) -> SqliteRegistry:
        return SqliteRegistry(self.path)

    def directory(self, kms: Kms) -> SqliteDirectory:
        return SqliteDirectory(self.path, kms, deadline_s=DEADLINE_S)

    def run(self, code: str) -> None:
        prelude = (
            "from pathlib import Path\n"
            "from llmgw.control import credentials, keys, orgs\n"
            "from llmgw.standalone.registry import SqliteRegistry\n"
            f"registry = SqliteRegistry(Path({str(self.path)!r}))\n"
        )
        subprocess.run([sys.executable, "-c", prelude + code], check=True, timeout=30)


class PooledDirectory(PostgresDirectory):
    """With connections of its own."""

    def __init__(self, url: str, kms: Kms) -> None:
        self.pool = Pool(url, deadline_s=DEADLINE_S, size=4)
        super().__init__(self.pool, kms)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pool.run())
            group.create_task(super().run())


class PostgresBackend:
    """A database of its own, and no Redis."""

    def __init__(self, server: Postgres) -> None:
        self._url = server.url(server.database(migrated))

    def registry(self) -> PostgresRegistry:
        return PostgresRegistry(self._url)

    def directory(self, kms: Kms) -> PooledDirectory:
        return PooledDirectory(self._url, kms)

    def run(self, code: str) -> None:
        prelude = (
            "from llmgw.control import credentials, keys, orgs\n"
            "from llmgw.cluster.registry import PostgresRegistry\n"
            f"registry = PostgresRegistry({self._url!r})\n"
        )
        subprocess.run([sys.executable, "-c", prelude + code + "\nregistry.close()"], check=True, timeout=30)


def migrated(url: str) -> None:
    """Bring an empty database up to date."""
    with Blocking(url) as store_:
        postgres_migrations.up(store_)


BACKENDS: Final[dict[str, Callable[[pytest.FixtureRequest], Backend]]] = {
    "sqlite": lambda request: SqliteBackend(request.getfixturevalue("tmp_path")),
    "postgres": lambda request: PostgresBackend(request.getfixturevalue("postgres")),
}
KMS: Final = {"local": lambda: LocalKms(Keyring.generate())}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """A new, empty store."""
    return BACKENDS[request.param](request)


@pytest.fixture(params=KMS)
def kms(request: pytest.FixtureRequest) -> Kms:
    """A key service of one term."""
    return KMS[request.param]()


@pytest.fixture
def registry(backend: Backend) -> Iterator[Registry]:
    """The operators' side of the store."""
    with backend.registry() as registry:
        yield registry


@pytest.fixture
def acme(registry: Registry) -> OrgView:
    """An organisation."""
    return orgs.create(registry, "acme")


@pytest.fixture
def globex(registry: Registry) -> OrgView:
    """Another organisation."""
    return orgs.create(registry, "globex")
