"""Streams as a client of this API gets them, and as OpenAI's SDK puts them together."""

from __future__ import annotations

import json
from typing import Any

import openai
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
    Link,
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
from llmgw.errors import UpstreamFailed
from tests.dialects.losses import any_losses
from tests.dialects.openai_responses.exchange import (
    CREATED,
    PNG,
    STAMP,
    START,
    added,
    completed,
    data,
    done,
    events,
    function_call,
    kinds,
    message,
    read,
    said,
    stream,
    text,
    told,
)
from tests.translation import schemas, sdk

API = "openai_responses"
STOP = FinishEvent(finish=Finish(reason="stop"))
TOKEN = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
ALL: list[Event] = [
    START,
    UsageEvent(usage=Usage(input=1)),
    ThoughtDelta(text="hm"),
    ThoughtDelta(signature="c2ln"),
    TextDelta(text="a", block=1, logprobs=[TOKEN]),
    CitationDelta(citation=Citation(url="https://e.com", title="t", start=0, end=1), block=1),
    TextDelta(text="b", block=2),
    RefusalDelta(text="no", block=3),
    ToolDelta(id="c1", name="f", block=4),
    ToolDelta(arguments='{"a":', block=4),
    ToolDelta(arguments="1}", block=4),
    ToolDelta(id="c2", name="sh", custom=True, arguments="ls", block=5),
    MediaDelta(media=Media(kind="image", source=Inline(media_type="image/png", data=PNG)), block=6),
    UsageEvent(usage=Usage(input=1, cache_read=2, output=3, reasoning=4)),
    FinishEvent(finish=Finish(reason="tool_calls")),
    End(),
]


def valid(body: bytes) -> list[Any]:
    """The events, each of which the SDK's strict types and the published description accept."""
    found = told(body)
    for one in found:
        assert sdk.event_faults(API, one) == []
        assert schemas.complaints(schemas.EVENTS[API], one, API) == []
    assert [one["sequence_number"] for one in found] == list(range(len(found)))
    return found


def last(*given: Event) -> Any:
    """The response that ends the stream."""
    return valid(stream(START, *given, End()))[-1]["response"]


def test_a_text() -> None:
    """The published sequence of events; each names its item and its place."""
    body = stream(START, TextDelta(text="a"), TextDelta(text="b"), STOP, End())
    assert kinds(body) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    found = valid(body)
    place = {"item_id": "msg_0193b1c2_0", "output_index": 0, "content_index": 0}
    assert all(one.items() >= place.items() for one in found[3:8])
    assert found[6]["text"] == "ab"
    assert found[2]["item"]["status"] == "in_progress"
    assert found[8]["item"] == found[9]["response"]["output"][0]


def test_every_kind_of_event() -> None:
    """Thoughts, texts, citations, refusals, calls and images, one after another."""
    body = stream(*ALL)
    found = valid(body)
    response = found[-1]["response"]
    assert [item["type"] for item in response["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "image_generation_call",
    ]
    closed = [one["item"] for one in found if one["type"] == "response.output_item.done"]
    assert sorted(closed, key=lambda item: response["output"].index(item)) == response["output"]
    assert response["usage"]["total_tokens"] == 10
    assert response["status"] == "completed"
    assert response["model"] == "claude"


def test_the_sdk_puts_the_stream_together() -> None:
    """Its helper accumulates the same response as the last event says; its plain iterator takes each event."""
    body = stream(*ALL)
    final = sdk.streamed(API, body)
    assert final.output_text == "ab"
    assert final.output[0].type == "reasoning"
    assert final.output[0].encrypted_content == "llmgw:anthropic:s:c2ln"
    assert final.output[2].arguments == '{"a":1}'
    assert final.usage.input_tokens == 3
    assert [event.type for event in sdk.chunks(API, body)] == [one["type"] for one in told(body)]


def test_a_call() -> None:
    """Its arguments grow, and are repeated when they are whole, with its name."""
    found = valid(stream(START, *ALL[8:11], STOP, End()))
    assert [one["type"].removeprefix("response.") for one in found[2:-1]] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert (found[5]["name"], found[5]["arguments"]) == ("f", '{"a":1}')
    assert found[6]["item"]["status"] == "completed"


def test_calls_whose_deltas_interleave() -> None:
    """Each stays open until it is whole; one without arguments has an empty object of them."""
    response = last(
        ToolDelta(id="a", name="f", block=0),
        ToolDelta(id="b", name="g", block=1),
        ToolDelta(id="c", name="h", block=2),
        ToolDelta(arguments='{"x":', block=0),
        ToolDelta(arguments="{}", block=1),
        ToolDelta(arguments="1}", block=0),
        TextDelta(text="then", block=3),
        STOP,
    )
    assert [item.get("arguments") for item in response["output"]] == ['{"x":1}', "{}", "{}", None]


def test_calls_without_ids_and_with_one_twice() -> None:
    """A client finds each call by its id."""
    given = [ToolDelta(id=one, name="f", arguments="{}", block=n) for n, one in enumerate([None, "c", "c"])]
    assert len({item["call_id"] for item in last(*given, STOP)["output"]}) == 3


def test_a_signature_of_geminis_stands_before_what_it_signs() -> None:
    """Of a call and of a text, in a reasoning item of its own."""
    body = stream(
        Start(dialect="gemini"),
        ToolDelta(name="f", arguments="{}", signature="AAA"),
        TextDelta(text="a", block=1),
        TextDelta(text="", block=2, signature="BBB"),
        STOP,
        End(),
    )
    output = valid(body)[-1]["response"]["output"]
    assert [item.get("encrypted_content") for item in output] == [
        "llmgw:gemini:c:AAA",
        None,
        None,
        "llmgw:gemini:t:BBB",
        None,
    ]


def test_thoughts_of_two_blocks_are_two_items() -> None:
    """Each with what proves it; one that is encrypted has no text."""
    response = last(ThoughtDelta(text="a"), ThoughtDelta(redacted="ENC", block=1), STOP)
    assert [(len(item["summary"]), item.get("encrypted_content")) for item in response["output"]] == [
        (1, None),
        (0, "llmgw:anthropic:e:ENC"),
    ]


@pytest.mark.parametrize(
    ("reason", "details"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
@pytest.mark.parametrize("delta", [TextDelta(text="a"), ToolDelta(id="c", name="f", arguments='{"a"')])
def test_what_broke_off_is_incomplete(reason: Any, details: str, delta: Event) -> None:
    """The response, and the item it broke off in."""
    body = stream(START, delta, FinishEvent(finish=Finish(reason=reason)), End())
    assert kinds(body)[-1] == "incomplete"
    response = valid(body)[-1]["response"]
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": details})
    assert response["output"][0]["status"] == "incomplete"
    assert sdk.streamed(API, body).status == "incomplete"


def test_an_empty_answer() -> None:
    """A provider may say nothing at all."""
    assert last(STOP)["output"] == []


def test_no_usage_is_null() -> None:
    """Nothing is made up."""
    assert last(TextDelta(text="a"), STOP)["usage"] is None


def test_what_has_no_place_is_left_out() -> None:
    """Alternatives, sounds, citations without an address or behind their text, other providers' own events."""
    sound = Media(kind="audio", source=Inline(media_type="audio/wav", data="AA=="))
    linked = Media(kind="image", source=Link(url="https://e.com/a.png"))
    quiet = stream(START, TextDelta(text="a"), STOP, End())
    noisy = stream(
        START,
        CitationDelta(citation=Citation(url="https://e.com"), block=7),
        TextDelta(text="a"),
        TextDelta(text="b", choice=1),
        ThoughtDelta(text="b", choice=1),
        ToolDelta(name="f", choice=1),
        CitationDelta(citation=Citation(quote="q")),
        MediaDelta(media=sound, block=1),
        MediaDelta(media=linked, block=1),
        NativeDelta(dialect="anthropic", kind="server_tool_use", data={}),
        STOP,
        FinishEvent(finish=Finish(reason="length"), choice=1),
        End(),
    )
    assert noisy == quiet


@pytest.mark.parametrize("begun", [True, False])
def test_errors_end_the_stream_without_its_terminator(begun: bool) -> None:
    """The provider's and the gateway's own, as the API tells them; the SDK raises its own error."""
    start: list[Event] = [START, TextDelta(text="a")] if begun else [START]
    failed = stream(*start, Failure(error=ProviderError(status=429, message="slow down", code="x")))
    writer = CODEC.stream_writer(read(stream=True), STAMP, any_losses())
    broken = b"".join(map(writer.write, start)) + writer.broken(UpstreamFailed("slow down"), "req_1")
    for body in (failed, broken):
        assert kinds(body)[-1] == "error"
        assert "completed" not in kinds(body)
        assert told(body)[-1].items() >= {"message": "slow down", "param": None}.items()
        with pytest.raises(openai.APIError, match="slow down"):
            sdk.chunks(API, body)


def test_an_error_may_come_first() -> None:
    """Before the provider has said anything."""
    body = CODEC.stream_writer(read(), STAMP, any_losses()).broken(UpstreamFailed("m"), "r")
    assert kinds(body) == ["error"]


def test_the_response_repeats_the_request() -> None:
    """In its first event and in its last."""
    tools = [{"type": "function", "name": "f", "parameters": {}, "strict": True}]
    chat = read(stream=True, tools=tools, instructions="i", temperature=0.5)
    found = valid(stream(START, STOP, End(), chat=chat))
    for response in (found[0]["response"], found[-1]["response"]):
        assert (response["tools"], response["instructions"], response["temperature"]) == (tools, "i", 0.5)
    assert found[0]["response"]["status"] == "in_progress"


def test_a_stream_of_its_own_keeps_what_only_it_has() -> None:
    """The response's id, members and items, hosted tools' events, in the order they came."""
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    cited = {"type": "container_file_citation", "container_id": "c", "file_id": "f", "filename": "n"}
    spoken = message(text("a", cited), phase="final_answer", id="msg_9")
    body = stream(
        *events(
            CREATED,
            added({**search, "status": "in_progress"}),
            data("response.web_search_call.searching", output_index=0, item_id="ws_1"),
            done(search),
            added(message(), 1),
            said("a", 1),
            data("response.output_text.annotation.added", output_index=1, content_index=0, annotation=cited),
            done(spoken, 1),
            completed(search, spoken, moderation={"x": 1}, store=True),
        )
    )
    assert kinds(body)[2:5] == ["output_item.added", "web_search_call.searching", "output_item.done"]
    assert "output_text.annotation.added" in kinds(body)
    response = told(body)[-1]["response"]
    assert (response["id"], response["moderation"], response["store"]) == ("resp_1", {"x": 1}, True)
    assert response["output"][0] == search
    written = next(one["item"]["id"] for one in told(body) if one.get("output_index") == 1)
    assert response["output"][1] == {**spoken, "id": written}


def test_a_response_that_disagrees_with_its_stream() -> None:
    """What was streamed is what the client has seen, so it stands in the last event."""
    body = stream(*events(CREATED, said("a"), completed(function_call())))
    assert [item["type"] for item in told(body)[-1]["response"]["output"]] == ["message"]


def test_a_hosted_tool_that_was_never_announced() -> None:
    """Its item is announced and closed at once; unknown events of an item nobody knows are left out."""
    item = {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []}
    body = stream(*events(CREATED, done(item), data("response.new", output_index=5), completed(item)))
    assert kinds(body)[2:4] == ["output_item.added", "output_item.done"]
    assert kinds(body)[-1] == "completed"


def test_text_that_is_no_text_is_a_typed_error() -> None:
    """A lone surrogate cannot be written as UTF-8."""
    writer = CODEC.stream_writer(read(), STAMP, any_losses())
    with pytest.raises(UpstreamFailed):
        writer.write(TextDelta(text="\ud800"))


def test_each_delta_is_written_at_once() -> None:
    """Nothing waits for the next event, and the text is in the bytes."""
    writer = CODEC.stream_writer(read(), STAMP, any_losses())
    writer.write(START)
    for word in ("a", "b"):
        assert json.dumps(word).encode() in writer.write(TextDelta(text=word)).split(b"\n\n")[-2]
