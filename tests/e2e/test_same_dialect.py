"""Within one dialect: the model is patched, every other byte passes, in both directions."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import UPSTREAM_KEY
from tests.gateway import Gateway, House
from tests.provider import Provider, canned, recordings

ODD_BODY = (
    b'{ "messages":[{"role":"user","content":"caf\xc3\xa9 \\u00e9 \\"model\\""}],\n\t"model" :  "gpt-4o" ,'
    b'"temperature": 1.50e0, "seed": 12345678901234567890, "x_new": {"model": "inner", "n": -0.0} }'
)

ENDPOINTS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]


def post(gateway: Gateway, house: House, path: str, **kwargs: Any) -> httpx.Response:
    headers = {**house.auth, **kwargs.pop("headers", {})}
    return httpx.post(gateway.url + path, headers=headers, timeout=20, trust_env=False, **kwargs)


def _text(value: bytes | None) -> str:
    assert value is not None
    return value.decode()


def test_the_request_body_passes_byte_for_byte(provider: Provider, gateway: Gateway, house: House) -> None:
    """Only the model's value differs at the provider; white space, escapes and number formats stay."""
    response = post(gateway, house, "/v1/chat/completions", content=ODD_BODY)
    assert response.status_code == 200, response.text
    assert provider.last().body == ODD_BODY.replace(b'"gpt-4o"', b'"gpt-4o-2024-08-06"')


@pytest.mark.parametrize("path", ENDPOINTS)
def test_each_openai_endpoint_reaches_its_place(
    path: str, provider: Provider, gateway: Gateway, house: House
) -> None:
    """Every OpenAI endpoint goes to the same path at the provider, with the provider's own key."""
    request = {"model": "gpt-4o", "input": "x", "messages": [], "prompt": "x"}
    response = post(gateway, house, path + "?beta=true", json=request)
    seen = provider.last()
    assert response.status_code == 200, response.text
    assert response.content == canned.answer(path, {**request, "model": "gpt-4o-2024-08-06"}).body
    assert seen.target == path + "?beta=true"
    assert seen.header("authorization") == f"Bearer {UPSTREAM_KEY}".encode()


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_each_anthropic_endpoint_reaches_its_place(
    path: str, provider: Provider, gateway: Gateway, house: House
) -> None:
    """Anthropic's endpoints likewise, with its version and beta headers."""
    request = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    response = post(
        gateway, house, path, json=request, headers={"anthropic-beta": "a-1,b-2", "authorization": "", "x-api-key": house.key}
    )  # fmt: skip
    seen = provider.last()
    assert response.status_code == 200, response.text
    assert seen.target == path
    assert seen.header("x-api-key") == UPSTREAM_KEY.encode()
    assert seen.header("anthropic-version") == b"2023-06-01"
    assert seen.header("anthropic-beta") == b"a-1,b-2"
    assert seen.json()["model"] == "claude-sonnet-4-5"


def test_provider_slash_model_is_always_valid(provider: Provider, gateway: Gateway, house: House) -> None:
    """`provider/model` needs no entry in the configuration."""
    response = post(gateway, house, "/v1/chat/completions", json={"model": "openai/o9", "messages": []})
    assert response.status_code == 200
    assert provider.last().json()["model"] == "o9"
    assert response.headers["x-llmgw-provider"] == "openai"
    assert response.headers["x-llmgw-model"] == "o9"


def test_headers_pass_by_allow_list(provider: Provider, gateway: Gateway, house: House) -> None:
    """The client's key, cookies, hop-by-hop fields and account choices never reach the provider."""
    headers = {
        "cookie": "session=1",
        "connection": "keep-alive, x-hop",
        "x-hop": "1",
        "openai-organization": "org-mine",
        "openai-beta": "assistants=v2",
        "idempotency-key": "abc",
        "x-forwarded-for": "10.0.0.1",
        "user-agent": "my-app/1",
        "accept-encoding": "gzip",
    }
    post(gateway, house, "/v1/chat/completions", json={"model": "gpt-4o", "messages": []}, headers=headers)
    seen = provider.last()
    assert house.key.encode() not in seen.head
    for name in ("cookie", "x-hop", "openai-organization", "idempotency-key", "x-forwarded-for", "te"):
        assert seen.header(name) is None, name
    assert seen.header("openai-beta") == b"assistants=v2"
    assert seen.header("user-agent") == b"my-app/1"
    assert seen.header("accept-encoding") == b"identity"


def test_answer_headers_say_what_happened(provider: Provider, gateway: Gateway, house: House) -> None:
    """x-llmgw-* and x-request-id are set; the provider's own request id is kept beside ours."""
    response = post(
        gateway,
        house,
        "/v1/chat/completions",
        json={"model": "gpt-4o", "messages": []},
        headers={"x-request-id": "my-id-1"},
    )
    assert response.headers["x-request-id"] == "my-id-1"
    assert response.headers["x-llmgw-provider"] == "openai"
    assert response.headers["x-llmgw-model"] == "gpt-4o-2024-08-06"
    assert response.headers["x-llmgw-attempts"] == "1"
    assert 0 <= float(response.headers["x-llmgw-overhead-ms"]) < 1000
    call = gateway.wait_for_call("my-id-1")
    assert call["org"] == "acme"
    assert call["status"] == 200


def test_a_request_id_that_is_not_plain_is_replaced(
    provider: Provider, gateway: Gateway, house: House
) -> None:
    """What goes into headers and logs is of a plain form, whatever the client sends."""
    response = post(
        gateway, house, "/v1/chat/completions", json={"model": "gpt-4o", "messages": []},
        headers={"x-request-id": 'a"b{}' + "x" * 300},
    )  # fmt: skip
    assert response.headers["x-request-id"].startswith("req_")


def test_the_trace_is_continued(provider: Provider, gateway: Gateway, house: House) -> None:
    """The provider gets the client's trace id with a span of ours; tracestate passes."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    post(
        gateway, house, "/v1/chat/completions", json={"model": "gpt-4o", "messages": []},
        headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01", "tracestate": "vendor=1"},
    )  # fmt: skip
    seen = provider.last()
    version, trace_id, span_id, flags = _text(seen.header("traceparent")).split("-")
    assert (version, trace_id, flags) == ("00", trace, "01")
    assert span_id != "b7ad6b7169203331" and int(span_id, 16) != 0
    assert seen.header("tracestate") == b"vendor=1"


def test_without_a_trace_a_new_one_begins(provider: Provider, gateway: Gateway, house: House) -> None:
    """Each call without a valid traceparent gets a trace of its own."""
    traces = set()
    for value in ({}, {"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"}):
        post(gateway, house, "/v1/chat/completions", json={"model": "gpt-4o", "messages": []}, headers=value)
        traces.add(_text(provider.last().header("traceparent")).split("-")[1])
    assert len(traces) == 2 and "0" * 32 not in traces


@pytest.mark.parametrize("status", [400, 404, 409, 422, 429])
@pytest.mark.parametrize(("path", "model"), [("/v1/chat/completions", "gpt-4o"), ("/v1/messages", "claude")])
def test_a_providers_own_refusal_passes_byte_for_byte(
    status: int, path: str, model: str, provider: Provider, gateway: Gateway, house: House
) -> None:
    """The provider's 4xx about the request keeps its status, its body and its retry-after."""
    provider.script("answer", status=status)
    response = post(gateway, house, path, json={"model": model, "max_tokens": 1, "messages": []})
    expected = canned.failure(path, status, f"scripted {status}")
    assert response.status_code == status
    assert response.content == expected.body
    kept = {name.lower(): value for name, value in expected.headers}
    assert response.headers.get("retry-after") == kept.get("retry-after")


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_a_failing_provider_is_502(status: int, provider: Provider, gateway: Gateway, house: House) -> None:
    """The provider's 5xx becomes our 502 `upstream_error` with its words and its retry-after."""
    provider.script("answer", status=status)
    response = post(gateway, house, "/v1/messages", json={"model": "claude", "max_tokens": 1, "messages": []})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (502, "upstream_error", "api_error")
    assert str(status) in error["message"] and f"scripted {status}" in error["message"]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_credential_is_not_the_clients_fault(
    status: int, provider: Provider, gateway: Gateway, house: House
) -> None:
    """The provider refusing our key is 502 `upstream_credentials`; its words are for the log alone."""
    provider.script("answer", status=status)
    response = post(gateway, house, "/v1/chat/completions", json={"model": "gpt-4o", "messages": []})
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "upstream_credentials"
    assert "scripted" not in response.text
    assert "scripted" in gateway.wait_for_call(response.headers["x-request-id"])["detail"]


def test_a_redirect_is_not_followed(provider: Provider, gateway: Gateway, house: House) -> None:
    """A provider cannot send the gateway elsewhere."""
    provider.script("redirect")
    response = post(gateway, house, "/v1/chat/completions", json={"model": "gpt-4o", "messages": []})
    assert response.status_code == 502
    assert "redirect" in response.json()["error"]["message"]
    assert len(provider.seen()) == 1


RECORDED = [
    recording_id
    for recording_id in recordings.index()
    if recording_id.startswith(("openai-chat", "openai-responses", "openai-completions", "openai-embeddings", "anthropic-messages"))
]  # fmt: skip


@pytest.mark.skipif(not RECORDED, reason="the recorded fixtures are not beside this checkout")
@pytest.mark.parametrize("chunking", ["whole", "event", "random"])
def test_recorded_exchanges_pass_unchanged(
    chunking: str, provider: Provider, gateway: Gateway, house: House
) -> None:
    """Every recorded answer of both dialects reaches the client byte for byte, streamed or not."""
    tried = 0
    with httpx.Client(base_url=gateway.url, headers=house.auth, timeout=20, trust_env=False) as client:
        for recording_id in RECORDED:
            recording = recordings.load(recording_id)
            answer = recording.answer("odd")
            name = "anthropic" if recording_id.startswith("anthropic") else "openai"
            body = dict(recording.request["body"] or {"messages": []})
            sent = json.dumps({**body, "model": f"{name}/{recording_id}"}).encode()
            provider.script("answer", chunking=chunking, seed=tried)
            response = client.post(recording.endpoint, content=sent)
            tried += 1
            if answer.status in (401, 402, 403) or answer.status >= 500:
                assert response.status_code == 502, recording_id
            elif "truncated_stream" in recording.features:
                assert response.status_code == 200 and answer.body in response.content, recording_id
                assert b'"upstream_error"' in response.content, recording_id
            elif recording_id in FAILS_FIRST:
                assert response.status_code == 502, recording_id
            else:
                assert response.status_code == answer.status, (recording_id, response.text)
                assert response.content == answer.body, recording_id
    assert tried == len(RECORDED)


FAILS_FIRST = {"anthropic-stream-overloaded-first", "openai-responses-stream-insufficient-quota"}
"""Streams whose provider reports an error before any content."""


def test_the_gateway_asks_for_usage_and_hides_it(provider: Provider, gateway: Gateway, house: House) -> None:
    """A stream's usage is asked for on behalf of the bill; a client that did not ask sees no chunk of it, and one
    that did sees its own."""
    request = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    plain = post(gateway, house, "/v1/chat/completions", json=request)
    assert provider.last().json()["stream_options"] == {"include_usage": True}
    asked = post(
        gateway, house, "/v1/chat/completions", json={**request, "stream_options": {"include_usage": True}}
    )
    assert asked.text.count('"usage":{') == 1 and asked.text.rstrip().endswith("data: [DONE]")
    assert '"usage":{' not in plain.text and plain.text.rstrip().endswith("data: [DONE]")
    assert asked.text.count("data: ") == plain.text.count("data: ") + 1
