"""Several gateways of one installation, each a process of its own, on real Redis and Postgres behind relays."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from llmgw.cluster import migrations
from llmgw.cluster.blocking import Blocking
from tests.gateway import UNFELT, Gateway, House
from tests.provider import Provider, wait_until
from tests.servers import Postgres, Redis, Relay

UPSTREAM_KEY: Final = "sk-upstream-5e9d1c7a40f2"


def migrated(url: str) -> None:
    """Bring an empty database up to date."""
    with Blocking(url) as store:
        migrations.up(store)


@dataclass
class Site:
    """The installation. Nodes reach their stores through `redis_line` and `postgres_line`, operators directly."""

    folder: Path
    postgres: Postgres
    redis: Redis
    database: str
    postgres_line: Relay
    redis_line: Relay
    operator: House
    houses: list[House] = field(default_factory=list)

    def settings(
        self, *, direct: bool, store: Mapping[str, Any] | None = None, **sections: Any
    ) -> dict[str, Any]:
        redis_port = self.redis.port if direct else self.redis_line.port
        own = {
            "url": self.postgres.url(self.database, None if direct else self.postgres_line.port),
            "redis_url": f"redis://127.0.0.1:{redis_port}/0",
        }
        return {
            "version": 1,
            "server": {"drain": "5s"},
            "breakers": UNFELT,
            "kms": {"provider": "local", "keyring": str(self.folder / "llmgw.keyring")},
            "store": {**own, **(store or {})},
            **sections,
        }

    def node(self, **sections: Any) -> House:
        """The folder of another machine, whose gateway is not started yet."""
        folder = self.folder / f"node-{len(self.houses)}"
        folder.mkdir()
        house = House(folder, self.operator.key, dict(self.operator.env))
        house.configure(self.settings(direct=False, **sections))
        self.houses.append(house)
        return house

    def key(self, name: str, *arguments: str) -> str:
        """A new key of acme."""
        return str(
            self.operator.run("keys", "create", "--org", "acme", "--name", name, *arguments, "--json").json[
                "key"
            ]
        )

    def rows(self) -> list[dict[str, Any]]:
        """Every row of the ledger."""
        return [
            dict(row) for row in self.postgres.execute("SELECT * FROM ledger ORDER BY number", self.database)
        ]

    @contextlib.contextmanager
    def serving(self, count: int, *arguments: str, **sections: Any) -> Iterator[list[Gateway]]:
        """So many nodes, all of which know every store and the first key."""
        sections = {"store": PATIENT, **sections}
        with contextlib.ExitStack() as running:
            gateways = [running.enter_context(self.node(**sections).serve(*arguments)) for _ in range(count)]
            for gateway in gateways:
                wait_until(lambda gateway=gateway: ready(gateway)["status"] == "ready", timeout_s=20)  # type: ignore[misc]
                wait_until(lambda gateway=gateway: knows(gateway, self.operator.key), timeout_s=20)  # type: ignore[misc]
            self._met(count)
            yield gateways

    def _met(self, count: int) -> None:
        """Every node knows of all, by its next word to Redis after the last one's first."""
        with self.redis.client() as client:

            def words() -> list[int]:
                found: Any = client.zrange("llmgw:{nodes}:meter", 0, -1, withscores=True)
                return [int(when) for _, when in found]

            wait_until(lambda: len(words()) == count)
            last = max(words())
            wait_until(lambda: min(words()) > last)


def ready(gateway: Gateway) -> dict[str, Any]:
    """What readiness tells."""
    body: dict[str, Any] = httpx.get(gateway.url + "/health/readiness", timeout=10, trust_env=False).json()
    return body


CHAT: Final[dict[str, Any]] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 5,
}
PATIENT: Final = {"redis_timeout": "5s", "postgres_timeout": "5s"}
"""Deadlines of tests that ask for what is exact on a machine that is busier than any gateway's."""
PRICES: Final = {"gpt-4o-2024-08-06": {"input": 0, "output": 2000}}
"""US dollars per million: the call above costs a cent, and holds no more than that before."""


def ask(gateway: Gateway, key: str, **headers: str) -> httpx.Response:
    return httpx.post(
        gateway.url + "/v1/chat/completions",
        headers={"authorization": f"Bearer {key}", **headers},
        json=CHAT,
        timeout=20,
        trust_env=False,
    )


def knows(gateway: Gateway, key: str) -> bool:
    """Whether the gateway can tell whose key it is, without a call to anybody."""
    answer = httpx.get(
        gateway.url + "/v1/models", headers={"authorization": f"Bearer {key}"}, timeout=20, trust_env=False
    )
    return answer.status_code == 200


def sums(metrics: str, name: str) -> float:
    """All series of a counter."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith((name + " ", name + "{"))
    )


def providers(provider: Provider) -> dict[str, Any]:
    return {
        "openai": {
            "dialect": "openai",
            "base_url": provider.url + "/v1",
            "api_key": UPSTREAM_KEY,
            "allow_private": True,
        }
    }


MODELS: Final[dict[str, Any]] = {
    "gpt-4o": {"targets": ["openai/gpt-4o-2024-08-06"], "retries": {"attempts": 1}}
}


@pytest.fixture
def site(provider: Provider, postgres: Postgres, redis: Redis, tmp_path: Path) -> Iterator[Site]:
    """An installation with an organisation and a key, and no node yet."""
    database = postgres.database(migrated)
    with Relay(postgres.address) as postgres_line, Relay(redis.address) as redis_line:
        operator = House(tmp_path / "operator")
        operator.folder.mkdir()
        made = Site(tmp_path, postgres, redis, database, postgres_line, redis_line, operator)
        operator.configure(made.settings(direct=True, providers=providers(provider), models=MODELS))
        operator.run("init", "--org", "acme", "--json")
        operator.key = made.key("test")
        yield made
        shutil.rmtree(tmp_path / "operator", ignore_errors=True)
