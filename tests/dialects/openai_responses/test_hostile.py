"""Damaged and hostile input: whatever comes in, only typed errors come out."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.dialects.openai_responses.codec import CODEC
from llmgw.errors import InvalidRequest, UnsupportedParameter, UpstreamFailed
from tests.dialects.losses import any_losses
from tests.dialects.openai_responses.exchange import (
    CREATED,
    PNG,
    STAMP,
    added,
    argued,
    completed,
    data,
    done,
    function_call,
    losses,
    message,
    own_losses,
    read,
    said,
    text,
    to,
)

ODD: list[Any] = [None, True, 0, -1, 1.5, 10**30, "", "\ud800", [], [[]], {}, {"type": "message"}, [None]]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
REQUEST: dict[str, Any] = {
    "model": "m",
    "instructions": "i",
    "input": [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "a"}, {"type": "input_file", "file_id": "f"}],
        },
        {
            "type": "reasoning",
            "id": "rs",
            "summary": [{"type": "summary_text", "text": "t"}],
            "encrypted_content": "llmgw:gemini:c:x",
        },
        function_call(),
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [{"type": "input_text", "text": "r"}],
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [text("a", {"type": "url_citation", "url": "u"})],
        },
        {"type": "image_generation_call", "id": "ig", "result": PNG},
        {"type": "item_reference", "id": "x"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "custom", "name": "c"}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "metadata": {"a": "b"},
    "include": ["message.output_text.logprobs"],
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "status": "incomplete",
    "incomplete_details": {"reason": "max_output_tokens"},
    "created_at": 1,
    "model": "m",
    "service_tier": "default",
    "usage": {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 2},
    "output": [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "t"}]},
        message(text("a", {"type": "url_citation", "url": "u", "start_index": 1}, logprobs=[{"token": "a"}])),
        function_call(),
        {"type": "web_search_call", "id": "ws", "action": {}},
    ],
}
STREAM = [
    CREATED,
    added(message()),
    said("a", logprobs=[{"token": "a", "top_logprobs": []}]),
    data("response.output_text.annotation.added", output_index=0, annotation={"type": "x", "url": "u"}),
    data("response.output_text.done", output_index=0, content_index=0, text="a"),
    done(message(text("a"))),
    data("response.reasoning_summary_text.delta", output_index=1, summary_index=0, delta="t"),
    added(function_call(arguments=""), 2),
    argued("{}", 2),
    done(function_call(), 2),
    added({"type": "web_search_call", "id": "ws"}, 3),
    data("response.web_search_call.searching", output_index=3),
    done({"type": "web_search_call", "id": "ws"}, 3),
    completed(*RESPONSE["output"]),
]


def damaged(value: Any, rng: random.Random) -> Any:
    """The value with one member, somewhere, left out or replaced."""
    value = json.loads(json.dumps(value))
    at = value
    while True:
        names = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not names:
            return value
        name = rng.choice(names)
        if isinstance(at[name], dict | list) and at[name] and rng.random() < 0.8:
            at = at[name]
            continue
        if rng.random() < 0.3:
            del at[name]
        else:
            at[name] = rng.choice(ODD)
        return value


@pytest.mark.parametrize("seed", range(12))
def test_damaged_requests(seed: int) -> None:
    """The client is told which field is wrong, or the request is written for its own API."""
    rng = random.Random(seed)
    for _ in range(60):
        body = json.dumps(damaged(REQUEST, rng)).encode()
        for drop in (False, True):
            try:
                CODEC.write_request(CODEC.read_request(body), to(), own_losses(drop=drop))
            except InvalidRequest:
                pass
            except UnsupportedParameter:
                assert not drop


@pytest.mark.parametrize("seed", range(12))
def test_damaged_answers(seed: int) -> None:
    """The provider's fault is said, or the client gets an answer."""
    rng = random.Random(seed)
    for _ in range(60):
        body = json.dumps(damaged(RESPONSE, rng)).encode()
        with suppress(UpstreamFailed):
            CODEC.write_answer(CODEC.read_answer(body), read(), STAMP, losses())


@pytest.mark.parametrize("seed", range(12))
def test_damaged_streams(seed: int) -> None:
    """Events damaged, left out, doubled, out of order, and bytes cut: the client can always be told of an error."""
    rng = random.Random(seed)
    for _ in range(40):
        pieces = list(STREAM)
        at = rng.randrange(len(pieces))
        if rng.random() < 0.5:
            line = pieces[at].split(b"data: ", 1)[1]
            pieces[at] = b"data: " + json.dumps(damaged(json.loads(line), rng)).encode() + b"\n\n"
        elif rng.random() < 0.5:
            pieces.insert(rng.randrange(len(pieces)), pieces.pop(at))
        else:
            pieces[at] = pieces[at][: rng.randrange(len(pieces[at]))] + rng.choice([b"", b"\xff", b"\n\n"])
        relay(pieces)


def relay(pieces: list[bytes]) -> None:
    reader, writer = CODEC.stream_reader(), CODEC.stream_writer(read(stream=True), STAMP, any_losses())
    with suppress(UpstreamFailed):
        for piece in pieces:
            for event in reader.feed(piece):
                writer.write(event)
        for event in reader.end():
            writer.write(event)
    assert writer.broken(UpstreamFailed("broke off"), "req_1").startswith(b"event: error\n")


@given(JSON)
@settings(max_examples=60, deadline=None)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """As a request, an answer, an event, and each one's members."""
    for body in (value, {"model": "m", "input": value}, {"model": "m", "input": "a", "text": value}):
        with suppress(InvalidRequest):
            CODEC.read_request(json.dumps(body).encode())
    for body in (value, {"output": value}, {"output": [], "usage": value}):
        with suppress(UpstreamFailed):
            CODEC.read_answer(json.dumps(body).encode())
    relay([b"data: " + json.dumps(value).encode() + b"\n\n", completed(**{"output": value})])


@given(st.binary(max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No JSON, no UTF-8, no stream."""
    with pytest.raises(InvalidRequest):
        CODEC.read_request(b"\xff" + body)
    with pytest.raises(UpstreamFailed):
        CODEC.read_answer(b"\xff" + body)
    assert CODEC.read_error(500, body).status == 500
    relay([b"data: \xff" + body + b"\n\n"])


def test_deep_nesting_is_a_typed_error() -> None:
    """Beyond what a decoder follows."""
    deep = b"[" * 5000 + b"]" * 5000
    with pytest.raises(InvalidRequest):
        CODEC.read_request(b'{"model": "m", "input": ' + deep + b"}")
    with pytest.raises(UpstreamFailed):
        CODEC.read_answer(b'{"output": ' + deep + b"}")
    relay([b'data: {"type": "response.new", "x": ' + deep + b"}\n\n"])


def test_a_long_history_takes_no_long_time() -> None:
    """Reading is not quadratic in the number of items of one turn."""
    item = {"role": "assistant", "content": "a"}
    chat = CODEC.read_request(json.dumps({"model": "m", "input": [item] * 50_000}).encode())
    assert len(chat.messages[0].parts) == 50_000
