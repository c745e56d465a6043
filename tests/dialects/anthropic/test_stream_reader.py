"""Anthropic's stream as events."""

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
    NativeDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.anthropic.codec import CODEC
from llmgw.dialects.sse import complete_until
from llmgw.errors import UpstreamFailed
from tests.dialects.anthropic.parties import read_stream, recordings, wire
from tests.provider.recordings import Recording, load

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 9,
            "cache_read_input_tokens": 3,
            "output_tokens": 1,
            "service_tier": "standard",
        },
    },
}
PING = {"type": "ping"}
STOP = {"type": "message_stop"}


def opened(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **said: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": said}


def closed(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ended(
    reason: str | None = "end_turn", usage: dict[str, Any] | None = None, **members: Any
) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": usage or {"output_tokens": 5},
        **members,
    }


def between(*events: dict[str, Any]) -> list[Event]:
    """What comes of events between the start and the end."""
    found = read_stream(wire(START, *events, ended(), STOP))
    return found[2:-3]


COMPLETE = [one for one in recordings(streaming=True) if one.id != "anthropic-stream-cut"]


@pytest.mark.parametrize("recording", COMPLETE, ids=lambda one: one.id)
def test_however_a_recorded_stream_is_cut_it_says_the_same(recording: Recording) -> None:
    """Whole, event by event, and one byte at a time."""
    raw = recording.answer().body
    pieces, rest = [], raw
    while cut := complete_until(rest[: rest.find(b"\n\n") + 2]):
        pieces.append(rest[:cut])
        rest = rest[cut:]
    whole = read_stream(raw)
    assert isinstance(whole[0], Start)
    assert isinstance(whole[-1], End | Failure)
    assert read_stream(*pieces, rest) == whole
    assert read_stream(*(raw[at : at + 1] for at in range(len(raw)))) == whole


def test_a_text_is_read_as_it_comes() -> None:
    """Each delta is an event of its own, and nothing waits for the next."""
    reader = CODEC.stream_reader()
    assert reader.feed(wire(START)) == [
        Start(dialect="anthropic", id="msg_1", model="claude", service_tier="default"),
        UsageEvent(usage=Usage(input=9, cache_read=3, output=1)),
    ]
    assert reader.feed(wire(opened(0, type="text", text=""), PING)) == []
    assert reader.feed(wire(delta(0, type="text_delta", text="Hel"))) == [TextDelta(text="Hel")]
    assert reader.feed(wire(delta(0, type="text_delta", text="lo"))) == [TextDelta(text="lo")]
    assert reader.feed(wire(closed(0))) == []
    assert reader.feed(wire(ended("stop_sequence", {"output_tokens": 7}))) == [
        UsageEvent(usage=Usage(input=9, cache_read=3, output=7)),
        FinishEvent(finish=Finish(reason="stop_sequence", said="stop_sequence")),
    ]
    assert reader.feed(wire(STOP)) == [End()]
    assert reader.end() == []


def test_later_counts_replace_earlier_ones() -> None:
    """They are totals; a count that is not repeated stays what it was."""
    usage = {
        "input_tokens": 20,
        "cache_read_input_tokens": 0,
        "output_tokens": 8,
        "iterations": [{"type": "message"}],
    }
    events = read_stream(wire(START, ended(usage=usage), STOP))
    last = [event.usage for event in events if isinstance(event, UsageEvent)][-1]
    assert last == Usage(input=20, cache_read=0, output=8, native={"iterations": [{"type": "message"}]})


def test_thinking_and_its_signature() -> None:
    """In one block; redacted thinking comes whole and without deltas."""
    assert between(
        opened(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="hm"),
        delta(0, type="signature_delta", signature="s"),
        closed(0),
        opened(1, type="redacted_thinking", data="d"),
        closed(1),
    ) == [
        ThoughtDelta(text="hm"),
        ThoughtDelta(signature="s"),
        ThoughtDelta(redacted="d", block=1),
    ]


@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [((), ["{}"]), (("",), ["{}"]), (("", '{"a"', ":1}"), ['{"a"', ":1}"])],
)
def test_calls(pieces: tuple[str, ...], arguments: list[str]) -> None:
    """The name comes first; empty pieces alone mean no arguments."""
    found = between(
        opened(0, type="tool_use", id="toolu_1", name="f", input={}),
        *(delta(0, type="input_json_delta", partial_json=piece) for piece in pieces),
        closed(0),
    )
    assert found == [ToolDelta(id="toolu_1", name="f"), *(ToolDelta(arguments=one) for one in arguments)]


def test_arguments_that_are_there_at_once() -> None:
    """A host may open a call with its whole input."""
    found = between(opened(0, type="tool_use", id="i", name="f", input={"a": 1}), closed(0))
    assert found == [ToolDelta(id="i", name="f", arguments='{"a":1}')]


def test_citations_belong_to_their_text() -> None:
    """And are read like those of a whole answer."""
    cited = {
        "type": "web_search_result_location",
        "url": "u",
        "title": "t",
        "cited_text": "q",
        "encrypted_index": "e",
    }
    found = between(
        opened(0, type="text", text="", citations=[]),
        delta(0, type="citations_delta", citation=cited),
        delta(0, type="text_delta", text="a"),
        closed(0),
    )
    assert found == [
        CitationDelta(citation=Citation(url="u", title="t", quote="q", native=cited)),
        TextDelta(text="a"),
    ]


def test_blocks_without_deltas_are_blocks_all_the_same() -> None:
    """An empty text stays a text, so that blocks are counted alike plain and streamed."""
    assert between(
        opened(0, type="text", text=""), closed(0), opened(1, type="thinking", thinking=""), closed(1)
    ) == [
        TextDelta(text=""),
        ThoughtDelta(text="", block=1),
    ]


def test_what_only_this_api_has_passes_event_by_event() -> None:
    """Server tools, compaction, blocks and deltas nobody has heard of, and members of known blocks."""
    server = opened(0, type="server_tool_use", id="s", name="web_search", input={})
    piece = delta(0, type="input_json_delta", partial_json="{}")
    strange = {"type": "unheard_of", "x": 1}
    odd = delta(1, type="odd_delta", x=1)
    assert between(
        server, piece, closed(0), strange, opened(1, type="text", text="", mood="glad"), odd, closed(1)
    ) == [
        NativeDelta(dialect="anthropic", kind="content_block_start", data=server, part="server_tool_use"),
        NativeDelta(dialect="anthropic", kind="content_block_delta", data=piece),
        NativeDelta(dialect="anthropic", kind="content_block_stop", data=closed(0)),
        NativeDelta(dialect="anthropic", kind="unheard_of", data=strange),
        NativeDelta(dialect="anthropic", kind="content_block", data={"mood": "glad"}, block=1),
        TextDelta(text="", block=1),
        NativeDelta(dialect="anthropic", kind="content_block_delta", data=odd, block=1),
    ]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("overloaded_error", 529),
        ("rate_limit_error", 429),
        ("api_error", 500),
        ("invalid_request_error", 400),
        ("authentication_error", 401),
        ("billing_error", 402),
        ("permission_error", 403),
        ("not_found_error", 404),
        ("request_too_large", 413),
        ("timeout_error", 504),
        ("unheard_of", 502),
    ],
)
@pytest.mark.parametrize("before", [(), (START, opened(0, type="text", text=""))])
def test_an_error_ends_the_stream(kind: str, status: int, before: tuple[dict[str, Any], ...]) -> None:
    """First or midway; its type stands for a status, and nothing follows."""
    error = {"type": "error", "error": {"type": kind, "message": "m"}, "request_id": "r"}
    events = read_stream(wire(*before, error, PING, STOP))
    last = events[-1]
    assert isinstance(events[0], Start)
    assert isinstance(last, Failure)
    assert (last.error.status, last.error.type, last.error.message) == (status, kind, "m")


TEXT = opened(0, type="text", text="")
BROKEN: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("no end", wire(START, TEXT, closed(0), ended())),
    ("half an event", wire(START) + b'event: content_block_start\ndata: {"type":"content_bl'),
    ("no start", wire(TEXT, STOP)),
    ("an end first", wire(STOP)),
    ("a delta first", wire(delta(0, type="text_delta", text="a"))),
    ("a strange event first", wire({"type": "unheard_of"})),
    ("a message_delta first", wire(ended())),
    ("two starts", wire(START, START)),
    ("a block twice", wire(START, TEXT, TEXT)),
    ("a closed block again", wire(START, TEXT, closed(0), TEXT)),
    ("a delta of no block", wire(START, delta(0, type="text_delta", text="a"))),
    ("a delta of a closed block", wire(START, TEXT, closed(0), delta(0, type="text_delta", text="a"))),
    ("an end of no block", wire(START, closed(3))),
    ("an end within a block", wire(START, TEXT, ended(), STOP)),
    ("no index", wire(START, {"type": "content_block_start", "content_block": {"type": "text"}})),
    ("no block", wire(START, {"type": "content_block_start", "index": 0})),
    ("no delta", wire(START, TEXT, {"type": "content_block_delta", "index": 0})),
    ("a delta of no kind", wire(START, TEXT, delta(0, text="a"))),
    ("a text that is none", wire(START, TEXT, delta(0, type="text_delta", text=1))),
    ("a call without a name", wire(START, opened(0, type="tool_use", id="a", input={}))),
    ("redacted without data", wire(START, opened(0, type="redacted_thinking"))),
    ("a citation that is none", wire(START, TEXT, delta(0, type="citations_delta", citation=1))),
    ("a count that is none", wire(START, ended(usage={"output_tokens": -1}))),
    ("two reasons", wire(START, ended("end_turn"), ended("max_tokens"))),
    ("no type", b"data: {}\n\n"),
    ("a number", b"data: 1\n\n"),
    ("no JSON", b"data: <html>\n\n"),
    ("no UTF-8", b'data: {"type":"\xff"}\n\n'),
    ("no stream at all", b"<html><body>502</body></html>"),
]


@pytest.mark.parametrize("raw", [raw for _, raw in BROKEN], ids=[name for name, _ in BROKEN])
def test_a_broken_stream_is_a_typed_failure(raw: bytes) -> None:
    """However it comes in pieces."""
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        with pytest.raises(UpstreamFailed):
            read_stream(*pieces)


def test_a_recorded_stream_that_was_cut_is_not_complete() -> None:
    """The events until then were read; the end says what is missing."""
    try:
        raw = load("anthropic-stream-cut").answer().body
    except KeyError:
        pytest.skip("no fixtures beside this checkout")
    reader = CODEC.stream_reader()
    assert any(isinstance(event, TextDelta) for event in reader.feed(raw))
    with pytest.raises(UpstreamFailed, match="message_stop"):
        reader.end()
