"""A server's life: keys come and go, the configuration changes, it stops, it is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.conftest import MODELS, providers
from tests.gateway import Gateway, House
from tests.provider import Provider, wait_until

BODY = {"model": "gpt-4o", "messages": []}


def ask(gateway: Gateway, key: str, **body: Any) -> httpx.Response:
    return httpx.post(
        gateway.url + "/v1/chat/completions",
        headers={"authorization": f"Bearer {key}"},
        json={**BODY, **body},
        timeout=20,
        trust_env=False,
    )


def test_keys_act_on_a_running_server_within_a_second(
    provider: Provider, gateway: Gateway, house: House
) -> None:
    """A key works at once when made, its old secret stops when rotated, and it stops when revoked."""
    made = house.run("keys", "create", "--org", "acme", "--name", "brief", "--json").json
    assert ask(gateway, made["key"]).status_code == 200
    new = house.run("keys", "rotate", made["id"], "--json").json
    wait_until(lambda: ask(gateway, made["key"]).status_code == 401, timeout_s=1)
    assert ask(gateway, new["key"]).status_code == 200
    house.run("keys", "revoke", made["id"])
    wait_until(lambda: ask(gateway, new["key"]).status_code == 401, timeout_s=1)


def test_a_key_that_was_unknown_works_once_it_is_made(
    gateway: Gateway, house: House, provider: Provider
) -> None:
    """That a key was looked for before it existed does not hide it."""
    made = house.run("keys", "create", "--org", "acme", "--name", "grace", "--json").json
    old = made["key"]
    new = house.run("keys", "rotate", made["id"], "--grace", "1h", "--json").json["key"]
    for key in (old, new):
        wait_until(lambda key=key: ask(gateway, key).status_code == 200, timeout_s=1)  # type: ignore[misc]


def test_an_expired_key_is_401(gateway: Gateway, house: House, provider: Provider) -> None:
    """A key ends at its date without anybody's doing."""
    made = house.run("keys", "create", "--org", "acme", "--name", "short", "--expires", "1s", "--json").json
    wait_until(lambda: ask(gateway, made["key"]).status_code == 401, timeout_s=5)


def test_a_stored_credential_is_sent_and_changes_within_a_second(
    provider: Provider, own_house: House
) -> None:
    """`credential:` takes the calling organisation's own secret, as it is just now, and no other's."""
    settings = providers(provider)
    settings["openai"].pop("api_key")
    settings["openai"]["credential"] = "main"
    own_house.configure({"version": 1, "providers": settings, "models": MODELS})
    own_house.run("orgs", "create", "other")
    other = own_house.run("keys", "create", "--org", "other", "--name", "k", "--json").json["key"]
    own_house.run("credentials", "set", "main", "--org", "acme", stdin="sk-first\n")
    with own_house.serve() as gateway:
        assert ask(gateway, own_house.key).status_code == 200
        assert provider.last().header("authorization") == b"Bearer sk-first"
        response = ask(gateway, other)
        assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_credentials")
        own_house.run("credentials", "set", "main", "--org", "acme", stdin="sk-second")

        def second() -> bool:
            ask(gateway, own_house.key)
            return provider.last().header("authorization") == b"Bearer sk-second"

        wait_until(second, timeout_s=1)


def test_sigterm_finishes_running_streams_and_exits_0(provider: Provider, own_house: House) -> None:
    """No new connection is taken; a stream under way ends whole; the exit code is 0."""
    with own_house.serve() as gateway:
        provider.script("gate")
        answer: list[str] = []

        def stream() -> None:
            answer.append(ask(gateway, own_house.key, stream=True).text)

        thread = threading.Thread(target=stream)
        thread.start()
        wait_until(lambda: provider.seen() and provider.last().written)
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _refuses(gateway))
        provider.release()
        thread.join(10)
        assert answer[0].endswith("data: [DONE]\n\n")
        assert gateway.process.wait(10) == 0


def _refuses(gateway: Gateway) -> bool:
    try:
        httpx.get(gateway.url + "/healthz", trust_env=False)
    except httpx.HTTPError:
        return True
    return False


def test_a_stream_that_outlasts_the_drain_ends_with_an_error(provider: Provider, own_house: House) -> None:
    """After `drain` what still runs is told so in-band, and the exit code is still 0."""
    settings = json.loads(json.dumps({"providers": providers(provider), "models": MODELS}))
    own_house.configure({"version": 1, "server": {"drain": "500ms"}, **settings})
    with own_house.serve() as gateway:
        provider.script("stall")
        answer: list[str] = []
        thread = threading.Thread(target=lambda: answer.append(ask(gateway, own_house.key, stream=True).text))
        thread.start()
        wait_until(lambda: provider.seen() and provider.last().written)
        assert gateway.terminate() == 0
        thread.join(10)
        assert "gateway_stopping" in answer[0] and "[DONE]" not in answer[0]


def test_sighup_swaps_a_valid_configuration_and_keeps_the_old_on_a_bad_one(
    provider: Provider, own_house: House
) -> None:
    """No request is dropped meanwhile; a refused file is told in the log, in readiness and in a metric."""
    with own_house.serve() as gateway:
        stop = threading.Event()
        statuses: set[int] = set()

        def hammer() -> None:
            with httpx.Client(
                base_url=gateway.url, headers=own_house.auth, timeout=20, trust_env=False
            ) as client:
                while not stop.is_set():
                    statuses.add(client.post("/v1/chat/completions", json=BODY).status_code)

        thread = threading.Thread(target=hammer)
        thread.start()
        try:
            assert ask(gateway, own_house.key, model="renamed").status_code == 404
            good = {
                "version": 1,
                "providers": providers(provider),
                "models": {**MODELS, "renamed": {"targets": ["openai/new"]}},
            }
            own_house.configure(good)
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: ask(gateway, own_house.key, model="renamed").status_code == 200)
            assert provider.last() is not None
            before = httpx.get(gateway.url + "/readyz", trust_env=False).json()["config"]["version"]
            own_house.config.write_text(own_house.config.read_text().replace("models:", "modelz:"))
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "was not reloaded" in gateway.text())
            ready = httpx.get(gateway.url + "/readyz", trust_env=False)
            assert ready.status_code == 200
            assert ready.json()["config"]["version"] == before
            assert "modelz" in ready.json()["config"]["reload"]
            assert "llmgw_config_last_reload_successful 0.0" in gateway.metrics()
            assert ask(gateway, own_house.key, model="renamed").status_code == 200
        finally:
            stop.set()
            thread.join(10)
        assert statuses == {200}


def test_one_server_per_store(own_house: House) -> None:
    """A second server on the same SQLite store is refused with a sentence; after a kill -9 a new one starts."""
    with own_house.serve() as gateway:
        refused = own_house.run("serve", "--port", "0", expect=1)
        assert "already" in refused.stderr and "Traceback" not in refused.stderr
        gateway.process.kill()
        gateway.process.wait(10)
    with own_house.serve():
        pass


def test_several_workers_need_shared_state(own_house: House) -> None:
    """Workers that would each count for themselves are refused, naming the setting."""
    refused = own_house.run("serve", "--workers", "2", expect=2)
    assert "--workers" in refused.stderr
    settings = yaml.safe_load(own_house.config.read_text())
    own_house.configure({**settings, "server": {"workers": 2}})
    invalid = own_house.run("serve", expect=3)
    assert "workers" in invalid.stderr


def test_a_port_in_use_is_one_sentence(own_house: House, gateway: Gateway) -> None:
    """The address that cannot be had is named; no traceback."""
    refused = own_house.run("serve", "--port", str(gateway.address[1]), expect=1)
    assert "Cannot listen on" in refused.stderr and "Traceback" not in refused.stderr


def test_known_keys_live_on_while_the_store_is_away(provider: Provider, own_house: House) -> None:
    """The store is moved away: known keys are served, unknown ones get 503 and never 401, readiness says so."""
    unknown = own_house.run("keys", "create", "--org", "acme", "--name", "second", "--json").json["key"]
    with own_house.serve() as gateway:
        assert ask(gateway, own_house.key).status_code == 200
        store = own_house.folder / "llmgw.db"
        store.rename(store.with_suffix(".away"))

        def degraded() -> bool:
            return "x-llmgw-degraded" in ask(gateway, own_house.key).headers

        wait_until(degraded)
        assert ask(gateway, own_house.key).status_code == 200
        response = ask(gateway, unknown)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "dependency_unavailable")
        assert response.headers["retry-after"]
        ready = httpx.get(gateway.url + "/readyz", trust_env=False)
        assert (ready.status_code, ready.json()["status"], ready.json()["store"]) == (
            200,
            "degraded",
            "unavailable",
        )
        assert httpx.get(gateway.url + "/healthz", trust_env=False).status_code == 200
        store.with_suffix(".away").rename(store)
        wait_until(lambda: ask(gateway, unknown).status_code == 200)
        assert "Traceback" not in gateway.text()


def test_readiness_decrypts_a_secret_of_each_term(own_house: House) -> None:
    """A secret that does not open any more makes readiness 503."""
    own_house.run("credentials", "set", "main", "--org", "acme", stdin="sk-x")
    with own_house.serve() as gateway:
        assert httpx.get(gateway.url + "/readyz", trust_env=False).json()["kms"] == {"local:1": "ok"}
    keyring = own_house.folder / "llmgw.keyring"
    other = json.loads(keyring.read_text())
    other["terms"][0]["key"] = "A" * 43 + "="
    keyring.write_text(json.dumps(other))
    with own_house.serve() as gateway:
        ready = httpx.get(gateway.url + "/readyz", trust_env=False)
        assert (ready.status_code, ready.json()["status"]) == (503, "failing")
        assert own_house.run("kms", "verify", expect=1).stdout


def test_a_keyring_that_others_can_read_is_refused(own_house: House) -> None:
    """The server does not start, and says what to run."""
    (own_house.folder / "llmgw.keyring").chmod(0o644)
    refused = own_house.run("serve", "--port", "0", expect=1)
    assert "chmod 600" in refused.stderr


@pytest.mark.slow
def test_an_idle_server_uses_no_cpu(own_house: House) -> None:
    """Polling and sweeping cost less than 2 % of a core."""
    with own_house.serve() as gateway:
        ticks = os.sysconf("SC_CLK_TCK")

        def used() -> float:
            fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / ticks

        before, began = used(), time.monotonic()
        wait_until(lambda: time.monotonic() - began > 3)
        assert used() - before < 0.06
