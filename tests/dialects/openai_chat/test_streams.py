"""Streams: read from hosts whatever pieces they come in, and written as OpenAI writes its own."""

from __future__ import annotations

import itertools
from typing import Any

import openai
import pytest
from hypothesis import given, settings
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
    RefusalDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.openai_chat.codec import CODEC
from llmgw.errors import UpstreamFailed
from tests.dialects.losses import any_losses
from tests.dialects.openai_chat.exchange import (
    DONE,
    STAMP,
    START,
    chunk,
    chunks,
    data,
    deltas,
    events,
    read,
    stream,
)
from tests.translation import sdk

ROLE = chunk({"role": "assistant", "content": "", "refusal": None}, usage=None)
STOP = chunk({}, "stop")


def call(index: int | None, arguments: str = "", **members: Any) -> dict[str, Any]:
    name = members.pop("name", None)
    inner = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    said = {"function": inner, **members}
    return {"tool_calls": [said if index is None else {"index": index, **said}]}


def kinds(found: list[Event]) -> list[str]:
    return [type(event).__name__ for event in found]


# Reading


def test_a_stream_is_read() -> None:
    """Start, text, the reason, usage, the end; empty deltas say nothing."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    last = chunk(choices=[], usage=usage)
    found = events(ROLE, chunk({"content": "Hel"}), chunk({"content": "lo"}), STOP, last, DONE)
    counted = found[4]
    assert isinstance(counted, UsageEvent)
    assert (counted.usage.input, counted.usage.output) == (3, 2)
    assert [*found[:4], found[5]] == [
        Start(dialect="openai_chat", id="chatcmpl-1", model="gpt-5-2026", created=1_750_000_000),
        TextDelta(text="Hel"),
        TextDelta(text="lo"),
        FinishEvent(finish=Finish(reason="stop", said="stop")),
        End(),
    ]


WHOLE = b"".join(
    [
        b": comment\n\n",
        ROLE,
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Hel\u2028lo 😀"}),
        chunk(call(0, name="f", id="a", type="function")),
        chunk(call(0, '{"a"')).replace(b"\n\n", b"\r\n\r\n"),
        chunk(call(0, ":1}")),
        chunk(call(1, "{}", name="g", id="b")),
        chunk({}, "tool_calls"),
        chunk(choices=[], usage={"prompt_tokens": 1, "completion_tokens": 1}),
        DONE,
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, len(WHOLE) - 1), max_size=12))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    """However the bytes are cut, the events are the same."""
    places = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[start:end] for start, end in itertools.pairwise(places)]
    assert events(*pieces) == events(WHOLE)
    assert events(*(WHOLE[at : at + 1] for at in range(len(WHOLE)))) == events(WHOLE)


def test_each_kind_is_a_block() -> None:
    """A block ends where another kind of thing is said, so that APIs with blocks can close it."""
    found = events(
        chunk({"reasoning_content": "a"}),
        chunk({"content": "b"}),
        chunk({"reasoning_content": "c"}),
        chunk({"refusal": "d"}),
        chunk({"content": "e"}),
        STOP,
        DONE,
    )
    assert [(kind, event.block) for kind, event in zip(kinds(found[1:6]), found[1:6], strict=True)] == [  # type: ignore[union-attr]
        ("ThoughtDelta", 0),
        ("TextDelta", 1),
        ("ThoughtDelta", 2),
        ("RefusalDelta", 3),
        ("TextDelta", 4),
    ]


def test_calls_are_told_apart_by_number() -> None:
    """Deltas of parallel calls may be mixed; each goes to its call, which is named once."""
    found = events(
        chunk(call(0, name="f", id="a")),
        chunk(call(1, name="g", id="b")),
        chunk(call(0, '{"x":')),
        chunk(call(1, "{}")),
        chunk(call(0, "1}")),
        chunk({}, "tool_calls"),
        DONE,
    )
    assert found[1:6] == [
        ToolDelta(id="a", name="f", block=0),
        ToolDelta(id="b", name="g", block=1),
        ToolDelta(arguments='{"x":', block=0),
        ToolDelta(arguments="{}", block=1),
        ToolDelta(arguments="1}", block=0),
    ]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """Nothing at all stands for `{}`."""
    found = events(chunk(call(0, name="f", id="a")), chunk({}, "tool_calls"), DONE)
    assert found[1:3] == [ToolDelta(id="a", name="f"), ToolDelta(arguments="{}")]


def test_a_custom_call_is_text() -> None:
    """Its input is no JSON."""
    said = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "c", "input": "x"}}
    more = {"index": 0, "custom": {"input": " y"}}
    found = events(
        chunk({"tool_calls": [said]}), chunk({"tool_calls": [more]}), chunk({}, "tool_calls"), DONE
    )
    assert found[1:3] == [
        ToolDelta(arguments="x", id="a", name="c", custom=True),
        ToolDelta(arguments=" y", custom=True),
    ]
    assert deltas(stream(*found))[1:] == [{"tool_calls": [said]}, {"tool_calls": [more]}]


def test_choices_are_interleaved() -> None:
    """Each has its own blocks and its own end; the stream is complete when all are."""
    found = events(
        chunk({"content": "a"}),
        chunk({"content": "b"}, index=1),
        chunk({"content": "c"}),
        STOP,
        chunk({}, "length", index=1),
        DONE,
    )
    texts = [(event.choice, event.text) for event in found if isinstance(event, TextDelta)]
    ends = [(event.choice, event.finish.reason) for event in found if isinstance(event, FinishEvent)]
    assert texts == [(0, "a"), (1, "b"), (0, "c")]
    assert ends == [(0, "stop"), (1, "length")]
    with pytest.raises(UpstreamFailed, match="not complete"):
        events(chunk({"content": "a"}), chunk({"content": "b"}, index=1), STOP)


def test_log_probabilities_go_with_their_text() -> None:
    """The tokens of a delta."""
    token = {"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    odds = {"logprobs": {"content": [token], "refusal": None}}
    assert events(chunk({"content": "a"}, beside=odds), STOP, DONE)[1] == TextDelta(
        text="a", logprobs=[token]
    )


def test_what_is_unknown_passes() -> None:
    """New members of a delta, a choice and a chunk are native events, once for each value, and padding is none."""
    found = events(
        chunk({"content": "a", "new": 1}, beside={"newer": {"x": 1}}, newest="z", obfuscation="abc"),
        chunk({"content": "b", "new": 1}, beside={"newer": {"x": 2}}, newest="z", obfuscation="abcd"),
        STOP,
        DONE,
    )
    start = found[0]
    assert isinstance(start, Start)
    assert dict(start.native) == {"newest": "z"}
    natives = [(event.kind, event.data) for event in found if isinstance(event, NativeDelta)]
    assert natives == [
        ("delta", {"new": 1}),
        ("choice", {"newer": {"x": 1}}),
        ("choice", {"newer": {"x": 2}}),
    ]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((b"",), "not complete"),
        ((b"<html>",), "not complete"),
        ((DONE,), "without an answer"),
        ((ROLE,), "not complete"),
        ((ROLE, chunk({"content": "a"})), "not complete"),
        ((chunk({"content": "a"})[:-20],), "not JSON"),
        ((b"data: [1]\n\n",), "not a JSON object"),
        ((b"data: {\n\n",), "not JSON"),
        ((data({"choices": {}}),), "choices"),
        ((data({"choices": [1]}),), "choices"),
        ((data({"id": 1, "choices": []}),), "id"),
        ((chunk(index="a"),), "index"),
        ((chunk({"content": 1}),), "content"),
        ((chunk({"content": [{"type": "text"}]}),), "content"),
        ((chunk({"reasoning_content": 1}),), "reasoning_content"),
        ((chunk({"reasoning_details": [1]}),), "reasoning_details"),
        ((chunk({"tool_calls": [1]}),), "tool_calls"),
        ((chunk({"tool_calls": [{"function": {"arguments": "x"}}]}),), "index"),
        ((chunk(call(0, "{}", id="a")), chunk({}, "tool_calls")), "without a name"),
        ((chunk({}, 1),), "finish_reason"),  # type: ignore[arg-type]
        ((STOP, chunk({"content": "a"})), "after its end"),
        ((chunk(choices=[], usage=1),), "usage"),
        ((chunk(choices=[], usage={"prompt_tokens": "1"}),), "usage.prompt_tokens"),
    ],
)
def test_what_is_no_stream_says_what_was_wrong(pieces: tuple[bytes, ...], said: str) -> None:
    """A provider's failure, never an answer that looks complete."""
    with pytest.raises(UpstreamFailed) as failed:
        events(*pieces)
    assert said in failed.value.message


# Writing


def test_a_stream_has_openais_shape() -> None:
    """Role first, an empty delta with the reason last, usage where it was asked for, then `[DONE]`."""
    chat = read(stream=True, stream_options={"include_usage": True})
    usage = UsageEvent(usage=Usage(input=1, output=2))
    ended = FinishEvent(finish=Finish(reason="stop", said="end_turn"))
    written = stream(START, TextDelta(text="Hi"), usage, ended, End(), chat=chat)
    head = {
        "id": "chatcmpl-0193b1c2",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": "claude",
    }

    def piece(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        one = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [one], "usage": None}

    counts = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert written.endswith(DONE)
    assert chunks(written) == [
        piece({"role": "assistant", "content": "", "refusal": None}),
        piece({"content": "Hi"}),
        piece({}, "stop"),
        {**head, "choices": [], "usage": counts},
    ]
    assert [fault for one in chunks(written) for fault in sdk.event_faults("openai_chat", one)] == []


def test_usage_is_hidden_unless_asked_for() -> None:
    """No chunk has the member at all."""
    usage = UsageEvent(usage=Usage(input=1, output=2))
    ended = FinishEvent(finish=Finish(reason="stop"))
    assert b"usage" not in stream(START, TextDelta(text="Hi"), usage, ended, End())


def test_calls_have_running_numbers_and_ids() -> None:
    """Numbers count calls and not blocks; an id is made where the provider gives none; name and id come once."""
    written = stream(
        START,
        TextDelta(text="a"),
        ToolDelta(name="f", block=1, signature="s"),
        ToolDelta(arguments="{}", block=1),
        ToolDelta(name="g", id="b", block=2, arguments="x", custom=True),
        FinishEvent(finish=Finish(reason="stop", said="STOP")),
        End(),
    )
    first = {
        "index": 0,
        "id": "call_0193b1c2_0",
        "type": "function",
        "function": {"name": "f", "arguments": ""},
    }
    assert deltas(written)[2:] == [
        {"tool_calls": [{**first, "extra_content": {"google": {"thought_signature": "s"}}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {"tool_calls": [{"index": 1, "id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}}]},
    ]
    assert chunks(written)[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_first_call_has_no_content() -> None:
    """Null, as OpenAI has it, and not an empty text."""
    written = stream(START, ToolDelta(name="f", id="a"))
    assert deltas(written)[0] == {"role": "assistant", "content": None, "refusal": None}


def test_an_older_client_gets_the_older_deltas() -> None:
    """One `function_call`, and the finish reason that goes with it."""
    written = stream(
        START,
        ToolDelta(name="f", id="a"),
        ToolDelta(arguments="{}"),
        ToolDelta(name="g", id="b", block=1),
        FinishEvent(finish=Finish(reason="tool_calls")),
        End(),
        chat=read(stream=True, functions=[{"name": "f"}]),
    )
    assert deltas(written)[1:] == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
    ]
    assert chunks(written)[-1]["choices"][0]["finish_reason"] == "function_call"


def test_thoughts_are_put_together_by_the_sdk() -> None:
    """What OpenAI's SDK accumulates has the thoughts to read and whole details to send back."""
    written = stream(
        START,
        ThoughtDelta(text="h"),
        ThoughtDelta(text="m"),
        ThoughtDelta(signature="s"),
        ThoughtDelta(redacted="d", block=1),
        TextDelta(text="Hi", block=2),
        TextDelta(text="", block=3, signature="t"),
        TextDelta(text="", block=4, signature="u"),
        FinishEvent(finish=Finish(reason="stop")),
        End(),
    )
    spoken = sdk.streamed("openai_chat", written).to_dict()["choices"][0]["message"]
    claude = "anthropic-claude-v1"
    assert spoken["reasoning_content"] == "hm"
    assert spoken["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "hm", "signature": "s", "format": claude},
        {"type": "reasoning.encrypted", "index": 1, "data": "d", "format": claude},
        {"type": "reasoning.encrypted", "index": 2, "data": "u", "format": "google-gemini-v1"},
    ]
    assert spoken["extra_content"] == {"google": {"thought_signature": "t"}}


def test_summaries_of_thoughts_keep_their_ids() -> None:
    """The Responses API's thoughts: a summary, and the encrypted thought of the same id."""
    written = stream(
        Start(dialect="openai_responses", id="r"),
        ThoughtDelta(text="so", id="rs_1"),
        ThoughtDelta(redacted="e", id="rs_1"),
        FinishEvent(finish=Finish(reason="stop")),
        End(),
    )
    spoken = sdk.streamed("openai_chat", written).to_dict()["choices"][0]["message"]
    form = {"id": "rs_1", "format": "openai-responses-v1"}
    assert spoken["reasoning_details"] == [
        {"type": "reasoning.summary", "index": 0, "summary": "so", **form},
        {"type": "reasoning.encrypted", "index": 1, "data": "e", **form},
    ]


def test_citations_wait_for_the_end_of_their_text() -> None:
    """A source of a whole block is cited when the block is over; one with its place at once."""
    whole, part = Citation(url="https://a.b", title="t"), Citation(url="https://c.d", start=0, end=2)
    written = stream(
        START,
        TextDelta(text="Hello "),
        TextDelta(text="you", block=1),
        CitationDelta(citation=whole, block=1),
        CitationDelta(citation=part, block=1),
        FinishEvent(finish=Finish(reason="stop")),
        End(),
    )
    spoken = sdk.streamed("openai_chat", written).to_dict()["choices"][0]["message"]
    places = [
        (one["url_citation"]["url"], one["url_citation"]["start_index"], one["url_citation"]["end_index"])
        for one in spoken["annotations"]
    ]
    assert places == [("https://a.b", 6, 9), ("https://c.d", 6, 8)]


def test_images_and_refusals_are_told() -> None:
    """In their own members; Anthropic's explanation of a refusal is this API's refusal."""
    image = Media(kind="image", source=Inline(media_type="image/png", data="AA=="))
    written = stream(
        START,
        MediaDelta(media=image),
        RefusalDelta(text="no", choice=1),
        FinishEvent(finish=Finish(reason="refusal", message="Not this.")),
        End(),
    )
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}, "index": 0}
    assert deltas(written)[1:] == [
        {"images": [url]},
        {"role": "assistant", "content": None, "refusal": None},
        {"refusal": "no"},
        {"refusal": "Not this."},
    ]


def test_a_failure_takes_the_place_of_the_end() -> None:
    """The error as the SDK raises it, and no `[DONE]`."""
    error = ProviderError(status=529, message="too busy", type="overloaded_error")
    written = stream(START, TextDelta(text="Hi"), Failure(error=error))
    assert b"[DONE]" not in written
    with pytest.raises(openai.APIError, match="too busy"):
        sdk.chunks("openai_chat", written)


def test_a_broken_stream_says_so() -> None:
    """The same when it is the gateway that has to end it, even before it began."""
    writer = CODEC.stream_writer(read(stream=True), STAMP, any_losses())
    written = writer.broken(UpstreamFailed("broke off"), "req_1")
    assert b"[DONE]" not in written
    with pytest.raises(openai.APIError, match="broke off"):
        sdk.chunks("openai_chat", written)


def test_another_apis_own_events_are_left_out() -> None:
    """They mean nothing to a client of this API."""
    server = NativeDelta(dialect="anthropic", kind="server_tool_use", data={}, block=0)
    written = stream(START, server, TextDelta(text="a", block=1))
    assert deltas(written)[1:] == [{"content": "a"}]
