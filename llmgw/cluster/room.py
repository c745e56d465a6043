"""Whether Postgres has room for the connections that an installation will want, looked at before it wants them.

Connections that a server does not have are missing where it hurts most, in the middle of the busiest hour; at a start
they are a sentence.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from llmgw.cluster.blocking import Blocking
from llmgw.errors import StoreUnavailable


class Room(Struct, frozen=True, kw_only=True):
    """Connections."""

    allowed: int
    """What the role of `store.url` may have in its database, all processes together."""
    taken: int
    """By whomever, just now, of those that are allowed."""

    @property
    def free(self) -> int:
        return self.allowed - self.taken


def require_room(blocking: Blocking, wanted: int) -> str | None:
    """Look whether `wanted` connections, of all workers that are about to start, can be had.

    Returns:
        A warning, where they cannot just now: a process that is being replaced may still hold some.

    Raises:
        StoreUnavailable: they never can, or the store cannot be reached.
    """
    room = read(blocking)
    if wanted > room.allowed:
        raise StoreUnavailable(
            f"The store {blocking.name} allows {room.allowed} connections and this installation's workers want "
            f"{wanted}; raise max_connections, or run fewer workers."
        )
    if wanted > room.free:
        return (
            f"The store {blocking.name} allows {room.allowed} connections, {room.taken} of which are taken, and this "
            f"node's workers want {wanted}; raise max_connections, or run fewer workers or nodes."
        )
    return None


def read(blocking: Blocking) -> Room:
    """What the server's, the role's and the database's limits leave, the narrowest of them."""

    row = blocking.run(lambda connection: connection.fetchrow(_ROOM))
    assert row is not None
    limits = [(row["server"], row["server_taken"])]
    if row["role"] >= 0:
        limits.append((row["role"], row["role_taken"]))
    if row["database"] >= 0:
        limits.append((row["database"], row["database_taken"]))
    allowed, taken = min(limits, key=lambda limit: limit[0] - limit[1])
    return Room(allowed=allowed, taken=taken)


# The connection that asks is not counted: it closes again. A superuser may use what is reserved, and is not to.
# `reserved_connections` is there from Postgres 16 on.
_ROOM: Final = """
    WITH sessions AS (
        SELECT usename, datname FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
    )
    SELECT
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0) AS server,
        (SELECT count(*)::int FROM sessions) AS server_taken,
        (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role,
        (SELECT count(*)::int FROM sessions WHERE usename = current_user) AS role_taken,
        (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database,
        (SELECT count(*)::int FROM sessions WHERE datname = current_database()) AS database_taken
"""
