"""Routes and policies through the front door: where a call goes, and whether it may."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.e2e.conftest import MODELS, UPSTREAM_KEY, providers
from tests.e2e.test_ledger import rows
from tests.e2e.test_limits import CHAT, COST, PRICES, ask, make_key
from tests.gateway import Gateway, House, installed
from tests.provider import Provider, wait_until

ROUTES = [
    {"name": "classify-cheaply", "when": {"tags": {"feature": "classify"}}, "to": "cheap"},
    {"name": "to-the-forbidden", "when": {"tags": {"feature": "sneak"}}, "to": "claude"},
    {"name": "flagged", "when": {"tags": {"feature": "flagged"}}, "to": "cheap", "flag": "cheap-routing"},
    {"name": "try-it", "when": {"tags": {"feature": "shadow"}}, "to": "cheap", "mode": "shadow"},
    {"name": "tools-elsewhere", "when": {"model": "gpt-4o", "tools": True}, "to": "openai/with-tools"},
    {"name": "long-ones", "when": {"min_input_tokens": 1000}, "to": "openai/long"},
]
POLICIES = [
    {"name": "no-previews", "when": {"model": "*-preview"}, "deny": "preview models are not allowed"},
    {
        "name": "tagged",
        "when": {"org": ["tidy"]},
        "require": {"tags": {"team": "*"}},
        "deny": "say which team",
    },
    {
        "name": "at-home",
        "when": {"model": "mixed"},
        "require": {"providers": ["second"]},
        "deny": "stay at home",
    },
    {"name": "small", "when": {"org": ["loose"]}, "require": {"max_body": "1KiB"}, "deny": "too much"},
    {"name": "frugal", "when": {"model": "claude"}, "require": {"max_cost": "1"}, "deny": "too dear"},
]


@pytest.fixture(scope="module")
def house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    upstreams = providers(provider_process)
    with installed(
        tmp_path_factory.mktemp("routes"),
        env={"UPSTREAM_KEY": UPSTREAM_KEY},
        providers={**upstreams, "second": upstreams["openai"]},
        models={
            **MODELS,
            "cheap": {"targets": ["openai/gpt-4o-mini"]},
            "mixed": {"targets": ["openai/one", "second/two"]},
            "away": {"targets": ["openai/one"]},
        },
        prices=PRICES,
        flags={"cheap-routing": {"default": False}},
        routes=ROUTES,
        policies=POLICIES,
        governance={"mode": "audit", "orgs": {"acme": {"mode": "strict"}, "tidy": {"mode": "strict"}}},
    ) as made:
        for org in ("tidy", "loose"):
            made.run("orgs", "create", org)
        yield made


@pytest.fixture(scope="module")
def gateway(house: House) -> Iterator[Gateway]:
    with house.serve() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(provider: Provider) -> None:
    """Each test has the provider to itself."""


def test_a_route_sends_a_call_elsewhere(house: House, gateway: Gateway, provider: Provider) -> None:
    """The provider sees the other model; the client is told by which route, and so is the ledger."""
    before = len(rows(house))
    answer = ask(gateway, house.key, CHAT, **{"x-llmgw-tags": "feature=classify"})
    assert answer.status_code == 200 and answer.headers["x-llmgw-route"] == "classify-cheaply"
    assert answer.headers["x-llmgw-model"] == "gpt-4o-mini"
    assert provider.last().json()["model"] == "gpt-4o-mini"
    wait_until(lambda: len(rows(house)) == before + 1, timeout_s=15)
    row = rows(house)[-1]
    assert (row["route"], row["model_asked"], row["model"]) == ("classify-cheaply", "gpt-4o", "gpt-4o-mini")


def test_without_a_match_the_model_is_the_one_asked_for(house: House, gateway: Gateway) -> None:
    answer = ask(gateway, house.key)
    assert answer.headers["x-llmgw-model"] == "gpt-4o-2024-08-06" and "x-llmgw-route" not in answer.headers


def test_a_route_in_shadow_changes_nothing(house: House, gateway: Gateway) -> None:
    """The call goes as it was asked; the ledger, the report and the metric say what the route would have made of it."""
    before = len(rows(house))
    answer = ask(gateway, house.key, CHAT, **{"x-llmgw-tags": "feature=shadow"})
    assert answer.headers["x-llmgw-model"] == "gpt-4o-2024-08-06" and "x-llmgw-route" not in answer.headers
    wait_until(lambda: len(rows(house)) == before + 1, timeout_s=15)
    row = rows(house)[-1]
    # 9 tokens in and 5 out; the catalogue has 0.15 and 0.60 dollars a million for gpt-4o-mini.
    assert (row["route"], row["shadow_route"], row["shadow_cost_usd"]) == (None, "try-it", "0.00000435")
    report = house.run("usage", "report", "--by", "shadow_route", "--savings", "--json").json
    (group,) = [item for item in report["items"] if item["shadow_route"] == "try-it"]
    assert (group["requests"], group["shadowed"], group["routed"]) == (1, 1, 0)
    assert Decimal(group["shadow_saved_usd"]) == COST - Decimal("0.00000435")
    assert 'llmgw_routed_total{mode="shadow",route="try-it"} 1.0' in gateway.metrics()


def test_a_route_whose_flag_is_off_is_passed_over(house: House, gateway: Gateway) -> None:
    answer = ask(gateway, house.key, CHAT, **{"x-llmgw-tags": "feature=flagged"})
    assert answer.headers["x-llmgw-model"] == "gpt-4o-2024-08-06"


def test_what_a_request_holds_decides(house: House, gateway: Gateway, provider: Provider) -> None:
    """Tools, and the length of the input."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assert ask(gateway, house.key, {**CHAT, "tools": [tool]}).headers["x-llmgw-model"] == "with-tools"
    long = {**CHAT, "messages": [{"role": "user", "content": "word " * 2000}]}
    assert ask(gateway, house.key, long).headers["x-llmgw-model"] == "long"


def test_routing_is_no_way_around_access(house: House, gateway: Gateway) -> None:
    """A key that may not use the model of a route is not taken there."""
    key = make_key(house, "--model", "gpt-4o", name="narrow")
    answer = ask(gateway, key, CHAT, **{"x-llmgw-tags": "feature=sneak"})
    assert answer.status_code == 200 and answer.headers["x-llmgw-model"] == "gpt-4o-2024-08-06"


def test_a_policy_refuses_with_its_reason(house: House, gateway: Gateway, provider: Provider) -> None:
    """403, before anybody is asked; an alias or a provider's own name is no way around it."""
    answer = ask(gateway, house.key, {**CHAT, "model": "openai/gpt-5-preview"})
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("policy_denied", "preview models are not allowed")
    assert provider.seen() == []


def test_a_policy_may_ask_for_tags(house: House, gateway: Gateway) -> None:
    key = make_key(house, org="tidy", name="untagged")
    assert ask(gateway, key).status_code == 403
    assert ask(gateway, key, CHAT, **{"x-llmgw-tags": "team=red"}).status_code == 200


def test_a_policy_on_providers_leaves_the_others(house: House, gateway: Gateway) -> None:
    """Of a pool, the targets that the policy allows are used."""
    answer = ask(gateway, house.key, {**CHAT, "model": "mixed"})
    assert answer.status_code == 200 and answer.headers["x-llmgw-provider"] == "second"


def test_a_policy_on_the_price_of_a_call(house: House, gateway: Gateway) -> None:
    """By the most that it can cost."""
    body = {"model": "claude", "messages": CHAT["messages"], "max_tokens": 5}
    assert ask(gateway, house.key, body).status_code == 200
    answer = ask(gateway, house.key, {**body, "max_tokens": 1000})
    assert answer.status_code == 403 and answer.json()["error"]["message"] == "too dear"


def test_in_audit_a_violation_passes_and_is_told(house: House, gateway: Gateway) -> None:
    key = make_key(house, org="loose", name="large")
    body = {**CHAT, "messages": [{"role": "user", "content": "x" * 2000}]}
    answer = ask(gateway, key, body)
    assert answer.status_code == 200 and answer.headers["x-llmgw-policies"] == "small"
    wait_until(lambda: any(row["policies"] == ["small"] for row in rows(house)), timeout_s=15)
    assert 'llmgw_policy_violations_total{outcome="allowed",policy="small"} 1.0' in gateway.metrics()
    assert "x-llmgw-policies" not in ask(gateway, key).headers
