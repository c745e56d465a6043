"""What becomes of a call whose provider fails: tried again, sent elsewhere, or told honestly; through the front door."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import UPSTREAM_KEY
from tests.e2e.test_ledger import rows, wait_for_rows
from tests.e2e.test_limits import CHAT, COST, PRICES
from tests.gateway import Gateway, House, installed
from tests.provider import Provider, closed_port, wait_until
from tests.provider.canned import event
from tests.provider.steps import Fin, Flood, Send, Step

STREAM = {**CHAT, "stream": True}
FAILURES = {
    "hangs": ("hang-before-head", {}),
    "cut": ("cut-before-head-rst", {}),
    "cut-in-head": ("cut-in-head", {}),
    "cut-after-head": ("cut-after-head", {}),
    "garbage": ("garbage", {}),
    "html": ("html", {}),
    "status-500": ("answer", {"status": 500}),
    "status-529": ("answer", {"status": 529}),
    "status-429": ("answer", {"status": 429}),
    "status-401": ("answer", {"status": 401}),
    "redirect": ("redirect", {}),
}
"""Provider by name: how it answers everything."""
SERIES = {"attempts": 1}
QUICK = {"connect": "1s", "first_token": "1s", "idle": "2s", "total": "20s"}


def upstream(url: str, **settings: Any) -> dict[str, Any]:
    return {
        "dialect": "openai",
        "base_url": url + "/v1",
        "api_key": "${UPSTREAM_KEY}",
        "allow_private": True,
        "timeouts": QUICK,
        **settings,
    }


def providers_of(provider: Provider, refusing_port: int) -> dict[str, Any]:
    return {
        "good": upstream(provider.url),
        "second": upstream(provider.url),
        "refuses": upstream(f"http://127.0.0.1:{refusing_port}"),
        "silent": upstream(provider.base_url("hang-before-head"), timeouts={"first_token": "10s"}),
        "slow": upstream(provider.base_url("slow-first-byte", delay_s=0.8)),
        "tls": upstream(provider.tls_url("self-signed")),
        "several-keys": {
            key: value
            for key, value in upstream(provider.url, api_keys=["sk-one", "sk-two"]).items()
            if key != "api_key"
        },
        "claude": {**upstream(provider.url), "dialect": "anthropic", "base_url": provider.url},
        **{
            name: upstream(provider.base_url(behaviour, **options))
            for name, (behaviour, options) in FAILURES.items()
        },
    }


MODELS: dict[str, Any] = {
    "gpt-4o": {"targets": ["good/gpt-4o-2024-08-06"], "retries": {"attempts": 3}},
    "hurried": {
        "targets": [{"use": "good/gpt-4o-2024-08-06", "timeouts": {"min_tokens_per_s": 10}}],
        "retries": SERIES,
    },
    "once": {"targets": ["good/gpt-4o-2024-08-06"], "retries": SERIES},
    "keys": {"targets": ["several-keys/gpt-4o-2024-08-06"], "retries": SERIES},
    "two": {"targets": ["good/one", "second/gpt-4o-2024-08-06"], "retries": SERIES},
    "hedged": {
        "targets": ["slow/m", "good/gpt-4o-2024-08-06"],
        "retries": SERIES,
        "hedge": {"after": "200ms", "max_share": 1},
    },
    "hedged-silent": {
        "targets": ["silent/m", "good/gpt-4o-2024-08-06"],
        "retries": SERIES,
        "hedge": {"after": "100ms", "max_share": 1},
    },
    "hedged-rarely": {
        "targets": ["slow/m", "good/gpt-4o-2024-08-06"],
        "retries": SERIES,
        "hedge": {"after": "100ms", "max_share": 0.25},
    },
    "hedged-both-fail": {
        "targets": ["hangs/m", "status-500/m", "good/gpt-4o-2024-08-06"],
        "retries": SERIES,
        "hedge": {"after": "100ms", "max_share": 1},
    },
    "silent-first": {"targets": ["silent/m", "good/gpt-4o-2024-08-06"]},
    "cascade": {
        "targets": ["second/cheap", "good/gpt-4o-2024-08-06"],
        "retries": SERIES,
        "escalate_on": ["refusal", "length", "schema"],
    },
    "cascade-then-fails": {
        "targets": ["second/cheap", "status-500/m"],
        "retries": SERIES,
        "escalate_on": ["length"],
    },
    "speaks-otherwise": {"targets": ["claude/claude-sonnet-4-5", "good/gpt-4o-2024-08-06"]},
    "inner": {"targets": ["status-500/a", "refuses/b"], "retries": SERIES},
    "nested": {"targets": ["inner", "good/gpt-4o-2024-08-06"], "retries": SERIES},
    **{
        f"after-{name}": {"targets": [f"{name}/m", "good/gpt-4o-2024-08-06"], "retries": SERIES}
        for name in (*FAILURES, "refuses", "tls")
    },
    **{f"only-{name}": {"targets": [f"{name}/m"], "retries": SERIES} for name in (*FAILURES, "refuses")},
}


@contextlib.contextmanager
def house_of(folder: Path, provider: Provider, **settings: Any) -> Iterator[House]:
    with (
        closed_port() as port,
        installed(
            folder,
            env={"UPSTREAM_KEY": UPSTREAM_KEY},
            providers=providers_of(provider, port),
            models=MODELS,
            prices=PRICES,
            **settings,
        ) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_of(tmp_path_factory.mktemp("failover"), provider_process) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(house: House) -> Iterator[Gateway]:
    with house.serve() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(provider: Provider) -> None:
    """Each test has the provider to itself."""


def ask(
    gateway: Gateway, house: House, model: str, body: dict[str, Any] = CHAT, **headers: str
) -> httpx.Response:
    return httpx.post(
        gateway.url + "/v1/chat/completions",
        json={**body, "model": model},
        headers={**house.auth, **headers},
        timeout=30,
        trust_env=False,
    )


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["plain", "streamed"])
@pytest.mark.parametrize("name", [*FAILURES, "refuses", "tls"])
def test_the_next_target_answers_where_one_fails(
    house: House, gateway: Gateway, name: str, body: dict[str, Any]
) -> None:
    """However the first one fails before its answer has begun; the client sees one good answer."""
    answer = ask(gateway, house, f"after-{name}", body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-llmgw-provider"] == "good"
    assert answer.headers["x-llmgw-model"] == "gpt-4o-2024-08-06"
    assert answer.headers["x-llmgw-attempts"] == "2"
    if body is STREAM:
        assert answer.text.count("data: [DONE]") == 1
    else:
        assert Decimal(answer.headers["x-llmgw-cost-usd"]) == COST


def test_pools_within_pools_are_tried_in_their_place(house: House, gateway: Gateway) -> None:
    """The targets of an inner pool come before what stands behind it."""
    answer = ask(gateway, house, "nested")
    assert (answer.status_code, answer.headers["x-llmgw-attempts"]) == (200, "3")
    assert answer.headers["x-llmgw-provider"] == "good"


def test_a_failure_may_pass_by_itself(house: House, gateway: Gateway, provider: Provider) -> None:
    """Another try at the same target, as often as the configuration says."""
    provider.script("answer", status=500, times=2)
    answer = ask(gateway, house, "gpt-4o")
    assert (answer.status_code, answer.headers["x-llmgw-attempts"]) == (200, "3")
    assert len(provider.seen()) == 3


def test_what_is_wrong_with_the_request_is_not_tried_again(
    house: House, gateway: Gateway, provider: Provider
) -> None:
    """The provider's 400 passes as it came, after one try, also where there are other targets."""
    provider.script("answer", status=400, times=0)
    answer = ask(gateway, house, "two")
    assert answer.status_code == 400 and answer.json()["error"]["message"] == "scripted 400"
    assert answer.headers["x-llmgw-attempts"] == "1" and len(provider.seen()) == 1


def test_the_last_refusal_passes_as_it_came(house: House, gateway: Gateway, provider: Provider) -> None:
    """A 429 of every target is the client's, body, status and retry-after."""
    provider.script("answer", status=429, times=0)
    answer = ask(gateway, house, "two")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["message"] == "scripted 429"
    assert len(provider.seen()) == 2


def test_a_long_retry_after_is_not_waited_for(house: House, gateway: Gateway, provider: Provider) -> None:
    """Where the provider wants a wait that the call has no time for, its answer passes at once."""
    provider.script("answer", status=429, times=0)
    began = time.monotonic()
    answer = ask(gateway, house, "gpt-4o", CHAT, **{"x-llmgw-timeout": "3s"})
    assert answer.status_code == 429 and time.monotonic() - began < 3
    assert len(provider.seen()) == 1


def test_a_refused_secret_gives_way_to_the_next(house: House, gateway: Gateway, provider: Provider) -> None:
    """A provider's 401 is never the client's fault: the next secret is used."""
    provider.script("answer", status=401)
    answer = ask(gateway, house, "keys")
    assert answer.status_code == 200
    assert [seen.header("authorization") for seen in provider.seen()] == [b"Bearer sk-one", b"Bearer sk-two"]


def test_a_secret_whose_limit_is_reached_gives_way_to_the_next(
    house: House, gateway: Gateway, provider: Provider
) -> None:
    """Each secret has limits of its own, so nobody waits while there is another; the last refusal passes."""
    provider.script("answer", status=429)
    assert ask(gateway, house, "keys").status_code == 200
    assert [seen.header("authorization") for seen in provider.seen()] == [b"Bearer sk-one", b"Bearer sk-two"]
    provider.script("answer", status=429, times=2)
    assert ask(gateway, house, "keys").status_code == 429
    assert len(provider.seen()) == 4


def test_a_stream_that_creeps_is_broken_off(house: House, gateway: Gateway, provider: Provider) -> None:
    """Pings keep it from being silent; it writes less than is asked of it. The client gets an error event and no
    terminator. Where nothing is asked, it goes on."""
    chunk = event(
        {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "hi"}}]}
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    creeping: list[Step] = [Send(head + chunk), Flood(b": ping\n\n", gap_s=0.2)]
    provider.script(steps=creeping)
    began = time.monotonic()
    answer = ask(gateway, house, "hurried", STREAM)
    assert answer.status_code == 200 and "hi" in answer.text and "[DONE]" not in answer.text
    assert "upstream_timeout" in answer.text and "2 s for 20 tokens" in answer.text
    assert 1.9 < time.monotonic() - began < 10
    provider.script(steps=creeping)
    with httpx.stream(
        "POST",
        gateway.url + "/v1/chat/completions",
        json={**STREAM, "model": "once"},
        headers=house.auth,
        timeout=10,
        trust_env=False,
    ) as answer:
        began = time.monotonic()
        for piece in answer.iter_text():
            assert "error" not in piece
            if time.monotonic() - began > 3:
                break


def test_with_all_secrets_refused_the_gateway_says_so(
    house: House, gateway: Gateway, provider: Provider
) -> None:
    provider.script("answer", status=401, times=0)
    answer = ask(gateway, house, "keys")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_credentials")
    assert len(provider.seen()) == 2


def test_a_target_that_cannot_express_the_request_is_passed_over(house: House, gateway: Gateway) -> None:
    """Log-probabilities are nothing that Anthropic's API has: the next target gets the call, and no try was made."""
    answer = ask(gateway, house, "speaks-otherwise", {**CHAT, "logprobs": True})
    assert answer.status_code == 200 and answer.headers["x-llmgw-provider"] == "good"
    assert answer.headers["x-llmgw-attempts"] == "1"


def test_after_the_first_byte_nothing_is_tried_again(
    house: House, gateway: Gateway, provider: Provider
) -> None:
    """A stream that is cut off has its error in-band, and no second target adds to it."""
    provider.script("cut-mid-event-fin")
    answer = ask(gateway, house, "two", STREAM)
    assert answer.status_code == 200 and len(provider.seen()) == 1
    assert "[DONE]" not in answer.text and '"upstream_error"' in answer.text


@pytest.mark.parametrize("value", ["1s", "1", "1000ms"])
def test_a_client_may_set_its_own_time(house: House, gateway: Gateway, value: str) -> None:
    """The call ends by then, whatever the targets' own limits are."""
    began = time.monotonic()
    answer = ask(gateway, house, "silent/m", CHAT, **{"x-llmgw-timeout": value})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert 0.9 < time.monotonic() - began < 5


def test_nobody_is_asked_after_the_calls_time(house: House, gateway: Gateway, provider: Provider) -> None:
    """With the first target silent until the end, the next one gets nothing, and is not held to have failed."""
    ask(gateway, house, "gpt-4o")  # a connection is there on which a request could go out at once
    provider.reset()
    answer = ask(gateway, house, "silent-first", CHAT, **{"x-llmgw-timeout": "500ms"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert {seen.behaviour for seen in provider.seen()} == {"hang-before-head"}


def test_a_clients_short_time_is_not_the_targets_failure(tmp_path: Path, provider_process: Provider) -> None:
    """Calls that give a target too little time do not open its breaker for others."""
    breakers = {"failures": 2, "cooldown": "60s"}
    with house_of(tmp_path, provider_process, breakers=breakers) as house, house.serve() as gateway:
        for _ in range(4):
            short = ask(gateway, house, "silent-first", CHAT, **{"x-llmgw-timeout": "200ms"})
            assert short.status_code == 504
            assert ask(gateway, house, "slow/m", CHAT, **{"x-llmgw-timeout": "200ms"}).status_code == 504
        assert ask(gateway, house, "slow/m").status_code == 200
        assert httpx.get(f"{gateway.url}/health/readiness").json()["breakers"] == {}


def test_a_time_that_is_none_is_refused(house: House, gateway: Gateway, provider: Provider) -> None:
    for value in ("soon", "-1", "0", "nan", ""):
        answer = ask(gateway, house, "gpt-4o", CHAT, **{"x-llmgw-timeout": value})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request"), value
    assert provider.seen() == []


def test_the_row_of_a_call_that_failed_over(house: House, gateway: Gateway) -> None:
    """One row: the target that answered, and how many tries it took."""
    before = len(rows(house))
    ask(gateway, house, "after-status-500")
    wait_until(lambda: len(rows(house)) == before + 1, timeout_s=15)
    row = rows(house)[-1]
    assert (row["provider"], row["model"], row["attempts"]) == ("good", "gpt-4o-2024-08-06", 2)
    assert 'llmgw_failed_tries_total{cause="500",provider="status-500"}' in gateway.metrics()
    assert (row["status"], Decimal(row["cost_usd"])) == (200, COST)


def test_a_try_that_failed_is_billed_if_it_reported_usage(
    house: House, gateway: Gateway, provider: Provider
) -> None:
    """A stream that says what it used and then fails before any content: both tries are on the one row."""
    before = len(rows(house))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    used = event(
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "choices": [],
            "usage": {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7},
        }
    )
    failed = event({"error": {"message": "overloaded", "type": "server_error"}})
    provider.script(steps=[Send(head + used + failed), Fin()])
    answer = ask(gateway, house, "two", STREAM)
    assert answer.status_code == 200 and answer.text.count("[DONE]") == 1
    wait_until(lambda: len(rows(house)) == before + 1, timeout_s=15)
    row = rows(house)[-1]
    assert row["attempts"] == 2 and row["usage"]["input"] == 7 + 9


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["plain", "streamed"])
def test_a_slow_target_is_overtaken(
    house: House, gateway: Gateway, provider: Provider, body: dict[str, Any]
) -> None:
    """The second one answers first and has the client; the first is broken off, and one answer is what comes."""
    answer = ask(gateway, house, "hedged-silent", body)
    assert (answer.status_code, answer.headers["x-llmgw-provider"]) == (200, "good")
    assert answer.headers["x-llmgw-attempts"] == "2"
    if body is STREAM:
        assert answer.text.count("[DONE]") == 1
    silent = next(seen for seen in provider.seen() if "/b/" in seen.target)
    assert wait_until(lambda: next(one for one in provider.seen() if one.number == silent.number).closed_at)


def test_a_target_in_good_time_is_not_raced(house: House, gateway: Gateway, provider: Provider) -> None:
    """Only a slow one is: the share is earned by calls, and spent by those that were sent twice."""
    asked = [ask(gateway, house, "hedged-rarely") for _ in range(8)]
    assert [answer.status_code for answer in asked] == [200] * 8
    twice = [answer for answer in asked if answer.headers["x-llmgw-attempts"] == "2"]
    assert len(twice) == 2
    assert all(answer.headers["x-llmgw-provider"] == "good" for answer in twice)


def test_where_both_fail_the_next_target_has_its_turn(house: House, gateway: Gateway) -> None:
    answer = ask(gateway, house, "hedged-both-fail")
    assert (answer.status_code, answer.headers["x-llmgw-provider"]) == (200, "good")
    assert answer.headers["x-llmgw-attempts"] == "3"


def test_a_client_that_leaves_a_race_ends_both(house: House, gateway: Gateway, provider: Provider) -> None:
    """Nothing goes on for nobody, and the call has its one row."""
    before = len(rows(house))
    provider.script("hang-before-head", path="/v1/chat", times=0)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            gateway.url + "/v1/chat/completions",
            json={**CHAT, "model": "hedged-silent"},
            headers=house.auth,
            timeout=httpx.Timeout(1.0),
            trust_env=False,
        )
    wait_until(lambda: len(provider.seen()) == 2 and all(seen.closed_at for seen in provider.seen()))
    wait_until(lambda: len(rows(house)) == before + 1, timeout_s=15)
    assert rows(house)[-1]["status"] == 499


def test_open_breakers_answer_at_once(provider: Provider, tmp_path: Path) -> None:
    """After as many failures as configured a target is left alone: 503 with the time of the next chance."""
    settings = {"breakers": {"failures": 3, "window": "1m", "cooldown": "1m"}}
    with house_of(tmp_path, provider, **settings) as house, house.serve() as gateway:
        for _ in range(3):
            assert ask(gateway, house, "only-status-500").status_code == 502
        seen = len(provider.seen())
        answer = ask(gateway, house, "only-status-500")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_target_available")
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert ask(gateway, house, "after-status-500").headers["x-llmgw-attempts"] == "1"
        assert len([one for one in provider.seen()[seen:] if "/b/" in one.target]) == 0
        assert 'llmgw_breaker_state{name="status-500/m"} 2.0' in gateway.metrics()
        ready = httpx.get(gateway.url + "/health/readiness", trust_env=False)
        assert ready.status_code == 200 and ready.json()["breakers"] == {"status-500/m": "open"}
        # The client's own faults and other targets are no concern of it.
        assert ask(gateway, house, "once").status_code == 200


def test_a_target_that_recovers_is_used_again(provider: Provider, tmp_path: Path) -> None:
    """After the cooldown one call tries it, and its success closes the breaker."""
    settings = {"breakers": {"failures": 2, "window": "1m", "cooldown": "1s"}}
    with house_of(tmp_path, provider, **settings) as house, house.serve() as gateway:
        provider.script("answer", status=500, times=2)
        for _ in range(2):
            assert ask(gateway, house, "once").status_code == 502
        assert ask(gateway, house, "once").status_code == 503
        wait_until(lambda: ask(gateway, house, "once").status_code == 200, timeout_s=10)
        assert len(provider.seen()) == 3
        assert ask(gateway, house, "once").status_code == 200
        assert "llmgw_breaker_opened_total 1.0" in gateway.metrics()


def test_what_clients_do_opens_no_breaker(provider: Provider, tmp_path: Path) -> None:
    """Neither their 4xx, nor a 429, nor their leaving."""
    with house_of(tmp_path, provider, breakers={"failures": 1}) as house, house.serve() as gateway:
        for status in (400, 404, 422, 429):
            provider.script("answer", status=status)
            assert ask(gateway, house, "once").status_code == status
        provider.script("hang-before-head")
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                gateway.url + "/v1/chat/completions",
                json={**CHAT, "model": "once"},
                headers=house.auth,
                timeout=httpx.Timeout(0.3),
                trust_env=False,
            )
        wait_for_rows(house, 5)
        assert ask(gateway, house, "once").status_code == 200


def test_a_refused_secret_is_left_alone(provider: Provider, tmp_path: Path) -> None:
    """After its 401 the next call begins with the other one."""
    with house_of(tmp_path, provider, breakers={}) as house, house.serve() as gateway:
        provider.script("answer", status=401)
        assert ask(gateway, house, "keys").status_code == 200
        assert ask(gateway, house, "keys").status_code == 200
        used = [seen.header("authorization") for seen in provider.seen()]
    assert used == [b"Bearer sk-one", b"Bearer sk-two", b"Bearer sk-two"]


def completion(text: str, finish: str, stream: bool) -> list[Step]:
    """An answer of 3 tokens, as the provider sends it."""
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    if stream:
        chunk = {"id": "c", "object": "chat.completion.chunk", "model": "cheap"}
        body = b"".join(
            (
                event({**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}),
                event({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}),
                event({**chunk, "choices": [], "usage": usage}),
                event("[DONE]"),
            )
        )
        return [Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + body), Fin()]
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    whole = {"id": "c", "object": "chat.completion", "model": "cheap", "choices": [choice], "usage": usage}
    body = json.dumps(whole).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    return [Send(head + body)]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("finish", ["length", "content_filter", "schema", "stop"])
def test_a_cascade_goes_on_where_an_answer_is_no_good(
    house: House, gateway: Gateway, provider: Provider, finish: str, stream: bool
) -> None:
    """Nothing of the first answer reaches the client; a good one is passed as it came. Both are on the bill."""
    before = len(rows(house))
    asked = {**CHAT, "stream": stream}
    if finish == "schema":
        asked["response_format"] = {"type": "json_object"}
    provider.script(steps=completion("cheap words", "stop" if finish == "schema" else finish, stream))
    answer = ask(gateway, house, "cascade", asked)
    goes_on = finish != "stop"
    assert answer.status_code == 200 and ("cheap words" in answer.text) == (not goes_on)
    assert answer.headers["x-llmgw-provider"] == ("good" if goes_on else "second")
    assert answer.headers["x-llmgw-attempts"] == ("2" if goes_on else "1")
    if stream:
        assert answer.text.count("[DONE]") == 1
    wait_until(lambda: len(rows(house)) == before + 1, timeout_s=15)
    assert rows(house)[-1]["usage"]["input"] == (18 if goes_on else 9)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_poor_answer_is_better_than_none(
    house: House, gateway: Gateway, provider: Provider, stream: bool
) -> None:
    """Where the better model fails, the client gets the answer that was passed over, and pays for it once."""
    before = len(rows(house))
    provider.script(steps=completion("cheap words", "length", stream), path="/v1/chat")
    answer = ask(gateway, house, "cascade-then-fails", {**CHAT, "stream": stream})
    assert answer.status_code == 200 and "cheap words" in answer.text
    assert answer.headers["x-llmgw-provider"] == "second"
    wait_until(lambda: len(rows(house)) == before + 1, timeout_s=15)
    row = rows(house)[-1]
    assert (row["status"], row["usage"]["input"], row["usage"]["output"]) == (200, 9, 3)


def test_a_refusal_of_the_better_model_does_not_replace_an_answer(
    house: House, gateway: Gateway, provider: Provider
) -> None:
    """The cheap model's answer was cut at its length; the better one says 400: the client has the cheap one's."""
    provider.script(steps=completion("cheap words", "length", False))
    provider.script("answer", status=400)
    answer = ask(gateway, house, "cascade", CHAT)
    assert answer.status_code == 200 and "cheap words" in answer.text
    assert len(provider.seen()) == 2


def test_a_client_that_leaves_between_two_tries(provider: Provider, tmp_path: Path) -> None:
    """The pause before another try ends with the client: nothing more is asked, and the row says 499."""
    with house_of(tmp_path, provider) as house, house.serve() as gateway:
        provider.script("answer", status=503, times=0)  # retry-after: 7
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                gateway.url + "/v1/chat/completions",
                json={**CHAT, "model": "gpt-4o"},
                headers=house.auth,
                timeout=httpx.Timeout(1.5),
                trust_env=False,
            )
        row = wait_for_rows(house, 1)[0]
        assert row["status"] == 499
        assert len(provider.seen()) == 1
