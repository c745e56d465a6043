"""Every client API reaches every provider API, plain and streamed: official SDKs, a real gateway, a real server.

What each field becomes is the matter of `tests/translation`; here it is the whole way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types

from tests.e2e.conftest import ONCE, UPSTREAM_KEY
from tests.gateway import Gateway, House, installed
from tests.provider import Provider, canned
from tests.provider.recordings import index
from tests.provider.steps import Fin, Send

TEXT = "".join(canned.WORDS)
SYSTEM = "Answer in five words."
BAD_KEY = "gemini-generate-400-error-handling-with-gemini-gemini-2-5-flash-raises-appro"
QUESTION = "What is a gateway?"
TARGETS = {
    "chat": "openai/gpt-4o",
    "responses": "responses/gpt-4o",
    "claude": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
}
PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "claude": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash",
}


def providers(provider: Provider) -> dict[str, Any]:
    common = {"allow_private": True, "api_key": "${UPSTREAM_KEY}"}
    openai_like = {"dialect": "openai", "base_url": provider.url + "/v1", **common}
    return {
        "openai": openai_like,
        "responses": {**openai_like, "api": "responses"},
        "anthropic": {"dialect": "anthropic", "base_url": provider.url, **common},
        "gemini": {"dialect": "gemini", "base_url": provider.url, **common},
        "simulator": {"dialect": "simulator"},
    }


@pytest.fixture(scope="module")
def house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with installed(
        tmp_path_factory.mktemp("translation"),
        env={"UPSTREAM_KEY": UPSTREAM_KEY},
        providers=providers(provider_process),
        models={
            **{name: {"targets": [target], **ONCE} for name, target in TARGETS.items()},
            "sim": {"targets": ["simulator/demo"]},
            "lenient": {"targets": ["anthropic/claude-sonnet-4-5"], "on_unsupported": "drop"},
            "blind": {"targets": ["openai/gpt-4o"], "capabilities": {"vision": False}},
        },
    ) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(house: House) -> Iterator[Gateway]:
    with house.serve() as running:
        yield running


class Said(NamedTuple):
    """What an SDK made of an answer."""

    text: str
    finish: str | None
    input_tokens: int | None
    output_tokens: int | None


Ask = Callable[[str, bool], Said]


def ask_chat(gateway: Gateway, key: str, model: str, stream: bool) -> Said:
    messages: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0) as client:
        if not stream:
            answer = client.chat.completions.create(model=model, messages=messages)
            usage = answer.usage
            choice = answer.choices[0]
            assert usage is not None
            return Said(
                choice.message.content or "",
                choice.finish_reason,
                usage.prompt_tokens,
                usage.completion_tokens,
            )
        chunks = list(
            client.chat.completions.create(
                model=model, messages=messages, stream=True, stream_options={"include_usage": True}
            )
        )
        usage = chunks[-1].usage
        assert usage is not None and not chunks[-1].choices
        choices = [choice for chunk in chunks for choice in chunk.choices]
        finish = [choice.finish_reason for choice in choices if choice.finish_reason]
        text = "".join(choice.delta.content or "" for choice in choices)
        return Said(text, finish[0], usage.prompt_tokens, usage.completion_tokens)


def ask_responses(gateway: Gateway, key: str, model: str, stream: bool) -> Said:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0) as client:
        if stream:
            with client.responses.stream(model=model, input=QUESTION, instructions=SYSTEM) as events:
                text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
                answer: Any = events.get_final_response()
            assert answer.output_text == text
        else:
            answer = client.responses.create(model=model, input=QUESTION, instructions=SYSTEM)
        usage = answer.usage
        return Said(answer.output_text, answer.status, usage.input_tokens, usage.output_tokens)


def ask_claude(gateway: Gateway, key: str, model: str, stream: bool) -> Said:
    messages: Any = [{"role": "user", "content": QUESTION}]
    with anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0) as client:
        if stream:
            with client.messages.stream(
                model=model, max_tokens=64, system=SYSTEM, messages=messages
            ) as events:
                text = "".join(events.text_stream)
                answer: Any = events.get_final_message()
            assert answer.content[0].text == text
        else:
            answer = client.messages.create(model=model, max_tokens=64, system=SYSTEM, messages=messages)
        usage = answer.usage
        return Said(answer.content[0].text, answer.stop_reason, usage.input_tokens, usage.output_tokens)


def ask_gemini(gateway: Gateway, key: str, model: str, stream: bool) -> Said:
    config = types.GenerateContentConfig(system_instruction=SYSTEM)
    with genai.Client(
        api_key=key, http_options=types.HttpOptions(base_url=gateway.url), vertexai=False
    ) as client:
        if stream:
            chunks = list(
                client.models.generate_content_stream(model=model, contents=QUESTION, config=config)
            )
        else:
            chunks = [client.models.generate_content(model=model, contents=QUESTION, config=config)]
    usage = chunks[-1].usage_metadata
    assert usage is not None and chunks[-1].candidates
    finish = chunks[-1].candidates[0].finish_reason
    text = "".join(chunk.text or "" for chunk in chunks)
    return Said(
        text, finish.value if finish else None, usage.prompt_token_count, usage.candidates_token_count
    )


CLIENTS = {
    "chat": (ask_chat, "stop"),
    "responses": (ask_responses, "completed"),
    "claude": (ask_claude, "end_turn"),
    "gemini": (ask_gemini, "STOP"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("client", CLIENTS)
def test_every_pair(
    client: str, target: str, stream: bool, gateway: Gateway, house: House, provider: Provider
) -> None:
    """The SDK reads text, finish reason and usage as its own API defines them; the provider was asked through its
    own API, with its own key, for its own model."""
    ask, finish = CLIENTS[client]
    said = ask(gateway, house.key, target, stream)
    assert said == Said(TEXT, finish, 14 if target == "claude" else 9, 5)
    seen = provider.last()
    own = client == target or (client == "responses" and target == "chat")
    assert seen.target.startswith(PATHS["responses" if own and client == "responses" else target])
    assert SYSTEM in seen.body.decode() and QUESTION in seen.body.decode()
    presented = seen.header("authorization") or seen.header("x-api-key") or seen.header("x-goog-api-key")
    assert presented is not None and presented.decode().removeprefix("Bearer ") == UPSTREAM_KEY
    assert house.key not in seen.body.decode() + repr(seen)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("client", CLIENTS)
def test_simulator_answers_every_api(client: str, stream: bool, gateway: Gateway, house: House) -> None:
    """The simulator is a provider for clients of every API."""
    said = CLIENTS[client][0](gateway, house.key, "sim", stream)
    assert said.text and said.output_tokens


def post(gateway: Gateway, key: str, path: str, body: Any, **headers: str) -> httpx.Response:
    with httpx.Client(base_url=gateway.url, timeout=20) as client:
        return client.post(path, json=body, headers={"authorization": f"Bearer {key}", **headers})


def test_unsupported_parameter_is_refused_by_name(gateway: Gateway, house: House, provider: Provider) -> None:
    """What the target cannot honour is 400 with the parameter's name in the client's dialect; nothing is sent."""
    before = len(provider.seen())
    body: dict[str, Any] = {
        "model": "claude",
        "logit_bias": {"50256": -100},
        "messages": [{"role": "user", "content": "x"}],
    }
    answer = post(gateway, house.key, "/v1/chat/completions", body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_parameter", "logit_bias")
    assert len(provider.seen()) == before
    body = {
        "model": "chat",
        "max_tokens": 32,
        "top_k": 4,
        "messages": [{"role": "user", "content": "x"}],
    }
    answer = post(gateway, house.key, "/v1/messages", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_parameter"
    assert "top_k" in answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_unsupported_parameter_is_dropped_and_told(
    stream: bool, gateway: Gateway, house: House, provider: Provider
) -> None:
    """With on_unsupported: drop the call goes through without it, and the answer's head says so."""
    body = {
        "model": "lenient",
        "logit_bias": {"50256": -100},
        "seed": 7,
        "stream": stream,
        "messages": [{"role": "user", "content": "x"}],
    }
    answer = post(gateway, house.key, "/v1/chat/completions", body)
    assert answer.status_code == 200
    assert {"logit_bias", "seed"} <= set(answer.headers["x-llmgw-dropped"].split(", "))
    assert "logit_bias" not in provider.last().json()


def test_capabilities_can_be_overridden(gateway: Gateway, house: House) -> None:
    """A model that the operator says is blind gets no image of a translated call."""
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    body = {"model": "blind", "max_tokens": 32, "messages": [{"role": "user", "content": [image]}]}
    answer = post(gateway, house.key, "/v1/messages", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_parameter"


ERRORS = {400: 400, 404: 404, 413: 413, 422: 422, 429: 429, 401: 502, 403: 502, 500: 502, 503: 502}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("status", "expected"), ERRORS.items())
def test_errors_speak_the_clients_dialect(
    target: str, status: int, expected: int, stream: bool, gateway: Gateway, house: House, provider: Provider
) -> None:
    """A provider's 4xx about the request keeps status and message in the client's shape, its 429 also
    retry-after; its credential troubles and failures are 502."""
    client = "claude" if target != "claude" else "chat"
    provider.script("answer", status=status)
    body: dict[str, Any] = {"model": target, "max_tokens": 32, "stream": stream}
    body["messages"] = [{"role": "user", "content": "x"}]
    answer = post(gateway, house.key, PATHS[client], body)
    assert answer.status_code == expected
    error = answer.json()["error"]
    if expected < 500:
        assert error["message"] == f"scripted {status}"
    if status == 429:
        assert answer.headers["retry-after"] == "7"
        assert error["type"] == "rate_limit_error"
    if status in (401, 403):
        assert error["code"] == "upstream_credentials" and "scripted" not in error["message"]


def test_a_cut_stream_never_looks_complete(gateway: Gateway, house: House, provider: Provider) -> None:
    """A translated stream that breaks off ends with the client's own error event and without its terminator."""
    body: dict[str, Any] = {"model": "claude", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    provider.script("cut-mid-event-rst")
    answer = post(gateway, house.key, "/v1/chat/completions", body)
    assert answer.status_code == 200
    assert "[DONE]" not in answer.text and '"error"' in answer.text


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b'{"choices": 3}', b"{", b"\xff\xfe", b""])
@pytest.mark.parametrize("target", TARGETS)
def test_garbage_is_an_upstream_error(
    target: str, body: bytes, gateway: Gateway, house: House, provider: Provider, tmp_path: Path
) -> None:
    """An answer that is none is 502 upstream_error, never a 500 and never an empty answer."""
    from tests.provider import Fin, Send

    client = "claude" if target != "claude" else "chat"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    provider.script(steps=[Send(head + body), Fin()])
    asked = {"model": target, "max_tokens": 32, "messages": [{"role": "user", "content": "x"}]}
    answer = post(gateway, house.key, PATHS[client], asked)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_error"


def test_tokens_are_counted_for_every_target(gateway: Gateway, house: House, provider: Provider) -> None:
    """By the provider where it counts any request's, otherwise by the gateway, which says so."""
    body = {"messages": [{"role": "user", "content": "one two three"}], "system": SYSTEM}
    path = "/v1/messages/count_tokens"
    answer = post(gateway, house.key, path, {"model": "gemini", **body})
    assert (answer.status_code, answer.json()) == (200, {"input_tokens": 14})
    assert provider.last().target == "/v1beta/models/gemini-2.5-flash:countTokens"
    asked = provider.last().json()["generateContentRequest"]
    assert asked["model"] == "models/gemini-2.5-flash" and asked["contents"]
    assert "x-llmgw-usage-source" not in answer.headers
    before = len(provider.seen())
    answer = post(gateway, house.key, path, {"model": "chat", **body})
    assert answer.status_code == 200 and 5 < answer.json()["input_tokens"] < 40
    assert answer.headers["x-llmgw-usage-source"] == "estimated"
    answer = post(
        gateway,
        house.key,
        "/v1beta/models/claude:countTokens",
        {"contents": [{"role": "user", "parts": [{"text": "one two three"}]}]},
    )
    assert answer.status_code == 200 and 2 < answer.json()["totalTokens"] < 20
    assert len(provider.seen()) == before


def test_embeddings_go_both_ways(gateway: Gateway, house: House, provider: Provider) -> None:
    """An OpenAI client gets Gemini's vectors, as numbers or base64, and a Gemini client OpenAI's."""
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=house.key, max_retries=0) as client:
        made = client.embeddings.create(model="gemini/gemini-embedding-001", input="x")  # base64 on the wire
        assert made.data[0].embedding == pytest.approx([0.25, -0.5, 1e-05])
        assert provider.last().target == "/v1beta/models/gemini-embedding-001:embedContent"
    with genai.Client(
        api_key=house.key, http_options=types.HttpOptions(base_url=gateway.url), vertexai=False
    ) as google:
        answer = google.models.embed_content(model="openai/text-embedding-3-small", contents="x")
    assert answer.embeddings and answer.embeddings[0].values == pytest.approx([0.25, -0.5, 1e-05])
    assert provider.last().target == "/v1/embeddings"


def test_gemini_to_gemini_passes_as_it_is(gateway: Gateway, house: House, provider: Provider) -> None:
    """Within one dialect the body is not touched, the model changes in the path, and a key in the query stays here;
    a stream that is one JSON array passes as well."""
    body = '{"contents" : [{"parts":[{"text":"x"}]}],  "x_unknown":1.0}'
    with httpx.Client(base_url=gateway.url, headers={"x-goog-api-key": house.key}, timeout=20) as client:
        answer = client.post("/v1beta/models/gemini:generateContent?key=secret", content=body)
        seen = provider.last()
        assert seen.body.decode() == body
        assert seen.target == "/v1beta/models/gemini-2.5-flash:generateContent"
        assert answer.content == canned.answer(seen.target, {}).body
        for query in ("alt=sse", "prettyPrint=false"):
            answer = client.post(f"/v1beta/models/gemini:streamGenerateContent?{query}", content=body)
            seen = provider.last()
            assert seen.target == f"/v1beta/models/gemini-2.5-flash:streamGenerateContent?{query}"
            assert answer.content == canned.answer(seen.target.partition("?")[0], {}, query).body
        listed = client.get("/v1beta/models").json()["models"]
        assert {"models/gemini", "models/claude"} <= {one["name"] for one in listed}


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent?alt=sse", "countTokens"])
def test_gemini_refusing_our_key_is_not_the_clients_fault(
    method: str, gateway: Gateway, house: House, provider: Provider
) -> None:
    """Google refuses a key with 400; within its dialect as well that is 502 `upstream_credentials`, and its words are
    for the log. Any other 400 is the client's and passes byte for byte."""
    if BAD_KEY not in index():
        pytest.skip("the recordings are not beside this checkout")
    path = f"/v1beta/models/gemini:{method}"
    provider.script("answer", recording=BAD_KEY)
    answer = post(gateway, house.key, path, {"contents": []})
    assert answer.status_code == 502, answer.text
    assert answer.json()["error"]["details"][0]["reason"] == "upstream_credentials"
    assert "API key" not in answer.text
    assert "API key" in gateway.wait_for_call(answer.headers["x-request-id"])["detail"]
    provider.script("answer", status=400)
    answer = post(gateway, house.key, path, {"contents": []})
    assert answer.status_code == 400
    assert answer.content == canned.failure(path, 400, "scripted 400").body


def test_a_gemini_client_without_sse_gets_an_array(gateway: Gateway, house: House) -> None:
    """Translated too: without alt=sse a stream is one JSON array."""
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    answer = post(gateway, house.key, "/v1beta/models/chat:streamGenerateContent", body)
    assert answer.headers["content-type"] == "application/json"
    chunks = answer.json()
    assert (
        "".join(part["text"] for one in chunks for part in one["candidates"][0]["content"].get("parts", ()))
        == TEXT
    )


def test_usage_is_in_the_log(gateway: Gateway, house: House) -> None:
    """The record of a translated call has what the provider reported, in disjoint buckets."""
    body = {"model": "chat", "max_tokens": 32, "messages": [{"role": "user", "content": "x"}]}
    answer = post(gateway, house.key, "/v1/messages", body, **{"x-request-id": "usage-in-log"})
    assert answer.status_code == 200
    line = gateway.wait_for_call("usage-in-log")
    assert (line["usage"]["input"], line["usage"]["output"]) == (9, 5)


def test_azure_has_deployments_in_its_paths(provider: Provider, tmp_path: Path) -> None:
    """A host's row decides path, query and header; what it has no endpoint for is translated."""
    settings = {
        "azure": {
            "dialect": "openai",
            "host": "azure",
            "base_url": provider.url,
            "api_key": "${UPSTREAM_KEY}",
            "api_version": "2025-01-01",
            "allow_private": True,
        }
    }
    with (
        installed(tmp_path, env={"UPSTREAM_KEY": UPSTREAM_KEY}, providers=settings, models={}) as house,
        house.serve() as gateway,
    ):
        asked = {"model": "azure/my gpt", "messages": [{"role": "user", "content": "x"}]}
        answer = post(gateway, house.key, "/v1/chat/completions", asked)
        assert answer.status_code == 200
        seen = provider.last()
        assert seen.target == "/openai/deployments/my%20gpt/chat/completions?api-version=2025-01-01"
        assert seen.header("api-key") == UPSTREAM_KEY.encode()
        assert seen.header("authorization") is None
        answer = post(gateway, house.key, "/v1/responses", {"model": "azure/gpt", "input": "x"})
        assert answer.status_code == 200 and answer.json()["object"] == "response"
        assert "/openai/deployments/gpt/chat/completions" in provider.last().target


SEARCHED: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
     "content": [], "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block":
     {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block":
     {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "found"}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "gemini"])
def test_what_a_stream_leaves_out_is_in_the_log(
    path: str, gateway: Gateway, house: House, provider: Provider
) -> None:
    """Its head has gone before it is known; the call's line has the names, and those that the head had."""
    text = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in SEARCHED)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    provider.script(steps=[Send(head + text.encode()), Fin()])
    asked: dict[str, Any] = {"model": "claude", "stream": True}
    if path == "/v1/responses":
        asked["input"] = "x"
    elif path == "gemini":
        path, asked = (
            "/v1beta/models/claude:streamGenerateContent?alt=sse",
            {"contents": [{"parts": [{"text": "x"}]}]},
        )
    else:
        asked["messages"] = [{"role": "user", "content": "x"}]
    answer = post(gateway, house.key, path, asked)
    assert answer.status_code == 200 and "found" in answer.text
    line = gateway.wait_for_call(answer.headers["x-request-id"])
    assert {"part.server_tool_use", "part.web_search_tool_result"} <= set(line["dropped"].split(", "))
    plain = post(gateway, house.key, "/v1/messages", {**CLAUDE, "stream": True})
    assert plain.status_code == 200
    assert gateway.wait_for_call(plain.headers["x-request-id"])["dropped"] is None


CLAUDE = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
