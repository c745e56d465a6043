"""Limits and budgets through the front door: exact under concurrency, told in the client's dialect, given back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import MODELS, UPSTREAM_KEY, providers
from tests.gateway import Gateway, House, installed
from tests.provider import Provider, wait_until

PRICES = {
    "gpt-4o-2024-08-06": {"input": 1000, "output": 2000},
    "claude-sonnet-4-5": {"input": 1000, "output": 2000},
    "demo": {"input": 0, "output": 0},
}
"""US dollars per million: a tenth of a cent per token in, two out."""
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
COST = Decimal("0.019")
"""Of the test provider's answer: 9 tokens in, 5 out."""
LIMITS = {
    "tags": {"team=red": {"max_parallel": 1}, "app=*": {"rpm": 2}},
    "orgs": {"tiny": {"rpm": 3}},
    "models": {"claude": {"budget": "0.2/day"}},
}


@pytest.fixture(scope="module")
def house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with installed(
        tmp_path_factory.mktemp("limits"),
        env={"UPSTREAM_KEY": UPSTREAM_KEY},
        providers=providers(provider_process),
        models=MODELS,
        prices=PRICES,
        limits=LIMITS,
    ) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(house: House) -> Iterator[Gateway]:
    with house.serve() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(provider: Provider) -> None:
    """Each test has the provider to itself."""


def make_key(house: House, *arguments: str, org: str = "acme", name: str) -> str:
    made = house.run("keys", "create", "--org", org, "--name", name, *arguments, "--json").json
    return str(made["key"])


def ask(gateway: Gateway, key: str, body: dict[str, Any] = CHAT, **headers: str) -> httpx.Response:
    path = "/v1/messages" if body["model"] == "claude" else "/v1/chat/completions"
    return httpx.post(
        gateway.url + path,
        json=body,
        headers={"authorization": f"Bearer {key}", **headers},
        timeout=30,
        trust_env=False,
    )


def until_known(gateway: Gateway, key: str) -> None:
    """A key is known to the server within a second of its making."""
    url = gateway.url + "/v1/models"
    wait_until(
        lambda: httpx.get(url, headers={"x-api-key": key}, trust_env=False, timeout=5).status_code == 200
    )


def test_requests_a_minute_are_exact_and_told(gateway: Gateway, house: House) -> None:
    """Of many at once exactly the limit pass; the others hear scope, limit and when to come back."""
    key = make_key(house, "--rpm", "10", name="rpm")
    until_known(gateway, key)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(gateway, key), range(40)))
    passed = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(passed), len(refused)) == (10, 30)
    error = refused[0].json()["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert "rpm" in error["message"] and "10" in error["message"] and "key" in error["message"]
    assert 1 <= int(refused[0].headers["retry-after"]) <= 61
    for answer in answers:
        assert answer.headers["x-ratelimit-limit-requests"] == "10"
        assert "x-ratelimit-reset-requests" in answer.headers
    assert sorted(int(answer.headers["x-ratelimit-remaining-requests"]) for answer in passed) == list(
        range(10)
    )


def test_a_budget_for_ten_lets_exactly_ten_of_two_hundred_pass(gateway: Gateway, house: House) -> None:
    """What is reserved counts at once, so no number of callers at the same time can spend more than there is."""
    key = make_key(house, "--budget", "1/day", name="budget")
    until_known(gateway, key)
    # What each may cost at most is told by the refusal of the first that does not fit.
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: ask(gateway, key), range(200)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 429}
    assert codes.count(200) * COST <= 1
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "budget_exceeded"
    report = house.run("usage", "report", "--by", "key", "--org", "acme", "--json").json
    spent = {item["key"]: Decimal(item["cost_usd"]) for item in report["items"]}
    assert max(spent.values()) <= 1
    assert COST * codes.count(200) in spent.values()


def test_tokens_a_minute_hold_what_a_call_may_use_and_give_the_rest_back(
    gateway: Gateway, house: House
) -> None:
    """The bound of each call is held while it runs; what it did not use is free when it has ended."""
    key = make_key(house, "--tpm", "300", name="tpm")
    until_known(gateway, key)
    body = {**CHAT, "max_tokens": 150}
    assert [ask(gateway, key, body).status_code for _ in range(4)] == [200] * 4  # 14 tokens used each
    refused = ask(gateway, key, {**CHAT, "max_tokens": 400})
    assert refused.status_code == 429 and "token" in refused.json()["error"]["message"]
    assert refused.headers["x-ratelimit-limit-tokens"] == "300"


def test_calls_at_a_time(gateway: Gateway, house: House, provider: Provider) -> None:
    """A place is taken while a call runs and free at once when it has ended."""
    key = make_key(house, "--max-parallel", "1", name="parallel")
    until_known(gateway, key)
    provider.script("gate")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, gateway, key)
        wait_until(lambda: provider.seen())
        refused = ask(gateway, key)
        provider.release()
        assert first.result().status_code == 200
    assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
    provider.reset()
    assert ask(gateway, key).status_code == 200


def test_an_upstream_that_fails_costs_nothing(gateway: Gateway, house: House, provider: Provider) -> None:
    """Failures release what was reserved: a budget for one call survives any number of them."""
    key = make_key(house, "--budget", "0.1/day", name="failures")
    until_known(gateway, key)
    provider.script("answer", times=0, status=500)
    assert [ask(gateway, key).status_code for _ in range(10)] == [502] * 10
    provider.reset()
    assert ask(gateway, key).status_code == 200


def test_a_keys_tags_count_together_and_a_client_cannot_rename_itself(
    gateway: Gateway, house: House, provider: Provider
) -> None:
    """Two keys of one team share its place; a header does not move a call out of it."""
    one = make_key(house, "--metadata", "team=red", name="red-1")
    two = make_key(house, "--metadata", "team=red", name="red-2")
    until_known(gateway, two)
    provider.script("gate")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, gateway, one)
        wait_until(lambda: provider.seen())
        refused = ask(gateway, two, CHAT, **{"x-llmgw-tags": "team=blue"})
        provider.release()
        assert first.result().status_code == 200
    assert refused.status_code == 429 and "team=red" in refused.json()["error"]["message"]


def test_tags_of_the_header_count_each_value_for_itself(gateway: Gateway, house: House) -> None:
    """`app=*` is a limit of each app."""
    key = make_key(house, name="apps")
    until_known(gateway, key)
    codes = [ask(gateway, key, CHAT, **{"x-llmgw-tags": "app=one"}).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert ask(gateway, key, CHAT, **{"x-llmgw-tags": "app=two"}).status_code == 200
    malformed = ask(gateway, key, CHAT, **{"x-llmgw-tags": "app"})
    assert malformed.status_code == 400 and malformed.json()["error"]["code"] == "invalid_request"


def test_one_organisation_never_uses_up_what_another_has(gateway: Gateway, house: House) -> None:
    """The same tag, name and limit in two organisations are two counters, and neither sees the other's."""
    house.run("orgs", "create", "tiny")
    tiny = make_key(house, org="tiny", name="apps")
    until_known(gateway, tiny)
    codes = [ask(gateway, tiny).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    other = make_key(house, name="apart")
    until_known(gateway, other)
    assert ask(gateway, other, CHAT, **{"x-llmgw-tags": "app=three"}).status_code == 200


def test_a_models_budget_and_the_error_in_anthropics_dialect(gateway: Gateway, house: House) -> None:
    """A budget of a model holds for every key; Anthropic's client hears of it in its own shape."""
    key = make_key(house, name="claude")
    until_known(gateway, key)
    body = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    answers = [ask(gateway, key, body) for _ in range(20)]
    refused = answers[-1]
    assert answers[0].status_code == 200 and refused.status_code == 429
    error = refused.json()["error"]
    assert refused.json()["type"] == "error"
    assert (error["type"], error["code"]) == ("rate_limit_error", "budget_exceeded")
    assert "model" in error["message"] and "0.2" in error["message"]


def test_a_refusal_consumes_nothing(gateway: Gateway, house: House) -> None:
    """A call refused by one limit takes nothing of the others."""
    key = make_key(house, "--rpm", "2", "--tpm", "400", name="both")
    until_known(gateway, key)
    too_many = {**CHAT, "max_tokens": 500}
    assert [ask(gateway, key, too_many).status_code for _ in range(3)] == [429] * 3
    assert [ask(gateway, key).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("value", [-1, 0, 10**30, 1.5, "many", None, True, [5]])
def test_an_absurd_max_tokens_neither_breaks_nor_frees(gateway: Gateway, house: House, value: object) -> None:
    """What cannot be a limit is held as if it were absent; the provider judges the field itself."""
    key = make_key(house, "--budget", "5/day", "--tpm", "100000", name=f"absurd-{value!r}"[:30])
    until_known(gateway, key)
    answer = ask(gateway, key, {**CHAT, "max_tokens": value})
    assert answer.status_code in (200, 400, 429)
    assert answer.status_code == 200 or "error" in answer.json()


def test_limits_survive_a_reload_and_a_restart(tmp_path: Path, provider: Provider) -> None:
    """A raised budget holds at once after SIGHUP, with what was spent; a restart reads it from the ledger."""
    settings: dict[str, Any] = {"providers": providers(provider), "models": MODELS, "prices": PRICES}
    budget = {"limits": {"default_key": {"budget": "0.3/day"}}}
    with installed(tmp_path, env={"UPSTREAM_KEY": UPSTREAM_KEY}, **settings, **budget) as house:
        with house.serve() as gateway:
            codes = [ask(gateway, house.key).status_code for _ in range(30)]
            spent = codes.count(200)
            assert codes[-1] == 429 and spent >= 1
        with house.serve() as gateway:
            assert ask(gateway, house.key).status_code == 429, "a restart forgot what was spent"
            house.configure({"version": 1, **settings, "limits": {"default_key": {"budget": "5/day"}}})
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: ask(gateway, house.key).status_code == 200)


def test_a_key_may_have_a_budget_that_rolls(house: House, gateway: Gateway) -> None:
    """`5/30d` is kept, shown and held like one of the calendar; the refusal says what it is."""
    made = house.run(
        "keys", "create", "--org", "acme", "--name", "rolls", "--budget", "0.1/30d", "--json"
    ).json
    assert made["budget"] == "0.1/30d"
    assert house.run("keys", "show", "rolls", "--org", "acme", "--json").json["budget"] == "0.1/30d"
    until_known(gateway, made["key"])
    codes = [ask(gateway, made["key"]).status_code for _ in range(8)]
    assert codes[0] == 200 and codes[-1] == 429
    changed = house.run("keys", "update", "rolls", "--org", "acme", "--budget", "5/month", "--json").json
    assert changed["budget"] == "5/month"
    wait_until(lambda: ask(gateway, made["key"]).status_code == 200)
