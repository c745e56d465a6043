"""The simulated OpenAI API: chat completions, completions, embeddings and responses.

Shapes after the published OpenAPI document and recorded traffic; the official SDK parses them.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw, Struct

from llmgw.ports import Header
from llmgw.upstream.simulator.answer import (
    CREATED,
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

DIMENSIONS: Final = 1536
DONE: Final = event(b"[DONE]")

_Limit = Annotated[int, Meta(ge=1)] | None
_Count = Annotated[int, Meta(ge=1, le=128)] | None

_encode = msgspec.json.Encoder().encode


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Chat(Struct):
    model: str | None = None
    messages: list[Raw] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: _Limit = None
    max_completion_tokens: _Limit = None
    n: _Count = None


class _Completion(Struct):
    model: str | None = None
    prompt: Raw = Raw()
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: _Limit = None
    n: _Count = None


class _Embedding(Struct):
    model: str | None = None
    input: str | list[str | int | list[int]] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=8192)] | None = None
    encoding_format: str | None = None


class _Response(Struct):
    model: str | None = None
    input: Raw = Raw()
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: _Limit = None
    metadata: dict[str, str] | None = None


def headers(name: str, kind: Header) -> list[Header]:
    """The header fields of an answer to the request called `name`."""
    return [kind, (b"openai-version", b"2020-10-01"), (b"x-request-id", b"req_" + name.encode())]


def error(status: int, message: str, name: str, param: str | None = None, code: str | None = None) -> Plain:
    """An error answer."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Plain(status, headers(name, JSON), _encode(body))


def chat(body: bytes, name: str, output_tokens: int) -> Plain | Stream:
    """`POST /v1/chat/completions`."""
    request = msgspec.json.decode(body, type=_Chat)
    model = _required(request.model, "model")
    messages = _required(request.messages, "messages")
    if not messages:
        raise BadRequest("'messages' must hold at least one message.", "messages", "empty_array")
    limit = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
    tokens, cut = length(output_tokens, limit)
    finish = "length" if cut else "stop"
    count = request.n or 1
    usage = _usage(input_tokens(*messages), tokens * count)
    base = {
        "id": "chatcmpl-" + name,
        "object": "chat.completion.chunk" if request.stream else "chat.completion",
        "created": CREATED,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    }
    if request.stream:

        def choice(index: int, delta: dict[str, Any], end: str | None = None) -> dict[str, Any]:
            return {"index": index, "delta": delta, "logprobs": None, "finish_reason": end}

        opening = {"role": "assistant", "content": "", "refusal": None}
        return _chunks(
            base,
            request.stream_options,
            name,
            [choice(index, opening) for index in range(count)],
            [choice(index, {"content": _MARK}) for index in range(count)],
            [choice(index, {}, finish) for index in range(count)],
            tokens,
            usage,
        )
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text(tokens, name),
        "refusal": None,
        "annotations": [],
    }
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
        for index in range(count)
    ]
    return Plain(200, headers(name, JSON), _encode({**base, "choices": choices, "usage": usage}), tokens)


def completion(body: bytes, name: str, output_tokens: int) -> Plain | Stream:
    """`POST /v1/completions`."""
    request = msgspec.json.decode(body, type=_Completion)
    model = _required(request.model, "model")
    tokens, cut = length(output_tokens, request.max_tokens)
    count = request.n or 1
    finish = "length" if cut else "stop"
    usage = _usage(input_tokens(request.prompt), tokens * count)
    base = {"id": "cmpl-" + name, "object": "text_completion", "created": CREATED, "model": model}

    def choice(index: int, piece: str, end: str | None) -> dict[str, Any]:
        return {"index": index, "text": piece, "logprobs": None, "finish_reason": end}

    indexes = range(count)
    if request.stream:
        pieces = [choice(index, _MARK, None) for index in indexes]
        closing = [choice(index, "", finish) for index in indexes]
        return _chunks(base, request.stream_options, name, [], pieces, closing, tokens, usage)
    whole = text(tokens, name)
    choices = [choice(index, whole, finish) for index in indexes]
    return Plain(200, headers(name, JSON), _encode({**base, "choices": choices, "usage": usage}), tokens)


def embedding(body: bytes, name: str, output_tokens: int) -> Plain:
    """`POST /v1/embeddings`. Vectors are of length 1 and depend on their input alone."""
    request = msgspec.json.decode(body, type=_Embedding)
    model = _required(request.model, "model")
    wanted = _required(request.input, "input")
    if request.encoding_format not in (None, "float", "base64"):
        raise BadRequest("'encoding_format' must be 'float' or 'base64'.", "encoding_format", "invalid_value")
    inputs = wanted if isinstance(wanted, list) and wanted and not isinstance(wanted[0], int) else [wanted]
    if not wanted:
        raise BadRequest("'input' must not be empty.", "input", "invalid_value")
    data: list[dict[str, Any]] = []
    for index, item in enumerate(inputs):
        vector: list[float] | str = _vector(_encode(item), request.dimensions or DIMENSIONS)
        if request.encoding_format == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    used = input_tokens(_encode(wanted))
    usage = {"prompt_tokens": used, "total_tokens": used}
    answer = {"object": "list", "data": data, "model": model, "usage": usage}
    return Plain(200, headers(name, JSON), _encode(answer))


def response(body: bytes, name: str, output_tokens: int) -> Plain | Stream:
    """`POST /v1/responses`."""
    request = msgspec.json.decode(body, type=_Response)
    model = _required(request.model, "model")
    given = _required(None if bytes(request.input) in (b"", b"null") else request.input, "input")
    tokens, cut = length(output_tokens, request.max_output_tokens)
    whole = text(tokens, name)
    used = input_tokens(given, (request.instructions or "").encode())
    part = {"type": "output_text", "text": whole, "annotations": [], "logprobs": []}
    item = {
        "id": "msg_" + name,
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }
    status = "incomplete" if cut else "completed"
    begun: dict[str, Any] = {
        "id": "resp_" + name,
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "metadata": request.metadata or {},
    }
    done = {
        **begun,
        "status": status,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [item],
        "usage": {
            "input_tokens": used,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used + tokens,
        },
    }
    if not request.stream:
        return Plain(200, headers(name, JSON), _encode(done), tokens)
    place = {"item_id": "msg_" + name, "output_index": 0, "content_index": 0}
    opened = {**item, "status": "in_progress", "content": []}
    prelude = _events(
        0,
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": opened},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
    )
    coda = _events(
        4 + tokens,
        {"type": "response.output_text.done", **place, "text": whole, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{status}", "response": done},
    )

    def token(index: int) -> bytes:
        delta = {"type": "response.output_text.delta", **place, "delta": word(index, name), "logprobs": []}
        return _events(4 + index, delta)

    return Stream(headers(name, EVENT_STREAM), prelude, tokens, token, coda)


_MARK: Final = "\x00"
_ESCAPED_MARK: Final = b"\\u0000"


def _chunks(
    base: dict[str, Any],
    options: _StreamOptions | None,
    name: str,
    opening: list[dict[str, Any]],
    pieces: list[dict[str, Any]],
    closing: list[dict[str, Any]],
    tokens: int,
    usage: dict[str, Any],
) -> Stream:
    """A stream of chunks, one choice in each; `_MARK` in `pieces` stands where the token's word goes."""
    with_usage = options is not None and bool(options.include_usage)
    rest = {"usage": None} if with_usage else {}

    def chunk(choices: list[dict[str, Any]]) -> bytes:
        return event(_encode({**base, "choices": choices, **rest}))

    # The model's name comes from the request and may hold the mark too; the token's is the last one.
    frames = [chunk([piece]).rpartition(_ESCAPED_MARK) for piece in pieces]

    def token(index: int) -> bytes:
        said = word(index, name).encode()
        return b"".join([start + said + end for start, _, end in frames])

    coda = b"".join(chunk([choice]) for choice in closing)
    if with_usage:
        coda += event(_encode({**base, "choices": [], "usage": usage}))
    prelude = b"".join(chunk([choice]) for choice in opening)
    return Stream(headers(name, EVENT_STREAM), prelude, tokens, token, coda + DONE)


def _events(number: int, *payloads: dict[str, Any]) -> bytes:
    """Events of the Responses API, their sequence numbers from `number` on."""
    return b"".join(
        event(_encode({**payload, "sequence_number": number + offset}), payload["type"].encode())
        for offset, payload in enumerate(payloads)
    )


def _required(value: Any, param: str) -> Any:
    if value is None:
        raise BadRequest(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")
    return value


def _usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _vector(seed: bytes, dimensions: int) -> list[float]:
    raw = [byte - 127.5 for byte in hashlib.shake_128(seed).digest(dimensions)]
    norm = math.sqrt(sum(value * value for value in raw))
    return [value / norm for value in raw]
