"""What may happen to the stores of a site, and how it is made good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.nodes.conftest import Site

Fault = tuple[Callable[[Site], object], Callable[[Site], object]]
"""Begins, ends."""


def _full(site: Site, limit: str) -> None:
    with site.redis.client() as client:
        client.config_set("maxmemory", limit)


def _role(site: Site, connections: int) -> None:
    """So many connections of the gateways' role; those that there are end."""
    site.postgres.execute(f"ALTER ROLE llmgw CONNECTION LIMIT {connections}")
    site.postgres_line.cut()


def _read_only(site: Site, value: str) -> None:
    site.postgres.execute(f'ALTER DATABASE "{site.database}" SET default_transaction_read_only = {value}')
    site.postgres_line.cut()


REDIS: Final[dict[str, Fault]] = {
    "killed": (lambda site: site.redis.kill(), lambda site: site.redis.start()),
    "frozen": (lambda site: site.redis.freeze(), lambda site: site.redis.thaw()),
    "slow": (lambda site: setattr(site.redis_line, "delay_s", 5.0), lambda site: site.redis_line.restore()),
    "silent": (lambda site: site.redis_line.black_hole(), lambda site: site.redis_line.restore()),
    "full": (lambda site: _full(site, "1"), lambda site: _full(site, "0")),
}
POSTGRES: Final[dict[str, Fault]] = {
    "killed": (lambda site: site.postgres.kill(), lambda site: site.postgres.start()),
    "frozen": (lambda site: site.postgres.freeze(), lambda site: site.postgres.thaw()),
    "slow": (
        lambda site: setattr(site.postgres_line, "delay_s", 5.0),
        lambda site: site.postgres_line.restore(),
    ),
    "silent": (lambda site: site.postgres_line.black_hole(), lambda site: site.postgres_line.restore()),
    "full": (lambda site: _role(site, 0), lambda site: _role(site, -1)),
    "read-only": (lambda site: _read_only(site, "on"), lambda site: _read_only(site, "off")),
}
