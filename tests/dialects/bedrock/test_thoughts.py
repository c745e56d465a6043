"""Thoughts and their proofs: from Converse through a client of any API and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmgw.canonical import Thought
from llmgw.dialects.bedrock.codec import CODEC
from llmgw.dialects.openai_chat import thoughts as chat_thoughts
from tests.dialects.bedrock.exchange import (
    CLAUDE,
    CLIENTS,
    NOVA,
    STAMP,
    answered,
    assistant,
    chat,
    delta,
    losses,
    sent,
    stop,
    streamed,
    to,
    user,
)
from tests.dialects.bedrock.test_clients import asked, data, told

SIGNED = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "EqQB+/=="}}}
SEALED = {"reasoningContent": {"redactedContent": "AAEC"}}
BLOCKS: list[dict[str, Any]] = [SIGNED, SEALED, {"text": "so"}]


def replayed(client: str, body: bytes) -> dict[str, Any]:
    """The next request of a client that was given this answer and sends it back."""
    said = json.loads(
        CLIENTS[client].write_answer(CODEC.read_answer(body), asked(client), STAMP, losses(client))
    )
    match client:
        case "openai_chat":
            return {
                "model": "m",
                "messages": [
                    {"role": "user", "content": "hi"},
                    said["choices"][0]["message"],
                    {"role": "user", "content": "go on"},
                ],
            }
        case "openai_responses":
            turns = [{"role": "user", "content": "hi"}, *said["output"], {"role": "user", "content": "go on"}]
            return {"model": "m", "store": False, "input": turns}
        case "anthropic":
            return {
                "model": "m",
                "max_tokens": 9,
                "messages": [
                    {"role": "user", "content": "hi"},
                    {"role": "assistant", "content": said["content"]},
                    {"role": "user", "content": "go on"},
                ],
            }
        case _:
            first = {"role": "user", "parts": [{"text": "hi"}]}
            return {
                "contents": [
                    first,
                    said["candidates"][0]["content"],
                    {"role": "user", "parts": [{"text": "go on"}]},
                ]
            }


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "openai_chat" and "bedrock" not in chat_thoughts.FORMATS:
        pytest.skip("chat completions have no word for this origin yet")
    return name


def test_thoughts_come_back_through_every_client(client: str) -> None:
    """Signed and encrypted thoughts reach the provider again, unchanged and in their places."""
    request = asked(client, body=replayed(client, answered(*BLOCKS)))
    account = losses(client)
    body = sent(request, account=account)
    assert body["messages"][1] == {"role": "assistant", "content": BLOCKS}
    assert "part.thought" not in account.dropped


def test_thoughts_are_no_use_to_another_provider(client: str) -> None:
    """What came from Converse keeps its origin, so that Anthropic's own API would not be given it."""
    request = asked(client, body=replayed(client, answered(*BLOCKS)))
    found = [one for message in request.messages for one in message.parts if isinstance(one, Thought)]
    assert {one.native.get("dialect") for one in found} == {"bedrock"}


def test_streamed_signatures_reach_an_anthropic_client() -> None:
    """A signature in a delta of its own stands behind its origin."""
    stream = streamed(
        delta(0, {"reasoningContent": {"text": "hm"}}),
        delta(0, {"reasoningContent": {"signature": "EqQB"}}),
        stop(0),
        delta(1, {"text": "so"}),
        stop(1),
    )
    deltas = [one["delta"] for one in data(told("anthropic", stream)) if one["type"] == "content_block_delta"]
    assert deltas == [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "llmgw:bedrock:EqQB"},
        {"type": "text_delta", "text": "so"},
    ]


@pytest.mark.parametrize(
    ("thought", "dialect", "model", "kept"),
    [
        (Thought(text="hm", signature="s"), "bedrock", CLAUDE, True),
        (Thought(text="hm", signature="s"), "anthropic", CLAUDE, True),
        (Thought(text="hm", signature="s"), "anthropic", NOVA, False),
        (Thought(redacted="x"), "anthropic", CLAUDE, False),
        (Thought(text="hm"), "anthropic", CLAUDE, False),
        (Thought(text="hm"), "bedrock", CLAUDE, False),
        (Thought(text="hm"), "bedrock", NOVA, True),
        (Thought(redacted="AAEC"), "bedrock", NOVA, True),
        (Thought(text="hm", signature="s"), "gemini", CLAUDE, False),
        (Thought(text="hm"), "openai_chat", NOVA, False),
    ],
)
def test_who_can_prove_a_thought(thought: Thought, dialect: str, model: str, kept: bool) -> None:
    """Claude takes its own proofs wherever it runs, others what this API gave; the rest is reported."""
    account = losses()
    body = sent(
        chat(user("hi"), assistant(thought, "so"), user("go on"), dialect=dialect), to(model), account
    )
    assert (len(body["messages"][1]["content"]) == 2) is kept
    assert bool(account.dropped) is not kept
