"""Answers of Gemini in neutral words, and other providers' answers as Gemini's clients get them."""

from __future__ import annotations

import base64
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
    Reason,
    Refusal,
    Text,
    Thought,
    ToolCall,
    Usage,
)
from llmgw.dialects.gemini.codec import CODEC
from llmgw.dialects.gemini.errors import answered
from llmgw.errors import UpstreamFailed
from tests.dialects.gemini import exchange
from tests.dialects.gemini.exchange import CHAT, STAMP


def answer(**members: Any) -> Answer:
    return CODEC.read_answer(json.dumps(members).encode())


def candidate(*parts: Any, **members: Any) -> Answer:
    content = {"role": "model", "parts": list(parts)}
    return answer(candidates=[{"content": content, "finishReason": "STOP", **members}])


def usage(**counts: Any) -> Usage:
    found = answer(candidates=[{"finishReason": "STOP"}], usageMetadata=counts).usage
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("STOP", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("RECITATION", "content_filter"),
        ("MODEL_ARMOR", "content_filter"), ("MALFORMED_FUNCTION_CALL", "malformed_tool_call"),
        ("UNEXPECTED_TOOL_CALL", "malformed_tool_call"), ("NEW_REASON", "other"), (1, "stop"), (2, "length"), (12, "other"),
    ],
)  # fmt: skip
def test_reasons(said: Any, reason: Reason) -> None:
    """Words and numbers; what is not known is `other`, with the provider's own word."""
    finish = answer(candidates=[{"finishReason": said, "finishMessage": "m"}]).choices[0].finish
    assert finish is not None and (finish.reason, finish.message) == (reason, "m")
    assert finish.said == {1: "STOP", 2: "MAX_TOKENS", 12: "12"}.get(said, said)


def test_calls_end_with_stop() -> None:
    """A finish with function calls is `tool_calls`, whatever Gemini calls it; calls need neither id nor arguments."""
    found = candidate({"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"}).choices[0]
    assert found.finish == Finish(reason="tool_calls", said="STOP")
    assert found.parts == (ToolCall(id=None, name="f", arguments="{}", signature="c2ln"),)


def test_candidates_without_anything() -> None:
    """Content, parts and index may be missing; a candidate without its reason is not complete."""
    found = answer(
        candidates=[
            {"content": {}, "finishReason": "STOP"},
            {"finishReason": "SAFETY"},
            {"content": {"role": "model"}, "finishReason": "STOP"},
        ]
    )
    assert [(one.index, one.parts) for one in found.choices] == [(0, ()), (1, ()), (2, ())]
    with pytest.raises(UpstreamFailed, match="not complete"):
        answer(candidates=[{"content": {}}, {"finishReason": "SAFETY"}])


def test_a_refused_prompt() -> None:
    """An answer without candidates that says why is an answer that was filtered; without a reason it is none."""
    found = answer(
        promptFeedback={"blockReason": "SAFETY"}, usageMetadata={"promptTokenCount": 8, "totalTokenCount": 8}
    )
    assert found.choices[0].finish == Finish(
        reason="content_filter", said="SAFETY", message="The provider refused the prompt (SAFETY)."
    )
    assert found.usage is not None and found.usage.input == 8
    again = json.loads(CODEC.write_answer(found, CHAT, STAMP, exchange.losses()))
    assert again["promptFeedback"] == {"blockReason": "SAFETY"} and "candidates" not in again
    with pytest.raises(UpstreamFailed, match="no candidates"):
        answer(usageMetadata={})


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, Usage(input=10, output=5)),
        (
            {"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 18},
            Usage(input=6, cache_read=4, output=5, reasoning=3),
        ),
        (
            {"promptTokenCount": 10, "toolUsePromptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 22},
            Usage(input=17, output=5),
        ),
        (
            {"promptTokenCount": 10, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 6}],
             "candidatesTokenCount": 5, "candidatesTokensDetails": [{"modality": 4, "tokenCount": 5}], "totalTokenCount": 15},
            Usage(input=4, input_audio=6, output=0, output_audio=5),
        ),
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 40}, Usage(input=10, output=5, reasoning=25)),
        ({"promptTokenCount": 10, "totalTokenCount": 14}, Usage(input=10, output=4)),
        ({"promptTokenCount": 10, "totalTokenCount": 10}, Usage(input=10)),
        ({}, Usage()),
    ],
)  # fmt: skip
def test_usage(counts: dict[str, Any], expected: Usage) -> None:
    """Disjoint buckets that sum up to the total; what is not reported is None."""
    found = usage(**counts)
    for bucket in ("input", "cache_read", "input_audio", "output", "reasoning", "output_audio"):
        assert getattr(found, bucket) == getattr(expected, bucket), bucket


def test_grounding_becomes_citations() -> None:
    """Offsets in bytes of UTF-8 become characters of the part, sources are what the support points to."""
    text = "Zażółć gęślą. Second."
    metadata = {
        "groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}, {"retrievedContext": {"title": "B", "text": "q"}}],
        "groundingSupports": [
            {"segment": {"endIndex": len("Zażółć gęślą.".encode())}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": len("Zażółć gęślą. ".encode()), "endIndex": len(text.encode())}, "groundingChunkIndices": [0, 1]},
        ],
    }  # fmt: skip
    found = candidate({"text": "hm", "thought": True}, {"text": text}, groundingMetadata=metadata).choices[0]
    part = found.parts[1]
    assert isinstance(part, Text)
    assert part.citations == (
        Citation(url="https://a.test", title="A", start=0, end=13),
        Citation(url="https://a.test", title="A", start=14, end=21),
        Citation(title="B", quote="q", start=14, end=21),
    )
    assert found.native["groundingMetadata"] == metadata


def test_log_probabilities() -> None:
    """Gemini's two lists become OpenAI's one."""
    result = {
        "chosenCandidates": [{"token": "é", "tokenId": 5, "logProbability": -0.1}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -2}]}],
    }
    found = candidate({"text": "é"}, logprobsResult=result, avgLogprobs=-0.1).choices[0]
    assert found.logprobs == [
        {"token": "é", "logprob": -0.1, "bytes": [195, 169], "top_logprobs": [{"token": "a", "logprob": -2, "bytes": [97]}]}
    ]  # fmt: skip
    assert found.native == {"logprobsResult": result, "avgLogprobs": -0.1}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"{}", b"\xff", b'{"candidates": {"a": 1}, "x": "\xff"}', b'{"candidates": []}', b'{"candidates": ["a"]}',
        b'{"candidates": [{"content": 1}]}', b'{"candidates": [{"content": {"parts": [1]}}]}',
        b'{"candidates": [{"index": 1}, {"index": 1}]}', b'{"candidates": [{"finishReason": []}]}',
        b'{"candidates": [{}], "usageMetadata": {"promptTokenCount": -1}}', b'{"candidates": [{}], "usageMetadata": 1}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": "x"}}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"args": {}}}]}}]}',
        b'{"candidates": [{"logprobsResult": {"chosenCandidates": [1]}}]}', b'{"error": {"code": 500}}',
        b'{"candidates": ' + b"[" * 5000, b'{"candidates": [{"content"', b'{"candidates": [{"index": 1.5}]}',
    ],
)  # fmt: skip
def test_what_is_no_answer(body: bytes) -> None:
    """Anything else is the provider's failure, and says so."""
    with pytest.raises(UpstreamFailed):
        CODEC.read_answer(body)


@pytest.mark.parametrize("recording", exchange.recorded(streaming=False))
def test_spoilt_answers(recording: Any) -> None:
    """Recorded answers, cut and spoilt: they are read, or are the provider's failure."""
    for spoilt in exchange.mutations(exchange.whole(recording)):
        try:
            found = CODEC.read_answer(spoilt)
        except UpstreamFailed:
            continue
        json.loads(CODEC.write_answer(found, CHAT, STAMP, exchange.losses()))


# For Gemini's clients

FOREIGN = Answer(
    dialect="anthropic",
    id="msg_1",
    model="claude",
    choices=(
        Choice(
            parts=(
                Thought(text="hm", signature="sig"),
                Thought(redacted="secret"),
                Text(text="Zażółć", citations=(Citation(url="https://a.test", title="A", start=2, end=6),)),
                Refusal(text="No"),
                ToolCall(id="toolu_1", name="f", arguments='{"a": 12345678901234567890}'),
                ToolCall(id=None, name="g", arguments=""),
                Media(kind="image", source=Inline(media_type="image/png", data="AAAA")),
                NativePart(dialect="anthropic", kind="server_tool_use", data={}),
            ),
            finish=Finish(reason="tool_calls", said="tool_use"),
            native={"container": {}},
        ),
    ),
    usage=Usage(input=10, cache_read=4, cache_write_5m=3, cache_write_1h=2, output=5, reasoning=6),
    native={"stop_details": {}},
)


def test_an_answer_of_another_provider() -> None:
    """Everything Gemini has a place for is there, in its own accounting; the rest is reported."""
    losses = exchange.losses()
    body = json.loads(CODEC.write_answer(FOREIGN, CHAT, STAMP, losses))
    assert losses.dropped == ["part.server_tool_use", "container", "stop_details"]
    assert (body["responseId"], body["modelVersion"]) == ("msg_1", "claude")
    assert body["usageMetadata"] == {
        "promptTokenCount": 19, "cachedContentTokenCount": 4, "candidatesTokenCount": 5, "thoughtsTokenCount": 6, "totalTokenCount": 30,
    }  # fmt: skip
    (one,) = body["candidates"]
    assert (one["finishReason"], one["index"], one["content"]["role"]) == ("STOP", 0, "model")
    thought, redacted, text, refusal, call, second, image = one["content"]["parts"]
    assert thought["thought"] is True and thought["text"] == "hm"
    assert base64.b64decode(thought["thoughtSignature"]).startswith(b"llmgw:anthropic:")
    assert redacted["thought"] is True and redacted["text"] == ""
    assert (text, refusal) == ({"text": "Zażółć"}, {"text": "No"})
    assert call == {"functionCall": {"name": "f", "args": {"a": 12345678901234567890}, "id": "toolu_1"}}
    assert second["functionCall"]["id"] and second["functionCall"]["args"] == {}
    assert image == {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    assert one["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 2, "endIndex": 10, "partIndex": 2, "text": "żółć"}, "groundingChunkIndices": [0]}
        ],
    }  # fmt: skip


@pytest.mark.parametrize("alphabet", ["standard", "urlsafe"])
def test_foreign_thoughts_come_back(alphabet: str) -> None:
    """What a client got of another provider's thoughts is whole again in its next request."""
    body = json.loads(CODEC.write_answer(FOREIGN, CHAT, STAMP, exchange.losses()))
    content = body["candidates"][0]["content"]
    if alphabet == "urlsafe":
        for part in content["parts"][:2]:
            part["thoughtSignature"] = part["thoughtSignature"].replace("+", "-").replace("/", "_")
    first, second, *_ = exchange.read({"contents": [content]}).messages[0].parts
    assert first == Thought(text="hm", signature="sig", native={"dialect": "anthropic"})
    assert second == Thought(redacted="secret", native={"dialect": "anthropic"})


@pytest.mark.parametrize(
    ("finish", "members"),
    [
        (Finish(reason="stop", said="end_turn"), {"finishReason": "STOP"}),
        (Finish(reason="stop_sequence", sequence="END"), {"finishReason": "STOP", "finishMessage": "Met the stop sequence 'END'."}),
        (Finish(reason="length"), {"finishReason": "MAX_TOKENS"}),
        (Finish(reason="refusal", message="m"), {"finishReason": "SAFETY", "finishMessage": "m"}),
        (Finish(reason="other", said="eos"), {"finishReason": "OTHER"}),
        (Finish(reason="pause"), {"finishReason": "OTHER"}),
    ],
)  # fmt: skip
def test_reasons_for_clients(finish: Finish, members: dict[str, str]) -> None:
    """Each reason in Gemini's words."""
    found = Answer(dialect="anthropic", choices=(Choice(parts=(Text(text="a"),), finish=finish),))
    (one,) = json.loads(CODEC.write_answer(found, CHAT, STAMP, exchange.losses()))["candidates"]
    assert {name: value for name, value in one.items() if name.startswith("finish")} == members


def test_made_up_ids() -> None:
    """An answer without id and model gets the call's."""
    body = json.loads(CODEC.write_answer(Answer(dialect="openai_chat"), CHAT, STAMP, exchange.losses()))
    assert (body["responseId"], body["modelVersion"]) == (STAMP.id, CHAT.model)


def test_log_probabilities_for_clients() -> None:
    """OpenAI's list becomes Gemini's two."""
    tokens = [
        {
            "token": "a",
            "logprob": -1,
            "bytes": [97],
            "top_logprobs": [{"token": "b", "logprob": -2, "bytes": None}],
        }
    ]
    found = Answer(dialect="openai_chat", choices=(Choice(parts=(Text(text="a"),), logprobs=tokens),))
    (one,) = json.loads(CODEC.write_answer(found, CHAT, STAMP, exchange.losses()))["candidates"]
    assert one["logprobsResult"] == {
        "chosenCandidates": [{"token": "a", "logProbability": -1}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2}]}],
    }


def test_arguments_that_are_no_json() -> None:
    """A provider's call that Gemini cannot express is the provider's failure, not a made-up object."""
    part = ToolCall(id="1", name="f", arguments='{"a": ')
    with pytest.raises(UpstreamFailed, match="'f'"):
        CODEC.write_answer(
            Answer(dialect="openai_chat", choices=(Choice(parts=(part,)),)), CHAT, STAMP, exchange.losses()
        )


# Errors


@pytest.mark.parametrize(
    "wrap", [lambda error: {"error": error}, lambda error: [{"error": error}]], ids=["object", "array"]
)
def test_errors(wrap: Any) -> None:
    """Status, message, Google's word, reason, field and the wait; bare or within an array."""
    error = {
        "code": 429,
        "message": "Slow down",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE"},
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "contents[0]"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"},
        ],
    }
    found = answered(429, json.dumps(wrap(error)).encode())
    assert (found.status, found.message, found.type, found.code) == (
        429,
        "Slow down",
        "RESOURCE_EXHAUSTED",
        "RATE",
    )
    assert (found.param, found.retry_after_s) == ("contents[0]", 1.5)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff", b"[]", b"{}", b'{"error": null}', b'{"error": 1}', b'{"error": {"message": 1, "details": [1]}}', b"[" * 9999,
     b'{"error": {"details": [{"@type": "x.RetryInfo", "retryDelay": "soon"}, {"@type": "x.BadRequest", "fieldViolations": 1}]}}'],
)  # fmt: skip
def test_errors_in_no_shape(body: bytes) -> None:
    """A message of the status, never another failure."""
    found = CODEC.read_error(503, body)
    assert (found.status, found.retry_after_s) == (503, None)
    assert found.message == "The provider answered with 503 Service Unavailable."
    assert CODEC.read_error(599, body).message == "The provider answered with status 599."
