"""Breakers under real concurrency, through the front door, and what `llmgw doctor` tells of them."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from tests.e2e.conftest import ONCE, UPSTREAM_KEY, providers
from tests.gateway import Gateway, House, installed
from tests.provider import Provider, closed_port, wait_until
from tests.provider.steps import Fin, Gate, Send

CALLERS: Final = 50
TARGET: Final = "openai/m"
FAILED: Final = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}"


def house_with(folder: Path, provider: Provider, **breakers: Any) -> Any:
    return installed(
        folder,
        env={"UPSTREAM_KEY": UPSTREAM_KEY},
        providers=providers(provider),
        models={"m": {"targets": [TARGET], **ONCE}},
        breakers=breakers,
    )


def ask(gateway: Gateway, house: House, **fields: Any) -> int:
    return httpx.post(
        gateway.url + "/v1/chat/completions",
        json={"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields},
        headers=house.auth,
        timeout=30,
        trust_env=False,
    ).status_code


def burst(pool: ThreadPoolExecutor, gateway: Gateway, house: House) -> list[Future[int]]:
    return [pool.submit(ask, gateway, house) for _ in range(CALLERS)]


def transitions(gateway: Gateway) -> list[str]:
    return [
        line["message"]
        for line in gateway.log()
        if TARGET in line.get("message", "") and line["event"] != "call"
    ]


def test_fifty_failures_open_it_once_and_one_probe_goes_out(provider: Provider, tmp_path: Path) -> None:
    """Fifty calls under way that all fail open the breaker once. Of the next fifty, after the cooldown, one reaches the
    provider; the others are told 503 while it is under way, and its success closes the breaker."""
    with (
        house_with(tmp_path, provider, failures=5, window="1m", cooldown="4s") as house,
        house.serve() as gateway,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        provider.script(times=CALLERS, steps=[Gate("all"), Send(FAILED)])
        calls = burst(pool, gateway, house)
        wait_until(lambda: len(provider.seen()) == CALLERS, timeout_s=20)
        provider.release("all")
        assert {call.result() for call in calls} == {502}
        assert "llmgw_breaker_opened_total 1.0" in gateway.metrics()
        assert ask(gateway, house) == 503 and len(provider.seen()) == CALLERS

        wait_until(lambda: f'llmgw_breaker_state{{name="{TARGET}"}} 1.0' in gateway.metrics(), timeout_s=20)
        provider.script("gate")
        calls = burst(pool, gateway, house)
        wait_until(lambda: sum(call.done() for call in calls) == CALLERS - 1, timeout_s=20)
        assert len(provider.seen()) == CALLERS + 1
        provider.release()
        assert Counter(call.result() for call in calls) == {503: CALLERS - 1, 200: 1}
        assert ask(gateway, house) == 200
        assert "llmgw_breaker_opened_total 1.0" in gateway.metrics()
        assert f'llmgw_breaker_state{{name="{TARGET}"}}' not in gateway.metrics()
        opened, tried, closed = wait_until(lambda: transitions(gateway)[2:] and transitions(gateway))
        assert "left alone" in opened and "tried again" in tried and "answers again" in closed


def test_a_probe_whose_answer_has_begun_closes_the_breaker(provider: Provider, tmp_path: Path) -> None:
    """An answer may take longer than the cooldown: from its first content on the target is known to be well, and no
    second probe is due."""
    with (
        house_with(tmp_path, provider, failures=1, cooldown="1s") as house,
        house.serve() as gateway,
        ThreadPoolExecutor(1) as pool,
    ):
        provider.script("answer", status=500)
        assert ask(gateway, house) == 502
        wait_until(lambda: f'llmgw_breaker_state{{name="{TARGET}"}} 1.0' in gateway.metrics(), timeout_s=20)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        word = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
        provider.script(steps=[Send(head + word), Gate("rest"), Send(b"data: [DONE]\n\n"), Fin()])
        probe = pool.submit(ask, gateway, house, stream=True)
        wait_until(lambda: f'llmgw_breaker_state{{name="{TARGET}"}}' not in gateway.metrics(), timeout_s=20)
        assert not probe.done() and ask(gateway, house) == 200
        provider.release("rest")
        assert probe.result() == 200


def checks_of(house: House, **options: Any) -> dict[str, tuple[str, str]]:
    found = json.loads(house.run("doctor", "--offline", "--json", **options).stdout)["checks"]
    return {check["name"]: (check["state"], check["message"]) for check in found}


def test_the_doctor_asks_the_running_server(provider: Provider, tmp_path: Path) -> None:
    """It names what is left alone, which is a warning and no fault; it says so where no server runs, or another
    program holds the port."""
    with house_with(tmp_path, provider, failures=1, cooldown="1h") as house:
        with house.serve() as gateway:
            host, port = gateway.address
            settings = {**house_settings(house), "server": {"host": host, "port": port}}
            house.configure(settings)
            found = checks_of(house)
            assert found["server"] == ("ok", f"runs at {host}:{port} and is ready")
            assert found["breakers"] == ("ok", "all closed")
            provider.script("answer", status=500)
            assert ask(gateway, house) == 502
            state, message = checks_of(house)["breakers"]
            assert state == "warning" and TARGET in message and "left alone" in message
        with closed_port() as nobodys:
            house.configure({**settings, "server": {"port": nobodys}})
            found = checks_of(house)
            assert found["server"] == ("ok", f"none runs at 127.0.0.1:{nobodys}") and "breakers" not in found
        stranger = httpx.URL(provider.url).port
        house.configure({**settings, "server": {"host": "0.0.0.0", "port": stranger}})
        state, message = checks_of(house)["server"]
        assert state == "warning" and "another program" in message
        house.configure({**settings, "server": {"port": 0}})
        assert "not asked" in checks_of(house)["server"][1]


def house_settings(house: House) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(house.config.read_text())
    return found
