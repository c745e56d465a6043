"""Where state is kept: one process on SQLite, or any number of them on Postgres and Redis."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, field

from llmgw.config.section import Patience, Section, Text

POSTGRES: Final = ("postgresql", "postgres")


class Store(Section):
    """Standalone: a SQLite file. Cluster: Postgres and Redis together."""

    url: Annotated[
        Text,
        Meta(description="sqlite:///PATH, a relative path being relative to this file; or postgresql://."),
    ] = "sqlite:///llmgw.db"
    redis_url: Annotated[
        Text | None,
        Meta(
            description="Goes with Postgres: redis://, rediss:// (TLS), redis+cluster://, "
            "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE."
        ),
    ] = None
    redis_timeout_s: Annotated[
        Patience, Meta(description="The longest that a call waits for Redis before it goes on without.")
    ] = field(default=0.05, name="redis_timeout")
    postgres_timeout_s: Annotated[
        Patience, Meta(description="The longest that a call waits for Postgres before it goes on without.")
    ] = field(default=0.25, name="postgres_timeout")
    spool: Annotated[
        Text,
        Meta(
            description="Cluster: folder on this machine for what waits to be written and for the panic switch; a "
            "relative path is relative to this file. It must outlive the process."
        ),
    ] = "./llmgw.spool"

    @property
    def is_cluster(self) -> bool:
        """Whether it is Postgres and Redis."""
        return self.url.partition("://")[0] in POSTGRES
