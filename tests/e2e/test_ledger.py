"""The ledger through the front door: one row for each call, however it ended, and nothing lost."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import MODELS, QUICK, UPSTREAM_KEY, providers
from tests.e2e.test_limits import CHAT, COST, PRICES
from tests.gateway import Gateway, House, installed
from tests.provider import Provider, wait_until

STREAM = {**CHAT, "stream": True}
FIELDS = {
    "id", "time", "org", "key_id", "tags", "model_asked", "model", "provider", "route", "attempts", "status", "usage",
    "usage_source", "cost_usd", "latency_ms", "first_token_ms", "trace_id",
}  # fmt: skip


@contextlib.contextmanager
def house_of(folder: Path, provider: Provider, **settings: Any) -> Iterator[House]:
    models = {**MODELS, "patient": {**MODELS["gpt-4o"], "on_disconnect": "drain", "drain": "10s"}}
    given = {"providers": providers(provider), "models": models, "prices": PRICES, **settings}
    with installed(folder, env={"UPSTREAM_KEY": UPSTREAM_KEY}, **given) as made:
        yield made


@pytest.fixture
def house(provider: Provider, tmp_path: Path) -> Iterator[House]:
    with house_of(tmp_path, provider) as made:
        yield made


def ask(gateway: Gateway, house: House, body: dict[str, Any] = CHAT, **headers: str) -> httpx.Response:
    path = "/v1/messages" if body["model"] == "claude" else "/v1/chat/completions"
    return httpx.post(
        gateway.url + path, json=body, headers={**house.auth, **headers}, timeout=30, trust_env=False
    )


def rows(house: House) -> list[dict[str, Any]]:
    """The ledger, oldest call first."""
    return [json.loads(line) for line in house.run("usage", "export").stdout.splitlines()]


def wait_for_rows(house: House, count: int) -> list[dict[str, Any]]:
    wait_until(lambda: len(rows(house)) >= count, timeout_s=15)
    found = rows(house)
    assert len(found) == count, found
    return found


@contextlib.contextmanager
def leaving(gateway: Gateway, house: House, body: dict[str, Any]) -> Iterator[None]:
    """A streaming client that leaves after the first piece."""
    client = httpx.Client(timeout=20, trust_env=False)
    with client.stream("POST", gateway.url + "/v1/chat/completions", json=body, headers=house.auth) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        yield
    client.close()


def test_a_row_says_everything_of_a_call(house: House) -> None:
    """Ids, tags, both model names, usage in buckets, cost, times; the cost is in the answer's head too."""
    with house.serve() as gateway:
        answer = ask(
            gateway,
            house,
            CHAT,
            **{"x-llmgw-tags": "feature=search", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
        )
        row = wait_for_rows(house, 1)[0]
    assert set(row) >= FIELDS
    assert (row["org"], row["tags"], row["status"], row["attempts"]) == (
        "acme",
        {"feature": "search"},
        200,
        1,
    )
    assert (row["model_asked"], row["model"], row["provider"]) == ("gpt-4o", "gpt-4o-2024-08-06", "openai")
    assert (row["usage"]["input"], row["usage"]["output"]) == (9, 5)
    assert row["usage_source"] == "reported" and row["trace_id"] == "a" * 32
    assert Decimal(row["cost_usd"]) == COST == Decimal(answer.headers["x-llmgw-cost-usd"])
    assert row["latency_ms"] >= 0 and row["key_id"].startswith("key_") and row["id"].startswith("call_")


def test_streams_are_billed_as_reported(house: House) -> None:
    """A stream whose client did not ask for usage costs what the provider reports, not a guess."""
    with house.serve() as gateway:
        assert ask(gateway, house, STREAM).status_code == 200
        assert ask(gateway, house, {**STREAM, "model": "claude"}).status_code == 200
        found = wait_for_rows(house, 2)
    assert [row["usage_source"] for row in found] == ["reported", "reported"]
    assert Decimal(found[0]["cost_usd"]) == COST
    assert all(row["first_token_ms"] is not None for row in found)


def test_calls_refused_before_admission_leave_no_row(house: House) -> None:
    """A wrong key, an unknown model and a malformed body are nobody's spend."""
    with house.serve() as gateway:
        assert httpx.post(gateway.url + "/v1/chat/completions", json=CHAT, trust_env=False).status_code == 401
        assert ask(gateway, house, {**CHAT, "model": "nope"}).status_code == 404
        assert ask(gateway, house, {**CHAT, "messages": "x"}).status_code == 400
        assert ask(gateway, house).status_code == 200
        wait_for_rows(house, 1)


def test_failures_after_admission_leave_a_row_that_costs_nothing(house: House, provider: Provider) -> None:
    """A provider's error has its row, with the status the client saw."""
    with house.serve() as gateway:
        for status, seen in ((500, 502), (400, 400), (401, 502), (429, 429)):
            provider.script("answer", status=status)
            assert ask(gateway, house).status_code == seen
        found = wait_for_rows(house, 4)
    assert [row["status"] for row in found] == [502, 400, 502, 429]
    assert {Decimal(row["cost_usd"]) for row in found} == {Decimal(0)}


def test_a_client_that_leaves_pays_for_what_came_and_never_less_than_the_input(
    house: House, provider: Provider
) -> None:
    """The upstream is cut off at once; the row is 499, counted, and costs input and the received part."""
    with house.serve() as gateway:
        provider.script("gate")
        with leaving(gateway, house, STREAM):
            pass
        row = wait_for_rows(house, 1)[0]
    assert (row["status"], row["usage_source"]) == (499, "counted")
    assert row["usage"]["input"] >= 1 and 1 <= row["usage"]["output"] <= 5
    assert 0 < Decimal(row["cost_usd"]) <= 3 * COST


def test_a_model_that_drains_is_billed_as_reported(house: House, provider: Provider) -> None:
    """With on_disconnect: drain the answer is read to its end for the provider's own count; still a 499."""
    with house.serve() as gateway:
        provider.script("gate")
        with leaving(gateway, house, {**STREAM, "model": "patient"}):
            pass
        wait_until(lambda: provider.seen())
        provider.release()
        row = wait_for_rows(house, 1)[0]
    assert (row["status"], row["usage_source"]) == (499, "reported")
    assert Decimal(row["cost_usd"]) == COST


def test_a_drain_has_an_end(tmp_path: Path, provider: Provider) -> None:
    """A provider that never ends keeps a drained call no longer than the configured time."""
    models = {"patient": {**MODELS["gpt-4o"], "on_disconnect": "drain", "drain": "500ms"}}
    with house_of(tmp_path, provider, models=models) as house, house.serve() as gateway:
        provider.script("gate")
        with leaving(gateway, house, {**STREAM, "model": "patient"}):
            began = time.monotonic()
        row = wait_for_rows(house, 1)[0]
        assert time.monotonic() - began < 10
    assert (row["status"], row["usage_source"]) == (499, "counted")


def test_a_stream_that_is_cut_is_billed_for_what_came(house: House, provider: Provider) -> None:
    """The provider breaks off: a row with an error, counted from what arrived."""
    with house.serve() as gateway:
        provider.script("cut-mid-event-fin")
        ask(gateway, house, STREAM)
        row = wait_for_rows(house, 1)[0]
    assert row["usage_source"] == "counted" and Decimal(row["cost_usd"]) > 0


def test_a_time_out_is_billed_for_its_input(tmp_path: Path, provider: Provider) -> None:
    """504: the request was sent and may have been worked on; its input is billed as an estimate."""
    made = providers(provider)
    made["openai"]["timeouts"] = QUICK
    with house_of(tmp_path, provider, providers=made) as house, house.serve() as gateway:
        provider.script("hang-before-head")
        assert ask(gateway, house).status_code == 504
        row = wait_for_rows(house, 1)[0]
    assert (row["status"], row["usage_source"]) == (504, "estimated")
    assert row["usage"]["input"] >= 1 and not row["usage"]["output"]


def test_an_unpriced_model_costs_null_and_never_zero(tmp_path: Path, provider: Provider) -> None:
    """Unknown is null, and counted; with require_pricing the call is refused instead."""
    asked = {**CHAT, "model": "openai/nobody-knows-this-model"}
    with house_of(tmp_path, provider) as house, house.serve() as gateway:
        answer = ask(gateway, house, asked)
        assert answer.status_code == 200 and "x-llmgw-cost-usd" not in answer.headers
        row = wait_for_rows(house, 1)[0]
        assert row["cost_usd"] is None
        assert "llmgw_unpriced_calls_total 1.0" in gateway.metrics()
    house.configure(
        {
            "version": 1,
            "providers": providers(provider),
            "models": MODELS,
            "limits": {"require_pricing": True},
        }
    )
    with house.serve() as gateway:
        refused = ask(gateway, house, asked)
        assert refused.status_code == 403 and "price" in refused.json()["error"]["message"]
        assert ask(gateway, house).status_code == 200


def test_killed_in_mid_stream_nothing_is_lost_and_nothing_stuck(tmp_path: Path, provider: Provider) -> None:
    """SIGKILL while a call runs: the next process writes its row, and its reservation holds nothing back."""
    limits = {"default_key": {"budget": "0.5/day", "max_parallel": 1}}
    with house_of(tmp_path, provider, limits=limits) as house:
        with house.serve() as gateway:
            assert ask(gateway, house).status_code == 200
            provider.script("gate")
            client = httpx.Client(timeout=20, trust_env=False)
            with (
                contextlib.suppress(httpx.HTTPError),
                client.stream(
                    "POST", gateway.url + "/v1/chat/completions", json=STREAM, headers=house.auth
                ) as answer,
            ):
                pieces = answer.iter_raw()  # kept: without its iterator the answer is closed
                next(pieces)
                gateway.process.send_signal(signal.SIGKILL)
                gateway.process.wait(10)
        with house.serve() as gateway:
            found = wait_for_rows(house, 2)
            assert found[0]["status"] == 200 and Decimal(found[0]["cost_usd"]) == COST
            assert found[1]["status"] == 500 and found[1]["usage_source"] == "estimated"
            assert Decimal(found[1]["cost_usd"]) > 0
            provider.reset()
            assert ask(gateway, house).status_code == 200, "something is stuck"


def test_a_locked_store_stops_neither_calls_nor_money(house: House) -> None:
    """Another process holds SQLite's write lock: calls go on, rows wait in a file and arrive after it."""
    with house.serve() as gateway:
        assert ask(gateway, house).status_code == 200
        wait_for_rows(house, 1)
        other = sqlite3.connect(house.folder / "llmgw.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        slowest = 0.0
        for _ in range(30):
            began = time.monotonic()
            assert ask(gateway, house).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.1)
        other.execute("ROLLBACK")
        other.close()
        found = wait_for_rows(house, 31)
        assert slowest < 1.0, "a call waited for the store"
    assert {row["usage_source"] for row in found} == {"reported"}


def test_counters_can_be_rebuilt(house: House) -> None:
    """`usage rebuild` says what it found, and the report reads the same afterwards."""
    with house.serve() as gateway:
        for _ in range(3):
            ask(gateway, house)
        wait_for_rows(house, 3)
    before = house.run("usage", "report", "--json").json
    database = sqlite3.connect(house.folder / "llmgw.db")
    database.execute("UPDATE usage_rollups SET cost_nano_usd = cost_nano_usd + 1000000000")
    database.commit()
    database.close()
    assert house.run("usage", "report", "--json").json != before
    house.run("usage", "rebuild")
    assert house.run("usage", "report", "--json").json == before
    total = sum(Decimal(item["cost_usd"]) for item in before["items"])
    assert total == 3 * COST
