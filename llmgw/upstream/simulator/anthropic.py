"""The simulated Anthropic API: messages and token counts.

Shapes after the published OpenAPI document and recorded traffic; the official SDK parses them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw, Struct

from llmgw.ports import Header
from llmgw.upstream.simulator.answer import (
    EVENT_STREAM,
    JSON,
    BadRequest,
    Plain,
    Stream,
    event,
    input_tokens,
    length,
    text,
    word,
)

_ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

# Ready-made, because a stream has one of these per token; the words need no escaping.
_DELTA: Final = event(
    b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}',
    b"content_block_delta",
)

_encode = msgspec.json.Encoder().encode


class _Messages(Struct):
    model: str | None = None
    messages: list[Raw] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    system: Raw = Raw()
    tools: Raw = Raw()
    stream: bool | None = None


def headers(name: str, kind: Header) -> list[Header]:
    """The header fields of an answer to the request called `name`."""
    return [kind, (b"request-id", b"req_" + name.encode())]


def error(status: int, message: str, name: str, param: str | None = None, code: str | None = None) -> Plain:
    """An error answer; Anthropic's have neither `param` nor `code`."""
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_" + name}
    return Plain(status, headers(name, JSON), _encode(body))


def count_tokens(body: bytes, name: str, output_tokens: int) -> Plain:
    """`POST /v1/messages/count_tokens`."""
    request, _ = _decode(body)
    return Plain(200, headers(name, JSON), _encode({"input_tokens": _input_tokens(request)}))


def messages(body: bytes, name: str, output_tokens: int) -> Plain | Stream:
    """`POST /v1/messages`."""
    request, model = _decode(body)
    if request.max_tokens is None:
        raise BadRequest("max_tokens: Field required", "max_tokens")
    tokens, cut = length(output_tokens, request.max_tokens)
    message: dict[str, Any] = {
        "id": "msg_" + name,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    usage = {
        "input_tokens": _input_tokens(request),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": tokens,
        "service_tier": "standard",
    }
    end = {"stop_reason": "max_tokens" if cut else "end_turn", "stop_sequence": None}
    if not request.stream:
        content = [{"type": "text", "text": text(tokens, name)}]
        whole = {**message, "content": content, **end, "usage": usage}
        return Plain(200, headers(name, JSON), _encode(whole), tokens)
    prelude = _events(
        {"type": "message_start", "message": {**message, "usage": {**usage, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
    )
    coda = _events(
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": tokens}},
        {"type": "message_stop"},
    )

    def token(index: int) -> bytes:
        return _DELTA % word(index, name).encode()

    return Stream(headers(name, EVENT_STREAM), prelude, tokens, token, coda)


def _decode(body: bytes) -> tuple[_Messages, str]:
    request = msgspec.json.decode(body, type=_Messages)
    if request.model is None:
        raise BadRequest("model: Field required", "model")
    if request.messages is None:
        raise BadRequest("messages: Field required", "messages")
    if not request.messages:
        raise BadRequest("messages: at least one message is required", "messages")
    return request, request.model


def _input_tokens(request: _Messages) -> int:
    return input_tokens(*(request.messages or ()), request.system, request.tools)


def _events(*payloads: dict[str, Any]) -> bytes:
    return b"".join(event(_encode(payload), payload["type"].encode()) for payload in payloads)
