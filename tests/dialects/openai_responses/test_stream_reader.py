"""Events of providers' streams, published, left out and unknown."""

from __future__ import annotations

from typing import Any

import pytest

from llmgw.canonical import (
    CitationDelta,
    End,
    Event,
    Failure,
    FinishEvent,
    Inline,
    Media,
    MediaDelta,
    NativeDelta,
    ProviderError,
    RefusalDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.openai_responses.codec import CODEC
from llmgw.dialects.sequence import InSequence
from llmgw.errors import UpstreamFailed
from tests.dialects.openai_responses.exchange import (
    CREATED,
    PNG,
    added,
    argued,
    completed,
    data,
    done,
    events,
    function_call,
    message,
    said,
    text,
)

TOKEN = {"token": "a", "logprob": -0.1, "top_logprobs": []}


def content(*pieces: bytes) -> list[Event]:
    """The events between Start and usage."""
    found = events(CREATED, *pieces)
    assert isinstance(found[0], Start)
    assert isinstance(found[-1], End)
    return [one for one in found[1:-1] if not isinstance(one, UsageEvent | FinishEvent) and not final(one)]


def final(event: Event) -> bool:
    return isinstance(event, NativeDelta) and event.kind in ("response.completed", "response.incomplete")


def finish(*pieces: bytes) -> Any:
    return next(one.finish for one in events(CREATED, *pieces) if isinstance(one, FinishEvent))


def test_a_stream_from_its_start_to_its_end() -> None:
    """Start, text, usage, why it ended, the response as the provider gave it, and the end."""
    found = events(CREATED, said("a"), completed(message(text("a"))))
    assert isinstance(found[0], Start)
    assert (found[0].id, found[0].model, found[0].created) == ("resp_1", "gpt-5-2026", 1_750_000_000)
    assert found[1:3] == [TextDelta(text="a"), UsageEvent(usage=Usage(input=3, output=2))]
    assert isinstance(found[3], FinishEvent)
    assert final(found[4])
    assert found[5:] == [End()]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_pieces_make_no_difference(size: int) -> None:
    """One byte at a time, cut anywhere, whole; with other line ends, and without the last one."""
    body = CREATED + said("grüße") + done(function_call(), 1) + completed()
    expected = events(body)
    for one in (body, body.replace(b"\n", b"\r\n"), body.rstrip(b"\n")):
        assert events(*(one[at : at + size] for at in range(0, len(one), size))) == expected


def test_events_without_a_type_have_it_as_their_name() -> None:
    """The name of the server-sent event says it too."""
    piece = said("a").replace(b'"type": "response.output_text.delta", ', b"")
    assert content(piece, completed()) == [TextDelta(text="a")]


def test_parts_of_a_message_are_blocks() -> None:
    """Each text and refusal, with its tokens' probabilities and its citations."""
    cited = {"type": "url_citation", "url": "https://e.com", "start_index": 0, "end_index": 1}
    annotation = data(
        "response.output_text.annotation.added", output_index=0, content_index=0, annotation=cited
    )
    found = content(
        added(message()),
        said("a", logprobs=[TOKEN]),
        annotation,
        said("b", content=1),
        data("response.refusal.delta", output_index=0, content_index=2, delta="no"),
        done(message(text("a", cited), text("b"), {"type": "refusal", "refusal": "no"})),
        completed(),
    )
    assert isinstance(found[1], CitationDelta)
    assert found[1].citation.url == "https://e.com"
    assert [found[0], *found[2:]] == [
        TextDelta(text="a", logprobs=[TOKEN]),
        TextDelta(text="b", block=1),
        RefusalDelta(text="no", block=2),
    ]


def test_a_thought_and_its_proof() -> None:
    """Parts of the summary are paragraphs; the encrypted thought and its id come with the item."""

    def summary(kind: str, index: int, **members: str) -> bytes:
        return data(f"response.reasoning_summary_text.{kind}", output_index=0, summary_index=index, **members)

    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "ab"}, {"type": "summary_text", "text": "c"}],
        "encrypted_content": "gAA",
    }
    expected = [
        ThoughtDelta(text="a"),
        ThoughtDelta(text="b"),
        ThoughtDelta(text="\n\nc"),
        ThoughtDelta(redacted="gAA", id="rs_1"),
    ]
    deltas = (summary("delta", 0, delta="a"), summary("delta", 0, delta="b"), summary("done", 0, text="ab"))
    last = summary("done", 1, text="c")
    assert content(*deltas, summary("delta", 1, delta="c"), last, done(item), completed()) == expected
    assert content(*deltas, last, done(item), completed()) == expected, "the second part without deltas"
    assert content(done(item), completed()) == [ThoughtDelta(text="ab\n\nc", redacted="gAA", id="rs_1")]


def test_a_thought_is_told_once() -> None:
    """A host that shows the thought itself and then a summary of it says one thing twice."""
    found = content(
        data("response.reasoning_text.delta", output_index=0, content_index=0, delta="a"),
        data("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="b"),
        completed(),
    )
    assert found == [ThoughtDelta(text="a")]


def test_calls() -> None:
    """The name comes when the call begins, the arguments as they grow; a custom tool's are text."""
    custom = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "sh", "input": ""}
    found = content(
        added(function_call(arguments="")),
        argued('{"a":'),
        argued("1}"),
        data("response.function_call_arguments.done", output_index=0, name="f", arguments='{"a":1}'),
        done(function_call(arguments='{"a":1}')),
        added(custom, 1),
        data("response.custom_tool_call_input.delta", output_index=1, delta="ls"),
        data("response.custom_tool_call_input.done", output_index=1, input="ls"),
        done({**custom, "input": "ls"}, 1),
        completed(),
    )
    assert found == [
        ToolDelta(id="call_1", name="f"),
        ToolDelta(arguments='{"a":'),
        ToolDelta(arguments="1}"),
        ToolDelta(id="c2", name="sh", custom=True, block=1),
        ToolDelta(arguments="ls", block=1),
    ]
    assert finish(added(function_call()), completed()).reason == "tool_calls"


def test_calls_that_share_an_output_index_are_two() -> None:
    """A host may number all its items 0: each that is announced begins anew."""
    found = content(
        added(function_call("f", "")), argued("{}"), added(function_call("g", "")), argued("[]"), completed()
    )
    assert [(one.block, one.name, one.arguments) for one in found if isinstance(one, ToolDelta)] == [
        (0, "f", ""),
        (0, None, "{}"),
        (1, "g", ""),
        (1, None, "[]"),
    ]


# What hosts leave out


@pytest.mark.parametrize(
    "pieces",
    [
        [said("so")],
        [data("response.output_text.done", output_index=0, content_index=0, text="so")],
        [added(message()), done(message(text("so")))],
        [done(message(text("so")))],
        [completed(message(text("so")))],
        [said("s"), said("o"), data("response.output_text.done", output_index=0, content_index=0, text="so")],
    ],
)
def test_text_comes_however_it_is_told(pieces: list[bytes]) -> None:
    """By deltas that nobody announced, by the event that a text is done, by its item, or in the response alone."""
    found = content(*pieces, completed())
    assert all(isinstance(one, TextDelta) for one in found)
    assert "".join(one.text for one in found if isinstance(one, TextDelta)) == "so"


@pytest.mark.parametrize(
    "pieces",
    [
        [added(function_call(arguments="")), done(function_call(arguments='{"a":1}'))],
        [
            added(function_call(arguments="")),
            data("response.function_call_arguments.done", output_index=0, arguments='{"a":1}'),
        ],
        [added(function_call(arguments='{"a":1}')), done(function_call(arguments='{"a":1}'))],
        [argued('{"a":1}'), done(function_call(arguments='{"a":1}'))],
        [argued('{"a":1}'), completed(function_call(arguments='{"a":1}'))],
        [completed(function_call(arguments='{"a":1}'))],
    ],
)
def test_a_call_comes_however_it_is_told(pieces: list[bytes]) -> None:
    """Once, with its name first."""
    found = [one for one in content(*pieces, completed()) if isinstance(one, ToolDelta)]
    assert (found[0].id, found[0].name) == ("call_1", "f")
    assert "".join(one.arguments for one in found) == '{"a":1}'
    assert finish(*pieces, completed()).reason == "tool_calls"


def test_arguments_of_no_call_are_an_error() -> None:
    """Nobody could know what to call."""
    with pytest.raises(UpstreamFailed, match="did not name"):
        events(CREATED, argued("{}"), completed())


def test_refusals_and_citations_of_an_item_alone() -> None:
    """What no other event has told is taken from the item, and nothing twice."""
    cited = [{"type": "url_citation", "url": f"https://e.com/{n}"} for n in range(2)]
    first = data(
        "response.output_text.annotation.added", output_index=0, content_index=0, annotation=cited[0]
    )
    whole = done(message(text("a", *cited), {"type": "refusal", "refusal": "no"}, {"type": "new", "x": 1}))
    found = content(said("a"), first, whole, completed())
    assert [one.citation.url for one in found if isinstance(one, CitationDelta)] == [
        "https://e.com/0",
        "https://e.com/1",
    ]
    assert found[3:] == [
        RefusalDelta(text="no", block=1),
        NativeDelta(dialect="openai_responses", kind="content.new", data={"type": "new", "x": 1}, block=2),
    ]
    told = data("response.refusal.done", output_index=0, content_index=1, refusal="no")
    assert content(told, completed()) == [RefusalDelta(text="no")]


def test_a_stream_without_its_first_event() -> None:
    """Start comes first all the same."""
    found = events(said("a"), completed())
    assert found[:2] == [Start(dialect="openai_responses"), TextDelta(text="a")]
    assert isinstance(events(completed())[0], Start)


def test_what_comes_behind_the_end_is_left_alone() -> None:
    """A host may send `[DONE]`, comments, or its own event."""
    assert events(CREATED, completed(), b"data: [DONE]\n\n", b": x\n\n", said("a"))[-1] == End()


# Hosted tools, and what is unknown


def test_items_of_hosted_tools_pass_as_they_are() -> None:
    """Their events share a block; an image that was drawn is one."""
    item = {"type": "image_generation_call", "id": "ig_1", "status": "in_progress", "result": None}
    progress = data("response.image_generation_call.generating", output_index=0, item_id="ig_1")
    found = content(added(item), progress, done({**item, "result": PNG}), said("a", 1), completed())
    assert [one.kind for one in found if isinstance(one, NativeDelta)] == [
        "response.output_item.added",
        "response.image_generation_call.generating",
        "response.output_item.done",
    ]
    assert [getattr(one, "block", None) for one in found] == [0, 0, 0, 0, 1]
    source = Inline(media_type="image/png", data=PNG)
    assert found[3] == MediaDelta(media=Media(kind="image", source=source))


@pytest.mark.parametrize("first", [True, False])
def test_an_unknown_event_interrupts_nothing(first: bool) -> None:
    """It belongs to what has come last, so a writer that keeps blocks in sequence goes on with it."""
    unknown = data("response.something.new", output_index=7, x=1)
    pieces = (unknown, said("a"), said("b")) if first else (said("a"), unknown, said("b"))
    found = content(*pieces, completed())
    assert [getattr(one, "block", None) for one in found] == ([0, 1, 1] if first else [0, 0, 0])
    sequence = InSequence()
    assert [one for event in found for one in sequence.push(event)] == found


def test_keep_alives_say_nothing() -> None:
    """They must not count as content, which would commit the call."""
    assert content(data("keepalive"), data("response.queued", response={}), completed()) == []


# Ends


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("x", "other")],
)
def test_an_incomplete_response(kind: str, reason: str) -> None:
    """Its event ends the stream as a complete one does."""
    last = completed(kind="response.incomplete", status="incomplete", incomplete_details={"reason": kind})
    assert finish(said("a"), last).reason == reason


@pytest.mark.parametrize(
    ("piece", "error"),
    [
        (
            data("error", code="rate_limit_exceeded", message="slow down", param=None),
            ProviderError(status=429, message="slow down", code="rate_limit_exceeded"),
        ),
        (
            data("error", error={"type": "insufficient_quota", "code": "insufficient_quota", "message": "m"}),
            ProviderError(status=429, message="m", type="insufficient_quota", code="insufficient_quota"),
        ),
        (
            completed(
                kind="response.failed", status="failed", error={"code": "server_error", "message": "m"}
            ),
            ProviderError(status=500, message="m", code="server_error"),
        ),
        (
            completed(kind="response.failed", status="failed", error={"code": "odd", "message": "m"}),
            ProviderError(status=502, message="m", code="odd"),
        ),
    ],
)
def test_failures_within_a_stream(piece: bytes, error: ProviderError) -> None:
    """Each shape is the last event; its status is what its code stands for; what was used is told."""
    found = events(CREATED, said("a"), piece)
    assert found[-1] == Failure(error=error)
    assert End() not in found
    if b"response.failed" in piece:
        assert UsageEvent(usage=Usage(input=3, output=2)) in found


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([], "before the answer was complete"),
        ([CREATED, said("a")], "before the answer was complete"),
        ([b"data: {\n\n"], "not JSON"),
        ([b"data: \xff\n\n"], "not JSON"),
        ([b"data: []\n\n"], "not a JSON object"),
        ([data("response.created")], "'response' must be an object"),
        ([data("response.output_item.added")], "'item' must be an object"),
        ([data("response.output_item.added", item={"type": "function_call"})], "item.name"),
        ([data("response.output_item.done", item={})], "item.type"),
        ([data("response.output_text.delta")], "'delta' must be a string"),
        ([data("response.output_text.delta", delta="a", output_index="0")], "output_index"),
        ([data("response.output_text.delta", delta="a", logprobs=[3])], "logprobs"),
        ([data("response.output_text.annotation.added")], "annotation"),
        ([data("response.reasoning_text.delta", delta=3)], "delta"),
        ([data("response.completed", response=3)], "response"),
        ([CREATED, data("response.completed", response={"output": [3]})], r"response.output\[0\]"),
    ],
)
def test_what_is_no_stream_is_a_typed_error(pieces: list[bytes], words: str) -> None:
    """It says what was wrong."""
    with pytest.raises(UpstreamFailed, match=words):
        events(*pieces)


def test_each_delta_is_given_at_once() -> None:
    """No event waits for the next."""
    reader = CODEC.stream_reader()
    reader.feed(CREATED)
    assert [len(reader.feed(piece)) for piece in (said("a"), added(function_call(), 1), argued("{}", 1))] == [
        1,
        1,
        1,
    ]
