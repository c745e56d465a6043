"""Several nodes are one gateway: what one learns all know, and what is counted is counted once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.gateway import Gateway
from tests.nodes.conftest import CHAT, MODELS, PATIENT, PRICES, Site, ask, providers, ready, sums
from tests.provider import Provider, eventually, wait_until
from tests.provider.steps import Gate, Send

FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}"
SOON_S = 1.5
"""A second, and what a busy machine adds."""


async def burst(gateways: Sequence[Gateway], key: str, each: int) -> Counter[int]:
    """How many calls had which status, of so many at once at each node."""
    async with httpx.AsyncClient(
        timeout=60, trust_env=False, limits=httpx.Limits(max_connections=None)
    ) as client:

        async def one(gateway: Gateway) -> int:
            answer = await client.post(
                gateway.url + "/v1/chat/completions", headers={"authorization": f"Bearer {key}"}, json=CHAT
            )
            return answer.status_code

        return Counter(await asyncio.gather(*(one(gateway) for gateway in gateways for _ in range(each))))


def test_a_key_is_known_everywhere_at_once_and_gone_everywhere_at_once(
    site: Site, provider: Provider
) -> None:
    """Made and revoked by the command line, on every node within a second."""
    with site.serving(3, providers=providers(provider), models=MODELS) as gateways:
        key = site.key("new")
        for gateway in gateways:
            assert ask(gateway, key).status_code == 200
        site.operator.run("keys", "revoke", "--org", "acme", "new")
        for gateway in gateways:
            wait_until(lambda gateway=gateway: ask(gateway, key).status_code == 401, timeout_s=SOON_S)  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.anyio
async def test_limits_and_budgets_are_exact_across_nodes(site: Site, provider: Provider) -> None:
    """Five nodes, two hundred callers each: a hundred requests a minute are a hundred, a budget for fifty calls lets
    fifty pass, counted where they arrive; and the ledger has a row of each."""
    settings = {"providers": providers(provider), "models": MODELS, "prices": PRICES}
    with site.serving(5, **settings) as gateways:
        limited = site.key("limited", "--rpm", "100")
        assert await burst(gateways, limited, 200) == {200: 100, 429: 900}
        assert len(provider.seen()) == 100
        poor = site.key("poor", "--budget", "0.5/day")
        assert await burst(gateways, poor, 200) == {200: 50, 429: 950}
        assert len(provider.seen()) == 150
        await eventually(lambda: len(site.rows()) == 150, timeout_s=10)
        assert len({row["id"] for row in site.rows()}) == 150
        assert sum(row["cost_nano_usd"] for row in site.rows()) == 150 * 10**7


def test_calls_at_a_time_are_counted_over_all_nodes(site: Site, provider: Provider) -> None:
    """One under way at each of two nodes: another is refused at every node until they are over."""
    key = site.key("k", "--max-parallel", "2")
    with (
        site.serving(3, providers=providers(provider), models=MODELS) as gateways,
        ThreadPoolExecutor(2) as pool,
    ):
        provider.script("gate", times=2)
        calls = [pool.submit(ask, gateway, key) for gateway in gateways[:2]]
        wait_until(lambda: len(provider.seen()) == 2)
        assert [ask(gateway, key).status_code for gateway in gateways] == [429, 429, 429]
        provider.release()
        assert {call.result().status_code for call in calls} == {200}
        provider.reset()
        assert [ask(gateway, key).status_code for gateway in gateways] == [200, 200, 200]


@pytest.mark.slow
def test_breakers_are_everybodys(site: Site, provider: Provider) -> None:
    """Fifty failures at five nodes at once open the breaker once; every node knows within a second. After its cooldown
    one call of all nodes is the probe, and its success closes it everywhere."""
    settings = {"providers": providers(provider), "models": MODELS}
    breakers = {"failures": 50, "window": "1m", "cooldown": "6s"}
    key = site.operator.key
    with site.serving(5, **settings, breakers=breakers) as gateways, ThreadPoolExecutor(50) as pool:
        provider.script(times=50, steps=[Gate("all"), Send(FAILED)])
        calls = [pool.submit(ask, gateway, key) for gateway in gateways for _ in range(10)]
        wait_until(lambda: len(provider.seen()) == 50, timeout_s=20)
        provider.release("all")
        assert Counter(call.result().status_code for call in calls) == {502: 50}
        for gateway in gateways:
            wait_until(lambda gateway=gateway: state(gateway) == "open", timeout_s=SOON_S)  # type: ignore[misc]
        assert {ask(gateway, key).status_code for gateway in gateways} == {503}
        assert len(provider.seen()) == 50
        opened = [sums(gateway.metrics(), "llmgw_breaker_opened_total") for gateway in gateways]
        assert opened == [1] * 5  # each tells of it, once
        for gateway in gateways:
            wait_until(lambda gateway=gateway: state(gateway) == "half_open", timeout_s=20)  # type: ignore[misc]
        provider.script("gate")
        calls = [pool.submit(ask, gateway, key) for gateway in gateways for _ in range(10)]
        wait_until(lambda: sum(call.done() for call in calls) == 49, timeout_s=20)
        assert len(provider.seen()) == 51
        provider.release()
        assert Counter(call.result().status_code for call in calls) == {503: 49, 200: 1}
        for gateway in gateways:
            wait_until(lambda gateway=gateway: state(gateway) == "closed", timeout_s=SOON_S)  # type: ignore[misc]


def state(gateway: Gateway) -> str:
    """Of the only breaker."""
    (found,) = ready(gateway)["breakers"].values() or ["closed"]
    return str(found)


def test_panic_is_on_everywhere_within_a_second(site: Site, provider: Provider) -> None:
    """Also at a node that starts later, and off again."""
    key = site.operator.key
    with site.serving(2, providers=providers(provider), models=MODELS) as gateways:
        site.operator.run("panic", "on", "--action", "block", "--reason", "a leaked key")
        for gateway in gateways:
            wait_until(lambda gateway=gateway: ask(gateway, key).status_code == 503, timeout_s=SOON_S)  # type: ignore[misc]
        with site.node(providers=providers(provider), models=MODELS).serve() as late:
            assert ask(late, key).status_code == 503
            site.operator.run("panic", "off")
            for gateway in (*gateways, late):
                wait_until(lambda gateway=gateway: ask(gateway, key).status_code == 200, timeout_s=SOON_S)  # type: ignore[misc]


def test_several_workers_are_one_gateway(site: Site, provider: Provider) -> None:
    """`--workers 2` counts as one, and each call is in the ledger once; readiness and metrics are of all of them."""
    key = site.key("limited", "--rpm", "30")
    house = site.node(providers=providers(provider), models=MODELS, store=PATIENT)
    with house.serve("--workers", "2") as gateway:
        wait_until(lambda: ready(gateway)["status"] == "ready", timeout_s=20)
        statuses = Counter(ask(gateway, key).status_code for _ in range(60))
        assert statuses == {200: 30, 429: 30}
        wait_until(lambda: len(site.rows()) == 30, timeout_s=10)
        wait_until(lambda: sums(gateway.metrics(), "llmgw_requests_total") == 60, timeout_s=10)
    assert len({path.name for path in (house.folder / "llmgw.spool").glob("journal-*")}) == 2


def test_operators_see_how_it_is(site: Site) -> None:
    """`doctor` tells of both stores, and of a Redis that would forget; `migrate` of the schema and its safety."""
    found = {
        check["name"]: check for check in site.operator.run("doctor", "--json", "--offline").json["checks"]
    }
    assert found["store"]["message"].startswith("Postgres at postgresql://")
    assert {
        name: found[name]["state"] for name in ("store", "connections", "redis", "panic")
    } == dict.fromkeys(("store", "connections", "redis", "panic"), "ok")
    with site.redis.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    found = {
        check["name"]: check for check in site.operator.run("doctor", "--json", "--offline").json["checks"]
    }
    assert found["redis"]["state"] == "warning" and "allkeys-lru" in found["redis"]["message"]
    site.redis.kill()
    checks = site.operator.run("doctor", "--json", "--offline", expect=1).json["checks"]
    assert [check["name"] for check in checks if check["state"] == "fault"] == ["redis"]
    assert site.operator.run("migrate", "status", "--json").json["pending"] == []
    assert site.operator.run("migrate", "check", "--json").json == {"ok": True, "faults": []}
    assert site.operator.run("usage", "report", "--json").code == 0
    assert site.operator.run("flags", "list", "--json").code == 0


def test_a_store_that_is_not_there_is_unreachable(site: Site) -> None:
    """Exit code 4 and a sentence, for commands and for a node."""
    site.postgres.kill()
    house = site.node()
    for command in (("keys", "list", "--org", "acme"), ("serve", "--port", "0")):
        done = house.run(*command, expect=4)
        assert "error: The store postgresql:" in done.stderr and "Traceback" not in done.stderr
