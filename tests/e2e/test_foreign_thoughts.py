"""Within one dialect a request passes byte for byte, unless it holds thoughts of another provider's.

A client that went from one target to another sends the first one's thoughts to the second. Those that the gateway
sealed for it would be refused there, so they are left out, and the answer's head says so.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import UPSTREAM_KEY
from tests.e2e.test_translation import PATHS, TARGETS, providers
from tests.gateway import Gateway, House, installed
from tests.provider import Provider

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "42"}
TOOL_USE = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
TOOL_RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "42"}]}
SEALED = base64.b64encode(b'llmgw:anthropic:{"signature":"c2ln"}').decode()
QUESTION = {"role": "user", "parts": [{"text": "hi"}]}
ANSWER = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}]}
FUNCTION_CALL = {"functionCall": {"name": "f", "args": {}}}


def responses(*reasoning: str) -> dict[str, Any]:
    thoughts = [
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": one} for one in reasoning
    ]
    asked = {"role": "user", "content": "hi"}
    return {"model": "responses", "input": [asked, *thoughts, CALL, RESULT], "x_unknown": 1}


def claude(*blocks: dict[str, Any]) -> dict[str, Any]:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [*blocks, TOOL_USE]}]
    return {"model": "claude", "max_tokens": 64, "messages": [*turns, TOOL_RESULT], "x_unknown": 1}


def gemini(*parts: dict[str, Any]) -> dict[str, Any]:
    turn = {"role": "model", "parts": [*parts, FUNCTION_CALL]}
    return {"contents": [QUESTION, turn, ANSWER], "xUnknown": 1}


def thinking(signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": "hm", "signature": signature}


def redacted(data: str) -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": data}


def thought(signature: str) -> dict[str, Any]:
    return {"text": "hm", "thought": True, "thoughtSignature": signature}


GEMINI_PATH = PATHS["gemini"].replace("gemini-2.5-flash", "gemini") + ":generateContent"
CASES = [
    pytest.param(
        PATHS["responses"],
        responses("llmgw:anthropic:s:c2ln", "gAA", "llmgw:gemini:c:U0lH"),
        responses("gAA"),
        "input.reasoning",
        id="responses",
    ),
    pytest.param(
        PATHS["claude"],
        claude(thinking("llmgw:gemini:c2ln"), redacted("llmgw:openai_responses::e:ENC"), thinking("mine")),
        claude(thinking("mine")),
        "messages.content.thinking",
        id="claude",
    ),
    pytest.param(
        PATHS["claude"],
        claude(redacted("llmgw:gemini:U0lH")),
        claude(),
        "messages.content.thinking",
        id="claude-signature-of-a-call",
    ),
    pytest.param(
        PATHS["claude"] + "/count_tokens",
        claude(thinking("llmgw:gemini:c2ln"), thinking("mine")),
        {name: value for name, value in claude(thinking("mine")).items() if name != "max_tokens"},
        "messages.content.thinking",
        id="claude-counted",
    ),
    pytest.param(
        GEMINI_PATH,
        gemini(thought(SEALED), thought("bWluZQ==")),
        gemini(thought("bWluZQ==")),
        "contents.parts.thought",
        id="gemini",
    ),
]


@pytest.fixture(scope="module")
def house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with installed(
        tmp_path_factory.mktemp("foreign"),
        env={"UPSTREAM_KEY": UPSTREAM_KEY},
        providers=providers(provider_process),
        models={
            **{name: {"targets": [target]} for name, target in TARGETS.items()},
            "gemini-3": {"targets": ["gemini/gemini-3-pro-preview"]},
        },
    ) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(house: House) -> Iterator[Gateway]:
    with house.serve() as running:
        yield running


def post(gateway: Gateway, house: House, path: str, content: bytes) -> httpx.Response:
    headers = {"authorization": f"Bearer {house.key}"}
    return httpx.post(gateway.url + path, content=content, headers=headers, timeout=20)


@pytest.mark.parametrize(("path", "body", "expected", "field"), CASES)
def test_foreign_thoughts_stay_here(
    path: str,
    body: dict[str, Any],
    expected: dict[str, Any],
    field: str,
    gateway: Gateway,
    house: House,
    provider: Provider,
) -> None:
    """The provider gets the request without them and with all else in it, and the client is told of it."""
    answer = post(gateway, house, path, json.dumps(body).encode())
    assert answer.status_code == 200, answer.text
    sent = provider.last().json()
    model = {} if "contents" in expected else {"model": TARGETS[expected["model"]].partition("/")[2]}
    assert sent == {**expected, **model}
    assert answer.headers["x-llmgw-dropped"] == field


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PATHS["responses"], {"model": "responses", "input": "What is llmgw:anthropic:s:x ?"}),
        (PATHS["responses"], responses("gAA")),
        (PATHS["claude"], claude(thinking("mine"))),
        (GEMINI_PATH, gemini({"text": "bGxtZ3c6"}, thought("bWluZQ=="))),
        (GEMINI_PATH, {"contents": [QUESTION], "generationConfig": {"topK": "bGxtZ3c6"}}),
    ],
)
def test_all_else_passes_as_it_came(
    path: str, body: dict[str, Any], gateway: Gateway, house: House, provider: Provider
) -> None:
    """Own thoughts, a text that looks like a seal, and what only the provider can judge: byte for byte."""
    content = json.dumps(body, indent=1).encode()
    answer = post(gateway, house, path, content)
    if "model" in body:
        name = TARGETS[body["model"]].partition("/")[2]
        content = content.replace(json.dumps(body["model"]).encode(), json.dumps(name).encode(), 1)
    assert provider.last().body == content
    assert "x-llmgw-dropped" not in answer.headers


def test_a_call_of_another_model_is_signed_for_gemini_3(
    gateway: Gateway, house: House, provider: Provider
) -> None:
    """Gemini 3 takes no call without a signature; one whose thought was left out gets the documented stand-in."""
    path = GEMINI_PATH.replace("/gemini:", "/gemini-3:")
    assert post(gateway, house, path, json.dumps(gemini(thought(SEALED))).encode()).status_code == 200
    (part,) = provider.last().json()["contents"][1]["parts"]
    assert part == {**FUNCTION_CALL, "thoughtSignature": "skip_thought_signature_validator"}
