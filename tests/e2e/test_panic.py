"""The panic switch through the command line and the front door: within a second, whatever else is broken."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import MODELS, UPSTREAM_KEY, providers
from tests.e2e.test_ledger import rows
from tests.e2e.test_limits import CHAT, ask, make_key
from tests.gateway import COMMAND, Gateway, House, installed
from tests.provider import Provider, wait_until
from tests.provider.steps import Fin, Gate

SOON_S = 1.5
"""A second, and what the command and the polling take."""


@pytest.fixture
def house(provider: Provider, tmp_path: Path) -> Iterator[House]:
    upstreams = providers(provider)
    with installed(
        tmp_path,
        env={"UPSTREAM_KEY": UPSTREAM_KEY},
        providers={**upstreams, "second": upstreams["openai"]},
        models={
            **MODELS,
            "both": {"targets": ["openai/a", "second/b"]},
            "cheap": {"targets": ["openai/cheap"]},
        },
        routes=[{"name": "cheaply", "when": {"tags": {"feature": "x"}}, "to": "cheap"}],
        policies=[{"name": "no-previews", "when": {"model": "*-preview"}, "deny": "no previews"}],
    ) as made:
        yield made


@pytest.fixture
def gateway(house: House) -> Iterator[Gateway]:
    with house.serve() as running:
        yield running


def code(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("error", {}).get("code")


def becomes(gateway: Gateway, key: str, status: int, body: dict[str, Any] = CHAT) -> httpx.Response:
    return wait_until(
        lambda: (lambda answer: answer if answer.status_code == status else None)(ask(gateway, key, body)),
        timeout_s=SOON_S,
    )  # type: ignore[return-value]


def test_block_stops_every_call_and_off_lets_them_pass(house: House, gateway: Gateway) -> None:
    """In each client's dialect, with the reason and retry-after; a stranger is still 401, readiness still 200."""
    assert ask(gateway, house.key).status_code == 200
    house.run("panic", "on", "--reason", "runaway agent", "--retry-after", "7s", "--actor", "ann")
    answer = becomes(gateway, house.key, 503)
    assert code(answer) == (503, "panic") and answer.headers["retry-after"] == "7"
    assert "runaway agent" in answer.json()["error"]["message"]
    claude = {"model": "claude", "max_tokens": 5, "messages": CHAT["messages"]}
    anthropic = ask(gateway, house.key, claude)
    assert anthropic.json()["type"] == "error" and anthropic.status_code == 503
    gemini = httpx.post(
        gateway.url + "/v1beta/models/gpt-4o:generateContent",
        json={"contents": [{"parts": [{"text": "hi"}]}]},
        headers={"x-goog-api-key": house.key},
        trust_env=False,
    )
    assert gemini.json()["error"]["details"][0]["reason"] == "panic"
    assert ask(gateway, "sk-llmgw-wrong").status_code == 401
    ready = httpx.get(gateway.url + "/health/readiness", trust_env=False)
    assert ready.status_code == 200 and ready.json()["panic"][0]["scope"] == "all"
    assert 'llmgw_panic{action="block",scope="all"} 1.0' in gateway.metrics()
    house.run("panic", "off", "--reason", "mended")
    becomes(gateway, house.key, 200)
    log = [json.loads(line) for line in next(house.folder.glob("*.panic.log")).read_text().splitlines()]
    assert tuple(log[0][field] for field in ("did", "actor", "reason")) == (
        "on block",
        "ann",
        "runaway agent",
    )
    assert log[1]["did"] == "off" and log[1]["reason"] == "mended"


def test_status_says_since_when_by_whom_and_what_was_refused(house: House) -> None:
    with house.serve() as gateway:
        house.configure({**yaml_of(house), "server": {"port": gateway.address[1]}})
        assert house.run("panic", "status", "--json").json == {"on": False, "items": [], "next": None}
        house.run("panic", "on", "--reason", "r", "--actor", "bob")
        becomes(gateway, house.key, 503)
        [item] = house.run("panic", "status", "--json").json["items"]
        assert (item["scope"], item["action"], item["by"], item["reason"]) == ("all", "block", "bob", "r")
        assert item["refused"] >= 1 and item["since"].startswith("20")
        (check,) = [
            check
            for check in house.run("doctor", "--offline", "--json").json["checks"]
            if check["name"] == "panic"
        ]
        assert check["state"] == "warning" and "block all is on, by bob: r" in check["message"]


def test_scopes_stop_their_calls_only(house: House, gateway: Gateway) -> None:
    """An organisation, a key, a model, a provider; a pool goes on with its other targets."""
    house.run("orgs", "create", "other")
    other = make_key(house, org="other", name="k")
    house.run("panic", "on", "--scope", "org:other", "--reason", "r")
    becomes(gateway, other, 503)
    assert ask(gateway, house.key).status_code == 200
    house.run("panic", "off")
    house.run("panic", "on", "--scope", "model:gpt-4o", "--reason", "r")
    becomes(gateway, house.key, 503)
    assert ask(gateway, house.key, {**CHAT, "model": "cheap"}).status_code == 200
    house.run("panic", "off", "--scope", "model:gpt-4o")
    house.run("panic", "on", "--scope", "provider:openai", "--reason", "r")
    becomes(gateway, house.key, 503)
    answer = ask(gateway, house.key, {**CHAT, "model": "both"})
    assert answer.status_code == 200 and answer.headers["x-llmgw-provider"] == "second"


def test_passthrough_switches_everything_clever_off(house: House, gateway: Gateway) -> None:
    """No route, no fallback to other targets; policies hold."""
    tagged = {"x-llmgw-tags": "feature=x"}
    assert ask(gateway, house.key, CHAT, **tagged).headers["x-llmgw-route"] == "cheaply"
    house.run("panic", "on", "--action", "passthrough", "--reason", "r")
    wait_until(
        lambda: "x-llmgw-route" not in ask(gateway, house.key, CHAT, **tagged).headers, timeout_s=SOON_S
    )
    assert ask(gateway, house.key, {**CHAT, "model": "both"}).headers["x-llmgw-model"] == "a"
    refused = ask(gateway, house.key, {**CHAT, "model": "openai/x-preview"})
    assert code(refused) == (403, "policy_denied")


def test_it_survives_a_killed_server_and_a_missing_store(house: House) -> None:
    """kill -9 and a restart; and the command works while the store is locked or gone."""
    with house.serve() as gateway:
        house.run("panic", "on", "--reason", "r")
        becomes(gateway, house.key, 503)
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
    with house.serve() as gateway:
        assert code(ask(gateway, house.key)) == (503, "panic")
        store = house.folder / "llmgw.db"
        lock = sqlite3.connect(store, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        house.run("panic", "off")
        becomes(gateway, house.key, 200)
        lock.close()
        store.rename(store.with_suffix(".away"))
        house.run("panic", "on", "--reason", "r")
        becomes(gateway, house.key, 503)
        store.with_suffix(".away").rename(store)


def test_streams_finish_or_are_cut(house: House, gateway: Gateway, provider: Provider) -> None:
    """Without --cut a stream under way goes on; with it, it ends with an error event, and the ledger has its row."""
    body = {**CHAT, "stream": True}
    for cut in (False, True):
        provider.script("gate", name=f"gate-{cut}")
        with httpx.stream(
            "POST",
            gateway.url + "/v1/chat/completions",
            json=body,
            headers=house.auth,
            timeout=20,
            trust_env=False,
        ) as answer:
            pieces = answer.iter_text()
            text = next(pieces)
            house.run("panic", "on", "--reason", "stop", *(["--cut"] if cut else []))
            if not cut:
                becomes(gateway, house.key, 503)
                provider.release(f"gate-{cut}")
            text += "".join(pieces)
        assert ("[DONE]" in text) == (not cut)
        assert ('"panic"' in text) == cut
        house.run("panic", "off")
        becomes(gateway, house.key, 200)
    wait_until(lambda: any(row["usage_source"] == "counted" for row in rows(house)), timeout_s=15)


def test_a_reload_is_refused_meanwhile(house: House, gateway: Gateway) -> None:
    """And takes effect when it is asked for again, after panic."""
    house.run("panic", "on", "--scope", "model:nothing", "--reason", "r")
    wait_until(lambda: httpx.get(gateway.url + "/readyz", trust_env=False).json()["panic"], timeout_s=SOON_S)
    settings = yaml_of(house)
    house.configure({**settings, "models": {**settings["models"], "new": {"targets": ["openai/x"]}}})
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "Panic is on" in str(httpx.get(gateway.url + "/readyz", trust_env=False).json()))
    assert ask(gateway, house.key, {**CHAT, "model": "new"}).status_code == 404
    house.run("panic", "off")
    wait_until(
        lambda: not httpx.get(gateway.url + "/readyz", trust_env=False).json()["panic"], timeout_s=SOON_S
    )
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: ask(gateway, house.key, {**CHAT, "model": "new"}).status_code == 200)


def test_a_damaged_switch_stops_a_server_that_starts(house: House) -> None:
    """And changes nothing in one that runs; `panic off` writes it anew."""
    switch = house.folder / "llmgw.db.panic"
    with house.serve() as gateway:
        switch.write_text('{"version": 1, "entr')
        wait_until(lambda: "cannot be read" in str(gateway.log()))
        assert ask(gateway, house.key).status_code == 200
    with house.serve() as gateway:
        assert code(ask(gateway, house.key)) == (503, "panic")
        assert "panic off" in house.run("panic", "status", expect=1).stderr
        house.run("panic", "off")
        becomes(gateway, house.key, 200)


def test_it_says_what_is_missing(house: House) -> None:
    """A reason, a scope that is one, a scope that is on."""
    assert "--reason" in house.run("panic", "on", expect=2).stderr
    assert "no scope" in house.run("panic", "on", "--scope", "team:x", "--reason", "r", expect=2).stderr
    assert "not on" in house.run("panic", "off", "--scope", "org:x", expect=1).stderr
    assert "no action" in house.run("panic", "on", "--action", "x", "--reason", "r", expect=2).stderr


@pytest.mark.parametrize("scope", ["all", "provider:openai"])
def test_a_cut_call_goes_nowhere_else_where_it_is_stopped(
    house: House, gateway: Gateway, provider: Provider, scope: str
) -> None:
    """Before the answer's head: no second try at a stopped target, and none anywhere for a stopped call."""
    provider.script("gate", name="held")
    with ThreadPoolExecutor(1) as pool:
        calls = len(provider.seen())
        answer = pool.submit(ask, gateway, house.key, {**CHAT, "model": "both"})
        wait_until(lambda: len(provider.seen()) == calls + 1)
        house.run("panic", "on", "--scope", scope, "--reason", "stop", "--cut", "--retry-after", "9s")
        found = answer.result(timeout=10)
    if scope == "all":
        assert code(found) == (503, "panic") and found.headers["retry-after"] == "9"
        assert len(provider.seen()) == calls + 1
    else:
        assert found.status_code == 200 and found.headers["x-llmgw-provider"] == "second"
    provider.release("held")


def test_a_try_that_fails_meanwhile_is_not_repeated(
    house: House, gateway: Gateway, provider: Provider
) -> None:
    """Without --cut a call under way goes on, but sends nothing new."""
    provider.script(steps=[Gate("held"), Fin()])
    with ThreadPoolExecutor(1) as pool:
        calls = len(provider.seen())
        answer = pool.submit(ask, gateway, house.key, {**CHAT, "model": "both"})
        wait_until(lambda: len(provider.seen()) == calls + 1)
        house.run("panic", "on", "--reason", "stop")
        wait_until(lambda: 'scope="all"' in gateway.metrics(), timeout_s=SOON_S)
        provider.release("held")
        assert code(answer.result(timeout=10)) == (503, "panic")
    assert len(provider.seen()) == calls + 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b'{"version":1,"entries":[{"scope":"all","action":"block","reason":"\xff","actor":"a","since":0}]}',
        b'{"version":2,"entries":[]}',
    ],
)
def test_no_damage_ends_a_server(house: House, content: bytes) -> None:
    """Whatever the bytes: one that runs goes on as before, one that starts refuses; commands say what to do."""
    switch = house.folder / "llmgw.db.panic"
    with house.serve() as gateway:
        switch.write_bytes(content)
        wait_until(lambda: "cannot be read" in str(gateway.log()))
        assert ask(gateway, house.key).status_code == 200
    assert "panic off" in house.run("panic", "on", "--reason", "r", expect=1).stderr
    with house.serve() as gateway:
        assert code(ask(gateway, house.key)) == (503, "panic")
        house.run("panic", "off")
        becomes(gateway, house.key, 200)


def test_it_needs_no_secrets_and_no_sound_configuration(house: House) -> None:
    """A shell without the providers' secrets, and a file in the middle of an edit."""
    with house.serve() as gateway:
        house.env.clear()
        house.config.write_text(house.config.read_text() + "\nmodles: {}\n")
        said = house.run("panic", "on", "--reason", "r").stderr
        assert "only its store and server" in said
        becomes(gateway, house.key, 503)
        assert house.run("panic", "status", "--json").json["on"]
        house.run("panic", "off")
        becomes(gateway, house.key, 200)


def test_operators_at_once_both_have_what_they_want(house: House) -> None:
    """Six commands at one time leave six scopes on, and six lines in the log."""
    commands = [
        subprocess.Popen([*COMMAND, "panic", "on", "--scope", f"key:k{n}", "--reason", "r"], cwd=house.folder)
        for n in range(6)
    ]
    assert [command.wait(60) for command in commands] == [0] * 6
    house.env.clear()
    found = house.run("panic", "status", "--json").json["items"]
    assert {item["scope"] for item in found} == {f"key:k{n}" for n in range(6)}
    assert len((house.folder / "llmgw.db.panic.log").read_text().splitlines()) == 6


def test_a_key_is_told_from_another_organisations_of_its_name(house: House, gateway: Gateway) -> None:
    house.run("orgs", "create", "other")
    other = make_key(house, org="other", name="test")
    wait_until(lambda: ask(gateway, other).status_code == 200, timeout_s=5)
    house.run("panic", "on", "--scope", "key:acme/test", "--reason", "r")
    becomes(gateway, house.key, 503)
    assert ask(gateway, other).status_code == 200
    assert 'llmgw_panic_refused_total{scope="key:acme/test"}' in gateway.metrics()


def test_an_unknown_provider_is_named(house: House) -> None:
    """It is turned on all the same: the server may know more than the file does by now."""
    assert "openai" in house.run("panic", "on", "--scope", "provider:opnai", "--reason", "r").stderr


def yaml_of(house: House) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load(house.config.read_text())
    return found
