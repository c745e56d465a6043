"""Damaged answers and streams: nothing but UpstreamFailed comes out of the readers."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.canonical import End, Failure, Start
from llmgw.dialects.bedrock.codec import CODEC
from llmgw.errors import UpstreamFailed
from tests.dialects.bedrock import event_stream as made
from tests.dialects.bedrock.exchange import events, parameters, recordings
from tests.provider.recordings import Recording

ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    1e308,
    2**70,
    "",
    "x",
    "\udcff",
    [],
    [[]],
    {},
    {"text": 1},
    [{}],
)


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in `value` with every key of it."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from spots(inner)


def mutated(value: Any, chance: random.Random) -> Any:
    """`value` with one member gone, of another type, or in the place of another."""
    value = copy.deepcopy(value)
    found = list(spots(value))
    if not found:
        return value
    holder, key = chance.choice(found)
    match chance.randrange(3):
        case 0:
            del holder[key]
        case 1:
            holder[key] = chance.choice(ODD)
        case _:
            other, at = chance.choice(found)
            holder[key] = copy.deepcopy(other[at])
    return value


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("recording", parameters(recordings(streaming=False)))
def test_mutated_answers(recording: Recording) -> None:
    """An answer is read or refused, whatever became of one of its members."""
    chance = random.Random(recording.id)
    for _ in range(300):
        try:
            CODEC.read_answer(text(mutated(recording.response["body"], chance)))
        except UpstreamFailed:
            continue


@pytest.mark.parametrize("recording", parameters(recordings(streaming=True)))
def test_mutated_streams(recording: Recording) -> None:
    """A stream of damaged events is read to its end or refused, and nothing comes before Start or after the end."""
    chance = random.Random(recording.id)
    recorded = [(one["headers"], one["payload"]) for one in recording.response["events"]]
    for _ in range(200):
        damaged = [[headers, payload] for headers, payload in recorded]
        match chance.randrange(4):
            case 0:
                del damaged[chance.randrange(len(damaged))]
            case 1:
                damaged.insert(chance.randrange(len(damaged)), chance.choice(damaged))
            case 2:
                chance.shuffle(damaged)
            case _:
                one = chance.choice(damaged)
                one[1] = mutated(one[1], chance)
        try:
            read = events(b"".join(made.message(headers, text(payload)) for headers, payload in damaged))
        except UpstreamFailed:
            continue
        assert isinstance(read[0], Start)
        assert isinstance(read[-1], End | Failure)
        assert not any(isinstance(one, Start | End | Failure) for one in read[1:-1])


@pytest.mark.parametrize("recording", parameters(recordings(streaming=True)))
def test_cut_and_flipped_streams(recording: Recording) -> None:
    """Bytes that are lost or changed are never taken for an answer's end."""
    stream = recording.answer().body
    chance = random.Random(recording.id)
    for _ in range(60):
        at = chance.randrange(len(stream))
        for damaged in (
            stream[:at],
            stream[:at] + bytes([stream[at] ^ 1 << chance.randrange(8)]) + stream[at + 1 :],
        ):
            try:
                read = events(damaged)
            except UpstreamFailed:
                continue
            assert isinstance(read[-1], End)  # cut between the last two messages, which leaves no usage


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                (
                    "text",
                    "toolUse",
                    "toolUseId",
                    "name",
                    "input",
                    "reasoningContent",
                    "citationsContent",
                    "image",
                    "x",
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=100)
def test_any_content(content: Any) -> None:
    """Content of any shape is read or refused."""
    body = {"output": {"message": {"content": content}}, "stopReason": "end_turn", "usage": content}
    try:
        CODEC.read_answer(text(body))
    except UpstreamFailed:
        return


@given(JSON, st.sampled_from(["contentBlockStart", "contentBlockDelta", "metadata", "messageStop", "x"]))
@settings(max_examples=100)
def test_any_event(said: Any, kind: str) -> None:
    """An event of any shape is read or refused."""
    payload = {"contentBlockIndex": 0, "delta": said, "start": said, "usage": said, "stopReason": "end_turn"}
    try:
        events(
            made.event("messageStart", {})
            + made.message({":message-type": "event", ":event-type": kind}, text(payload))
        )
    except UpstreamFailed:
        return


@pytest.mark.parametrize("depth", [100, 100_000])
def test_deep_nesting(depth: int) -> None:
    """JSON that is nested beyond any use is read or refused, whole and in a stream."""
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    call = b'{"toolUse":{"toolUseId":"t","name":"f","input":' + deep + b"}}"
    try:
        CODEC.read_answer(b'{"output":{"message":{"content":[' + call + b"]}}}")
    except UpstreamFailed:
        assert depth > 100
    headers: dict[str, made.Value] = {":message-type": "event", ":event-type": "messageStart"}
    try:
        CODEC.stream_reader().feed(made.message(headers, deep))
    except UpstreamFailed:
        assert depth > 100


@given(st.binary(max_size=60), st.integers())
@settings(max_examples=60)
def test_errors_are_always_read(body: bytes, status: int) -> None:
    """Reading an error never fails."""
    assert CODEC.read_error(status, body).message
