"""Whole answers and errors of Converse as the neutral model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmgw.canonical import (
    Citation,
    Finish,
    Inline,
    Media,
    NativePart,
    Part,
    ProviderError,
    Text,
    Thought,
    ToolCall,
    Usage,
)
from llmgw.dialects.bedrock.codec import CODEC
from llmgw.errors import UpstreamFailed
from tests.dialects.bedrock import shapes
from tests.dialects.bedrock.exchange import answered, parameters, recordings
from tests.provider.recordings import Recording, write_json

WEB = {
    "title": "T",
    "source": "s",
    "sourceContent": [{"text": "the "}, {"text": "words"}],
    "location": {"web": {"url": "https://a.example", "domain": "a.example"}},
}
PAGE = {"title": "P", "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}}
SERVER_CALL = {
    "toolUse": {"toolUseId": "t", "name": "nova_code_interpreter", "input": {}, "type": "server_tool_use"}
}


@pytest.mark.parametrize("recording", parameters(recordings(streaming=False)))
def test_recorded_answers_are_read_whole(recording: Recording) -> None:
    """Each recorded answer gives its texts, calls and thoughts, its counts in buckets and nothing unexplained."""
    said = recording.response["body"]
    answer = CODEC.read_answer(write_json(said, "compact"))
    (choice,) = answer.choices
    blocks: list[dict[str, Any]] = []
    for part in choice.parts:
        match part:
            case Text():
                blocks.append({"text": part.text})
            case Thought():
                text = {"text": part.text, "signature": part.signature}
                blocks.append({"reasoningContent": {"reasoningText": text}})
            case ToolCall():
                call = {"toolUseId": part.id, "name": part.name, "input": json.loads(part.arguments)}
                blocks.append({"toolUse": call})
    assert blocks == said["output"]["message"]["content"]
    assert choice.finish is not None and choice.finish.said == said["stopReason"]
    usage = answer.usage
    assert usage is not None and usage.native == {}
    buckets = (usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.output)
    assert sum(one or 0 for one in buckets) == said["usage"]["totalTokens"]
    assert answer.native == {"metrics": said["metrics"]}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"text": "hi"}, Text(text="hi")),
        (
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
            Thought(text="hm", signature="s"),
        ),
        ({"reasoningContent": {"reasoningText": {"text": "hm"}}}, Thought(text="hm")),
        ({"reasoningContent": {"redactedContent": "AAEC"}}, Thought(redacted="AAEC")),
        (
            {"reasoningContent": {"newKind": {"a": 1}}},
            NativePart(
                dialect="bedrock", kind="reasoningContent", data={"reasoningContent": {"newKind": {"a": 1}}}
            ),
        ),
        (
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1.0}, "type": "tool_use"}},
            ToolCall(id="t", name="f", arguments='{"a":1.0}'),
        ),
        (SERVER_CALL, NativePart(dialect="bedrock", kind="server_tool_use", data=SERVER_CALL)),
        (
            {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": [WEB, PAGE]}},
            Text(
                text="ab",
                citations=(
                    Citation(url="https://a.example", title="T", quote="the words", native=WEB),
                    Citation(title="P", native=PAGE),
                ),
            ),
        ),
        (
            {"image": {"format": "png", "source": {"bytes": "AA=="}}},
            Media(kind="image", source=Inline(media_type="image/png", data="AA==")),
        ),
        (
            {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/a"}}}},
            NativePart(
                dialect="bedrock",
                kind="image",
                data={"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/a"}}}},
            ),
        ),
        ({"new": 1}, NativePart(dialect="bedrock", kind="new", data={"new": 1})),
    ],
)
def test_blocks(block: dict[str, Any], part: Part) -> None:
    """Each kind of block; what the neutral model has no part for passes whole."""
    (choice,) = CODEC.read_answer(answered(block)).choices
    assert choice.parts == (part,)


REASONS = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "other",
    "malformed_tool_use": "malformed_tool_call",
    "model_context_window_exceeded": "context_length",
}


@pytest.mark.parametrize("said", [*REASONS, "newer_than_this"])
def test_reasons(said: str) -> None:
    """Every reason of the published model has its neutral one, and the provider's word is kept."""
    finish = CODEC.read_answer(answered({"text": ""}, stop=said)).choices[0].finish
    assert finish is not None
    assert (finish.reason, finish.said) == (REASONS.get(said, "other"), said)


@shapes.needed
def test_no_reason_of_the_published_model_is_missing() -> None:
    """The table above is the whole enumeration."""
    assert set(shapes.shapes()["StopReason"]["enum"]) == REASONS.keys()


def test_the_stop_sequence_that_was_met() -> None:
    """Claude tells it in its own fields, which the request asks for."""
    body = answered(
        {"text": "a"}, stop="stop_sequence", additionalModelResponseFields={"stop_sequence": "END"}
    )
    answer = CODEC.read_answer(body)
    assert answer.choices[0].finish == Finish(reason="stop_sequence", sequence="END", said="stop_sequence")
    assert answer.native == {"metrics": {"latencyMs": 7}}
    other = CODEC.read_answer(
        answered({"text": "a"}, additionalModelResponseFields={"stop_sequence": None, "x": 1})
    )
    assert other.native["additionalModelResponseFields"] == {"x": 1}


def test_what_only_this_api_says_is_kept() -> None:
    """Metrics, traces and members newer than this stand in `native`; the tier has a field."""
    body = answered({"text": "a"}, trace={"guardrail": {}}, serviceTier={"type": "flex"}, new={"a": 1})
    answer = CODEC.read_answer(body)
    assert answer.service_tier == "flex"
    assert answer.native == {"metrics": {"latencyMs": 7}, "trace": {"guardrail": {}}, "new": {"a": 1}}


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, Usage(input=1, output=2)),
        (
            {
                "inputTokens": 1,
                "outputTokens": 2,
                "totalTokens": 33,
                "cacheReadInputTokens": 10,
                "cacheWriteInputTokens": 20,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 15}, {"ttl": "5m", "inputTokens": 5}],
            },
            Usage(input=1, output=2, cache_read=10, cache_write_5m=5, cache_write_1h=15),
        ),
        (
            {"inputTokens": 1, "outputTokens": 2, "cacheWriteInputTokens": 20, "cacheDetails": []},
            Usage(input=1, output=2, cache_write_5m=20),
        ),
        (
            {"outputTokens": 2, "cacheDetails": [{"ttl": "5m", "inputTokens": 5}]},
            Usage(output=2, cache_write_5m=5, cache_write_1h=0),
        ),
        ({"cacheReadInputTokenCount": 4}, Usage(cache_read=4)),
        (
            {"inputTokens": 1, "totalTokens": 9, "serverToolUsage": {"x": 1}},
            Usage(input=1, native={"serverToolUsage": {"x": 1}, "totalTokens": 9}),
        ),
        ({}, Usage()),
    ],
)
def test_usage_in_disjoint_buckets(said: dict[str, Any], usage: Usage) -> None:
    """Input counts no cached tokens here; what is not reported is None; a total that does not add up is kept."""
    assert CODEC.read_answer(answered({"text": ""}, usage=said)).usage == usage


def test_no_usage_is_none() -> None:
    """Nothing is made up where the provider counts nothing."""
    assert CODEC.read_answer(answered({"text": ""}, usage=None)).usage is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b'{"output":{}}',
        b'{"output":{"message":{"role":"assistant"}}}',
        b'{"output":{"message":{"content":[{}]}}}',
        b'{"output":{"message":{"content":["a"]}}}',
        b'{"output":{"message":{"content":[{"text":1}]}}}',
        b'{"output":{"message":{"content":[{"toolUse":{"toolUseId":"a","name":"b","input":[]}}]}}}',
        b'{"output":{"message":{"content":[{"toolUse":[]}]}}}',
        b'{"output":{"message":{"content":[{"reasoningContent":1}]}}}',
        b'{"output":{"message":{"content":[{"citationsContent":{"content":1}}]}}}',
        b'{"output":{"message":{"content":[]}},"usage":{"inputTokens":-1}}',
        b'{"output":{"message":{"content":[]}},"usage":{"cacheDetails":[{"inputTokens":1}]}}',
        b'{"output":{"message":{"content":[]}},"stopReason":7}',
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_answer_is_a_failure_of_the_provider(body: bytes) -> None:
    """Wrong JSON and wrong shapes are named as such."""
    with pytest.raises(UpstreamFailed):
        CODEC.read_answer(body)


@pytest.mark.parametrize("recording", parameters(recordings(streaming=False, status=400)
                                                 + recordings(streaming=False, status=403)))  # fmt: skip
def test_recorded_errors(recording: Recording) -> None:
    """The provider's words are kept with the status."""
    status = recording.response["status"]
    error = CODEC.read_error(status, write_json(recording.response["body"], "odd"))
    assert (error.status, error.message) == (status, recording.response["body"]["message"])
    assert error.type == {400: "ValidationException", 403: "AccessDeniedException"}[status]


@pytest.mark.parametrize(
    ("status", "body", "message", "kind"),
    [
        (429, b'{"message":"slow"}', "slow", "ThrottlingException"),
        (403, b'{"Message":"no"}', "no", "AccessDeniedException"),
        (503, b"<html>", "The provider answered with status 503 (Service Unavailable).", "ServiceUnavailableException"),
        (418, b'{"message":7}', "The provider answered with status 418 (I'm a Teapot).", None),
        (599, b"\xff\x00", "The provider answered with status 599.", None),
        (500, b"", "The provider answered with status 500 (Internal Server Error).", "InternalServerException"),
    ],
)  # fmt: skip
def test_errors(status: int, body: bytes, message: str, kind: str | None) -> None:
    """Whatever the body is, there is a message, and the kind is what the status says."""
    assert CODEC.read_error(status, body) == ProviderError(status=status, message=message, type=kind)
