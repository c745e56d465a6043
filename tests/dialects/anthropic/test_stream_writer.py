"""Events as an Anthropic client's stream; the official SDK puts it together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmgw.canonical import (
    Answer,
    Choice,
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
    Reason,
    Refusal,
    RefusalDelta,
    Start,
    Text,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolCall,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.anthropic.codec import CODEC
from llmgw.errors import UpstreamFailed
from tests.dialects.anthropic.parties import (
    ASKED,
    STAMP,
    got,
    read_stream,
    recordings,
    sdk_events,
    sdk_plain,
    sdk_streamed,
    streamed,
    wired,
)
from tests.dialects.losses import any_losses
from tests.provider.recordings import Recording

COMPLETE = [one for one in recordings(streaming=True) if "truncated_stream" not in one.features]
COMPLETE = [one for one in COMPLETE if "error_in_stream" not in one.features]
HELLO = (TextDelta(text="Hel"), TextDelta(text="lo"))
STOPPED = FinishEvent(finish=Finish(reason="stop"))


def events(*between: Event, finish: FinishEvent | None = STOPPED, usage: Usage | None = None) -> list[Event]:
    """Another API's stream, its usage last."""
    last: list[Event] = [] if finish is None else [finish]
    counted: list[Event] = [] if usage is None else [UsageEvent(usage=usage)]
    return [Start(dialect="openai_chat", id="chatcmpl-1", model="gpt"), *between, *last, *counted, End()]


@pytest.mark.parametrize("recording", COMPLETE, ids=lambda one: one.id)
@pytest.mark.parametrize("beta", [False, True])
def test_recorded_streams_give_the_same_message(recording: Recording, beta: bool) -> None:
    """Read and written again, the SDK makes of a stream what it makes of the recorded one."""
    raw = recording.answer().body
    written = streamed(read_stream(raw))
    assert sdk_streamed(written, beta=beta) == sdk_streamed(raw, beta=beta)
    names = [event["type"] for event in wired(written)]
    assert (names[0], names[2], names[-2:]) == ("message_start", "ping", ["message_delta", "message_stop"])


def test_the_order_of_events() -> None:
    """As published: one block after another, and usage in the last event but one."""
    call = (ToolDelta(id="call_1", name="f", block=1), ToolDelta(arguments='{"a":1}', block=1))
    usage = Usage(input=9, cache_read=2, output=5, reasoning=1)
    written = wired(streamed(events(*HELLO, *call, usage=usage)))
    assert written == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_0193b1c2",
                "type": "message",
                "role": "assistant",
                "model": "gpt",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 0, "output_tokens": 0},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'},
        },
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {
                "input_tokens": 9,
                "cache_read_input_tokens": 2,
                "output_tokens": 6,
                "output_tokens_details": {"thinking_tokens": 1},
            },
        },
        {"type": "message_stop"},
    ]


def test_nothing_is_held_back() -> None:
    """Each event gives its bytes at once; the message's start waits only until something is said."""
    writer = CODEC.stream_writer(ASKED, STAMP, any_losses())
    assert writer.write(Start(dialect="openai_chat")) == b""
    assert b"message_start" in writer.write(UsageEvent(usage=Usage(input=3)))
    assert b"Hel" in writer.write(TextDelta(text="Hel"))
    assert b"hm" in writer.write(ThoughtDelta(text="hm", block=1))
    assert b"content_block_stop" in writer.write(STOPPED)
    assert b"message_stop" in writer.write(End())


def test_usage_known_at_the_start_is_in_the_start() -> None:
    """Counts and tier of Anthropic's own message_start."""
    usage = Usage(input=3, cache_write_5m=1, cache_write_1h=2, output=1, native={"inference_geo": "us"})
    first = Start(dialect="anthropic", id="msg_1", service_tier="default", native={"container": {"id": "c"}})
    message = wired(streamed([first, UsageEvent(usage=usage), *HELLO, STOPPED, End()]))[0]["message"]
    assert message["container"] == {"id": "c"}
    assert message["usage"] == {
        "input_tokens": 3,
        "cache_creation_input_tokens": 3,
        "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
        "output_tokens": 1,
        "inference_geo": "us",
        "service_tier": "standard",
    }


PARTS: list[tuple[str, tuple[Any, ...], list[Event]]] = [
    ("text", (Text(text="Hello"),), list(HELLO)),
    ("nothing", (), []),
    ("an empty text", (Text(text=""),), [TextDelta(text="")]),
    ("a refusal", (Refusal(text="no"),), [RefusalDelta(text="n"), RefusalDelta(text="o")]),
    (
        "a thought",
        (Thought(text="hm", native={}), Text(text="a")),
        [ThoughtDelta(text="h"), ThoughtDelta(text="m"), TextDelta(text="a", block=1)],
    ),
    (
        "calls",
        (ToolCall(id="a", name="f", arguments='{"x":1}'), ToolCall(id=None, name="g", arguments="{}")),
        [
            ToolDelta(id="a", name="f", arguments='{"x"'),
            ToolDelta(arguments=":1}"),
            ToolDelta(name="g", block=1),
            ToolDelta(arguments="{}", block=1),
        ],
    ),
    (
        "interleaved calls",
        (ToolCall(id="a", name="f", arguments='{"x":1}'), ToolCall(id="b", name="g", arguments='{"y":2}')),
        [
            ToolDelta(id="a", name="f", arguments='{"x"'),
            ToolDelta(id="b", name="g", arguments='{"y":', block=1),
            ToolDelta(arguments=":1}"),
            ToolDelta(arguments="2}", block=1),
        ],
    ),
    (
        "a custom call",
        (ToolCall(id="a", name="f", arguments='say "x"', custom=True),),
        [ToolDelta(id="a", name="f", custom=True), ToolDelta(arguments='say "x"', custom=True)],
    ),
    (
        "citations",
        (Text(text="a", citations=(Citation(url="u", title="t"), Citation(title="no address"))),),
        [
            TextDelta(text="a"),
            CitationDelta(citation=Citation(url="u", title="t")),
            CitationDelta(citation=Citation(title="no address")),
        ],
    ),
    (
        "a citation first",
        (Text(text="a", citations=(Citation(url="u"),)),),
        [CitationDelta(citation=Citation(url="u")), TextDelta(text="a")],
    ),
]


@pytest.mark.parametrize(
    ("parts", "said"), [(parts, said) for _, parts, said in PARTS], ids=[n for n, _, _ in PARTS]
)
@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "context_length"])
def test_a_stream_gives_the_message_of_the_plain_answer(
    parts: tuple[Any, ...], said: list[Event], reason: Reason
) -> None:
    """Content, end and usage; the SDK's two ways agree."""
    usage = Usage(input=9, cache_read=2, cache_write_5m=1, output=5, reasoning=1)
    finish = Finish(reason=reason)
    answer = Answer(
        dialect="openai_chat", model="gpt", choices=(Choice(parts=parts, finish=finish),), usage=usage
    )
    plain = sdk_plain(json.dumps(got(answer)).encode(), beta=False)
    raw = streamed(events(*said, finish=FinishEvent(finish=finish), usage=usage))
    assert sdk_streamed(raw, beta=False) == plain
    assert sdk_streamed(raw, beta=True) == plain
    assert [one.type for one in sdk_events(raw)][-1] == "message_stop"


def test_only_one_choice_is_written() -> None:
    """A client of this API cannot ask for more."""
    raw = streamed(
        events(
            TextDelta(text="a"),
            TextDelta(text="b", choice=1),
            FinishEvent(choice=1, finish=Finish(reason="length")),
        )
    )
    message = sdk_streamed(raw, beta=False)
    assert message["content"] == [{"type": "text", "text": "a"}]
    assert message["stop_reason"] == "end_turn"


def test_what_has_no_place_is_left_out() -> None:
    """Media, and another API's own."""
    image = Media(kind="image", source=Inline(media_type="image/png", data=""))
    own = NativeDelta(dialect="gemini", kind="executableCode", data={})
    raw = streamed(events(MediaDelta(media=image), own, TextDelta(text="a", block=1)))
    assert sdk_streamed(raw, beta=False)["content"] == [{"type": "text", "text": "a"}]


def test_an_hours_cache_that_is_known_last_is_not_lost() -> None:
    """message_delta then says how the tokens are split."""
    usage = Usage(input=1, cache_write_5m=2, cache_write_1h=3, output=4)
    last = wired(streamed(events(usage=usage)))[-2]
    assert last["usage"]["cache_creation"] == {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}
    assert last["usage"]["cache_creation_input_tokens"] == 5


def test_a_stream_without_usage_or_reason() -> None:
    """The one count that the API requires is 0, and the reason is none."""
    last = wired(streamed(events(*HELLO, finish=None)))[-2]
    assert last == {
        "type": "message_delta",
        "delta": {"stop_reason": None, "stop_sequence": None},
        "usage": {"output_tokens": 0},
    }


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ProviderError(status=529, message="m", type="overloaded_error"), "overloaded_error"),
        (
            ProviderError(status=429, message="m", type="tokens", code="rate_limit_exceeded"),
            "rate_limit_error",
        ),
        (ProviderError(status=400, message="m"), "invalid_request_error"),
        (ProviderError(status=422, message="m"), "invalid_request_error"),
        (ProviderError(status=503, message="m", type="UNAVAILABLE"), "api_error"),
        (ProviderError(status=502, message="m"), "api_error"),
    ],
)
def test_a_providers_error_ends_the_stream(error: ProviderError, kind: str) -> None:
    """In this API's words, and without the normal end."""
    raw = streamed([Start(dialect="gemini"), *HELLO, Failure(error=error)])
    last = wired(raw)[-1]
    assert last["type"] == "error"
    assert (last["error"]["type"], last["error"]["message"]) == (kind, "m")
    assert b"message_stop" not in raw
    with pytest.raises(Exception, match="m"):
        sdk_streamed(raw, beta=False)


def test_a_stream_that_broke_ends_with_our_error() -> None:
    """The request's id and our code are in it."""
    writer = CODEC.stream_writer(ASKED, STAMP, any_losses())
    last = json.loads(writer.broken(UpstreamFailed("gone"), "req_1").partition(b"data: ")[2])
    assert last == {
        "type": "error",
        "error": {"type": "api_error", "message": "gone", "code": "upstream_error"},
        "request_id": "req_1",
    }


@pytest.mark.parametrize("arguments", ["{", "[]", "x"])
def test_arguments_that_are_no_object(arguments: str) -> None:
    """Fail the stream, unless its end says that it was cut off: then Anthropic's own stream would end so too."""
    call = ToolDelta(id="a", name="f", arguments=arguments)
    with pytest.raises(UpstreamFailed, match="'f'"):
        streamed(events(call))
    raw = streamed(events(call, finish=FinishEvent(finish=Finish(reason="length"))))
    assert b'"max_tokens"' in raw


def test_a_call_without_a_name_fails() -> None:
    """The API has no such block."""
    with pytest.raises(UpstreamFailed):
        streamed(events(ToolDelta(arguments="{}")))
