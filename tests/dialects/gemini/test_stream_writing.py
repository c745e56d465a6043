"""Other providers' events as the stream of a Gemini client."""

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
    ProviderError,
    RefusalDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.gemini.codec import CODEC
from llmgw.errors import UpstreamFailed, UpstreamTimeout
from tests.dialects.gemini import exchange
from tests.dialects.gemini.exchange import CHAT, STAMP
from tests.dialects.losses import any_losses

ARRAY = exchange.read({"contents": []}, stream=True)


FOREIGN: list[Event] = [
    Start(dialect="anthropic", id="msg_1", model="claude"),
    UsageEvent(usage=Usage(input=10)),
    ThoughtDelta(text="h", block=0),
    ThoughtDelta(text="m", block=0),
    ThoughtDelta(signature="sig", block=0),
    ThoughtDelta(redacted="secret", block=1),
    TextDelta(text="Żó", block=2),
    TextDelta(text="ł", block=2),
    CitationDelta(citation=Citation(url="https://a.test", start=1, end=3), block=2),
    RefusalDelta(text="No", block=3),
    ToolDelta(block=4, id="1", name="f"),
    ToolDelta(block=5, id="2", name="g", arguments='{"b":'),
    ToolDelta(block=4, arguments='{"a":1}'),
    ToolDelta(block=5, arguments="2}"),
    NativeDelta(dialect="anthropic", kind="ping", data={}),
    UsageEvent(usage=Usage(input=10, cache_read=1, output=5)),
    FinishEvent(finish=Finish(reason="tool_calls", said="tool_use")),
    End(),
]


@pytest.mark.parametrize("chat", [CHAT, ARRAY], ids=["sse", "array"])
def test_a_stream_of_another_provider(chat: Any) -> None:
    """Text at once, calls and thoughts' proofs whole, the reason and the usage on the last chunk."""
    found = exchange.chunks(exchange.streamed(FOREIGN, chat))
    assert all((one["responseId"], one["modelVersion"]) == ("msg_1", "claude") for one in found)
    parts = [part for one in found for part in one["candidates"][0]["content"]["parts"]]
    assert [(part.get("text"), part.get("thought")) for part in parts[:4]] == [
        ("h", True),
        ("m", True),
        ("", True),
        ("", True),
    ]
    assert parts[4:] == [
        {"text": "Żó"},
        {"text": "ł"},
        {"text": "No"},
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "1"}},
        {"functionCall": {"name": "g", "args": {"b": 2}, "id": "2"}},
        {"text": ""},
    ]
    last = found[-1]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["usageMetadata"] == {
        "promptTokenCount": 11,
        "cachedContentTokenCount": 1,
        "candidatesTokenCount": 5,
        "totalTokenCount": 16,
    }
    (support,) = last["candidates"][0]["groundingMetadata"]["groundingSupports"]
    assert support["segment"] == {"startIndex": 2, "endIndex": 6, "text": "ół"}
    assert not any("finishReason" in one["candidates"][0] for one in found[:-1])


def test_foreign_thoughts_come_back() -> None:
    """The parts of a stream, sent back one by one, are whole thoughts again."""
    found = exchange.chunks(exchange.streamed(FOREIGN))
    parts = [part for one in found for part in one["candidates"][0]["content"]["parts"]]
    again = exchange.read({"contents": [{"role": "model", "parts": parts}]}).messages[0].parts
    assert [(part.text, part.signature, part.redacted, part.native) for part in again[:2]] == [  # type: ignore[union-attr]
        ("hm", "sig", None, {"dialect": "anthropic"}),
        ("", None, "secret", {"dialect": "anthropic"}),
    ]


def test_framings() -> None:
    """Server-sent events end with CRLF and without a terminator; the array closes at the end only."""
    text: list[Event] = [Start(dialect="openai_chat"), TextDelta(text="a")]
    end: list[Event] = [FinishEvent(finish=Finish(reason="stop")), End()]
    raw = exchange.streamed([*text, *end])
    assert raw.startswith(b"data: {") and raw.endswith(b"}\r\n\r\n") and raw.count(b"\r\n\r\n") == 2
    assert exchange.streamed([*text, *end], ARRAY).endswith(b"}]")
    assert exchange.streamed(text, ARRAY).startswith(b"[{") and exchange.streamed(text, ARRAY).endswith(b"}")


@pytest.mark.parametrize("chat", [CHAT, ARRAY], ids=["sse", "array"])
def test_failures_in_a_stream(chat: Any) -> None:
    """A provider's failure and our own are Google's error, and nothing that ends a complete stream follows."""
    text: list[Event] = [Start(dialect="openai_chat"), TextDelta(text="a")]
    failure = Failure(
        error=ProviderError(status=429, message="Slow", code="rate_limit_exceeded", retry_after_s=2)
    )
    writer = CODEC.stream_writer(chat, STAMP, any_losses())
    raw = b"".join(writer.write(event) for event in [*text, failure])
    closed = raw + (b"]" if chat is ARRAY else b"")
    error = exchange.chunks(closed)[-1]["error"]
    assert (error["code"], error["message"], error["status"]) == (429, "Slow", "RESOURCE_EXHAUSTED")
    assert [detail.get("reason") or detail.get("retryDelay") for detail in error["details"]] == [
        "rate_limit_exceeded",
        "2s",
    ]
    assert not raw.endswith(b"]")

    writer = CODEC.stream_writer(chat, STAMP, any_losses())
    raw = b"".join(writer.write(event) for event in text) + writer.broken(
        UpstreamTimeout("Too late"), "req-1"
    )
    error = exchange.chunks(raw + (b"]" if chat is ARRAY else b""))[-1]["error"]
    assert (error["code"], error["status"]) == (504, "DEADLINE_EXCEEDED")
    assert error["details"][0] == {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "upstream_timeout",
        "domain": "llmgw",
    }


def test_calls_that_are_no_json() -> None:
    """Arguments that never become an object are the provider's failure."""
    writer = CODEC.stream_writer(CHAT, STAMP, any_losses())
    writer.write(Start(dialect="openai_chat"))
    writer.write(ToolDelta(id="1", name="f", arguments='{"a": '))
    with pytest.raises(UpstreamFailed, match="'f'"):
        writer.write(FinishEvent(finish=Finish(reason="tool_calls")))


def test_interleaved_calls() -> None:
    """Parallel calls whose pieces alternate come out whole and in order; one that goes on after its end is wrong."""
    writer = CODEC.stream_writer(CHAT, STAMP, any_losses())
    writer.write(Start(dialect="openai_chat"))
    first = [ToolDelta(block=0, id="1", name="f", arguments="{}"), ToolDelta(block=1, id="2", name="g")]
    assert [len(exchange.chunks(writer.write(event))) for event in first] == [0, 1]
    with pytest.raises(UpstreamFailed, match="after it was complete"):
        writer.write(ToolDelta(block=0, arguments="x"))
