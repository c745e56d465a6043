"""Recorded exchanges of Gemini and Vertex AI through the codec and back."""

from __future__ import annotations

import json

import pytest

from llmgw.canonical import End, FinishEvent, Start, Usage, UsageEvent
from llmgw.dialects.gemini.codec import CODEC
from tests.dialects.gemini import exchange
from tests.dialects.gemini.exchange import CHAT, STAMP
from tests.provider.recordings import Recording

BUCKETS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "input_audio",
    "output",
    "reasoning",
    "output_audio",
)


def total(usage: Usage) -> int:
    return sum(getattr(usage, bucket) or 0 for bucket in BUCKETS)


@pytest.mark.parametrize("recording", exchange.recorded(status=None))
def test_a_request_comes_back_as_it_was(recording: Recording) -> None:
    """Reading and writing a recorded request changes nothing but harmless spelling."""
    body = recording.request.get("body")
    if body is None:
        pytest.skip("recorded without its request")
    losses = exchange.losses()
    chat = exchange.read(body, stream=recording.streaming)
    again = json.loads(CODEC.write_request(chat, exchange.to(), losses))
    assert exchange.same_request(again) == exchange.same_request(body)
    assert losses.dropped == []


@pytest.mark.parametrize("recording", exchange.recorded(streaming=False))
def test_an_answer_comes_back_as_it_was(recording: Recording) -> None:
    """Reading and writing a recorded answer changes nothing but harmless spelling."""
    losses = exchange.losses()
    answer = CODEC.read_answer(exchange.whole(recording))
    again = json.loads(CODEC.write_answer(answer, CHAT, STAMP, losses))
    assert exchange.same_answer(again) == exchange.same_answer(recording.response["body"])
    assert losses.dropped == []


@pytest.mark.parametrize("recording", exchange.recorded(streaming=False))
def test_buckets_sum_up_to_the_total(recording: Recording) -> None:
    """The disjoint buckets are everything the provider counted."""
    counted = recording.response["body"].get("usageMetadata", {}).get("totalTokenCount")
    usage = CODEC.read_answer(exchange.whole(recording)).usage
    assert usage is not None and total(usage) == counted
    assert all((getattr(usage, bucket) or 0) >= 0 for bucket in BUCKETS)


def partial(recording: Recording) -> bool:
    return "partial_args" in recording.features


@pytest.mark.parametrize("recording", exchange.recorded(streaming=True))
def test_a_stream_is_read_alike_however_it_is_cut(recording: Recording) -> None:
    """Whole, in pieces of 7 bytes and byte by byte the events are the same; Start is first and End last."""
    raw = exchange.whole(recording)
    whole = exchange.events(raw)
    assert exchange.events(raw, 1) == whole
    assert exchange.events(raw, 7) == whole
    assert isinstance(whole[0], Start) and isinstance(whole[-1], End)
    assert sum(isinstance(event, Start | End) for event in whole) == 2
    assert any(isinstance(event, FinishEvent) for event in whole)


@pytest.mark.parametrize("framing", ["sse", "array"])
@pytest.mark.parametrize("recording", exchange.recorded(streaming=True))
def test_a_stream_comes_back_as_it_was(recording: Recording, framing: str) -> None:
    """In either framing the chunks that a client joins up say what the recorded ones said."""
    chat = exchange.read({"contents": []}, stream=True, query=b"alt=sse" if framing == "sse" else b"")
    raw = exchange.whole(recording)
    again = exchange.chunks(exchange.streamed(exchange.events(raw), chat))
    expected = exchange.same_stream(exchange.chunks(raw))
    found = exchange.same_stream(again)
    if partial(recording):  # pieces of arguments become whole ones
        for one in (expected, found):
            for candidate in one["candidates"].values():
                del candidate["parts"]
    assert found == expected


@pytest.mark.parametrize("recording", exchange.recorded(streaming=True))
def test_usage_of_a_stream_sums_up_to_the_total(recording: Recording) -> None:
    """The last usage event holds the last chunk's counts."""
    usages = [
        event.usage for event in exchange.events(exchange.whole(recording)) if isinstance(event, UsageEvent)
    ]
    counted = exchange.chunks(exchange.whole(recording))[-1]["usageMetadata"].get("totalTokenCount")
    assert counted is None or total(usages[-1]) == counted


@pytest.mark.parametrize("recording", exchange.recorded(status=None))
def test_errors_are_read(recording: Recording) -> None:
    """A recorded error keeps its status, message and Google's word for it."""
    if recording.response["status"] == 200:
        return
    error = CODEC.read_error(recording.response["status"], exchange.whole(recording))
    said = recording.response["body"]["error"]
    assert (error.status, error.message, error.type) == (said["code"], said["message"], said["status"])
