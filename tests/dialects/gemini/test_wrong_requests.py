"""Requests that are no requests: named, and never anything but the client's error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.dialects.gemini.codec import CODEC
from llmgw.errors import InvalidRequest
from tests.dialects.gemini import exchange
from tests.dialects.gemini.exchange import read

USER = [{"role": "user", "parts": [{"text": "Hi"}]}]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"contents": "Hi"}, "contents"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": ["a"]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents[0].parts[0].functionCall.name"),
        ({"contents": [{"parts": [{"functionCall": {"name": "f", "args": "x"}}]}]}, "contents[0].parts[0].functionCall.args"),
        ({"contents": [{"parts": [{"inlineData": {"data": "AAAA"}}]}]}, "contents[0].parts[0].inlineData.mimeType"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"generationConfig": {"topK": 1.5}}, "generationConfig.topK"),
        ({"generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences"),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "HUGE"}}}, "generationConfig.thinkingConfig.thinkingLevel"),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}}, "generationConfig.thinkingConfig.thinkingBudget"),
        ({"generationConfig": {"responseSchema": {}, "responseJsonSchema": {}}}, "generationConfig.responseSchema"),
        ({"generationConfig": {"topK": 1, "top_k": 2}}, "generationConfig.topK"),
        ({"tools": [{"functionDeclarations": [{"parameters": {}}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": []}]}]}, "tools[0].functionDeclarations[0].parameters"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, "toolConfig.functionCallingConfig.mode"),
        ({"labels": {"a": 1}}, "labels"),
        ({"generationConfig.maxOutputTokens": 5}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"thinkingConfig.thinkingBudget": 5}}, "generationConfig.thinkingConfig.thinkingBudget"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_named(body: dict[str, Any], path: str) -> None:
    """A member of a wrong type or value is refused with its path."""
    with pytest.raises(InvalidRequest) as caught:
        read({"contents": USER, **body})
    assert caught.value.param == path


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["contents", "role", "parts", "text", "thought", "thoughtSignature", "inlineData", "inline_data", "functionCall",
     "functionResponse", "response", "name", "args", "tools", "functionDeclarations", "parameters", "toolConfig",
     "functionCallingConfig", "mode", "generationConfig", "responseSchema", "thinkingConfig", "systemInstruction"]
)  # fmt: skip
BODIES = st.recursive(
    JSON, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(NAMES, BODIES, max_size=5))
def test_any_json_is_read_or_refused(body: dict[str, Any]) -> None:
    """Property: whatever a client sends gives a request that can be written, or an error that says what is wrong."""
    try:
        chat = CODEC.read_request(json.dumps(body).encode(), model="m")
    except InvalidRequest:
        return
    json.loads(CODEC.write_request(chat, exchange.to(), exchange.losses()))


@pytest.mark.parametrize("recording", exchange.recorded(status=None))
def test_spoilt_requests(recording: Any) -> None:
    """Recorded requests, cut and spoilt: only the client's error comes out."""
    body = recording.request.get("body")
    raw = json.dumps(body, separators=(",", ":")).encode()
    for spoilt in exchange.mutations(raw):
        try:
            CODEC.read_request(spoilt, model="m")
        except InvalidRequest:
            continue
