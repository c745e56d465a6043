"""Answers for every endpoint, written by hand, for tests that care about the wire and not about a recording.

Shapes after the published API documents of OpenAI and Anthropic. Plain bodies are oddly spaced on purpose.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tests.provider import canned_bedrock, canned_gemini
from tests.provider.recordings import Answer, write_json

_OPENAI_HEADERS: Final = (
    ("openai-processing-ms", "156"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "30000"),
    ("x-ratelimit-remaining-requests", "29999"),
    ("x-ratelimit-reset-requests", "2ms"),
    ("x-request-id", "req_canned"),
)
_ANTHROPIC_HEADERS: Final = (
    ("request-id", "req_canned"),
    ("anthropic-ratelimit-requests-limit", "4000"),
    ("anthropic-ratelimit-requests-remaining", "3999"),
)
_JSON: Final = ("content-type", "application/json")
_SSE: Final = ("content-type", "text/event-stream; charset=utf-8")

WORDS: Final = ("One", " two", " thr\u00e9e", " four", ".")


def answer(path: str, request: dict[str, Any], query: str = "") -> Answer:
    """The answer to `request` at `path`; streamed where the request says `stream: true`."""
    model = str(request.get("model", "canned"))
    stream = request.get("stream") is True
    google = canned_gemini.answer(path, query, WORDS)
    if google is not None:
        return google
    amazon = canned_bedrock.answer(path, WORDS)
    if amazon is not None:
        return amazon
    if path.endswith("/messages/count_tokens"):
        return _plain(_ANTHROPIC_HEADERS, {"input_tokens": 14})
    if path.endswith("/count-tokens:rawPredict"):
        return _plain(_ANTHROPIC_HEADERS, {"input_tokens": 14})
    if path.endswith(("/messages", ":rawPredict", ":streamRawPredict")):
        return (
            _streamed(_ANTHROPIC_HEADERS, _messages(model))
            if stream
            else _plain(_ANTHROPIC_HEADERS, _message(model))
        )
    if path.endswith("/responses"):
        return (
            _streamed(_OPENAI_HEADERS, _responses(model))
            if stream
            else _plain(_OPENAI_HEADERS, _response(model))
        )
    if path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 1e-05]}]
        usage = {"prompt_tokens": 5, "total_tokens": 5}
        return _plain(
            _OPENAI_HEADERS,
            {"object": "list", "data": data, "model": model, "usage": usage},
        )
    if path.endswith("/chat/completions"):
        return (
            _streamed(_OPENAI_HEADERS, _chat_stream(model, request))
            if stream
            else _plain(_OPENAI_HEADERS, _chat(model))
        )
    if path.endswith("/completions"):
        return (
            _streamed(_OPENAI_HEADERS, _text_stream(model))
            if stream
            else _plain(_OPENAI_HEADERS, _text(model))
        )
    return failure(path, 404, "unknown path")


def failure(path: str, status: int, message: str) -> Answer:
    """An error answer in the dialect of `path`, with the header fields that go with the status."""
    headers = [_JSON]
    if status in (429, 503, 529):
        headers.append(("retry-after", "7"))
    if "/converse" in path:
        return canned_bedrock.failure(status, message)
    if "/v1beta/" in path or "/publishers/google/" in path:
        return canned_gemini.failure(status, message)
    if "/messages" in path or path.endswith("awPredict"):
        kinds = {
            401: "authentication_error",
            403: "permission_error",
            429: "rate_limit_error",
            529: "overloaded_error",
        }
        kind = kinds.get(status, "invalid_request_error" if status < 500 else "api_error")
        body: dict[str, Any] = {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_canned",
        }
        return Answer(status, (*_ANTHROPIC_HEADERS, *headers), write_json(body, "odd"))
    code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Answer(status, (*_OPENAI_HEADERS, *headers), write_json(body, "odd"))


def event(data: dict[str, Any] | str, name: str | None = None) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def _plain(headers: tuple[tuple[str, str], ...], body: dict[str, Any]) -> Answer:
    return Answer(200, (_JSON, *headers), write_json(body, "odd"))


def _streamed(headers: tuple[tuple[str, str], ...], events: list[bytes]) -> Answer:
    return Answer(200, (_SSE, *headers), b"".join(events), streamed=True)


def _chat(model: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(WORDS),
        "refusal": None,
        "annotations": [],
    }
    return {
        "id": "chatcmpl-canned",
        "object": "chat.completion",
        "created": 1766265198,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }


def _chat_stream(model: str, request: dict[str, Any]) -> list[bytes]:
    base = {
        "id": "chatcmpl-canned",
        "object": "chat.completion.chunk",
        "created": 1766265198,
        "model": model,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    events = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": word}) for word in WORDS),
    ]
    events.append(chunk({}, "stop"))
    if (request.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
        events.append(event({**base, "choices": [], "usage": usage}))
    return [*events, event("[DONE]")]


def _text(model: str) -> dict[str, Any]:
    return {
        "id": "cmpl-canned",
        "object": "text_completion",
        "created": 1766265198,
        "model": model,
        "choices": [
            {
                "index": 0,
                "text": "".join(WORDS),
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }


def _text_stream(model: str) -> list[bytes]:
    base = {
        "id": "cmpl-canned",
        "object": "text_completion",
        "created": 1766265198,
        "model": model,
    }

    def chunk(text: str, finish: str | None = None) -> bytes:
        return event(
            {
                **base,
                "choices": [
                    {
                        "index": 0,
                        "text": text,
                        "logprobs": None,
                        "finish_reason": finish,
                    }
                ],
            }
        )

    return [*(chunk(word) for word in WORDS), chunk("", "stop"), event("[DONE]")]


def _response(model: str, status: str = "completed") -> dict[str, Any]:
    text = {"type": "output_text", "text": "".join(WORDS), "annotations": []}
    item = {
        "id": "msg_canned",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [text],
    }
    done = status == "completed"
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
    }
    return {
        "id": "resp_canned",
        "object": "response",
        "created_at": 1766265198,
        "status": status,
        "model": model,
        "output": [item] if done else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if done else None,
    }


def _responses(model: str) -> list[bytes]:
    item: dict[str, Any] = {
        "id": "msg_canned",
        "type": "message",
        "status": "in_progress",
        "role": "assistant",
        "content": [],
    }
    place = {"item_id": "msg_canned", "output_index": 0, "content_index": 0}
    part: dict[str, Any] = {"type": "output_text", "text": "", "annotations": []}
    whole = {**part, "text": "".join(WORDS)}
    payloads: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response(model, "in_progress")},
        {"type": "response.in_progress", "response": _response(model, "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        *(
            {
                "type": "response.output_text.delta",
                **place,
                "delta": word,
                "logprobs": [],
            }
            for word in WORDS
        ),
        {
            "type": "response.output_text.done",
            **place,
            "text": whole["text"],
            "logprobs": [],
        },
        {"type": "response.content_part.done", **place, "part": whole},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**item, "status": "completed", "content": [whole]},
        },
        {"type": "response.completed", "response": _response(model)},
    ]
    return [event({**payload, "sequence_number": n}, payload["type"]) for n, payload in enumerate(payloads)]


def _message(model: str) -> dict[str, Any]:
    return {
        "id": "msg_canned",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "".join(WORDS)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 14, "output_tokens": 5},
    }


def _messages(model: str) -> list[bytes]:
    start = {
        **_message(model),
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 14, "output_tokens": 1},
    }
    deltas = [{"type": "text_delta", "text": word} for word in WORDS]
    payloads: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]
    return [event(payload, payload["type"]) for payload in payloads]
