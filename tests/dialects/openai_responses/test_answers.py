"""Plain answers: what is read of a provider's response, and what a client of this API is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from llmgw.canonical import (
    Answer,
    Choice,
    Citation,
    Finish,
    Inline,
    Link,
    Media,
    NativePart,
    Refusal,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Usage,
)
from llmgw.dialects.openai_responses.codec import CODEC
from llmgw.errors import UpstreamFailed
from tests.dialects.openai_responses.exchange import (
    ANSWERED,
    PNG,
    STAMP,
    answer,
    function_call,
    losses,
    message,
    read,
    tell,
    tell_parts,
    text,
)
from tests.translation import schemas, sdk

TOKEN = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
CITED = {"type": "url_citation", "url": "https://e.com", "title": "t", "start_index": 0, "end_index": 2}


def valid(body: Any) -> Any:
    """The body, which the SDK's strict types and the published description accept."""
    assert sdk.answer_faults("openai_responses", body) == []
    assert schemas.complaints(schemas.ANSWERS["openai_responses"], body, "openai_responses") == []
    return body


# Read


def test_the_parts_of_an_answer() -> None:
    """Each item of the output in its order; the tokens' probabilities belong to the choice."""
    found = answer(
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "gAA",
        },
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        message(text("so", CITED, logprobs=[TOKEN]), {"type": "refusal", "refusal": "no"}),
        function_call(),
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "sh", "input": "ls"},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": PNG},
    )
    citation = Citation(url="https://e.com", title="t", start=0, end=2, native=CITED)
    assert found.choices[0].parts == (
        Thought(text="hm", redacted="gAA", id="rs_1"),
        NativePart(
            dialect="openai_responses",
            kind="web_search_call",
            data={"type": "web_search_call", "id": "ws_1", "status": "completed"},
        ),
        Text(text="so", citations=(citation,)),
        Refusal(text="no"),
        ToolCall(id="call_1", name="f", arguments="{}"),
        ToolCall(id="c", name="sh", arguments="ls", custom=True),
        Media(kind="image", source=Inline(media_type="image/png", data=PNG)),
    )
    assert found.choices[0].logprobs == [TOKEN]
    assert found.choices[0].finish == Finish(reason="tool_calls", said="completed")
    assert (found.id, found.created, found.model) == ("resp_1", 1_750_000_000, "gpt-5-2026")


@pytest.mark.parametrize(
    ("fields", "finish"),
    [
        ({}, Finish(reason="stop", said="completed")),
        ({"status": None}, Finish(reason="stop")),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            Finish(reason="length", said="max_output_tokens"),
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            Finish(reason="content_filter", said="content_filter"),
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "tired"}},
            Finish(reason="other", said="tired"),
        ),
        ({"status": "incomplete"}, Finish(reason="other")),
        ({"status": "cancelled"}, Finish(reason="other", said="cancelled")),
    ],
)
def test_why_an_answer_ended(fields: dict[str, Any], finish: Finish) -> None:
    """By status and details; an unknown word is kept."""
    assert answer(message(text("a")), **fields).choices[0].finish == finish


def test_usage_is_read_into_disjoint_buckets() -> None:
    """Cached and written tokens are taken out of the input, reasoning out of the output; other counts are kept."""
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 150,
        "num_sources_used": 3,
    }
    assert answer(usage=usage).usage == Usage(
        input=10,
        cache_read=60,
        cache_write_5m=30,
        output=30,
        reasoning=20,
        native={"num_sources_used": 3},
    )


def test_usage_that_was_not_reported_is_none() -> None:
    """Nothing is made up."""
    assert answer(usage=None).usage is None
    assert answer(usage={"output_tokens": 2}).usage == Usage(output=2)


def test_a_part_is_never_more_than_its_whole() -> None:
    """A host that counts wrongly gives no negative bucket."""
    usage = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9}, "output_tokens": 1}
    assert answer(usage=usage).usage == Usage(input=0, cache_read=5, output=1)


def test_the_echo_of_the_request_is_no_loss() -> None:
    """A client of another API is not told that its temperature was left out, because the response repeats it."""
    echo = {"temperature": 1.0, "tools": [], "instructions": None, "reasoning": {"effort": "low"}}
    assert answer(**echo, billing={"payer": "developer"}).native == {}
    assert answer(moderation={"flagged": False}).native == {"moderation": {"flagged": False}}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "'output'"),
        (b'{"output": 3}', "'output'"),
        (b'{"output": [3]}', r"output\[0\]"),
        (b'{"output": [], "usage": {"input_tokens": -1}}', "input_tokens"),
        (
            b'{"output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text"}]}]}',
            "text",
        ),
        (b'{"output": [{"type": "function_call"}]}', "name"),
        (
            b'{"output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", '
            b'"text": "a", "logprobs": [{"top_logprobs": 3}]}]}]}',
            "logprobs",
        ),
        (b'{"status": "failed", "error": {"code": "server_error", "message": "went wrong"}}', "went wrong"),
        (b'{"error": "no"}', "reported an error"),
    ],
)
def test_what_is_no_answer_is_a_typed_error(body: bytes, words: str) -> None:
    """It says what was wrong."""
    with pytest.raises(UpstreamFailed, match=words):
        CODEC.read_answer(body)


# Errors


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"error": {"message": "m", "type": "t", "param": "p", "code": "c"}}', "m", "c"),
        (b'{"error": "m", "code": "c"}', "m", None),
        (b'{"detail": "m"}', "m", None),
        (b"<html>", "The provider answered 400 without saying why.", None),
        (b"\xff", "The provider answered 400 without saying why.", None),
    ],
)
def test_errors_of_each_shape(body: bytes, message: str, code: str | None) -> None:
    """OpenAI's, xAI's, one of a proxy: reading an error never fails."""
    error = CODEC.read_error(400, body)
    assert (error.status, error.message, error.code) == (400, message, code)


# Written


def test_an_answer_of_its_own_is_unchanged() -> None:
    """With every member that only this API has."""
    body = {**ANSWERED, "output": [message(text("a"), phase="final_answer")], "moderation": {"x": 1}}
    found = CODEC.read_answer(json.dumps(body).encode())
    assert tell(found) == body


def test_an_answer_of_its_own_that_was_changed_is_written() -> None:
    """What was changed after it was read is told, with all else."""
    cited = {"type": "file_citation", "file_id": "f", "filename": "n", "index": 1}
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    found = answer(search, message(text("a", cited)), moderation={"x": 1})
    told = tell(replace(found, model="other"))
    assert (told["id"], told["created_at"], told["model"]) == ("resp_1", 1_750_000_000, "other")
    assert told["moderation"] == {"x": 1}
    assert told["output"][0] == search
    assert told["output"][1]["content"][0]["annotations"] == [cited]


def test_all_parts_of_an_answer_are_items() -> None:
    """Texts that follow each other share a message; thoughts, calls and images stand alone."""
    lost = losses()
    body = tell_parts(
        Thought(text="hm"),
        Text(text="a"),
        Refusal(text="no"),
        ToolCall(id="c1", name="f", arguments="{}"),
        ToolCall(id=None, name="g", arguments="ls", custom=True),
        Media(kind="image", source=Inline(media_type="image/png", data=PNG)),
        Text(text="b"),
        reason="tool_calls",
        model="claude",
        usage=Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, output=5, reasoning=6),
        lost=lost,
    )
    valid(body)
    assert [item["type"] for item in body["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "image_generation_call",
        "message",
    ]
    assert len({item["id"] for item in body["output"]}) == 6
    assert [part["type"] for part in body["output"][1]["content"]] == ["output_text", "refusal"]
    assert body["output"][3]["call_id"] == "call_0193b1c2_3"
    assert (body["id"], body["created_at"], body["model"]) == ("resp_0193b1c2", 1_760_000_000, "claude")
    assert (body["status"], body["incomplete_details"]) == ("completed", None)
    assert body["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 7},
        "output_tokens": 11,
        "output_tokens_details": {"reasoning_tokens": 6},
        "total_tokens": 21,
    }
    assert lost.dropped == []


@pytest.mark.parametrize(
    ("reason", "details"),
    [
        ("length", "max_output_tokens"),
        ("context_length", "max_output_tokens"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("pause", None),
        ("stop_sequence", None),
        ("malformed_tool_call", None),
        ("other", None),
    ],
)
def test_what_broke_off_is_incomplete(reason: str, details: str | None) -> None:
    """The response, with the reason, and the item it broke off in; everything else is complete."""
    body = valid(tell_parts(Text(text="a"), reason=reason))
    status = "completed" if details is None else "incomplete"
    assert (body["status"], body["output"][0]["status"]) == (status, status)
    assert body["incomplete_details"] == (None if details is None else {"reason": details})


def test_usage_that_nobody_reported_is_null() -> None:
    """No counts are made up."""
    assert valid(tell_parts(Text(text="a")))["usage"] is None
    assert valid(tell_parts(Text(text="a"), usage=Usage()))["usage"] is None


def test_calls_that_share_an_id_are_told_apart() -> None:
    """A client finds a call by its id."""
    calls = [ToolCall(id="c", name="f", arguments="{}") for _ in range(3)]
    assert len({item["call_id"] for item in tell_parts(*calls)["output"]}) == 3


def test_citations() -> None:
    """One with an address is shown, over the whole text where no place is known; others are reported."""
    lost = losses()
    found = (Citation(url="https://e.com", quote="q"), Citation(quote="q", title="a book"))
    body = valid(tell_parts(Text(text="abc", citations=found), lost=lost))
    annotation = {
        "type": "url_citation",
        "url": "https://e.com",
        "title": "",
        "start_index": 0,
        "end_index": 3,
    }
    assert body["output"][0]["content"][0]["annotations"] == [annotation]
    assert lost.dropped == ["part.citations"]


def test_what_cannot_be_shown_is_reported() -> None:
    """Other providers' own parts, alternatives, sounds, members: an answer is never refused for them."""
    lost = losses()
    parts = (
        Text(text="a"),
        NativePart(dialect="anthropic", kind="server_tool_use", data={}),
        Media(kind="image", source=Link(url="https://e.com/a.png")),
        Media(kind="audio", source=Inline(media_type="audio/wav", data="AA==")),
        ToolResult(call_id="c", name=None, parts=()),
    )
    choice = Choice(parts=parts, finish=Finish(reason="stop"), native={"avgLogprobs": 1})
    valid(tell(Answer(dialect="gemini", choices=(choice, choice), native={"promptFeedback": {}}), lost=lost))
    assert lost.dropped == [
        "n",
        "promptFeedback",
        "avgLogprobs",
        "part.server_tool_use",
        "part.image",
        "part.audio",
        "part.tool_result",
    ]


def test_the_response_repeats_the_request() -> None:
    """With the API's defaults for what the client left out; nothing is stored."""
    tools: list[dict[str, Any]] = [
        {"type": "function", "name": "f", "parameters": {"a": 1}, "strict": False},
        {"type": "function", "name": "g"},
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "d"}},
    ]
    form = {"type": "json_schema", "name": "n", "schema": {}}
    chat = read(
        instructions="i", temperature=0.5, tools=tools, tool_choice="required", max_output_tokens=99,
        text={"format": form}, reasoning={"effort": "low"}, metadata={"a": "b"}, user="u",
    )  # fmt: skip
    body = json.loads(
        CODEC.write_answer(Answer(dialect="gemini", choices=(Choice(),)), chat, STAMP, losses())
    )
    valid(body)
    assert (body["instructions"], body["temperature"], body["top_p"]) == ("i", 0.5, 1.0)
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", True)
    assert body["tools"] == [
        tools[0],
        {**tools[1], "parameters": {}, "strict": True},
        tools[2],
    ]
    assert (body["max_output_tokens"], body["metadata"], body["user"]) == (99, {"a": "b"}, "u")
    assert (body["text"], body["reasoning"]) == ({"format": form}, {"effort": "low", "summary": None})
    assert (body["store"], body["truncation"], body["service_tier"]) == (False, "disabled", "default")


def test_the_provider_says_the_tier() -> None:
    """Where this API has the word."""
    assert tell_parts(service_tier="priority")["service_tier"] == "priority"
    assert tell_parts(service_tier="batch")["service_tier"] == "default"


def test_an_answer_that_is_no_text_is_a_typed_error() -> None:
    """A lone surrogate cannot be written as UTF-8."""
    with pytest.raises(UpstreamFailed):
        tell_parts(Text(text="\ud800"))
