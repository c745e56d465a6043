"""Gemini's wire format for relaying: paths, errors, credentials, what a stream's pieces say, lists of models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmgw.dialects.dialect import Dialect, Endpoint, ModelCard
from llmgw.dialects.gemini.dialect import (
    GENERATE_CONTENT,
    STREAM_ARRAY,
    STREAM_EVENTS,
    Gemini,
    called,
)
from llmgw.dialects.sse import ServerSentEvent
from llmgw.errors import InternalError, InvalidApiKey, RequestTooLarge, UnsupportedParameter, UpstreamTimeout
from tests.dialects.gemini import exchange

GEMINI: Dialect = Gemini()


def sse(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "query", "endpoint", "model"),
    [
        (b"/v1beta/models/gemini-3:generateContent", b"", GENERATE_CONTENT, b"gemini-3"),
        (b"/v1beta/models/gemini-3:streamGenerateContent", b"alt=sse", STREAM_EVENTS, b"gemini-3"),
        (b"/v1beta/models/gemini-3:streamGenerateContent", b"%24alt=sse&key=1", STREAM_EVENTS, b"gemini-3"),
        (b"/v1beta/models/gemini-3:streamGenerateContent", b"key=1", STREAM_ARRAY, b"gemini-3"),
        (b"/v1/models/openai/gpt-4o:generateContent", b"", GENERATE_CONTENT, b"openai/gpt-4o"),
        (b"/v1beta/models/llama3:8b:generateContent", b"", GENERATE_CONTENT, b"llama3:8b"),
    ],
)
def test_paths(path: bytes, query: bytes, endpoint: Endpoint, model: bytes) -> None:
    """The path names model and method, the query the framing."""
    assert called(path, query) == (endpoint, model)


@pytest.mark.parametrize(
    "path",
    [
        b"/v1beta/models",
        b"/v1beta/models/a",
        b"/v1beta/models/:generateContent",
        b"/v1beta/models/a:tuneModel",
        b"/",
    ],
)
def test_other_paths(path: bytes) -> None:
    """Everything else is none of these endpoints."""
    assert called(path, b"") is None


def test_errors() -> None:
    """Google's shape, our code as the reason, the request's id, and the wait where there is one."""
    body = json.loads(GEMINI.error(UnsupportedParameter("No", param="seed"), "req-1"))
    assert body == {
        "error": {
            "code": 400,
            "message": "No",
            "status": "INVALID_ARGUMENT",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "unsupported_parameter", "domain": "llmgw"},
                {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "req-1"},
            ],
        }
    }  # fmt: skip
    late = json.loads(GEMINI.error(UpstreamTimeout("Late", retry_after_s=1.5), "r"))["error"]
    assert late["details"][-1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}
    words = {
        type(error): json.loads(GEMINI.error(error, "r"))["error"]["status"]
        for error in (InvalidApiKey("a"), RequestTooLarge("a"), InternalError("a"))
    }
    assert words == {
        InvalidApiKey: "UNAUTHENTICATED",
        RequestTooLarge: "INVALID_ARGUMENT",
        InternalError: "INTERNAL",
    }


def test_errors_in_a_stream() -> None:
    """An event of its own, or one more element of an array that then stays open."""
    error = UpstreamTimeout("Late")
    event = GEMINI.stream_error(STREAM_EVENTS, error, "r", sse({}))
    assert event.startswith(b'data: {"error"') and event.endswith(b"}\r\n\r\n")
    for last, closed in ((b"", b"]"), (b'[{"a": 1}', b"]"), (b'[{"a": 1}\r\n,', b"]"), (b"[", b"]")):
        found = json.loads(last + GEMINI.stream_error(STREAM_ARRAY, error, "r", last) + closed)
        assert found[-1]["error"]["code"] == 504


def test_credentials() -> None:
    """The key goes into Google's header."""
    assert GEMINI.credential("k") == ((b"x-goog-api-key", b"k"),)
    assert b"x-goog-user-project" not in GEMINI.forwarded


@pytest.mark.parametrize(
    ("chunk", "start_up"),
    [
        ({"usageMetadata": {}}, True),
        ({"candidates": [{"content": {"role": "model"}}]}, True),
        ({"candidates": [{"content": {"parts": [{"text": ""}]}}]}, True),
        ({"candidates": []}, True),
        ({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}, False),
        ({"candidates": [{"content": {"parts": [{"text": "", "thoughtSignature": "a"}]}}]}, False),
        ({"candidates": [{"finishReason": "SAFETY"}]}, False),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, False),
        ({"error": {}}, False),
        ([], False),
        ({"candidates": [1]}, False),
        ({"candidates": [{"content": 1}]}, False),
    ],
)
def test_start_up(chunk: Any, start_up: bool) -> None:
    """A chunk that says nothing to a person comes before the content."""
    assert GEMINI.is_start_up(ServerSentEvent(b"", json.dumps(chunk).encode())) is start_up
    assert GEMINI.is_start_up(ServerSentEvent(b"", b"\xff")) is False


@pytest.mark.parametrize("recording", exchange.recorded(streaming=True))
def test_recorded_streams_are_finished(recording: Any) -> None:
    """The last chunk says that the answer is complete, no other does, and there is no terminator."""
    raw = exchange.whole(recording)
    if raw.lstrip().startswith(b"["):
        assert GEMINI.ends(STREAM_ARRAY, raw)
        return
    boundary = b"\r\n\r\n" if b"\r\n\r\n" in raw else b"\n\n"
    pieces = [piece + boundary for piece in raw.split(boundary) if piece.strip()]
    assert [GEMINI.is_finished(STREAM_EVENTS, piece) for piece in pieces] == [False] * (len(pieces) - 1) + [
        True
    ]
    assert not any(GEMINI.ends(STREAM_EVENTS, piece) for piece in pieces)


def test_how_a_stream_ends() -> None:
    """A finish reason or a refused prompt completes server-sent events, the bracket an array; words of the model and
    arguments of its calls do not."""

    def finished(data: Any) -> bool:
        return GEMINI.is_finished(STREAM_EVENTS, sse(data))

    assert finished({"candidates": [{"finishReason": "STOP"}]})
    assert finished({"candidates": [{"finishReason": 1}]})
    assert finished({"promptFeedback": {"blockReason": "SAFETY"}})
    assert not finished({"candidates": [{"finishReason": "FINISH_REASON_UNSPECIFIED"}]})
    assert not finished({"candidates": [{"content": {"parts": [{"text": '"finishReason": "STOP"'}]}}]})
    assert not finished(
        {"candidates": [{"content": {"parts": [{"functionCall": {"args": {"finishReason": "STOP"}}}]}}]}
    )
    assert not finished([])
    assert GEMINI.is_finished(STREAM_EVENTS, b'AAAA"}}]},"finishReason": "STOP"}]}\r\n\r\n')
    assert not GEMINI.is_finished(STREAM_EVENTS, b'AAAA\\"finishReason\\": \\"STOP\\"\r\n\r\n')
    assert not GEMINI.is_finished(STREAM_ARRAY, sse({"candidates": [{"finishReason": "STOP"}]}))
    assert GEMINI.ends(STREAM_ARRAY, b"}\r\n]\r\n") and not GEMINI.ends(STREAM_EVENTS, b"}]")


def test_error_messages() -> None:
    """The message of Google's errors, bare, in an array, or without words."""
    assert GEMINI.error_message(b'{"error": {"message": "No"}}') == "No"
    assert GEMINI.error_message(b'[{"error": {"message": "No"}}]') == "No"
    assert (
        GEMINI.error_message(b'{"error": {"code": 503}}')
        == "The provider answered with 503 Service Unavailable."
    )
    for raw in (b"{}", b"[]", b"<html>", b"\xff", b'{"candidates": []}'):
        assert GEMINI.error_message(raw) is None


def test_models() -> None:
    """Google's list of models."""
    card = ModelCard(id="gpt-4o", owned_by="openai", created=0)
    (one,) = json.loads(GEMINI.models([card]))["models"]
    assert (one["name"], one["displayName"]) == ("models/gpt-4o", "gpt-4o")
    assert "generateContent" in one["supportedGenerationMethods"]
    assert json.loads(GEMINI.model(card)) == one
