"""Postgres and Redis, shared by every node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from llmgw.assembly.backend import Finding
from llmgw.cluster import failures, lines, migrations, room, safety
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.flags import PostgresFlagSwitch
from llmgw.cluster.panic import ClusterPanicSwitch, path_in
from llmgw.cluster.postgres import SIZE
from llmgw.cluster.registry import PostgresRegistry
from llmgw.cluster.reports import PostgresReports
from llmgw.config.schema import Config
from llmgw.errors import StoreUnavailable
from llmgw.ports import Applied, Fault, Status

CONNECTIONS: Final = SIZE + 3
"""Of one worker to Postgres: for calls, and one each to listen, for the journal and for the request log."""


def redis_url(config: Config) -> str:
    """Checked with the rest of the configuration."""
    assert config.store.redis_url is not None
    return config.store.redis_url


def spool(config: Config, base: Path) -> Path:
    """This machine's folder; a relative path is relative to the configuration file's folder."""
    return base / config.store.spool


class ClusterBackend:
    """Implements `Backend`."""

    file = None

    def __init__(self, config: Config, base: Path) -> None:
        self._url = config.store.url
        self._redis_url = redis_url(config)
        self._spool = spool(config, base)
        self._workers = config.server.workers
        self.name = f"Postgres at {failures.name(self._url)}"

    def registry(self) -> PostgresRegistry:
        return PostgresRegistry(self._url)

    def reports(self) -> PostgresReports:
        return PostgresReports(self._url)

    def flags(self) -> PostgresFlagSwitch:
        return PostgresFlagSwitch(self._url)

    def panic(self) -> ClusterPanicSwitch:
        return ClusterPanicSwitch(path_in(self._spool), self._redis_url, self._url)

    def create(self) -> bool:
        self.migrate()
        return False  # databases are made by those who run the server

    def migrate(self) -> list[Applied]:
        with Blocking(self._url) as store:
            return migrations.up(store)

    def migration_status(self) -> Status:
        with Blocking(self._url) as store:
            return migrations.status(store)

    def migration_faults(self) -> Sequence[Fault]:
        return safety.check()

    def findings(self) -> Iterator[Finding]:
        try:
            with Blocking(self._url) as store:
                warning = room.require_room(store, self._workers * CONNECTIONS)
            yield Finding(
                "connections", "ok" if warning is None else "warning", warning or "Postgres has room"
            )
        except StoreUnavailable as error:
            yield Finding("connections", "fault", str(error))
        try:
            policies = lines.eviction(self._redis_url)
        except StoreUnavailable as error:
            yield Finding("redis", "fault", str(error))
            return
        for server, policy in policies.items():
            if policy == "noeviction":
                yield Finding("redis", "ok", f"{server} answers and evicts nothing")
            else:
                yield Finding(
                    "redis",
                    "warning",
                    f"{server} evicts what it has no room for (maxmemory-policy {policy}): an evicted counter is a "
                    "forgotten limit; set noeviction",
                )
