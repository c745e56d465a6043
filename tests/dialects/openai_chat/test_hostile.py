"""Damaged requests, answers and streams: only the typed errors come out, from readers and writers alike."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from collections.abc import Iterator
from typing import Any, Final

import pytest

from llmgw.dialects.openai_chat.codec import CODEC
from llmgw.errors import InvalidRequest, UnsupportedParameter, UpstreamFailed
from tests.dialects.losses import any_losses
from tests.dialects.openai_chat.exchange import (
    ANSWERED,
    ASKED,
    DONE,
    STAMP,
    chunk,
    losses,
    read,
    to,
)

ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0.5,
    10**30,
    1e308,
    "",
    "\u0000",
    "data:;base64,",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"type": "text"},
    {"type": []},
    {"type": "unheard_of"},
)
"""Values that stand where others were expected."""
NOT_JSON: Final = (
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe{}",
    b'{"a": "\\ud800"}',
    b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b'{"n": ' + b"9" * 5000 + b"}",
)

REQUEST: Final[dict[str, Any]] = {
    **ASKED,
    "messages": [
        {"role": "developer", "content": "d", "name": "n"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "x"}]},
                {"type": "text", "text": "y"},
            ],
            "reasoning_content": "hm",
            "reasoning_details": [{"type": "reasoning.text", "text": "hm", "format": "google-gemini-v1"}],
            "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}],
            "extra_content": {"google": {"thought_signature": "s"}},
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    "reasoning": {"effort": "low", "exclude": False},
    "stream_options": {"include_usage": True},
    "metadata": {"a": "b"},
    "stop": ["x"],
}
ANSWER: Final[dict[str, Any]] = {
    **ANSWERED,
    "citations": ["https://a.b"],
    "x_groq": {"usage": {"prompt_tokens": 1}},
    "choices": [
        {
            "index": 0,
            "message": {**REQUEST["messages"][2], "refusal": "no", "images": [{"type": "image_url"}]},
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "a"}], "refusal": None},
        }
    ],
    "usage": {
        "prompt_tokens": 9,
        "completion_tokens": 9,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 1},
    },
}
DELTAS: Final[tuple[dict[str, Any], ...]] = (
    {"role": "assistant", "content": ""},
    {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]},
    {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "x"}]}]},
    {"content": "a", "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]},
    {
        "tool_calls": [
            {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
        ]
    },
    {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
    {"function_call": {"name": "f", "arguments": "{}"}},
    {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
)


def damaged(whole: Any, count: int) -> Iterator[Any]:
    """Copies with one to three values deleted, replaced or moved."""
    rng = random.Random(7)
    for _ in range(count):
        copied = copy.deepcopy(whole)
        for _ in range(rng.choice((1, 1, 2, 3))):
            holder, key = rng.choice(list(places(copied)))
            if rng.random() < 0.2 and isinstance(holder, dict):
                holder[rng.choice(("type", "content", "index", "id"))] = holder.pop(key)
            elif rng.random() < 0.2:
                del holder[key]
            else:
                holder[key] = copy.deepcopy(rng.choice(ODD))
        yield copied


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value below the top, as its holder and its name or index in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        yield value, key
        yield from places(member)


def test_requests() -> None:
    """A client's mistake is told to the client; with `drop` nothing is refused."""
    for body in [*NOT_JSON, *(json.dumps(one).encode() for one in damaged(REQUEST, 1500))]:
        with contextlib.suppress(InvalidRequest):
            chat = CODEC.read_request(body)
            CODEC.write_request(chat, to(), losses(drop=True))
            with contextlib.suppress(UnsupportedParameter):
                CODEC.write_request(chat, to(), losses())


def test_answers() -> None:
    """A provider's mistake is the provider's failure."""
    for body in [*NOT_JSON, *(json.dumps(one).encode() for one in damaged(ANSWER, 1500))]:
        with contextlib.suppress(UpstreamFailed):
            CODEC.write_answer(CODEC.read_answer(body), read(), STAMP, losses(drop=True))
        CODEC.read_error(500, body)


def test_streams() -> None:
    """The same in a stream, and the client can always be told of it."""
    pieces = [json.loads(chunk(delta).removeprefix(b"data: ")) for delta in DELTAS]
    pieces += [{**pieces[0], "choices": [], "usage": ANSWER["usage"]}]
    for copied in damaged(pieces, 1000):
        reader, writer = CODEC.stream_reader(), CODEC.stream_writer(read(stream=True), STAMP, any_losses())
        failure: UpstreamFailed | None = None
        try:
            for one in copied:
                for event in reader.feed(b"data: " + json.dumps(one).encode() + b"\n\n"):
                    writer.write(event)
            for event in reader.feed(DONE) + reader.end():
                writer.write(event)
        except UpstreamFailed as failed:
            failure = failed
        if failure is not None:
            assert writer.broken(failure, "req_1").startswith(b"data: ")


@pytest.mark.parametrize("body", NOT_JSON)
def test_events_that_are_no_json(body: bytes) -> None:
    """Garbage between two events ends the stream as a failure, or says nothing."""
    reader = CODEC.stream_reader()
    with contextlib.suppress(UpstreamFailed):
        reader.feed(b"data: " + body + b"\n\n")
        reader.feed(DONE)


def test_an_event_without_end() -> None:
    """It is cut off before it fills the memory."""
    reader = CODEC.stream_reader()

    def flood() -> None:
        for _ in range(10):
            reader.feed(b"data: {" + b" " * 1_000_000)

    with pytest.raises(UpstreamFailed, match="MiB"):
        flood()
