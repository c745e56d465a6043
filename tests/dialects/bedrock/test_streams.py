"""Streams of ConverseStream as events."""

from __future__ import annotations

from typing import Any

import pytest

from llmgw.canonical import (
    Citation,
    CitationDelta,
    End,
    Event,
    Failure,
    Finish,
    FinishEvent,
    Inline,
    Media,
    MediaDelta,
    NativeDelta,
    ProviderError,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.bedrock.codec import CODEC
from llmgw.errors import UpstreamFailed
from tests.dialects.bedrock import event_stream as made
from tests.dialects.bedrock import shapes
from tests.dialects.bedrock.exchange import (
    delta,
    events,
    parameters,
    recordings,
    start,
    stop,
    streamed,
)
from tests.provider.recordings import Recording

BEGIN = Start(dialect="bedrock")
METRICS = {"metrics": {"latencyMs": 7}}
ENDING: list[Event] = [
    FinishEvent(finish=Finish(reason="stop", said="end_turn")),
    UsageEvent(usage=Usage(input=3, output=5, native=METRICS)),
    End(),
]


def native(kind: str, data: Any, block: int = 0, part: str | None = None) -> NativeDelta:
    return NativeDelta(dialect="bedrock", kind=kind, data=data, block=block, part=part)


@pytest.mark.parametrize("recording", parameters(recordings(streaming=True)))
def test_recorded_streams_in_any_pieces(recording: Recording) -> None:
    """At once, message by message and byte by byte a stream gives the same events, from Start to End."""
    stream = recording.answer().body
    whole = events(stream)
    assert whole == events(stream, 1) == events(stream, 3)
    assert [type(whole[0]), type(whole[-1])] == [Start, End]
    payloads = [one["payload"] for one in recording.response["events"]]
    said = "".join(one["delta"]["text"] for one in payloads if "text" in one.get("delta", ()))
    assert "".join(one.text for one in whole if isinstance(one, TextDelta)) == said
    (counted,) = [one for one in whole if isinstance(one, UsageEvent)]
    counts = payloads[-1]["usage"]
    assert (counted.usage.input, counted.usage.output) == (counts["inputTokens"], counts["outputTokens"])
    assert counted.usage.native["metrics"] == payloads[-1]["metrics"]


@pytest.mark.parametrize("recording", parameters(recordings(streaming=True)))
def test_each_message_of_a_stream_is_told_at_once(recording: Recording) -> None:
    """No event waits for a later message."""
    reader = CODEC.stream_reader()
    stream = recording.answer().body
    at = 0
    while at < len(stream):
        size = int.from_bytes(stream[at : at + 4], "big")
        told = reader.feed(stream[at : at + size])
        at += size
        kind = next(k for k in (b"messageStart", b"contentBlockDelta", b"messageStop", b"contentBlockSt", b"metadata")
                    if k in stream[at - size : at])  # fmt: skip
        if kind not in (b"contentBlockSt",) and b'"input":""' not in stream[at - size : at]:
            assert told
    assert reader.end() == []


def test_blocks_of_every_kind() -> None:
    """Text without a start, a thought with its signature, an encrypted one, a call, a source, an image."""
    web = {"title": "T", "location": {"web": {"url": "https://a.example"}}}
    stream = streamed(
        delta(0, {"reasoningContent": {"text": "hm"}}),
        delta(0, {"reasoningContent": {"signature": "sig"}}),
        stop(0),
        delta(1, {"reasoningContent": {"redactedContent": "AAEC"}}),
        stop(1),
        delta(2, {"text": "so"}),
        delta(2, {"citation": web}),
        stop(2),
        start(3, {"toolUse": {"toolUseId": "t", "name": "f", "type": "tool_use"}}),
        delta(3, {"toolUse": {"input": '{"a"'}}),
        delta(3, {"toolUse": {"input": ":1}"}}),
        stop(3),
        start(4, {"toolUse": {"toolUseId": "u", "name": "g"}}),
        delta(4, {"toolUse": {"input": ""}}),
        stop(4),
        start(5, {"image": {"format": "png"}}),
        delta(5, {"image": {"source": {"bytes": "AA=="}}}),
        stop(5),
    )
    assert events(stream) == [
        BEGIN,
        ThoughtDelta(text="hm", block=0),
        ThoughtDelta(signature="sig", block=0),
        ThoughtDelta(redacted="AAEC", block=1),
        TextDelta(text="so", block=2),
        CitationDelta(citation=Citation(url="https://a.example", title="T", native=web), block=2),
        ToolDelta(id="t", name="f", block=3),
        ToolDelta(arguments='{"a"', block=3),
        ToolDelta(arguments=":1}", block=3),
        ToolDelta(id="u", name="g", block=4),
        ToolDelta(arguments="{}", block=4),
        MediaDelta(media=Media(kind="image", source=Inline(media_type="image/png", data="AA==")), block=5),
        *ENDING,
    ]


def test_what_the_providers_own_tools_do_passes_whole() -> None:
    """A server tool's call is no call of the client's; its result and events newer than this pass as they came."""
    call = {"toolUse": {"toolUseId": "t", "name": "nova", "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "t", "status": "success"}}
    stream = streamed(
        start(0, call),
        delta(0, {"toolUse": {"input": "{}"}}),
        stop(0),
        start(1, result),
        delta(1, {"toolResult": [{"text": "1"}]}),
        stop(1),
        ("newEvent", {"a": 1}),
        delta(2, {"newDelta": 1}),
        delta(2, {"text": "of another kind"}),
    )
    assert events(stream) == [
        BEGIN,
        native("contentBlockStart", {"contentBlockIndex": 0, "start": call}, part="server_tool_use"),
        native("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}),
        native("contentBlockStop", {"contentBlockIndex": 0}),
        native("contentBlockStart", {"contentBlockIndex": 1, "start": result}, 1, part="toolResult"),
        native("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolResult": [{"text": "1"}]}}, 1),
        native("contentBlockStop", {"contentBlockIndex": 1}, 1),
        native("newEvent", {"a": 1}, 1),
        native("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"newDelta": 1}}, 2, part="newDelta"),
        native("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"text": "of another kind"}}, 2),
        *ENDING,
    ]


def test_a_thought_that_goes_over_into_words() -> None:
    """A model that puts both under one index gets two blocks, because each has one kind."""
    stream = streamed(delta(0, {"reasoningContent": {"text": "hm"}}), delta(0, {"text": "so"}), stop(0))
    assert events(stream) == [BEGIN, ThoughtDelta(text="hm"), TextDelta(text="so", block=1), *ENDING]


def test_the_stop_sequence_and_other_fields_of_the_model() -> None:
    """They come with `messageStop`, before which nothing of the answer is finished."""
    fields = {"stop_sequence": "END", "x": 1}
    stream = b"".join(
        (
            made.event("messageStart", {"role": "assistant"}),
            made.event(
                "messageStop", {"stopReason": "stop_sequence", "additionalModelResponseFields": fields}
            ),
        )
    )
    assert events(stream) == [
        BEGIN,
        native("messageStop", {"additionalModelResponseFields": {"x": 1}}),
        FinishEvent(finish=Finish(reason="stop_sequence", sequence="END", said="stop_sequence")),
        End(),
    ]


def test_nothing_follows_the_end() -> None:
    """What comes behind `metadata` is not looked at, whatever the pieces."""
    stream = streamed(delta(0, {"text": "a"})) + b"rest"
    for size in (None, 1):
        assert events(stream, size) == [BEGIN, TextDelta(text="a"), *ENDING]


STATUSES = {
    "internalServerException": 500,
    "modelStreamErrorException": 424,
    "validationException": 400,
    "throttlingException": 429,
    "serviceUnavailableException": 503,
    "modelTimeoutException": 408,
    "ThrottlingException": 429,
    "newerException": 502,
}


@pytest.mark.parametrize("kind", STATUSES)
def test_exceptions_within_a_stream(kind: str) -> None:
    """An exception ends the stream with the status that the published model gives it."""
    begun = made.event("messageStart", {"role": "assistant"}) + made.event(*delta(0, {"text": "a"}))
    stream = begun + made.exception(kind, "too much")
    error = ProviderError(status=STATUSES[kind], message="too much", type=kind)
    assert events(stream) == events(stream, 1) == [BEGIN, TextDelta(text="a"), Failure(error=error)]


def test_an_exception_first_and_an_error_of_the_framing() -> None:
    """Even then there is a Start; an error has its words in headers, and one without any words gets some."""
    assert events(made.exception("throttlingException", "slow")) == [
        BEGIN,
        Failure(error=ProviderError(status=429, message="slow", type="throttlingException")),
    ]
    assert events(made.error("InternalFailure", "oops")) == [
        BEGIN,
        Failure(error=ProviderError(status=502, message="oops", type="InternalFailure")),
    ]
    silent = made.message({":message-type": "exception"}, b"")
    assert events(silent) == [
        BEGIN,
        Failure(error=ProviderError(status=502, message="The provider ended its stream with an error.")),
    ]


@shapes.needed
def test_every_exception_of_the_published_model_has_its_status() -> None:
    """The statuses are those of the model, for streams and for whole answers."""
    for name, shape in shapes.shapes().items():
        if shape.get("exception") and name != "ConflictException":
            (_, failure) = events(made.exception(name, "m"))
            assert isinstance(failure, Failure)
            assert failure.error.status == shape["error"]["httpStatusCode"], name


START = made.event("messageStart", {"role": "assistant"})


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        START,
        START + made.event(*delta(0, {"text": "a"})),
        streamed(delta(0, {"text": "a"}))[:-1] + b"\x00",
        made.event(*delta(0, {"text": "a"})),
        made.event("messageStop", {"stopReason": "end_turn"}),
        START + made.event(*delta(0, {"toolUse": {"input": "{}"}})),
        streamed(delta(0, {"text": 1})),
        streamed(delta(0, {})),
        streamed(("contentBlockDelta", {"delta": {"text": "a"}})),
        streamed(delta(0, {"text": "a"}), stop(0), delta(0, {"text": "b"})),
        streamed(delta(0, {"text": "a"}), stop(0), stop(0)),
        streamed(start(0, {"toolUse": {"name": "f"}})),
        streamed(start(0, {"toolUse": 1})),
        streamed(start(0, {})),
        streamed(
            start(0, {"toolUse": {"toolUseId": "t", "name": "f"}}),
            start(0, {"toolUse": {"toolUseId": "t", "name": "f"}}),
        ),
        streamed(("messageStop", {"stopReason": "end_turn"})),
        START + made.event("messageStop", {}),
        START + made.message({":message-type": "event"}, b"{}"),
        START + made.message({":message-type": "other"}, b"{}"),
        START + made.message({}, b"{}"),
        START + made.message({":message-type": "event", ":event-type": "messageStop"}, b"{"),
    ],
)
def test_what_is_no_stream_is_a_failure_of_the_provider(stream: bytes) -> None:
    """Truncated, damaged, out of order or of the wrong types: it says so and raises nothing else."""
    for size in (None, 1):
        with pytest.raises(UpstreamFailed):
            events(stream, size)
