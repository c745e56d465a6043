"""What OpenAI's hosts make of its API: each deviation that recorded traffic has, as it stands on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from llmgw.canonical import (
    CitationDelta,
    End,
    Failure,
    FinishEvent,
    MediaDelta,
    NativeDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    UsageEvent,
)
from llmgw.dialects.openai_chat.codec import CODEC
from llmgw.errors import UpstreamFailed
from tests.dialects.openai_chat.exchange import (
    DONE,
    chunk,
    chunks,
    data,
    deltas,
    events,
    stream,
)

STOP = chunk({}, "stop")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def texts(found: list[Any]) -> str:
    return "".join(event.text for event in found if isinstance(event, TextDelta))


def thoughts(found: list[Any]) -> str:
    return "".join(event.text for event in found if isinstance(event, ThoughtDelta))


def calls(found: list[Any]) -> list[tuple[str | None, str | None, str]]:
    """Id, name and arguments of each call."""
    named = [event for event in found if isinstance(event, ToolDelta) and event.name is not None]
    return [
        (
            one.id,
            one.name,
            "".join(e.arguments for e in found if isinstance(e, ToolDelta) and e.block == one.block),
        )
        for one in named
    ]


def test_azure_begins_without_choices() -> None:
    """The first chunk has filter results and no id; the start waits for the one that has, and takes them along."""
    filters = [{"prompt_index": 0}]
    first = data(
        {"id": "", "model": "", "created": 0, "object": "", "choices": [], "prompt_filter_results": filters}
    )
    reader = CODEC.stream_reader()
    assert reader.feed(first) == []
    (start,) = reader.feed(data({"id": "x", "model": "m", "created": 1, "choices": [{"index": 0}]}))
    assert isinstance(start, Start)
    assert (start.id, start.model, start.created) == ("x", "m", 1)
    assert dict(start.native) == {"prompt_filter_results": filters}
    assert chunks(stream(start))[0]["prompt_filter_results"] == filters


def test_mistral_has_thoughts_in_its_content() -> None:
    """An array of thoughts and texts; to its own API it goes as it came."""
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
        {"type": "text", "text": "4"},
    ]
    found = events(chunk({"content": content}), chunk({"content": "2"}, "stop", usage=USAGE), DONE)
    assert (thoughts(found), texts(found)) == ("hm", "42")
    assert deltas(stream(*found))[1:] == [{"content": content}, {"content": "2"}]


def test_mistral_sends_calls_whole_and_without_numbers() -> None:
    """Each entry is a call; the reason comes in the same chunk, and after the call."""
    said = [
        {"id": "a", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "function": {"name": "f", "arguments": '{"x": 1}'}},
    ]
    found = events(chunk({"tool_calls": said}, "tool_calls", usage=USAGE), DONE)
    assert calls(found) == [("a", "f", "{}"), ("b", "f", '{"x": 1}')]
    assert [type(event) for event in found[-3:]] == [FinishEvent, UsageEvent, End]


def test_gemini_gives_all_its_calls_one_number() -> None:
    """With ids of their own, or with none at all: a name after whole arguments begins another call."""
    one = {"index": 0, "function": {"name": "f", "arguments": '{"x": 1}'}}
    two = {"index": 0, "function": {"name": "g", "arguments": "{}"}}
    without = events(chunk({"tool_calls": [one]}), chunk({"tool_calls": [two]}), STOP, DONE)
    assert calls(without) == [(None, "f", '{"x": 1}'), (None, "g", "{}")]
    with_ids = events(
        chunk({"tool_calls": [{**one, "id": "a"}]}), chunk({"tool_calls": [{**two, "id": "b"}]}), STOP, DONE
    )
    assert calls(with_ids) == [("a", "f", '{"x": 1}'), ("b", "g", "{}")]


def test_some_repeat_id_and_name() -> None:
    """It is still one call."""
    said = {"index": 0, "id": "a", "type": "function"}
    found = events(
        chunk({"tool_calls": [{**said, "function": {"name": "f", "arguments": '{"x"'}}]}),
        chunk({"tool_calls": [{**said, "function": {"name": "f", "arguments": ": 1}"}}]}),
        STOP,
        DONE,
    )
    assert calls(found) == [("a", "f", '{"x": 1}')]


def test_some_name_a_call_late() -> None:
    """What came before its name waits for it."""
    found = events(
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "{"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "}"}}]}),
        STOP,
        DONE,
    )
    assert calls(found) == [("a", "f", "{}")]


def test_some_send_arguments_as_an_object() -> None:
    """It is the JSON text that the API has there."""
    said = {"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}}
    assert calls(events(chunk({"tool_calls": [said]}), STOP, DONE)) == [("a", "f", '{"x":1}')]


def test_groq_has_usage_in_its_own_member_and_its_own_name_for_thoughts() -> None:
    """`x_groq.usage` and `delta.reasoning`, which goes to its own API under that name."""
    found = events(
        chunk({"reasoning": "hm", "channel": "analysis"}, x_groq={"id": "r"}),
        chunk({"content": "a"}),
        chunk({}, "stop", x_groq={"id": "r", "usage": USAGE}),
        DONE,
    )
    counted = [event.usage for event in found if isinstance(event, UsageEvent)]
    assert [(usage.input, usage.output) for usage in counted] == [(3, 2)]
    assert thoughts(found) == "hm"
    assert {"reasoning": "hm"} in deltas(stream(*found))
    assert b"reasoning_content" not in stream(*found)


def test_groq_fails_within_a_stream() -> None:
    """`event: error` after status 200, without `[DONE]`; the error says its status."""
    error = {
        "message": "no call",
        "type": "invalid_request_error",
        "code": "tool_use_failed",
        "status_code": 400,
    }
    found = events(chunk({"content": "a"}), b"event: error\n" + data({"error": error}))
    assert isinstance(found[-1], Failure)
    assert (found[-1].error.status, found[-1].error.message) == (400, "no call")
    assert found[-1].error.code == "tool_use_failed"


def test_openrouter_fails_within_a_stream() -> None:
    """An error with a number for a code beside the choices; nothing after it counts, `[DONE]` neither."""
    failing = chunk({"content": ""}, error={"code": 429, "message": "slow down"}, usage=USAGE)
    found = events(b": OPENROUTER PROCESSING\n\n", chunk({"content": "a"}), failing, DONE)
    assert [type(event) for event in found] == [Start, TextDelta, UsageEvent, Failure]
    assert isinstance(found[-1], Failure)
    assert (found[-1].error.status, found[-1].error.code) == (429, "429")


def test_openrouter_repeats_role_and_reason() -> None:
    """One end is told, and the usage that comes after it."""
    last = chunk({"role": "assistant", "content": ""}, "stop", usage=USAGE)
    found = events(chunk({"role": "assistant", "content": "a"}), last, last, DONE)
    assert [type(event) for event in found] == [Start, TextDelta, FinishEvent, UsageEvent, End]


def test_openrouter_gives_details_of_thoughts() -> None:
    """The text is told once; signatures and encrypted thoughts are opaque; its own API gets the details whole."""
    form = {"format": "anthropic-claude-v1", "index": 0}
    details = [
        [{"type": "reasoning.text", "text": "hm", **form}],
        [{"type": "reasoning.text", "signature": "s", **form}],
        [{"type": "reasoning.encrypted", "data": "d", "format": None, "index": 1}],
    ]
    found = events(
        chunk({"reasoning": "hm", "reasoning_details": details[0]}),
        chunk({"reasoning": None, "reasoning_details": details[1]}),
        chunk({"reasoning_details": details[2]}),
        chunk({"content": "a"}),
        STOP,
        DONE,
    )
    told = [event for event in found if isinstance(event, ThoughtDelta)]
    assert thoughts(found) == "hm"
    assert [(one.block, one.signature is None, one.redacted is None) for one in told] == [
        (0, True, True),
        (0, False, True),
        (1, True, False),
    ]
    assert [
        one["reasoning_details"] for one in deltas(stream(*found)) if "reasoning_details" in one
    ] == details


def test_openrouter_draws_images() -> None:
    """In `images`, beside the text."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}, "index": 0}
    found = events(chunk({"content": "see", "images": [image]}), STOP, DONE)
    assert [event.block for event in found if isinstance(event, MediaDelta)] == [1]
    assert {"images": [image]} in deltas(stream(*found))


def test_perplexity_lists_its_sources_and_sends_no_terminator() -> None:
    """CRLF, usage in every chunk, the same lists in every chunk: each is told once, and the end is the reason."""
    lists: dict[str, Any] = {
        "citations": ["https://a.b"],
        "search_results": [{"url": "https://a.b", "title": "t"}],
    }
    growing = [{**USAGE, "completion_tokens": count, "total_tokens": 3 + count} for count in (1, 2, 2)]
    whole = {"role": "assistant", "content": "all of it"}
    body = b"".join(
        [
            chunk({"content": "a"}, usage=growing[0], beside={"message": whole}, **lists),
            chunk({"content": "b"}, usage=growing[1], beside={"message": whole}, **lists),
            chunk({"content": ""}, "stop", usage=growing[2], beside={"message": whole}, **lists),
        ]
    ).replace(b"\n", b"\r\n")
    found = events(body)
    assert texts(found) == "ab"
    assert [event.citation.url for event in found if isinstance(event, CitationDelta)] == ["https://a.b"]
    assert [event.usage.output for event in found if isinstance(event, UsageEvent)] == [1, 2]
    assert isinstance(found[-1], End)
    assert chunks(stream(*found))[0]["citations"] == ["https://a.b"]
    assert b"annotations" not in stream(*found)


def test_deepseek_has_usage_beside_choices() -> None:
    """And null where nothing is said."""
    found = events(
        chunk({"content": None, "reasoning_content": "hm"}, usage=None),
        chunk({"content": "a", "reasoning_content": None}),
        chunk({"content": "", "reasoning_content": None}, "stop", usage=USAGE),
        DONE,
    )
    assert [type(event) for event in found] == [Start, ThoughtDelta, TextDelta, FinishEvent, UsageEvent, End]


def test_together_says_eos() -> None:
    """Which is an end like any other; its token ids go to its own API."""
    found = events(chunk({"content": "a", "token_id": 1}, "eos", beside={"text": "a"}), DONE)
    end = next(event for event in found if isinstance(event, FinishEvent))
    assert (end.finish.reason, end.finish.said) == ("stop", "eos")
    assert [event.data for event in found if isinstance(event, NativeDelta)] == [{"token_id": 1}]
    assert chunks(stream(*found))[-1]["choices"][0]["finish_reason"] == "eos"


def test_an_empty_reason_is_no_reason() -> None:
    """Snowflake's: the choice ends with the stream, for no reason that is known."""
    found = events(chunk({"content": "a"}, ""), chunk({}, ""), DONE)
    end = next(event for event in found if isinstance(event, FinishEvent))
    assert (end.finish.reason, end.finish.said) == ("other", "")
    with pytest.raises(UpstreamFailed, match="not complete"):
        events(chunk({"content": "a"}, ""))


def test_a_whole_message_may_come_at_once() -> None:
    """A host that answers a stream with one message instead of deltas."""
    said = {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
    assert texts(events(data({"id": "x", "choices": [said]}), DONE)) == "a"


ERRORS: list[tuple[int, bytes, dict[str, Any]]] = [
    (
        429,
        b'{"error": {"message": "m", "type": "requests", "param": null, "code": "rate_limit_exceeded"}}',
        {"message": "m", "type": "requests", "param": None, "code": "rate_limit_exceeded"},
    ),
    (400, b'{"error": {"message": "m", "param": "max_tokens"}}', {"message": "m", "param": "max_tokens"}),
    (400, b'{"code": "bad key", "error": "m"}', {"message": "m", "code": "bad key"}),  # xAI
    (404, b'{"error": "model not found"}', {"message": "model not found"}),  # Ollama
    (401, b'{"detail": "Unauthorized"}', {"message": "Unauthorized"}),  # Mistral
    (422, b'{"detail": [{"loc": ["body", "n"], "msg": "too small"}]}', {"message": "n: too small"}),
    (
        422,
        b'{"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "m"}]}, "type": "t", "code": null}',
        {"message": "n: m", "type": "t", "code": None},
    ),
    (
        400,
        b'{"object": "error", "message": "m", "type": "t", "code": 1}',
        {"message": "m", "code": "1"},
    ),  # vLLM
    (
        402,
        b'{"error": {"message": "Provider returned error", "code": 402, "metadata": {"raw": "no money"}}}',
        {"message": "Provider returned error: no money", "code": "402"},  # OpenRouter
    ),
    (503, b"<html>", {"message": "The provider answered with status 503 (Service Unavailable)."}),
    (503, b"", {"message": "The provider answered with status 503 (Service Unavailable)."}),
    (599, b'{"error": {}}', {"message": "The provider answered with status 599."}),
    (500, b'{"error": {"message": ["m"], "type": 1, "code": {}}}', {"type": None, "code": None}),
]


@pytest.mark.parametrize(("status", "body", "said"), ERRORS)
def test_errors_are_read(status: int, body: bytes, said: dict[str, Any]) -> None:
    """Whatever shape a host gives them: the status stays, and there are always words."""
    error = CODEC.read_error(status, body)
    assert error.status == status
    assert error.message.strip()
    assert {name: getattr(error, name) for name in said} == said
