"""`llmgw route explain`: the decision without sending anything, and the same that traffic gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import MODELS, UPSTREAM_KEY, providers
from tests.e2e.test_limits import CHAT, PRICES, ask
from tests.e2e.test_routes import POLICIES, ROUTES
from tests.gateway import House, installed
from tests.provider import Provider


@pytest.fixture(scope="module")
def house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    upstreams = providers(provider_process)
    with installed(
        tmp_path_factory.mktemp("explain"),
        env={"UPSTREAM_KEY": UPSTREAM_KEY},
        providers={**upstreams, "second": upstreams["openai"]},
        models={
            **MODELS,
            "cheap": {"targets": ["openai/gpt-4o-mini"]},
            "mixed": {"targets": ["openai/one", "second/two"]},
            "by-price": {"targets": ["openai/gpt-4o", "openai/gpt-4o-mini"], "strategy": "cheapest"},
            "translated": {"targets": ["anthropic/claude-sonnet-4-5", "openai/gpt-4o"]},
        },
        prices=PRICES,
        flags={"cheap-routing": {"default": False}},
        routes=ROUTES,
        policies=POLICIES,
    ) as made:
        yield made


CASES: list[tuple[dict[str, Any], str | None]] = [
    (CHAT, None),
    (CHAT, "feature=classify"),
    (CHAT, "feature=shadow"),
    (CHAT, "feature=flagged"),
    ({**CHAT, "model": "mixed"}, None),
    ({**CHAT, "model": "by-price"}, None),
    ({**CHAT, "model": "translated", "logprobs": True}, None),
    ({**CHAT, "model": "openai/anything"}, None),
    ({**CHAT, "messages": [{"role": "user", "content": "word " * 2000}]}, None),
]


def explain(house: House, body: dict[str, Any], *arguments: str) -> dict[str, Any]:
    (house.folder / "request.json").write_text(json.dumps(body))
    found: dict[str, Any] = house.run("route", "explain", "--file", "request.json", "--json", *arguments).json
    return found


def test_calls_go_where_it_says(house: House, provider: Provider) -> None:
    """For each request the target of rank 1 is the one that answers, by the route that it names."""
    with house.serve() as gateway:
        for body, tags in CASES:
            found = explain(house, body, *(["--tag", tags] if tags else []))
            first = next(one for one in found["candidates"] if one["rank"] == 1)
            answer = ask(gateway, house.key, body, **({"x-llmgw-tags": tags} if tags else {}))
            served = f"{answer.headers['x-llmgw-provider']}/{answer.headers['x-llmgw-model']}"
            assert (first["target"], found["route"]) == (served, answer.headers.get("x-llmgw-route")), body


def test_it_sends_nothing_and_says_why(house: House, provider: Provider) -> None:
    """Each route with what came of it, each target with what put it there or dropped it."""
    found = explain(house, {**CHAT, "model": "mixed"})
    assert provider.seen() == []
    assert {route["name"]: route["outcome"] for route in found["routes"]}["classify-cheaply"] == "no_match"
    assert all(route["why"] for route in found["routes"] if route["outcome"] == "no_match")
    dropped, kept = found["candidates"][1], found["candidates"][0]
    assert (dropped["target"], dropped["rank"], dropped["why"]) == (
        "openai/one",
        None,
        "policy: stay at home",
    )
    assert (kept["target"], kept["rank"]) == ("second/two", 1)
    costs = [one["likely_cost_usd"] for one in explain(house, {**CHAT, "model": "by-price"})["candidates"]]
    assert float(costs[0]) < float(costs[1])
    found = explain(house, {**CHAT, "model": "translated", "logprobs": True})
    assert "logprobs" in next(one["why"] for one in found["candidates"] if one["rank"] is None)
    shadow = explain(house, CHAT, "--tag", "feature=shadow")
    assert (shadow["route"], shadow["shadow_route"]) == (None, "try-it")


def test_a_refusal_is_told(house: House) -> None:
    """What the client would be told, and by which policy."""
    found = explain(house, {**CHAT, "model": "openai/gpt-5-preview"})
    assert found["refused"] == "403 policy_denied: preview models are not allowed"
    assert found["policies"] == ["no-previews"]
    assert all(one["rank"] is None for one in found["candidates"])


def test_panic_shows(house: House) -> None:
    house.run("panic", "on", "--action", "passthrough", "--reason", "r")
    found = explain(house, CHAT, "--tag", "feature=classify")
    house.run("panic", "off")
    assert found["panic"] == ["passthrough all: r"] and found["route"] is None


def test_people_read_a_tree(house: House) -> None:
    """Without a file, of a short request; a key's own rights count."""
    text = house.run("route", "explain", "--model", "by-price").stdout
    assert "pool by-price (cheapest" in text and "1. openai/gpt-4o-mini" in text
    house.run("keys", "create", "--org", "acme", "--name", "narrow", "--model", "gpt-4o")
    found = explain(house, CHAT, "--org", "acme", "--key", "narrow", "--tag", "feature=sneak")
    assert {route["name"]: route["outcome"] for route in found["routes"]}["to-the-forbidden"] == "not_usable"


def test_what_cannot_be_explained(house: House) -> None:
    """No model, no such model, no JSON: one sentence, exit code 2."""
    assert "--model" in house.run("route", "explain", expect=2).stderr
    assert "does not exist" in house.run("route", "explain", "--model", "nope", expect=2).stderr
    (house.folder / "bad.json").write_text("{")
    assert house.run("route", "explain", "--file", "bad.json", "--model", "m", expect=2).stderr
    assert "cannot be read" in house.run("route", "explain", "--file", "none.json", expect=2).stderr
