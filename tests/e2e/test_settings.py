"""Settings that change where a call goes: each is seen to act."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import MODELS, UPSTREAM_KEY, providers
from tests.gateway import Gateway, House, installed
from tests.provider import Provider, canned


def ask(gateway: Gateway, house: House, model: str, **body: Any) -> httpx.Response:
    return httpx.post(
        gateway.url + "/v1/chat/completions",
        headers=house.auth,
        json={"model": model, "messages": [], **body},
        timeout=20,
        trust_env=False,
    )


@pytest.mark.parametrize("stream", [False, True])
def test_the_httpx_transport_serves_the_same(stream: bool, provider: Provider, tmp_path: Path) -> None:
    """`transport: httpx` answers byte for byte as our own client does, and breaks as honestly."""
    made = providers(provider)
    made["openai"]["transport"] = "httpx"
    with (
        installed(tmp_path, env={"UPSTREAM_KEY": UPSTREAM_KEY}, providers=made, models=MODELS) as house,
        house.serve() as gateway,
    ):
        response = ask(gateway, house, "gpt-4o", stream=stream)
        sent = {"model": "gpt-4o-2024-08-06", "messages": [], "stream": stream}
        assert response.content == canned.answer("/v1/chat/completions", sent).body
        assert provider.last().header("authorization") == f"Bearer {UPSTREAM_KEY}".encode()
        provider.script("cut-mid-event-fin")
        broken = ask(gateway, house, "gpt-4o", stream=stream)
        assert (broken.status_code == 200) == stream
        assert b"upstream_error" in broken.content and b"[DONE]" not in broken.content


def test_private_addresses_are_refused_unless_allowed(provider: Provider, own_house: House) -> None:
    """Without `allow_private` a provider on this machine is refused when the file is read."""
    made = {"local": {"dialect": "openai", "base_url": f"{provider.url}/v1", "api_key": "${UPSTREAM_KEY}"}}
    own_house.configure({"version": 1, "providers": made})
    assert "allow_private" in own_house.run("config", "validate", expect=3).stdout
    assert "allow_private" in own_house.run("serve", expect=3).stderr


def test_models_only_leaves_the_names(tmp_path: Path) -> None:
    """`provider/model` is unknown then, and the configured names still work."""
    with (
        installed(
            tmp_path,
            providers={"sim": {"dialect": "simulator"}},
            models={"m": {"targets": ["sim/x"]}},
            models_only=True,
        ) as house,
        house.serve() as gateway,
    ):
        assert ask(gateway, house, "m", messages=[{"role": "user", "content": "hi"}]).status_code == 200
        assert ask(gateway, house, "sim/x").status_code == 404


def test_the_simulator_fails_as_often_as_it_is_told(tmp_path: Path) -> None:
    """`error_rate: 1` fails every call; `cut_rate: 1` cuts every stream."""
    made = {
        "failing": {"dialect": "simulator", "simulator": {"error_rate": 1, "error_status": 503}},
        "cutting": {"dialect": "simulator", "simulator": {"cut_rate": 1}},
    }
    with installed(tmp_path, providers=made) as house, house.serve() as gateway:
        body = [{"role": "user", "content": "hi"}]
        assert ask(gateway, house, "failing/x", messages=body).status_code == 502
        cut = ask(gateway, house, "cutting/x", messages=body, stream=True)
        assert cut.status_code == 200 and b"upstream_error" in cut.content and b"[DONE]" not in cut.content


def test_the_metrics_count_what_happened(provider: Provider, own_house: House) -> None:
    """Each call is counted once, under its provider, model and status; times go into histograms."""
    with own_house.serve() as gateway:
        for _ in range(3):
            assert ask(gateway, own_house, "gpt-4o").status_code == 200
        ask(gateway, own_house, "nope")
        provider.script("answer", status=500)
        ask(gateway, own_house, "gpt-4o")
        text = gateway.metrics()
    samples = dict(re.findall(r"^(llmgw_\S+) (\S+)$", text, re.MULTILINE))

    def one(name: str, *labels: str) -> float:
        return sum(
            float(v) for k, v in samples.items() if k.startswith(name) and all(label in k for label in labels)
        )

    served = ('provider="openai"', 'model="gpt-4o-2024-08-06"')
    assert one("llmgw_requests_total", *served, 'status="200"') == 3
    assert one("llmgw_requests_total", *served, 'status="502"') == 1
    assert one("llmgw_requests_total", 'status="404"') == 1
    assert one("llmgw_upstream_errors_total", 'code="upstream_error"') == 1
    assert one("llmgw_overhead_seconds_count") == 5
    assert one("llmgw_time_to_first_token_seconds_count") == 3
    assert one("llmgw_requests_in_flight") == 0
