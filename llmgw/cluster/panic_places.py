"""Where the state of panic is kept beside the file of each machine: in Redis and in Postgres.

Each takes a state only where it has none that is newer, in one step, and tells everybody who listens.
"""

from __future__ import annotations

from typing import Final

from llmgw.cluster.lines import Script
from llmgw.cluster.postgres import Connection
from llmgw.cluster.texts import from_store, to_store
from llmgw.stock.panic import State, decode, encode

CHANNEL: Final = "llmgw:panic"
POSTGRES_CHANNEL: Final = "llmgw_panic"

KEY: Final = "llmgw:{panic}:state"
PUT: Final = Script("""
    local known = tonumber(redis.call('HGET', KEYS[1], 'number') or '0')
    local number = tonumber(ARGV[1])
    if known > number or (known == number and ARGV[3] == 'above') then return 0 end
    redis.call('HSET', KEYS[1], 'number', ARGV[1], 'document', ARGV[2])
    redis.call('PUBLISH', ARGV[4], ARGV[1])
    return 1
""")
READ: Final = Script("return redis.call('HGET', KEYS[1], 'document')")

_READ: Final = "SELECT document FROM panic"
_PUT: Final = """
    WITH taken AS (
        INSERT INTO panic (id, number, document) VALUES (1, $1, $2)
        ON CONFLICT (id) DO UPDATE SET number = $1, document = $2 WHERE panic.number {below} $1
        RETURNING number
    )
    SELECT pg_notify('llmgw_panic', number::text) FROM taken
"""
_PUT_ABOVE: Final = _PUT.format(below="<")
_PUT_LEVEL: Final = _PUT.format(below="<=")
_NOTE: Final = """
    INSERT INTO panic_changes ("time", number, actor, did, scope, reason)
    VALUES (extract(epoch FROM clock_timestamp()), $1, $2, $3, $4, $5)
"""


def arguments(state: State, *, above: bool) -> list[bytes | int | str]:
    """Of `PUT`. `above`: only where what is there is older, and not where it is of the same number."""
    return [state.number, encode(state), "above" if above else "level", CHANNEL]


def of_redis(answer: bytes | None) -> State:
    """What `READ` has answered; ValueError where somebody else has written there."""
    return State() if answer is None else decode(answer)


async def read(connection: Connection) -> State:
    """What Postgres has; ValueError where somebody else has written there."""
    document = await connection.fetchval(_READ)
    return State() if document is None else decode(from_store(document).encode())


async def put(connection: Connection, state: State, *, above: bool) -> bool:
    """Whether Postgres took it; `above` as in `arguments`."""
    document = to_store(encode(state).decode())
    return bool(await connection.fetch(_PUT_ABOVE if above else _PUT_LEVEL, state.number, document))


async def note(connection: Connection, number: int, *, did: str, scope: str, actor: str, reason: str) -> None:
    """Who made that state."""
    await connection.execute(_NOTE, number, *(to_store(text) for text in (actor, did, scope, reason)))
