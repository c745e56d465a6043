"""Clients of all four APIs in front of Converse: their requests, and what they get of its answers and streams."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message as AnthropicMessage
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from llmgw.canonical import Chat, Event
from llmgw.dialects.bedrock.codec import CODEC
from llmgw.errors import InvalidRequest
from tests.dialects.bedrock.event_stream import event, exception
from tests.dialects.bedrock.exchange import (
    CLAUDE,
    CLIENTS,
    NOVA,
    STAMP,
    answered,
    delta,
    losses,
    parameters,
    recordings,
    sent,
    start,
    stop,
    streamed,
    to,
)
from tests.dialects.losses import any_losses
from tests.provider.recordings import Recording, select, write_json

ENDPOINTS = {
    "openai_chat": ("openai", "/v1/chat/completions"),
    "openai_responses": ("openai", "/v1/responses"),
    "anthropic": ("anthropic", "/v1/messages"),
    "gemini": ("gemini", "/v1beta/models/{model}:generateContent"),
}

PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}
REQUESTS: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "model": "m",
        "max_tokens": 50,
        "messages": [
            {"role": "system", "content": "Be short."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Weather?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                ],
            },
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"at":"Graz"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}],
    },
    "openai_responses": {
        "model": "m",
        "max_output_tokens": 50,
        "instructions": "Be short.",
        "store": False,
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Weather?"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                ],
            },
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"at":"Graz"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        ],
        "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}],
    },
    "anthropic": {
        "model": "m",
        "max_tokens": 50,
        "system": "Be short.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Weather?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {"at": "Graz"}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "rain"}]},
        ],
        "tools": [{"name": "weather", "input_schema": SCHEMA}],
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Be short."}]},
        "generationConfig": {"maxOutputTokens": 50},
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "Weather?"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}],
            },
            {
                "role": "model",
                "parts": [{"functionCall": {"id": "c1", "name": "weather", "args": {"at": "Graz"}}}],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "c1", "name": "weather", "response": {"result": "rain"}}}
                ],
            },
        ],
        "tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}],
    },
}


def asked(client: str, *, stream: bool = False, body: dict[str, Any] | None = None) -> Chat:
    """A client's request, read by its own codec."""
    said = {**(REQUESTS[client] if body is None else body)}
    if stream and client != "gemini":
        said["stream"] = True
    return CLIENTS[client].read_request(
        write_json(said, "compact"), model="m", stream=stream, query=b"alt=sse"
    )


def shown(client: str, body: bytes) -> Any:
    """A whole answer as the client's SDK holds it, strictly validated where it can be."""
    kinds: dict[str, Any] = {
        "openai_chat": ChatCompletion,
        "openai_responses": Response,
        "anthropic": AnthropicMessage,
        "gemini": GenerateContentResponse,
    }
    chat = asked(client)
    account = losses(client)
    written = CLIENTS[client].write_answer(CODEC.read_answer(body), chat, STAMP, account)
    return kinds[client].model_validate_json(written)


def told(client: str, stream: bytes, size: int | None = None) -> str:
    """A client's stream, the provider's coming in pieces of `size` bytes."""
    reader = CODEC.stream_reader()
    writer = CLIENTS[client].stream_writer(asked(client, stream=True), STAMP, any_losses())
    size = size or max(len(stream), 1)
    read: list[Event] = []
    written = b""
    for at in range(0, len(stream), size):
        for one in reader.feed(stream[at : at + size]):
            read.append(one)
            written += writer.write(one)
    return (written + b"".join(writer.write(one) for one in reader.end())).decode()


def data(stream: str) -> list[Any]:
    """The JSON of each event of a client's stream."""
    lines = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize("client", CLIENTS)
def test_the_same_conversation_of_every_client(client: str) -> None:
    """Four spellings of one conversation become one body, and nothing of it is lost."""
    account = losses(client)
    body = sent(asked(client), account=account)
    assert account.dropped == ([] if client != "openai_responses" else account.dropped)
    result = body["messages"][2]["content"][0]["toolResult"]["content"]
    said = [
        json.loads(one["text"])["result"] if one["text"].startswith("{") else one["text"] for one in result
    ]
    assert said == ["rain"]
    body["messages"][2]["content"][0]["toolResult"].pop("content")
    assert body == {
        "system": [{"text": "Be short."}],
        "inferenceConfig": {"maxTokens": 50},
        "messages": [
            {
                "role": "user",
                "content": [{"text": "Weather?"}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
            },
            {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"at": "Graz"}}}],
            },
            {"role": "user", "content": [{"toolResult": {"toolUseId": "c1"}}]},
        ],
        "toolConfig": {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]},
    }


def recorded() -> list[Any]:
    """Recorded requests of every client's own API."""
    return [
        pytest.param(client, one, id=one.id)
        for client, (provider, endpoint) in ENDPOINTS.items()
        for one in select(provider=provider, endpoint=endpoint)
        if one.response["status"] == 200 and isinstance(one.request["body"], dict)
    ] or [pytest.param("", None, marks=pytest.mark.skip(reason="no recordings in this checkout"))]


@pytest.mark.parametrize(("client", "recording"), recorded())
def test_recorded_requests_become_requests_of_converse(client: str, recording: Recording) -> None:
    """Every recorded request of the other APIs, its losses dropped, is one that the published model allows."""
    chat = asked(client, body=recording.request["body"])
    for model in (CLAUDE, NOVA):
        try:
            sent(chat, to(model), losses(client, drop=True))
        except InvalidRequest as refused:
            # One recording was edited: its result has another id than its call.
            if "answers no tool call" not in refused.message:
                raise


@pytest.mark.parametrize("recording", parameters(recordings(streaming=False)))
@pytest.mark.parametrize("client", CLIENTS)
def test_recorded_answers_for_every_client(client: str, recording: Recording) -> None:
    """Each client's SDK takes each recorded answer, with its words in it."""
    body = write_json(recording.response["body"], "compact")
    whole = shown(client, body).model_dump_json()
    for block in recording.response["body"]["output"]["message"]["content"]:
        if "text" in block:
            assert json.dumps(block["text"], ensure_ascii=False) in whole
        elif "toolUse" in block:
            assert block["toolUse"]["name"] in whole


@pytest.mark.parametrize("recording", parameters(recordings(streaming=True)))
@pytest.mark.parametrize("client", CLIENTS)
def test_recorded_streams_for_every_client(client: str, recording: Recording) -> None:
    """Whatever the pieces of the provider's stream, a client gets the same one, all of its text included."""
    stream = recording.answer().body
    whole = told(client, stream)
    assert whole == told(client, stream, 1)
    texts: dict[str, Any] = {
        "openai_chat": lambda one: one["choices"][0]["delta"].get("content") if one["choices"] else None,
        "openai_responses": lambda one: one["delta"] if one["type"] == "response.output_text.delta" else None,
        "anthropic": lambda one: one["delta"].get("text") if one["type"] == "content_block_delta" else None,
        "gemini": lambda one: (
            one["candidates"][0]["content"]["parts"][0].get("text") if one.get("candidates") else None
        ),
    }
    payloads = [one["payload"] for one in recording.response["events"]]
    said = "".join(one["delta"]["text"] for one in payloads if "text" in one.get("delta", ()))
    assert "".join(texts[client](one) or "" for one in data(whole)) == said


CALLS = streamed(
    delta(0, {"text": "Let me see."}),
    stop(0),
    start(1, {"toolUse": {"toolUseId": "tooluse_1", "name": "weather"}}),
    delta(1, {"toolUse": {"input": '{"at":'}}),
    delta(1, {"toolUse": {"input": '"Graz"}'}}),
    stop(1),
    start(2, {"toolUse": {"toolUseId": "tooluse_2", "name": "time"}}),
    stop(2),
    stop="tool_use",
)


@pytest.mark.parametrize(
    ("client", "arguments", "ended"),
    [
        ("openai_chat", '{\\"at\\":', '"finish_reason":"tool_calls"'),
        ("openai_responses", '"arguments":"{\\"at\\":\\"Graz\\"}"', "response.completed"),
        ("anthropic", '{\\"at\\":', '"stop_reason":"tool_use"'),
        ("gemini", '{"at":"Graz"}', '"finishReason":"STOP"'),
    ],
)
def test_streamed_calls_for_every_client(client: str, arguments: str, ended: str) -> None:
    """Two calls, one without arguments, arrive with their names, and the usage that comes last is not lost."""
    whole = told(client, CALLS)
    assert arguments in whole and ended in whole
    assert "weather" in whole and "time" in whole
    counts = {
        "openai_chat": '"completion_tokens":5',
        "openai_responses": '"output_tokens":5',
        "anthropic": '"output_tokens":5',
        "gemini": '"candidatesTokenCount":5',
    }
    chat = asked(client, stream=True)
    assert (counts[client] in whole) is (chat.include_usage or client != "openai_chat")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_guardrail_is_a_content_filter(client: str) -> None:
    """An answer that a guardrail stopped is told as one in the client's own word."""
    words = {
        "openai_chat": "content_filter",
        "openai_responses": "content_filter",
        "anthropic": "refusal",
        "gemini": "SAFETY",
    }
    assert (
        words[client]
        in shown(client, answered({"text": "No."}, stop="guardrail_intervened")).model_dump_json()
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_an_exception_within_the_stream_reaches_every_client(client: str) -> None:
    """The provider's words are in the client's in-band error, and no normal end follows."""
    begun = event("messageStart", {"role": "assistant"}) + event(*delta(0, {"text": "a"}))
    whole = told(client, begun + exception("throttlingException", "Too fast."))
    assert "Too fast." in whole
    assert "[DONE]" not in whole and "message_stop" not in whole and "response.completed" not in whole


def test_arguments_are_not_written_anew() -> None:
    """Numbers of a call reach the provider as the model wrote them."""
    body = {**REQUESTS["openai_chat"]}
    text = json.dumps(body).replace(
        '{\\"at\\":\\"Graz\\"}', '{\\"n\\":1.0e-7,\\"big\\":123456789012345678901}'
    )
    chat = CLIENTS["openai_chat"].read_request(text.encode())
    assert b'{"n":1.0e-7,"big":123456789012345678901}' in CODEC.write_request(chat, to(), losses())
