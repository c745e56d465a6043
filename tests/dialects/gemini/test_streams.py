"""Streams of Gemini's in neutral events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    UsageEvent,
)
from llmgw.dialects.gemini.codec import CODEC
from llmgw.dialects.gemini.json_array import ArraySplitter
from llmgw.dialects.sse import EVENT_LIMIT
from llmgw.errors import UpstreamFailed
from tests.dialects.gemini import exchange
from tests.dialects.gemini.exchange import CHAT, STAMP
from tests.provider import recordings


def sse(*chunks: Any, end: str = "\r\n") -> bytes:
    return "".join(f"data: {json.dumps(chunk)}{end}{end}" for chunk in chunks).encode()


def array(*chunks: Any) -> bytes:
    return ("[" + ",\r\n".join(json.dumps(chunk, indent=2) for chunk in chunks) + "\n]\n").encode()


def chunk(*parts: Any, **members: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **members}]}


STOP = chunk(finishReason="STOP")


def events(*chunks: Any) -> list[Event]:
    """The events of a stream, the same in both framings, with either line end and byte by byte."""
    found = exchange.events(sse(*chunks))
    assert exchange.events(sse(*chunks, end="\n")) == found
    assert exchange.events(array(*chunks)) == found
    assert exchange.events(array(*chunks), 1) == found
    return found


def test_text_and_thoughts() -> None:
    """Parts of one kind that follow each other are one block; signatures come with their part."""
    found = events(
        {"responseId": "r", "modelVersion": "m", "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3, "serviceTier": "standard"}},
        chunk({"text": "h", "thought": True}),
        chunk({"text": "m", "thought": True, "thoughtSignature": "c2ln"}),
        chunk({"text": "a"}, index=0),
        chunk({"text": "b"}),
        chunk({"text": "", "thoughtSignature": "c2ln"}, finishReason="STOP"),
    )  # fmt: skip
    assert found[0] == Start(dialect="gemini", id="r", model="m", service_tier="default")
    assert isinstance(found[1], UsageEvent) and found[1].usage.input == 3
    assert found[2:] == [
        ThoughtDelta(text="h", block=0),
        ThoughtDelta(text="m", block=0, signature="c2ln"),
        TextDelta(text="a", block=1),
        TextDelta(text="b", block=1),
        TextDelta(text="", block=1, signature="c2ln"),
        FinishEvent(finish=Finish(reason="stop", said="STOP")),
        End(),
    ]


def test_whole_calls() -> None:
    """Each call is a block of its own and complete at once."""
    found = events(
        chunk({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}, {"functionCall": {"name": "g", "id": "2"}}),
        STOP,
    )  # fmt: skip
    assert found[1:3] == [
        ToolDelta(arguments='{"a":1}', block=0, name="f", signature="c2ln"),
        ToolDelta(arguments="{}", block=1, name="g", id="2"),
    ]
    assert found[3] == FinishEvent(finish=Finish(reason="tool_calls", said="STOP"))


def piece(path: str, more: bool = False, **value: Any) -> dict[str, Any]:
    return chunk(
        {
            "functionCall": {
                "partialArgs": [{"jsonPath": path, **value, "willContinue": more}],
                "willContinue": True,
            }
        }
    )


def arguments(found: list[Event]) -> list[Any]:
    joined: dict[int, str] = {}
    for event in found:
        if isinstance(event, ToolDelta):
            joined[event.block] = joined.get(event.block, "") + event.arguments
    return [json.loads(text) for text in joined.values()]


def test_partial_arguments() -> None:
    """Pieces become one object: strings that go on, numbers, booleans, nulls, lists and objects within."""
    found = events(
        chunk({"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "c2ln"}),
        piece("$.a.b[0].c", stringValue="x", more=True),
        piece("$.a.b[0].c", stringValue="y", more=True),
        piece("$.a.b[0].c", stringValue=""),
        piece("$.a.b[1]", numberValue=1.5),
        piece("$.d", boolValue=False),
        piece("$['e f']", nullValue="NULL_VALUE"),
        chunk({"functionCall": {}}),
        chunk({"functionCall": {"name": "g", "willContinue": True}}),
        piece("$.a", stringValue="cut", more=True),
        chunk({"text": "after"}, finishReason="STOP"),
    )
    assert arguments(found) == [{"a": {"b": [{"c": "xy"}, 1.5]}, "d": False, "e f": None}, {"a": "cut"}]
    assert [event.name for event in found if isinstance(event, ToolDelta)] == ["f", None, "g", None]
    assert found[-2] == FinishEvent(finish=Finish(reason="tool_calls", said="STOP"))


def test_a_missing_last_piece() -> None:
    """A call whose last piece never comes ends with its answer; arguments without any piece are an empty object."""
    assert arguments(events(chunk({"functionCall": {"name": "f", "willContinue": True}}), STOP)) == [{}]
    recording = recordings.index().get("vertex-stream-partial-args-missing-terminal")
    if recording is not None:
        raw = exchange.whole(recordings.load("vertex-stream-partial-args-missing-terminal"))
        (items,) = arguments(exchange.events(raw))
        assert items["operations"][0] == {
            "action": "add",
            "description": "Fresh red apple",
            "itemid": "apple_001",
            "price": 0.5,
        }


@pytest.mark.parametrize(
    "bad",
    [
        piece("a", stringValue="x"), piece("$", stringValue="x"), piece("$.a[5]", numberValue=1), piece("$[0]", numberValue=1),
        piece("$.a"), piece("$.a", stringValue="x", numberValue=1), piece("$.a", numberValue="x"), piece("$..a", numberValue=1),
        piece("$.a[99999999999]", numberValue=1), chunk({"functionCall": {"partialArgs": "x", "willContinue": True}}),
    ],
)  # fmt: skip
def test_pieces_that_fit_nowhere(bad: Any) -> None:
    """A piece without a place or a value is the provider's failure."""
    with pytest.raises(UpstreamFailed):
        events(chunk({"functionCall": {"name": "f", "willContinue": True}}), bad, STOP)


def test_a_long_string_in_many_pieces() -> None:
    """40,000 pieces of one string are joined once, in the end."""
    reader = CODEC.stream_reader()
    reader.feed(sse(chunk({"functionCall": {"name": "f", "willContinue": True}})))
    one = sse(piece("$.a", stringValue="x" * 100, more=True))
    for _ in range(40):
        reader.feed(one * 1000)
    assert arguments(reader.feed(sse(STOP)) + reader.end()) == [{"a": "x" * 4_000_000}]


def test_what_only_gemini_has() -> None:
    """Parts and members of candidates and answers that nobody else has are native events."""
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    found = events(
        {**chunk(code), "createTime": "t", "modelStatus": {"modelStage": "STABLE"}},
        {**chunk({"text": "a"}, safetyRatings=[{"a": 1}], avgLogprobs=-1.5), "createTime": "t"},
        {**STOP, "somethingNew": 1},
    )
    assert found[0] == Start(
        dialect="gemini", native={"createTime": "t", "modelStatus": {"modelStage": "STABLE"}}
    )
    assert found[1:4] == [
        NativeDelta(dialect="gemini", kind="executableCode", data=code, block=0, part="executableCode"),
        TextDelta(text="a", block=1),
        NativeDelta(
            dialect="gemini",
            kind="candidate",
            data={"safetyRatings": [{"a": 1}], "avgLogprobs": -1.5},
            block=1,
        ),
    ]
    assert found[4] == NativeDelta(dialect="gemini", kind="response", data={"somethingNew": 1})


def test_media() -> None:
    """An image comes in one event."""
    found = events(chunk({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, finishReason="STOP"))
    assert found[1] == MediaDelta(
        media=Media(kind="image", source=Inline(media_type="image/png", data="AAAA"))
    )


def test_citations_follow_their_text() -> None:
    """A support that reaches over several chunks becomes a citation behind the text, in characters."""
    metadata = {
        "groundingChunks": [{"web": {"uri": "https://a.test"}}],
        "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 8}, "groundingChunkIndices": [0]}],
    }
    found = events(
        chunk({"text": "że"}), chunk({"text": "abc"}), chunk({"text": "def"}, groundingMetadata=metadata, finishReason="STOP")
    )  # fmt: skip
    assert found[4] == CitationDelta(citation=Citation(url="https://a.test", start=2, end=7))
    late = events(
        chunk({"text": "żeabcdef"}), chunk({"functionCall": {"name": "f"}}), chunk(groundingMetadata=metadata, finishReason="STOP")
    )  # fmt: skip
    assert not any(isinstance(event, CitationDelta) for event in late)
    assert any(isinstance(event, NativeDelta) for event in late)


def test_several_candidates() -> None:
    """Candidates count their own blocks; a reason said on every chunk counts only once."""
    found = events(
        {"candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"}]},
        {"candidates": [{"index": 0, "content": {"parts": [{"text": "a"}]}, "finishReason": "MAX_TOKENS"}]},
        {"candidates": [{"index": 1, "content": {"parts": [{"text": "c"}]}, "finishReason": "STOP"}]},
    )
    assert found[1:] == [
        TextDelta(text="b", choice=1),
        TextDelta(text="a", choice=0),
        TextDelta(text="c", choice=1),
        FinishEvent(finish=Finish(reason="length", said="MAX_TOKENS"), choice=0),
        FinishEvent(finish=Finish(reason="stop", said="STOP"), choice=1),
        End(),
    ]


def test_a_refused_prompt() -> None:
    """A stream without candidates that says why is complete."""
    found = events(
        {
            "promptFeedback": {"blockReason": "SAFETY"},
            "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3},
        }
    )
    assert isinstance(found[-2], FinishEvent) and found[-2].finish.reason == "content_filter"
    assert exchange.chunks(exchange.streamed(found)) == [
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}, "modelVersion": CHAT.model, "responseId": STAMP.id}
    ]  # fmt: skip


def test_usage_is_the_latest() -> None:
    """Counts replace each other; a chunk that counts nothing does not replace them."""
    found = events(
        {**chunk({"text": "a"}), "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}},
        {**chunk({"text": "b"}), "usageMetadata": {"trafficType": "ON_DEMAND"}},
        {**STOP, "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}},
    )
    assert [event.usage.output for event in found if isinstance(event, UsageEvent)] == [None, 2]


@pytest.mark.parametrize(
    "chunks", [(), (chunk({"text": "a"}),), (chunk({"text": "a"}, finishReason="FINISH_REASON_UNSPECIFIED"),), ({"usageMetadata": {}},)]
)  # fmt: skip
def test_truncated_streams(chunks: tuple[Any, ...]) -> None:
    """An answer without a reason for its end is not complete."""
    for raw in (sse(*chunks), array(*chunks)):
        with pytest.raises(UpstreamFailed, match="before the answer was complete"):
            exchange.events(raw)


def test_an_array_that_is_cut_off() -> None:
    """The closing bracket of the array is part of a complete answer."""
    with pytest.raises(UpstreamFailed, match="before the answer was complete"):
        exchange.events(array(chunk({"text": "a"}), STOP).rstrip()[:-1])


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]], ids=["object", "array"])
def test_an_error_within_a_stream(wrap: Any) -> None:
    """The provider's error is the last event, in either framing."""
    error = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
    expected = Failure(error=ProviderError(status=503, message="Overloaded", type="UNAVAILABLE"))
    for raw in (sse(chunk({"text": "a"}), wrap(error)), array(chunk({"text": "a"}), error)):
        assert exchange.events(raw)[1:] == [TextDelta(text="a"), expected]
    assert exchange.events(sse(wrap(error), STOP)) == [Start(dialect="gemini"), expected]
    assert exchange.events(json.dumps(error).encode()) == [Start(dialect="gemini"), expected]


@pytest.mark.parametrize(
    "raw",
    [
        b"<html><body>502</body></html>", b"data: {\r\n\r\n", b"data: 1\r\n\r\n", b"data: \xff\r\n\r\n", b"[1, 2]", b"[{}}]", b"{}{}", b"[{]",
        b'[{"candidates": 1}]', b'[{"candidates": [{"index": 999}]}]', b'[{"candidates": [{"index": -1}]}]', b'[{"candidates": [1]}]',
        b'[{"candidates": [{"content": {"parts": [{"text": 1}]}}]}]', b'[{"responseId": 1}]', b'[{"usageMetadata": 1}]', b"[[{}]]",
        b'[{"candidates": [{"content": {"parts": [{"functionResponse": {"name": "f"}}]}}]}]', b"data: " + b"[" * 5000 + b"\n\n",
        b'[{"candidates": [{"content": {"parts": [{"functionCall": {"args": {"a": 1}}}]}}]}]',
    ],
)  # fmt: skip
def test_what_is_no_stream(raw: bytes) -> None:
    """Anything else is the provider's failure, whole and byte by byte."""
    for size in (None, 1):
        with pytest.raises(UpstreamFailed):
            exchange.events(raw, size)


@pytest.mark.parametrize("recording", exchange.recorded(streaming=True))
def test_spoilt_streams(recording: Any) -> None:
    """Recorded streams, cut and spoilt: they are read, or are the provider's failure."""
    for spoilt in exchange.mutations(exchange.whole(recording)[:20_000]):
        try:
            exchange.streamed(exchange.events(spoilt, 1000))
        except UpstreamFailed:
            continue


@given(
    st.lists(
        st.dictionaries(st.text(max_size=6), st.text(max_size=12) | st.lists(st.integers()), max_size=3),
        max_size=5,
    ),
    st.integers(1, 30),
    st.booleans(),
)
def test_the_array_is_cut_into_its_elements(elements: list[Any], size: int, ascii_only: bool) -> None:
    """Property: whatever the elements hold and however the array is cut, the same elements come out."""
    raw = json.dumps(elements, ensure_ascii=ascii_only, indent=size % 2 or None).encode()
    splitter = ArraySplitter()
    found = [one for at in range(0, len(raw), size) for one in splitter.feed(raw[at : at + size])]
    assert [json.loads(one) for one in found + splitter.end()] == elements


def test_an_element_without_end() -> None:
    """Memory is bounded: an element over the limit is the provider's failure."""
    splitter = ArraySplitter()
    splitter.feed(b'[{"a": "')
    for _ in range(EVENT_LIMIT // 65536 - 1):
        splitter.feed(b"x" * 65536)
    with pytest.raises(UpstreamFailed, match="8 MiB"):
        splitter.feed(b"x" * 65536)
