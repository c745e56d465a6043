"""Pools through the front door: by what their targets are chosen, and where conversations stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.conftest import ONCE, UPSTREAM_KEY, providers
from tests.e2e.test_limits import CHAT, ask, make_key
from tests.gateway import Gateway, House, installed
from tests.provider import Provider

SAME = ["one/gpt-4o", "two/gpt-4o-2024-08-06"]


@pytest.fixture(scope="module")
def house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    upstream = providers(provider_process)["openai"]
    slow = {**upstream, "base_url": provider_process.base_url("slow-first-byte", delay_s=0.3) + "/v1"}
    limited = {**upstream, "base_url": provider_process.base_url("answer", status=429) + "/v1"}
    with installed(
        tmp_path_factory.mktemp("pools"),
        env={"UPSTREAM_KEY": UPSTREAM_KEY},
        providers={"one": upstream, "two": upstream, "slow": slow, "waits": slow, "limited": limited},
        models={
            "weighted": {
                "targets": [{"use": "one/a", "weight": 3}, {"use": "two/b", "weight": 1}],
                "strategy": "weighted",
            },
            "cheapest": {"targets": ["one/dear", "two/cheap", "one/unpriced"], "strategy": "cheapest"},
            "fastest": {"targets": ["slow/a", "two/b"], "strategy": "fastest"},
            "refusing": {"targets": ["limited/m", "two/quick"], "strategy": "fastest", **ONCE},
            "least-busy": {"targets": ["waits/a", "slow/b"], "strategy": "least_busy"},
            "same": {"targets": SAME, "strategy": "weighted", **ONCE},
            "same-unpinned": {"targets": SAME, "strategy": "weighted", "affinity": "off"},
            "pinned": {"targets": ["one/x", "two/y"], "strategy": "weighted", "affinity": "on"},
        },
        prices={"dear": {"input": 10, "output": 10}, "cheap": {"input": 1, "output": 1}},
    ) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(house: House) -> Iterator[Gateway]:
    with house.serve() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(provider: Provider) -> None:
    """Each test has the provider to itself."""


def body(model: str, text: str = "hi") -> dict[str, Any]:
    return {**CHAT, "model": model, "messages": [{"role": "user", "content": text}]}


def served(gateway: Gateway, key: str, asked: dict[str, Any], **headers: str) -> str:
    answer = ask(gateway, key, asked, **headers)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-llmgw-provider"])


def test_weights_share_the_calls(house: House, gateway: Gateway) -> None:
    """Three to one; with 200 calls, less than 1.5 to one is out of all probability."""
    found = Counter(served(gateway, house.key, body("weighted")) for _ in range(200))
    assert found["one"] > 1.5 * found["two"] > 0


def test_the_cheapest_target_is_asked(house: House, gateway: Gateway, provider: Provider) -> None:
    """By today's prices; the dearer one only when that fails, and what has no price last."""
    assert served(gateway, house.key, body("cheapest")) == "two"
    provider.script("answer", status=500, times=2)
    answer = ask(gateway, house.key, body("cheapest"))
    assert answer.headers["x-llmgw-model"] == "dear"


def test_the_fastest_target_is_found(house: House, gateway: Gateway) -> None:
    """Both are tried, then the quick one has the calls."""
    for _ in range(2):
        served(gateway, house.key, body("fastest"))
    found = [served(gateway, house.key, body("fastest")) for _ in range(5)]
    assert found == ["two"] * 5


def test_a_target_that_refuses_is_not_fast(house: House, gateway: Gateway) -> None:
    """It is tried, refuses at once, and is then left for the one that answers."""
    found = [ask(gateway, house.key, body("refusing")).headers["x-llmgw-attempts"] for _ in range(6)]
    assert found == ["2", "1", "1", "1", "1", "1"]


def test_busy_targets_are_spared(house: House, gateway: Gateway) -> None:
    """Of eight calls at once each target has its half."""
    with ThreadPoolExecutor(8) as clients:
        found = Counter(clients.map(lambda _: served(gateway, house.key, body("least-busy")), range(8)))
    assert found == {"waits": 4, "slow": 4}


def test_a_conversation_stays_with_its_target(house: House, gateway: Gateway) -> None:
    """Known by how it begins, or by its client's header; many conversations use both targets."""
    homes = set()
    for n in range(12):
        first = body("same", f"question {n}")
        home = served(gateway, house.key, first)
        turns = [*first["messages"], {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
        assert {served(gateway, house.key, {**first, "messages": turns}) for _ in range(4)} == {home}
        homes.add(home)
    assert homes == {"one", "two"}
    for name in ("x-llmgw-session", "x-claude-code-session-id"):
        found = {served(gateway, house.key, body("same", f"{n}"), **{name: "s-1"}) for n in range(8)}
        assert len(found) == 1


def test_a_conversation_that_failed_over_stays_where_it_is(
    house: House, gateway: Gateway, provider: Provider
) -> None:
    """It is pinned to the target that served it last."""
    asked = body("same", "a conversation that moves")
    home = served(gateway, house.key, asked)
    provider.script("answer", status=500)
    moved = served(gateway, house.key, asked)
    assert moved != home
    assert {served(gateway, house.key, asked) for _ in range(6)} == {moved}


def test_sessions_of_different_keys_are_different(house: House, gateway: Gateway) -> None:
    """Nobody moves another key's calls: with enough keys the same session is at both targets."""
    keys = [make_key(house, name=f"key-{n}") for n in range(8)]
    found = {served(gateway, key, body("same"), **{"x-llmgw-session": "shared"}) for key in keys}
    assert found == {"one", "two"}


def test_only_pools_of_one_model_are_sticky_by_themselves(house: House, gateway: Gateway) -> None:
    """Different models keep to their strategy, unless told otherwise; and the same model does if told so."""
    for model, count in (("weighted", 2), ("same-unpinned", 2), ("pinned", 1)):
        found = {served(gateway, house.key, body(model, "one question")) for _ in range(40)}
        assert len(found) == count, model
