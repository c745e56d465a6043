"""Flags through the command line and the front door: within a second, whatever their provider does."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import MODELS, UPSTREAM_KEY, providers
from tests.e2e.test_limits import CHAT, PRICES, ask, make_key, until_known
from tests.features.flagd import Flagd, dead, hanging
from tests.gateway import Gateway, House, installed
from tests.provider import Provider, wait_until

SOON_S = 1.5
"""A second, and what the polling takes."""
FLAGS = {
    "cheap-routing": {"description": "short prompts go cheap", "guard": {"error_rate": 0.5, "min_calls": 4}},
    "for-acme": {"orgs": ["acme"]},
    "for-half": {"percentage": 50},
}
ROUTES = [{"name": name, "when": {"tags": {"feature": name}}, "to": "cheap", "flag": name} for name in FLAGS]
HEDGED = {
    "hedged": {
        "targets": ["slow/m", "openai/gpt-4o-2024-08-06"],
        "hedge": {"after": "100ms", "max_share": 1, "flag": "cheap-routing"},
    }
}
Made = Callable[..., House]


@pytest.fixture
def made(provider: Provider, tmp_path: Path) -> Iterator[Made]:
    """Makes an installation."""
    opened = []
    upstreams = providers(provider)
    slow = provider.base_url("slow-first-byte", delay_s=0.8)

    def make(**settings: Any) -> House:
        context = installed(
            tmp_path,
            env={"UPSTREAM_KEY": UPSTREAM_KEY},
            providers={**upstreams, "slow": {**upstreams["openai"], "base_url": slow}},
            models={
                **MODELS,
                "cheap": {"targets": ["openai/gpt-4o-mini"], "retries": {"attempts": 1}},
                **HEDGED,
            },
            prices=PRICES,
            routes=ROUTES,
            breakers={"failures": 1000},
            **{"flags": FLAGS, **settings},
        )
        opened.append(context)
        return context.__enter__()

    yield make
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture
def house(made: Made) -> House:
    return made()


@pytest.fixture
def gateway(house: House) -> Iterator[Gateway]:
    with house.serve() as running:
        yield running


def routed(gateway: Gateway, key: str, flag: str = "cheap-routing") -> bool:
    """Whether a call went by the route of the flag."""
    answer = ask(gateway, key, CHAT, **{"x-llmgw-tags": f"feature={flag}"})
    return bool(answer.headers.get("x-llmgw-route") == flag)


def becomes(gateway: Gateway, key: str, on: bool, flag: str = "cheap-routing") -> None:
    wait_until(lambda: routed(gateway, key, flag) is on, timeout_s=SOON_S)


def flag_of(house: House, name: str = "cheap-routing") -> dict[str, Any]:
    found = house.run("flags", "list", "--json").json
    assert found["next"] is None
    return next(item for item in found["items"] if item["name"] == name)


def test_a_flag_is_set_and_cleared_in_a_running_server(house: House, gateway: Gateway) -> None:
    """Within a second; who, when and why is shown, and what happens without a word is the model as asked."""
    assert not routed(gateway, house.key)
    before = flag_of(house)
    assert (before["state"], before["decided_by"], before["changed_by"]) == ("off", "configuration", None)
    house.run("flags", "set", "cheap-routing", "on", "--reason", "try it", "--actor", "ann")
    becomes(gateway, house.key, True)
    assert 'llmgw_flag_on{flag="cheap-routing"} 1.0' in gateway.metrics()
    found = flag_of(house)
    assert (found["state"], found["decided_by"], found["changed_by"]) == ("on", "operator", "ann")
    assert found["reason"] == "try it" and found["changed_at"].startswith("20")
    house.run("flags", "set", "cheap-routing", "off", "--reason", "enough")
    becomes(gateway, house.key, False)
    cleared = house.run(
        "flags", "clear", "cheap-routing", "--actor", "bob", "--reason", "done", "--json"
    ).json
    assert (cleared["decided_by"], cleared["changed_by"]) == ("configuration", "bob")
    assert flag_of(house)["reason"] == "done"
    assert "cleared" in house.run("flags", "list").stdout
    assert flag_of(house)["description"] == "short prompts go cheap"


def test_a_flag_is_on_for_those_it_names(house: House, gateway: Gateway) -> None:
    """Of the configuration and of the command line: an organisation, a key, a share of the keys that only grows."""
    house.run("orgs", "create", "other")
    keys = [make_key(house, org="other", name=f"k{n}") for n in range(8)]
    one = house.run("keys", "list", "--org", "other", "--json").json["items"]
    ids = {item["name"]: item["id"] for item in one}
    until_known(gateway, keys[-1])
    assert routed(gateway, house.key, "for-acme") and not routed(gateway, keys[0], "for-acme")
    share = [routed(gateway, key, "for-half") for key in keys]
    assert share == [routed(gateway, key, "for-half") for key in keys]
    house.run("flags", "set", "for-half", "on", "--percentage", "99", "--reason", "r")
    wait_until(lambda: 'llmgw_flag_on{flag="for-half"} 0.99' in gateway.metrics(), timeout_s=SOON_S)
    more = [routed(gateway, key, "for-half") for key in keys]
    assert all(after for before, after in zip(share, more, strict=True) if before)
    house.run("flags", "set", "cheap-routing", "on", "--key", ids["k3"], "--org", "acme", "--reason", "r")
    becomes(gateway, keys[3], True)
    assert [routed(gateway, key) for key in keys] == [n == 3 for n in range(8)]
    assert routed(gateway, house.key)
    assert flag_of(house)["state"] == "partly"


def test_what_was_set_survives_restarts_and_a_lost_store(house: House) -> None:
    """kill -9 and a new start; and while the store is locked or away the server keeps to what it knows."""
    with house.serve() as gateway:
        house.run("flags", "set", "cheap-routing", "on", "--reason", "r")
        becomes(gateway, house.key, True)
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
    with house.serve() as gateway:
        assert routed(gateway, house.key)
        store = house.folder / "llmgw.db"
        lock = sqlite3.connect(store, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        assert routed(gateway, house.key)
        lock.close()
        away = house.folder / "away"
        away.mkdir()
        for file in house.folder.glob("llmgw.db*"):
            if not file.name.endswith((".panic", ".journal")) and file.is_file():
                shutil.move(file, away / file.name)
        wait_until(lambda: "the flags stay as they are" in gateway.text())
        assert routed(gateway, house.key)
        refused = house.run("flags", "set", "cheap-routing", "off", "--reason", "r", expect=4)
        assert "Traceback" not in refused.stderr
        for file in away.iterdir():
            shutil.move(file, house.folder / file.name)
        house.run("flags", "set", "cheap-routing", "off", "--reason", "r")
        wait_until(lambda: not routed(gateway, house.key), timeout_s=SOON_S)


def test_a_guard_trips_and_stays_off_until_somebody_turns_it_on(house: House, provider: Provider) -> None:
    """What the flag broke is counted, what others do is not; the trip is told, and lasts over a restart."""
    house.run("flags", "set", "cheap-routing", "on", "--reason", "try it")
    with house.serve() as gateway:
        becomes(gateway, house.key, True)
        provider.script("answer", times=6, status=500)
        for _ in range(6):  # of calls that no flag affected
            assert ask(gateway, house.key).status_code == 502
        assert routed(gateway, house.key)
        provider.script("answer", times=5, status=500)
        tagged = {"x-llmgw-tags": "feature=cheap-routing"}
        answers = [ask(gateway, house.key, CHAT, **tagged) for _ in range(5)]
        assert 502 in {answer.status_code for answer in answers}
        provider.reset()
        assert not routed(gateway, house.key)
        wait_until(lambda: flag_of(house)["decided_by"] == "guard", timeout_s=5)
        found = flag_of(house)
        assert found["state"] == "off" and "error rate" in found["reason"]
        assert 'llmgw_flag_guard_trips_total{flag="cheap-routing"} 1.0' in gateway.metrics()
        assert "has turned itself off" in gateway.text()
    with house.serve() as gateway:
        assert not routed(gateway, house.key)
        house.run("flags", "set", "cheap-routing", "on", "--reason", "mended")
        becomes(gateway, house.key, True)
        assert flag_of(house)["decided_by"] == "operator"


def test_a_hedge_hangs_on_its_flag(house: House, gateway: Gateway) -> None:
    """Off, the slow target is waited for; on, a second one is asked beside it."""

    def attempts() -> str:
        return ask(gateway, house.key, {**CHAT, "model": "hedged"}).headers["x-llmgw-attempts"]

    assert attempts() == "1"
    house.run("flags", "set", "cheap-routing", "on", "--reason", "r")
    becomes(gateway, house.key, True)
    assert attempts() == "2"


def test_a_reload_takes_new_flags_and_keeps_what_was_set(house: House, gateway: Gateway) -> None:
    house.run("flags", "set", "for-half", "on", "--reason", "r")
    settings = yaml.safe_load(house.config.read_text())
    house.configure({**settings, "flags": {**FLAGS, "cheap-routing": {"default": True}}})
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: routed(gateway, house.key))
    assert routed(gateway, house.key, "for-half")


def test_explanations_know_what_was_set(house: House) -> None:
    """Offline, as the store has it."""

    def outcome() -> str:
        explained = house.run(
            "route", "explain", "--model", "gpt-4o", "--tag", "feature=cheap-routing", "--json"
        ).json
        return str(explained["routes"][0]["outcome"])

    assert outcome() == "flag_off"
    house.run("flags", "set", "cheap-routing", "on", "--reason", "r")
    assert outcome() == "taken"


def test_it_says_what_is_wrong(house: House) -> None:
    """A name near another one, a state, an organisation, a key, a share, no reason."""
    for arguments, code, says in [
        (("set", "cheap-routng", "on", "--reason", "r"), 1, "did you mean 'cheap-routing'"),
        (("clear", "cheap-routng"), 1, "did you mean 'cheap-routing'"),
        (("clear", "cheap-routing"), 1, "as the configuration has it"),
        (("set", "cheap-routing", "maybe", "--reason", "r"), 2, "on or off"),
        (("set", "cheap-routing", "on"), 2, "--reason"),
        (("set", "cheap-routing", "on", "--reason", " "), 2, "--reason"),
        (("set", "cheap-routing", "on", "--org", "nobody", "--reason", "r"), 1, "no organisation"),
        (("set", "cheap-routing", "on", "--key", "key_x", "--reason", "r"), 1, "no key"),
        (("set", "cheap-routing", "on", "--percentage", "101", "--reason", "r"), 2, "no share"),
        (("set", "cheap-routing", "on", "--percentage", "0", "--reason", "r"), 2, "no share"),
        (("set", "cheap-routing", "off", "--percentage", "5", "--reason", "r"), 2, "for everyone"),
    ]:
        assert says in " ".join(house.run("flags", *arguments, expect=code).stderr.split()), arguments
    assert [item["changed_at"] for item in house.run("flags", "list", "--json").json["items"]] == [None] * 3


def test_flags_that_the_configuration_has_lost_can_be_cleared(house: House) -> None:
    house.run("flags", "set", "cheap-routing", "on", "--reason", "r")
    settings = yaml.safe_load(house.config.read_text())
    house.configure({**settings, "flags": {}, "routes": [], "models": MODELS})
    assert flag_of(house)["default"] is None
    house.run("flags", "clear", "cheap-routing")
    assert house.run("flags", "list", "--json").json["items"] == []


def remote(port: int) -> dict[str, Any]:
    return {
        "flags": {name: {} for name in FLAGS},
        "flag_provider": {"kind": "flagd", "host": "127.0.0.1", "port": port, "deadline": "300ms"},
    }


def answers_at_once(gateway: Gateway, key: str, *, on: bool) -> None:
    """Twenty calls, each as the flag's last known value has it, none held up but by a busy machine."""
    took = []
    for _ in range(20):
        began = monotonic()
        assert routed(gateway, key) is on
        took.append(monotonic() - began)
    assert sorted(took)[10] < 0.25, "calls waited for the flag provider's deadline"


@pytest.mark.parametrize("kind", ["hanging", "dead"])
def test_a_provider_that_hangs_or_is_dead_holds_nobody_up(made: Made, kind: str) -> None:
    """Never heard of: the default, the model as asked. It is told in a header, a metric and one line of the log."""
    with hanging() as port:
        house = made(**remote(port if kind == "hanging" else dead()))
        with house.serve() as gateway:
            ask(gateway, house.key)
            answers_at_once(gateway, house.key, on=False)
            wait_until(lambda: "llmgw_flag_provider_up 0.0" in gateway.metrics(), timeout_s=10)
            answers_at_once(gateway, house.key, on=False)
            assert ask(gateway, house.key).headers["x-llmgw-degraded"] == "flags"
            lines = [line for line in gateway.log() if "does not answer" in json.dumps(line)]
            assert len(lines) == 1
            began = monotonic()
            assert gateway.terminate() == 0
            assert monotonic() - began < 5


def test_a_provider_that_dies_is_known_by_its_last_word(made: Made) -> None:
    """And after a restart, with it still dead, by the default; an operator's word goes before its own."""
    flagd = Flagd()
    flagd.change(**{"cheap-routing": True})
    with flagd.serve():
        house = made(**remote(flagd.port))
        server = house.serve()
        gateway = server.__enter__()
        wait_until(lambda: routed(gateway, house.key), timeout_s=10)
        assert flag_of(house)["decided_by"] == "provider"
    try:
        wait_until(lambda: "llmgw_flag_provider_up 0.0" in gateway.metrics(), timeout_s=10)
        answers_at_once(gateway, house.key, on=True)
        house.run("flags", "set", "cheap-routing", "off", "--reason", "r")
        becomes(gateway, house.key, False)
        house.run("flags", "clear", "cheap-routing")
        becomes(gateway, house.key, True)
    finally:
        server.__exit__(None, None, None)
    with house.serve() as gateway:
        answers_at_once(gateway, house.key, on=False)
