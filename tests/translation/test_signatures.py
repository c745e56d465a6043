"""Proofs of thought survive a turn through a client of any API.

A provider that thinks wants its signatures back, unchanged, with the next request; a client keeps what its SDK gave
it and sends that back as its API says. So: the provider's answer, shown to the client, taken back from the client's
SDK as history, and written for the same provider, has every signature that the provider made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from llmgw.canonical import Chat
from tests.translation import sdk
from tests.translation.corpus import (
    CLIENTS,
    FAILING,
    STAMP,
    answers,
    asked_by,
    body_of,
    codec,
    dialect_of,
    losses,
    read_stream,
    recipient,
    recording,
    write_stream,
)
from tests.translation.views import json_objects, sse_objects
from tests.translation.views.said import dump

Json = Any
PROOFS: Final = ("signature", "thoughtSignature", "encrypted_content", "data")
"""Members that hold them: `data` in Anthropic's `redacted_thinking`."""
CARRIERS: Final = frozenset({"text", "thought", "functionCall"})
"""Members of the parts of Gemini's that another API's client can send back."""


def proofs(value: Json) -> Iterator[str]:
    """Base64 of either alphabet: every signature and every encrypted thought in an answer's or a request's parts of thought and calls."""
    if isinstance(value, list):
        for member in value:
            yield from proofs(member)
    elif isinstance(value, dict):
        if "thoughtSignature" in value and not CARRIERS & set(value):
            return  # a part that only Gemini has, and its signature with it
        thinks = value.get("type", "thinking") in ("thinking", "redacted_thinking", "reasoning")
        for name, member in value.items():
            if isinstance(member, str) and member and name in PROOFS and thinks:
                yield member.replace("-", "+").replace("_", "/")
            elif name not in ("args", "inlineData", "source", "citations"):
                yield from proofs(member)


def signed_by(recording_id: str) -> list[str]:
    """The proofs in a recorded answer, as its provider's own SDK or its last event gives them whole."""
    recorded = recording(recording_id)
    dialect, body = dialect_of(recorded), body_of(recorded)
    if not recorded.streaming:
        return list(proofs(recorded.response["body"]))
    if dialect == "gemini":
        return list(proofs(json_objects(body)))
    if dialect == "openai_responses":
        # OpenAI encrypts anew for each event; what a finished item brings is as good as what the last event repeats.
        return [
            proof
            for event in sse_objects(body)
            if event["type"] == "response.output_item.done"
            for proof in proofs(event["item"])
        ]
    return list(proofs(dump(sdk.streamed(str(dialect), body))))


SIGNED: Final = [
    one
    for streamed in (False, True)
    for one in answers(streamed=streamed)
    if one not in FAILING
    and dialect_of(recording(one)) in ("anthropic", "gemini", "openai_responses")
    and signed_by(one)
]


@pytest.mark.parametrize(
    ("recording_id", "client"),
    [pytest.param(one, client, id=f"{client}-{one}") for client in CLIENTS for one in SIGNED],
)
def test_signatures_come_back_to_their_provider(recording_id: str, client: str) -> None:
    """Every proof stands in the next request to the provider as the provider wrote it."""
    recorded = recording(recording_id)
    dialect = str(dialect_of(recorded))
    if recorded.streaming:
        written = write_stream(client, asked_by(client), read_stream(dialect, [body_of(recorded)]))
    else:
        answer = codec(dialect).read_answer(body_of(recorded))
        written = codec(client).write_answer(
            answer, asked_by(client), STAMP, losses(client, dialect, drop=True)
        )
    chat = next_turn(client, written, streamed=recorded.streaming)
    body = codec(dialect).write_request(chat, recipient(dialect), losses(client, dialect, drop=True))
    sent = list(proofs(json.loads(body)))
    assert [one for one in signed_by(recording_id) if one not in sent] == []


def next_turn(client: str, written: bytes, *, streamed: bool) -> Chat:
    """The request with which the client goes on: its SDK's answer as history, results for all calls, a question."""
    body = json.dumps(FOLLOW_UPS[client](history(client, written, streamed=streamed))).encode()
    in_url: dict[str, Any] = {"model": "m", "stream": False} if client == "gemini" else {}
    return codec(client).read_request(body, **in_url)


def history(client: str, written: bytes, *, streamed: bool) -> Json:
    """The answer as the client's SDK holds it."""
    if client == "gemini" and streamed:
        chunks = [dump(chunk) for chunk in sdk.chunks("gemini", written)]
        return {
            "role": "model",
            "parts": [
                part
                for chunk in chunks
                for candidate in chunk.get("candidates") or ()
                for part in (candidate.get("content") or {}).get("parts") or ()
            ],
        }
    answer = dump(sdk.streamed(client, written) if streamed else sdk.plain(client, written))
    if client == "openai_chat":
        return _clean(answer["choices"][0]["message"])
    if client == "gemini":
        return answer["candidates"][0]["content"]
    return _clean(answer["output"] if client == "openai_responses" else answer["content"])


def _clean(value: Json) -> Json:
    """Without nulls and what the SDKs' stream helpers add for their user."""
    if isinstance(value, list):
        return [_clean(member) for member in value]
    if isinstance(value, dict):
        return {
            name: _clean(member)
            for name, member in value.items()
            if member is not None and not name.startswith("parsed")
        }
    return value


def _chat(message: Json) -> Json:
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "42"}
        for call in message.get("tool_calls") or ()
    ]
    first = {"role": "user", "content": "hi"}
    return {"model": "m", "messages": [first, message, *results, {"role": "user", "content": "go on"}]}


def _responses(items: Json) -> Json:
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "42"}
        for item in items
        if item["type"] == "function_call"
    ]
    first = {"role": "user", "content": "hi"}
    return {"model": "m", "input": [first, *items, *results, {"role": "user", "content": "go on"}]}


def _messages(blocks: Json) -> Json:
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "42"}
        for block in blocks
        if block["type"] == "tool_use"
    ]
    asked = {"role": "user", "content": [*results, {"type": "text", "text": "go on"}]}
    first = {"role": "user", "content": "hi"}
    answered = {"role": "assistant", "content": blocks}
    return {"model": "m", "max_tokens": 64, "messages": [first, answered, asked]}


def _contents(content: Json) -> Json:
    calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
    results = [
        {
            "functionResponse": {
                **({"id": call["id"]} if call.get("id") else {}),
                "name": call["name"],
                "response": {"output": "42"},
            }
        }
        for call in calls
        if "name" in call
    ]
    first = {"role": "user", "parts": [{"text": "hi"}]}
    return {"contents": [first, content, {"role": "user", "parts": [*results, {"text": "go on"}]}]}


FOLLOW_UPS: Final = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic": _messages,
    "gemini": _contents,
}
