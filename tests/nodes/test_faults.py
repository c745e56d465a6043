"""What is promised while a store fails: whoever is known is served, at once; what is wrong is told; nothing is lost."""

from __future__ import annotations

from statistics import median
from time import monotonic
from typing import Final

import httpx
import pytest

from tests.gateway import Gateway
from tests.nodes.conftest import CHAT, MODELS, PRICES, Site, providers, ready
from tests.nodes.faults import POSTGRES, REDIS, Fault
from tests.provider import Provider, wait_until

pytestmark = pytest.mark.slow

DEADLINES_S: Final = 0.05 + 0.25
BUSY_S: Final = 1.0
"""What a busy machine adds to a deadline."""
LASTS_S: Final = 2.0


@pytest.mark.parametrize("fault", REDIS)
def test_without_redis_calls_go_on(site: Site, provider: Provider, fault: str) -> None:
    """Limits are each node's share meanwhile, and that is said."""
    goes_on(site, provider, REDIS[fault], "limits")


@pytest.mark.parametrize("fault", POSTGRES)
def test_without_postgres_calls_go_on(site: Site, provider: Provider, fault: str) -> None:
    """Keys are those that are known; rows wait in the journal of the node."""
    goes_on(site, provider, POSTGRES[fault], "ledger")


def goes_on(site: Site, provider: Provider, fault: Fault, degraded: str) -> None:
    key = site.key("limited", "--rpm", "100000", "--budget", "10000/day")
    breaks, heals = fault
    settings = {"providers": providers(provider), "models": MODELS, "prices": PRICES}
    with (
        site.serving(1, **settings, store={}) as (gateway,),
        httpx.Client(trust_env=False, timeout=20) as client,
    ):
        wait_until(lambda: call(client, gateway, key).status_code == 200)
        assert "x-llmgw-degraded" not in call(client, gateway, key).headers
        breaks(site)
        answers = calls(client, gateway, key, LASTS_S)
        assert {answer.status_code for answer in answers} == {200}
        assert max(answer.elapsed.total_seconds() for answer in answers) < DEADLINES_S + BUSY_S
        # Once it is known that the store is away nobody waits for it.
        later = [float(answer.headers["x-llmgw-overhead-ms"]) for answer in answers[len(answers) // 2 :]]
        assert median(later) < 10
        told = wait_until(
            lambda: [
                answer
                for answer in calls(client, gateway, key, 0.2)
                if degraded in answer.headers.get("x-llmgw-degraded", "")
            ],
            timeout_s=20,
        )
        assert {answer.status_code for answer in told} == {200}
        assert ready(gateway)["status"] == "degraded"
        assert client.get(gateway.url + "/health/liveness").status_code == 200
        heals(site)
        wait_until(lambda: "x-llmgw-degraded" not in call(client, gateway, key).headers, timeout_s=30)
        wait_until(lambda: ready(gateway)["status"] == "ready", timeout_s=10)
        wait_until(lambda: len(site.rows()) >= len(provider.seen()), timeout_s=20)
        rows = site.rows()
        assert len(rows) == len({row["id"] for row in rows}) == len(provider.seen())
        assert sum(row["cost_nano_usd"] for row in rows) == len(rows) * 10**7
        defects = [line for line in gateway.log() if line["event"] == "log" and "traceback" in line]
        assert not defects


def call(client: httpx.Client, gateway: Gateway, key: str) -> httpx.Response:
    return client.post(
        gateway.url + "/v1/chat/completions", headers={"authorization": f"Bearer {key}"}, json=CHAT
    )


def calls(client: httpx.Client, gateway: Gateway, key: str, lasts_s: float) -> list[httpx.Response]:
    """One after the other for so long."""
    answers, until = [], monotonic() + lasts_s
    while monotonic() < until:
        answers.append(call(client, gateway, key))
    return answers
