"""A whole answer, read from Anthropic and written for its clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmgw.canonical import (
    Answer,
    Choice,
    Citation,
    Finish,
    Inline,
    Media,
    NativePart,
    Refusal,
    Text,
    ToolCall,
    Usage,
)
from llmgw.dialects.anthropic import count
from llmgw.dialects.anthropic.codec import CODEC
from llmgw.errors import UpstreamFailed
from tests.dialects.anthropic.parties import got, losses, normal, recordings, sdk_plain
from tests.provider.recordings import Recording, load, select, write_json


def message(*content: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
        **members,
    }


def read(body: dict[str, Any]) -> Answer:
    return CODEC.read_answer(write_json(body, "compact"))


def choice(answer: Answer) -> Choice:
    (one,) = answer.choices
    return one


@pytest.mark.parametrize("recording", recordings(streaming=False), ids=lambda one: one.id)
def test_recorded_answers_are_written_back_as_they_were(recording: Recording) -> None:
    """Whole, members only this API has included, and the same to the SDK; nothing is reported as lost."""
    body = recording.response["body"]
    account = losses()
    written = got(read(body), account)
    assert normal(written) == normal(body)
    for beta in (False, True):
        assert sdk_plain(json.dumps(written).encode(), beta=beta) == sdk_plain(
            json.dumps(body).encode(), beta=beta
        )
    assert account.dropped == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "context_length"),
        ("compaction", "other"),
        ("unheard_of", "other"),
    ],
)
def test_every_end_is_read_and_written(said: str, reason: str) -> None:
    """Reasons newer than the table come back by their own word."""
    answer = read(message(stop_reason=said, stop_sequence="END"))
    finish = choice(answer).finish
    assert finish == Finish(reason=reason, said=said, sequence="END")  # type: ignore[arg-type]
    assert got(answer)["stop_reason"] == said


@pytest.mark.parametrize(
    ("parts", "finish", "said"),
    [
        ((Text(text="a"),), Finish(reason="stop"), "end_turn"),
        ((ToolCall(id="a", name="f", arguments="{}"),), Finish(reason="stop"), "tool_use"),
        ((Refusal(text="no"),), Finish(reason="stop"), "refusal"),
        ((), Finish(reason="content_filter"), "refusal"),
        ((), Finish(reason="malformed_tool_call", said="MALFORMED_FUNCTION_CALL"), "end_turn"),
        ((), Finish(reason="other", said="eos"), None),
        ((), None, None),
    ],
)
def test_other_apis_ends_are_said_in_this_ones_words(
    parts: Any, finish: Finish | None, said: str | None
) -> None:
    """A reason that nobody knows is none here, and never made up."""
    assert got(Answer(dialect="gemini", choices=(Choice(parts=parts, finish=finish),)))["stop_reason"] == said


def test_a_refusal_says_why() -> None:
    """`stop_details` come back whole, and their words reach other APIs."""
    body = load_or_skip("anthropic-refusal")
    answer = read(body)
    assert choice(answer).parts == ()
    finish = choice(answer).finish
    assert finish is not None
    assert finish.message == body["stop_details"]["explanation"]
    assert got(answer)["stop_details"] == body["stop_details"]
    foreign = Answer(
        dialect="gemini", choices=(Choice(finish=Finish(reason="content_filter", message="why")),)
    )
    assert got(foreign)["stop_details"] == {"type": "refusal", "category": None, "explanation": "why"}


def load_or_skip(recording_id: str) -> dict[str, Any]:
    try:
        body: dict[str, Any] = load(recording_id).response["body"]
    except KeyError:
        pytest.skip("no fixtures beside this checkout")
    return body


USAGES: list[tuple[dict[str, Any], Usage]] = [
    ({"input_tokens": 1, "output_tokens": 2}, Usage(input=1, output=2)),
    (
        {
            "input_tokens": 1,
            "cache_creation_input_tokens": 5,
            "cache_read_input_tokens": 7,
            "output_tokens": 2,
        },
        Usage(input=1, cache_read=7, cache_write_5m=5, output=2),
    ),
    (
        {
            "input_tokens": 1,
            "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 4},
        },
        Usage(input=1, cache_write_5m=2, cache_write_1h=3, output=5, reasoning=4),
    ),
    (
        {
            "input_tokens": 0,
            "output_tokens": 0,
            "server_tool_use": {"web_search_requests": 1},
            "iterations": [{}],
        },
        Usage(input=0, output=0, native={"server_tool_use": {"web_search_requests": 1}, "iterations": [{}]}),
    ),
]


@pytest.mark.parametrize(("said", "usage"), USAGES)
def test_usage_is_read_in_disjoint_buckets(said: dict[str, Any], usage: Usage) -> None:
    """And written back as this API counts."""
    answer = read(message(usage=said))
    assert answer.usage == usage
    assert got(answer)["usage"] == said


def test_a_total_of_written_tokens_wins_over_its_parts() -> None:
    """A stream's later total comes without parts; what is charged must not change."""
    parts = {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 3}
    for total, five, hour in ((10, 7, 3), (2, 0, 2)):
        usage = read(message(usage={"cache_creation_input_tokens": total, "cache_creation": parts})).usage
        assert usage is not None
        assert (usage.cache_write_5m, usage.cache_write_1h) == (five, hour)


def test_other_apis_usage_is_counted_as_here() -> None:
    """Audio is input like any other, reasoning is output; cached tokens stand apart."""
    usage = Usage(input=5, cache_read=3, input_audio=2, output=7, reasoning=4, output_audio=1)
    assert got(Answer(dialect="openai_chat", usage=usage))["usage"] == {
        "input_tokens": 7,
        "cache_read_input_tokens": 3,
        "output_tokens": 12,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    assert got(Answer(dialect="openai_chat"))["usage"] == {"input_tokens": 0, "output_tokens": 0}


@pytest.mark.parametrize(
    ("neutral", "said"), [("default", "standard"), ("priority", "priority"), ("flex", None)]
)
def test_service_tiers_are_said_in_this_apis_words(neutral: str, said: str | None) -> None:
    """One it has no word for is reported."""
    account = losses()
    body = got(Answer(dialect="openai_chat", service_tier=neutral), account)
    assert body["usage"].get("service_tier") == said
    assert account.dropped == ([] if said else ["service_tier"])


def test_what_this_api_cannot_show_is_reported_and_never_refused() -> None:
    """Choices, log probabilities, media and another API's own."""
    account = losses()
    image = Media(kind="image", source=Inline(media_type="image/png", data=""))
    own = NativePart(dialect="gemini", kind="executableCode", data={})
    answer = Answer(
        dialect="gemini",
        choices=(
            Choice(parts=(image, own), logprobs=[{}], native={"safetyRatings": [1], "x": None}),
            Choice(index=1),
        ),
        usage=Usage(native={"predicted": 3, "none": 0}),
        native={"fingerprint": "f"},
    )
    body = got(answer, account)
    assert body["content"] == []
    assert account.dropped == [
        "n",
        "logprobs",
        "messages.content.image",
        "part.executableCode",
        "fingerprint",
        "safetyRatings",
        "usage.predicted",
    ]


def test_citations_of_the_web_are_shown() -> None:
    """In the shape that the API has for addresses; on their way back they are known as another's."""
    cited = Text(text="a", citations=(Citation(url="https://e.org", title="t"), Citation(title="no address")))
    account = losses()
    said = Choice(parts=(cited,), finish=Finish(reason="stop", said="stop"))
    body = got(Answer(dialect="openai_chat", choices=(said,)), account)
    (shown,) = body["content"][0]["citations"]
    assert (shown["type"], shown["url"], shown["title"]) == (
        "web_search_result_location",
        "https://e.org",
        "t",
    )
    assert account.dropped == ["messages.content.citations"]
    assert sdk_plain(json.dumps(body).encode(), beta=False)["content"] == body["content"]
    again = read(body)
    assert choice(again).parts == (Text(text="a", citations=(Citation(url="https://e.org", title="t"),)),)


@pytest.mark.parametrize(
    ("cited", "url", "title"),
    [
        ({"type": "char_location", "cited_text": "q", "document_index": 0, "document_title": "t"}, None, "t"),
        (
            {"type": "page_location", "cited_text": "q", "document_title": "t", "start_page_number": 1},
            None,
            "t",
        ),
        ({"type": "content_block_location", "cited_text": "q", "document_title": "t"}, None, "t"),
        ({"type": "web_search_result_location", "cited_text": "q", "url": "u", "title": "t"}, "u", "t"),
        (
            {"type": "search_result_location", "cited_text": "q", "source": "https://e.org", "title": "t"},
            "https://e.org",
            "t",
        ),
        ({"type": "search_result_location", "cited_text": "q", "source": "shelf 3", "title": "t"}, None, "t"),
        ({"type": "unheard_of", "cited_text": "q", "title": "t"}, None, "t"),
    ],
)
def test_citations_of_every_kind_are_read(cited: dict[str, Any], url: str | None, title: str) -> None:
    """What other APIs have too is neutral; the whole comes back."""
    answer = read(message({"type": "text", "text": "a", "citations": [cited]}))
    (part,) = choice(answer).parts
    assert isinstance(part, Text)
    assert part.citations == (Citation(url=url, title=title, quote="q", native=cited),)
    assert got(answer)["content"][0]["citations"] == [cited]


def test_ids_are_made_from_the_stamp() -> None:
    """Of the answer, and of calls that have none; others are brought into the letters allowed."""
    calls = (
        ToolCall(id=None, name="f", arguments='{"a":1.50}'),
        ToolCall(id="a/b", name="f", arguments=""),
        ToolCall(id="c", name="g", arguments="words", custom=True),
    )
    body = got(Answer(dialect="gemini", id="theirs", choices=(Choice(parts=calls),)))
    assert body["id"] == "msg_0193b1c2"
    assert [(one["id"], one["input"]) for one in body["content"]] == [
        ("toolu_0193b1c2_0", {"a": 1.5}),
        ("a_b", {}),
        ("c", {"input": "words"}),
    ]


@pytest.mark.parametrize("arguments", ["{", "[]", "null", "x"])
def test_arguments_that_are_no_object_fail(arguments: str) -> None:
    """This API has no place for them; the error says which tool it was."""
    call = ToolCall(id="a", name="weather", arguments=arguments)
    with pytest.raises(UpstreamFailed, match="weather"):
        got(Answer(dialect="openai_chat", choices=(Choice(parts=(call,)),)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"content":null}',
        b'{"content":[1]}',
        b'{"content":[{"type":"text"}]}',
        b'{"content":[{"type":"tool_use","id":"a","name":"f","input":[]}]}',
        b'{"content":[],"stop_reason":1}',
        b'{"content":[],"usage":{"input_tokens":-1}}',
        b'{"content":[],"usage":{"output_tokens":"2"}}',
        b'{"content":[],"usage":[]}',
        b'{"type":"error","error":{"type":"api_error","message":"m"}}',
        b'{"content":[],"id":"\xff"}',
    ],
)
def test_what_is_no_answer_is_the_providers_fault(body: bytes) -> None:
    """A typed error, whatever the bytes."""
    with pytest.raises(UpstreamFailed):
        CODEC.read_answer(body)


# Errors and counts


def test_recorded_errors_are_read() -> None:
    """Status, type and message stay the provider's."""
    found = [one for one in select(provider="anthropic", streaming=False) if one.response["status"] >= 400]
    if not found:
        pytest.skip("no fixtures beside this checkout")
    for recording in found:
        answer = recording.answer("odd")
        error = CODEC.read_error(answer.status, answer.body)
        said = recording.response["body"]["error"]
        assert (error.status, error.type, error.message) == (answer.status, said["type"], said["message"])


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error":1}', b'{"error":{}}', b'{"error":{"message":3}}', b"\xff"]
)
def test_an_error_in_another_shape_gives_a_message_of_its_status(body: bytes) -> None:
    """Reading an error never fails."""
    assert CODEC.read_error(502, body).message == "The provider answered with status 502 (Bad Gateway)."
    assert "599" in CODEC.read_error(599, body).message


def test_counts_are_read_and_written() -> None:
    """`{"input_tokens": n}`, and nothing that is no count."""
    assert count.read(b'{"input_tokens": 641, "context_management": null}') == 641
    assert json.loads(count.write(641)) == {"input_tokens": 641}
    for body in (b"{}", b'{"input_tokens":-1}', b'{"input_tokens":"1"}', b"x"):
        with pytest.raises(UpstreamFailed):
            count.read(body)
