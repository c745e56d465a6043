"""What is wrong with the `store:` section beyond its types, and with the number of workers beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llmgw.config import endpoints
from llmgw.config.faults import Place
from llmgw.config.store import POSTGRES, Store

Fault = tuple[Place, str]

REDIS: Final = ("redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
_OF_CLUSTERS: Final = {
    "redis_timeout": "redis_timeout_s",
    "postgres_timeout": "postgres_timeout_s",
    "spool": "spool",
}
_DEFAULTS: Final = Store()


def find(store: Store, workers: int) -> Iterator[Fault]:
    """Every fault: where it stands, and what to say of it.

    Args:
        workers: processes on this machine.
    """
    if store.is_cluster:
        yield from _cluster(store)
        return
    if not store.url.startswith("sqlite:///") or store.url == "sqlite:///":
        yield (
            ("store", "url"),
            "must be sqlite:///PATH, such as sqlite:///llmgw.db, or postgresql://HOST/DATABASE.",
        )
    elif store.url == "sqlite:///:memory:":
        yield ("store", "url"), "must be a file: server and commands share it."
    if store.redis_url is not None:
        yield (
            ("store", "redis_url"),
            "goes with Postgres; a SQLite store keeps its counters in its one process.",
        )
    for name, attribute in _OF_CLUSTERS.items():
        if getattr(store, attribute) != getattr(_DEFAULTS, attribute):
            yield ("store", name), "goes with Postgres and Redis; leave it out."
    if workers > 1:
        yield (
            ("server", "workers"),
            "must be 1 with a SQLite store: each process would count for itself, and limits would multiply "
            "by workers.",
        )


def _cluster(store: Store) -> Iterator[Fault]:
    parts = endpoints.parse(store.url, POSTGRES)
    if isinstance(parts, str):
        yield ("store", "url"), parts
    elif not parts.path.strip("/"):
        yield ("store", "url"), "names no database; write postgresql://HOST/DATABASE."
    if store.redis_url is None:
        yield ("store", "redis_url"), "is missing; a Postgres store needs a Redis beside it."
        return
    # Of several hosts, only the first is a URL's.
    scheme, _, rest = store.redis_url.partition("://")
    hosts, slash, path = rest.rpartition("@")[2].partition("/")
    for host in hosts.split(",") if "+" in scheme else [hosts]:
        found = endpoints.parse(f"{scheme}://{host}", REDIS)
        if isinstance(found, str):
            yield ("store", "redis_url"), found
            return
    if "+sentinel" in scheme and not path.partition("/")[0].partition("?")[0]:
        yield ("store", "redis_url"), "names no service; write redis+sentinel://HOST:PORT,HOST:PORT/SERVICE."
    if "+cluster" in scheme and slash and path.partition("?")[0] not in ("", "0"):
        yield ("store", "redis_url"), "chooses a database; a Redis Cluster has none to choose."
