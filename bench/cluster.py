"""What a shared store costs a call: a node on Redis and Postgres against one process on SQLite.

`python -m bench.cluster` prints throughput, the gateway's CPU per call and latencies at 200 requests/s of both, with
three limits and a budget on the key. Redis, Postgres and the load share the other core, so the gateway's CPU says more
than its throughput does on a machine of two cores.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import yaml

from bench import clients, servers
from bench.__main__ import machine, wrk
from bench.clients import Address
from bench.servers import LOAD_CORE, Process
from tests.servers import Postgres, Redis

RATE: Final = 200
ROUNDS: Final = 5
SECONDS: Final = 4
LIMITS: Final = {
    "default_key": {"rpm": 10**9, "tpm": 10**12, "max_parallel": 10**5, "budget": "100000000/month"}
}


def main() -> None:
    """Run it and print it."""
    os.sched_setaffinity(0, {LOAD_CORE})
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmgw-bench-")))
        provider = stack.enter_context(servers.plain_provider(folder))
        postgres, redis = stack.enter_context(Postgres.running()), stack.enter_context(Redis.running())
        stores = {
            "standalone": {"url": "sqlite:///llmgw.db"},
            "cluster": {"url": postgres.url(postgres.database()), "redis_url": redis.url},
        }
        tested = [
            stack.enter_context(_gateway(folder, name, provider.port, store))
            for name, store in stores.items()
        ]
        print(json.dumps({"machine": machine(), **_measure(folder, tested)}, indent=2))


def _measure(folder: Path, tested: list[Process]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, list[float]]] = {process.name: {} for process in tested}
    for _ in range(ROUNDS):
        for process in tested:
            lines = found[process.name]
            before = process.cpu_s()
            requests, rate = wrk(folder, process, SECONDS)
            lines.setdefault("rps", []).append(rate)
            lines.setdefault("cpu_us_per_call", []).append((process.cpu_s() - before) / requests * 1e6)
            waits = clients.latencies(Address(process.port, process.request()), RATE, SECONDS)
            lines.setdefault(f"p50_ms_at_{RATE}", []).append(waits[len(waits) // 2] * 1000)
            lines.setdefault(f"p99_ms_at_{RATE}", []).append(waits[int(len(waits) * 0.99)] * 1000)
    return {
        name: {what: round(median(values), 3) for what, values in lines.items()}
        for name, lines in found.items()
    }


@contextlib.contextmanager
def _gateway(folder: Path, name: str, upstream: int, store: dict[str, str]) -> Iterator[Process]:
    own = folder / name
    own.mkdir()
    settings: dict[str, Any] = {
        "version": 1,
        "store": store,
        "providers": {
            "openai": {
                "dialect": "openai",
                "base_url": f"http://127.0.0.1:{upstream}/v1",
                "api_key": "sk-bench",
                "allow_private": True,
            }
        },
        "models": {"gpt-4o": {"targets": ["openai/gpt-4o-2024-08-06"]}},
        "limits": LIMITS,
    }
    (own / "llmgw.yaml").write_text(yaml.safe_dump(settings))
    with servers.serving(own, name) as process:
        yield process


if __name__ == "__main__":
    main()
