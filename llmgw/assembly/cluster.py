"""Any number of processes on Postgres and Redis: what stands behind the ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmgw.assembly.cluster_backend import redis_url, spool
from llmgw.assembly.shared import Shared
from llmgw.breaking.memory import MemoryBreakers
from llmgw.cluster.breakers import RedisBreakers
from llmgw.cluster.directory import PostgresDirectory
from llmgw.cluster.flags import PostgresFlags
from llmgw.cluster.journal import journal
from llmgw.cluster.ledger import PostgresLedger
from llmgw.cluster.lives import PostgresLives
from llmgw.cluster.meter import RedisMeter
from llmgw.cluster.mirror import Mirror
from llmgw.cluster.panic import ClusterPanicWatch, path_in
from llmgw.cluster.postgres import Postgres
from llmgw.cluster.redis import Redis
from llmgw.cluster.request_log import RequestLog
from llmgw.config.schema import Config
from llmgw.errors import StoreUnavailable
from llmgw.ports import FlagSource, Kms


def keeper(config: Config, base: Path) -> RequestLog:
    """As `Kind`."""
    return RequestLog(config.store.url, config.telemetry.queue)


@contextmanager
def shared(config: Config, base: Path, kms: Kms, source: FlagSource | None) -> Iterator[Shared]:
    """As `Kind`: what the calls of all processes share."""
    settings, folder = config.store, spool(config, base)
    redis = Redis(redis_url(config), deadline_s=settings.redis_timeout_s)
    postgres = Postgres(settings.url, deadline_s=settings.postgres_timeout_s)
    with (
        journal(settings.url, folder) as kept,
        PostgresDirectory(postgres, kms, mirror=Mirror(redis, kms, postgres.name)) as directory,
        PostgresFlags(postgres, config.flags, source) as flags,
        ClusterPanicWatch(path_in(folder), redis, postgres) as panic,
    ):
        ledger = PostgresLedger(postgres, kept)
        meter = RedisMeter(
            redis,
            ledger,
            PostgresLives(postgres),
            on_shared_loss=config.limits.on_shared_loss,
            lags=kept.lags,
        )
        breakers = RedisBreakers(redis, config.breakers)
        yield Shared(
            directory=directory,
            journal=kept,
            meter=meter,
            breakers=breakers,
            panic=panic,
            flags=flags,
            tasks=(redis.run, postgres.run, directory.run, meter.run, breakers.run, flags.run, panic.run),
        )


def offline(config: Config, base: Path) -> tuple[MemoryBreakers, ClusterPanicWatch, PostgresFlags]:
    """As `Kind`."""
    redis, postgres = Redis(redis_url(config)), Postgres(config.store.url)
    panic = ClusterPanicWatch(path_in(spool(config, base)), redis, postgres)
    flags = PostgresFlags(postgres, config.flags)
    with suppress(StoreUnavailable):
        panic.load()
        flags.load()
    return MemoryBreakers(config.breakers), panic, flags
