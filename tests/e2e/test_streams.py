"""Streams: relayed as they arrive, broken off honestly, never at the cost of memory or of somebody else's money."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import MODELS, QUICK, UPSTREAM_KEY, providers
from tests.gateway import Gateway, House, installed
from tests.provider import Provider, blackhole_port, canned, closed_port, wait_until

STREAM = {"model": "gpt-4o", "messages": [], "stream": True}
MESSAGE = {"model": "claude", "max_tokens": 9, "messages": [], "stream": True}
CASES = [("/v1/chat/completions", STREAM), ("/v1/messages", MESSAGE)]


@contextlib.contextmanager
def streamed(gateway: Gateway, house: House, path: str, body: dict[str, Any]) -> Iterator[httpx.Response]:
    with (
        httpx.Client(base_url=gateway.url, headers=house.auth, timeout=20, trust_env=False) as client,
        client.stream("POST", path, json=body) as response,
    ):
        yield response


@pytest.fixture(scope="module")
def quick_house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An installation with time-outs of a second, and providers that cannot be reached."""
    made = providers(provider_process)
    for name in ("openai", "anthropic"):
        made[name]["timeouts"] = QUICK
    with blackhole_port() as hole, closed_port() as closed:
        for name, port in (("hole", hole), ("closed", closed)):
            made[name] = {
                "dialect": "openai", "base_url": f"http://127.0.0.1:{port}/v1", "allow_private": True,
                "timeouts": QUICK,
            }  # fmt: skip
        with installed(
            tmp_path_factory.mktemp("quick"),
            env={"UPSTREAM_KEY": UPSTREAM_KEY},
            providers=made,
            models=MODELS,
        ) as house:
            yield house


@pytest.fixture(scope="module")
def quick(quick_house: House) -> Iterator[Gateway]:
    with quick_house.serve() as running:
        yield running


@pytest.mark.parametrize(("path", "body"), CASES)
def test_events_arrive_as_they_are_sent(
    path: str, body: dict[str, Any], provider: Provider, gateway: Gateway, house: House
) -> None:
    """The client has the first events while the provider still waits before the rest."""
    provider.script("gate")
    with streamed(gateway, house, path, body) as response:
        pieces = response.iter_raw()
        first = next(pieces)
        assert provider.last().finished is False
        assert first
        provider.release()
        rest = b"".join(pieces)
    assert first + rest == canned.answer(path, {**body, "model": provider.last().json()["model"]}).body


@pytest.mark.parametrize(("path", "body"), CASES)
@pytest.mark.parametrize("behaviour", ["cut-mid-event-fin", "cut-mid-event-rst", "bad-chunk-size"])
def test_a_cut_stream_ends_with_an_error_and_no_terminator(
    behaviour: str, path: str, body: dict[str, Any], provider: Provider, gateway: Gateway, house: House
) -> None:
    """After the first event a break is an in-band error event; the body then ends in good order."""
    provider.script(behaviour)
    with streamed(gateway, house, path, body) as response:
        assert response.status_code == 200
        text = response.read().decode()
        request_id = response.headers["x-request-id"]
    events = [block for block in text.split("\n\n") if block]
    error = json.loads(events[-1].split("data: ", 1)[1])["error"]
    assert error["code"] == "upstream_error"
    assert "[DONE]" not in text and "event: message_stop" not in text
    for event in events[:-1]:
        json.loads(event.split("data: ", 1)[1])
    assert gateway.wait_for_call(request_id)["error"] == "upstream_error"


@pytest.mark.parametrize(("path", "body"), CASES)
def test_a_stream_whose_framing_is_cut_after_its_end_is_complete(
    path: str, body: dict[str, Any], provider: Provider, gateway: Gateway, house: House
) -> None:
    """Where the terminator has come, the missing last chunk of the framing costs the client nothing."""
    provider.script("cut-before-last-chunk")
    with streamed(gateway, house, path, body) as response:
        text = response.read()
    assert b"upstream_error" not in text


@pytest.mark.parametrize(("path", "body"), CASES)
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("behaviour", ["hang-before-head", "stall", "hang-after-head"])
def test_silence_is_504_or_an_in_band_error(
    behaviour: str,
    streaming: bool,
    path: str,
    body: dict[str, Any],
    provider: Provider,
    quick: Gateway,
    quick_house: House,
) -> None:
    """No first token in time is 504 in the client's dialect; silence after it is an in-band error."""
    provider.script(behaviour)
    began = time.monotonic()
    with streamed(quick, quick_house, path, {**body, "stream": streaming}) as response:
        text = response.read().decode()
    assert 0.9 < time.monotonic() - began < 5
    if streaming and behaviour == "stall" and path != "/v1/messages":  # whose first three events are start-up
        assert response.status_code == 200
        assert json.loads(text.rstrip().rsplit("data: ", 1)[1])["error"]["code"] == "upstream_timeout"
        assert "[DONE]" not in text and "event: message_stop" not in text
    else:
        assert response.status_code == 504
        error = response.json()["error"]
        assert error["code"] == "upstream_timeout"
        assert error["type"] == ("timeout_error" if path == "/v1/messages" else "server_error")
    assert wait_until(lambda: provider.last().closed_at)


def test_no_connection_is_504_and_a_refused_one_502(quick: Gateway, quick_house: House) -> None:
    """An address that never answers is a connect time-out; a closed port is a failure at once."""
    for model, status, code in (("hole/m", 504, "upstream_timeout"), ("closed/m", 502, "upstream_error")):
        response = httpx.post(
            quick.url + "/v1/chat/completions", headers=quick_house.auth, json={"model": model, "messages": []},
            timeout=10, trust_env=False,
        )  # fmt: skip
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
        assert "127.0.0.1" not in response.text


def test_the_total_limit_ends_a_stream_that_never_stops(provider: Provider, tmp_path: Path) -> None:
    """`total` holds for the whole call, however lively the provider is."""
    made = providers(provider)
    made["openai"]["timeouts"] = {"total": "1s"}
    with (
        installed(tmp_path, env={"UPSTREAM_KEY": UPSTREAM_KEY}, providers=made, models=MODELS) as house,
        house.serve() as gateway,
    ):
        provider.script("endless")
        began = time.monotonic()
        with streamed(gateway, house, "/v1/chat/completions", STREAM) as response:
            text = response.read()
        assert time.monotonic() - began < 10
        assert b'"upstream_timeout"' in text[-600:]


@pytest.mark.parametrize("streaming", [True, False])
def test_a_client_that_leaves_frees_the_provider(
    streaming: bool, provider: Provider, gateway: Gateway, house: House
) -> None:
    """Within 100 ms of the client's leaving the provider's connection is gone; the call is recorded as 499."""
    provider.script("stall" if streaming else "hang-before-head")
    request_id = f"leaves-{streaming}"
    body = json.dumps({**STREAM, "stream": streaming}).encode()
    with socket.create_connection(gateway.address) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\nx-request-id: %s\r\n"
            b"content-length: %d\r\n\r\n%s" % (house.key.encode(), request_id.encode(), len(body), body)
        )
        wait_until(lambda: provider.seen() and provider.last().written >= (1 if streaming else 0))
        if streaming:
            client.recv(1)
    left = time.monotonic()
    closed = wait_until(lambda: provider.last().closed_at)
    assert closed is not None and closed - left < 0.1
    call = gateway.wait_for_call(request_id)
    assert (call["status"], call["error"]) == (499, "client_closed_request")


def test_a_client_that_leaves_while_connecting_is_recorded(quick: Gateway, quick_house: House) -> None:
    """Leaving before the provider's connection stands is a 499 as well."""
    body = b'{"model":"hole/m","messages":[]}'
    with socket.create_connection(quick.address) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\nx-request-id: early\r\n"
            b"content-length: %d\r\n\r\n%s" % (quick_house.key.encode(), len(body), body)
        )
        wait_until(lambda: "llmgw_requests_in_flight 1" in quick.metrics() or None)
    assert quick.wait_for_call("early", timeout_s=0.9)["status"] == 499


def test_a_slow_reader_slows_the_provider(provider: Provider, gateway: Gateway, house: House) -> None:
    """While the client does not read, the provider's writes stop after what the buffers hold."""
    provider.script("endless")
    body = json.dumps(STREAM).encode()
    with socket.create_connection(gateway.address) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n"
            b"content-length: %d\r\n\r\n%s" % (house.key.encode(), len(body), body)
        )
        wait_until(lambda: provider.seen() and provider.last().written > 0)
        stood_still = _written_when_still(provider)
        assert stood_still < 32 * 1024 * 1024
        received = 0
        while received < stood_still // 2:
            received += len(client.recv(65536))
        wait_until(lambda: provider.last().written > stood_still, timeout_s=10)


def _written_when_still(provider: Provider) -> int:
    """The number of bytes written once it has not changed for half a second."""
    last, since = -1, time.monotonic()

    def still() -> bool:
        nonlocal last, since
        written = provider.last().written
        if written != last:
            last, since = written, time.monotonic()
        return time.monotonic() - since > 0.5

    wait_until(still, timeout_s=20)
    return last


def test_a_stale_connection_is_replaced_unseen(provider: Provider, gateway: Gateway, house: House) -> None:
    """A kept-alive connection that the provider closed meanwhile costs the client nothing."""
    with httpx.Client(base_url=gateway.url, headers=house.auth, timeout=20, trust_env=False) as client:
        for _ in range(3):
            provider.script("stale", times=2)
            for _ in range(2):
                response = client.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": []})
                assert response.status_code == 200, response.text


HOSTILE = [
    "cut-before-head-fin", "cut-before-head-rst", "cut-in-head", "garbage", "banner", "switch", "endless-headers",
    "endless-line", "endless-interim", "bad-header", "nul-in-header", "length-conflict", "length-bad",
    "length-negative", "html",
]  # fmt: skip


@pytest.mark.parametrize("behaviour", HOSTILE)
def test_a_provider_that_talks_nonsense_is_502(
    behaviour: str, provider: Provider, quick: Gateway, quick_house: House
) -> None:
    """Whatever comes instead of HTTP is one honest 502, never a 500 and never a hang."""
    provider.script(behaviour, times=2)
    response = httpx.post(
        quick.url + "/v1/chat/completions", headers=quick_house.auth, json={"model": "gpt-4o", "messages": []},
        timeout=10, trust_env=False,
    )  # fmt: skip
    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_error")


def test_a_plain_answer_cut_in_the_middle_is_502(provider: Provider, gateway: Gateway, house: House) -> None:
    """Half a JSON document is never passed off as an answer."""
    provider.script("cut-mid-event-fin")
    response = httpx.post(
        gateway.url + "/v1/chat/completions", headers=house.auth, json={"model": "gpt-4o", "messages": []},
        timeout=10, trust_env=False,
    )  # fmt: skip
    assert response.status_code == 502
