"""OpenAI's wire format: chat completions, completions, embeddings, responses.

Sources: the published OpenAPI document of api.openai.com and recorded traffic of it and of compatible hosts
(Azure, Mistral, Groq, OpenRouter, Perplexity, DeepSeek), whose streams differ in the details noted below.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from llmgw.dialects.body import FieldType
from llmgw.dialects.dialect import Endpoint, Header, ModelCard
from llmgw.dialects.sse import ServerSentEvent
from llmgw.errors import CallError

_FLAGS: Final = FieldType("a boolean", "null")

CHAT_COMPLETIONS: Final = Endpoint(
    name="chat_completions",
    path=b"/v1/chat/completions",
    suffix=b"/chat/completions",
    types={
        "messages": FieldType("an array"),
        "stream": _FLAGS,
        "stream_options": FieldType("an object", "null"),
        "tools": FieldType("an array", "null"),
        "temperature": FieldType("a number", "null"),
        "max_tokens": FieldType("a number", "null"),
        "max_completion_tokens": FieldType("a number", "null"),
    },
)
COMPLETIONS: Final = Endpoint(
    name="completions",
    path=b"/v1/completions",
    suffix=b"/completions",
    types={
        "prompt": FieldType("a string", "an array", "null"),
        "stream": _FLAGS,
        "max_tokens": FieldType("a number", "null"),
    },
)
EMBEDDINGS: Final = Endpoint(
    name="embeddings",
    path=b"/v1/embeddings",
    suffix=b"/embeddings",
    types={"input": FieldType("a string", "an array")},
)
RESPONSES: Final = Endpoint(
    name="responses",
    path=b"/v1/responses",
    suffix=b"/responses",
    types={
        "input": FieldType("a string", "an array", "null"),
        "stream": _FLAGS,
        "tools": FieldType("an array", "null"),
        "max_output_tokens": FieldType("a number", "null"),
    },
)

_ERROR_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}

# JSON escapes a line break inside a string, so a line that starts with `data:` is never the model's own words.
_done: Final = re.compile(rb"^data:[ ]?\[DONE\]", re.MULTILINE).search
_response_end: Final = re.compile(
    rb"""^(?:event:[ ]?response\.(?:completed|failed|incomplete)[ ]*\r?$"""
    rb"""|data:[ ]?\{\s*"type"\s*:\s*"response\.(?:completed|failed|incomplete)")""",
    re.MULTILINE,
).search
_finish_reason: Final = re.compile(rb'"finish_reason"[ ]*:[ ]*"').search
_sequence_number: Final = re.compile(rb'"sequence_number"[ ]*:[ ]*(\d+)').findall
_START_UP_RESPONSES: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_START_UP_DELTA: Final = frozenset({"role", "content", "refusal"})


class OpenAI:
    """The `openai` dialect; implements `Dialect`."""

    name: str = "openai"
    endpoints: tuple[Endpoint, ...] = (CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS, RESPONSES)
    # Organisation and project choose who pays within the provider account of the gateway; that is not the
    # client's choice, so openai-organization and openai-project stay here.
    forwarded: tuple[bytes, ...] = (b"accept", b"content-type", b"user-agent", b"openai-beta")

    def error(self, error: CallError, request_id: str) -> bytes:
        return msgspec.json.encode({"error": _error(error)})

    def stream_error(self, endpoint: Endpoint, error: CallError, request_id: str, last: bytes) -> bytes:
        body = _error(error)
        if endpoint is not RESPONSES:
            return b"data: " + msgspec.json.encode({"error": body}) + b"\n\n"
        # The event of the Responses API carries the fields itself; `error` is what the SDK raises on.
        numbers = _sequence_number(last)
        event = {
            "type": "error",
            "sequence_number": int(numbers[-1]) + 1 if numbers else 0,
            "code": body["code"],
            "message": body["message"],
            "param": None,
            "error": body,
        }
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"

    def credential(self, secret: str) -> tuple[Header, ...]:
        return ((b"authorization", b"Bearer " + secret.encode("latin-1")),)

    def may_refuse_credential(self, status: int) -> bool:
        return False  # its status says so

    def refuses_credential(self, body: bytes) -> bool:
        return False

    def is_start_up(self, event: ServerSentEvent) -> bool:
        try:
            data = msgspec.json.decode(event.data)
        except msgspec.DecodeError:
            return False
        if not isinstance(data, dict):
            return False
        if data.get("type") in _START_UP_RESPONSES:
            return True
        choices = data.get("choices")
        if not isinstance(choices, list) or data.get("usage") is not None:
            return False
        # No choices yet: Azure's prompt filter results come as a chunk of their own.
        return all(_says_nothing(choice) for choice in choices)

    def ends(self, endpoint: Endpoint, piece: bytes) -> bool:
        if endpoint is RESPONSES:
            return b"response." in piece and _response_end(piece) is not None
        return b"[DONE]" in piece and _done(piece) is not None

    def is_finished(self, endpoint: Endpoint, tail: bytes) -> bool:
        # Perplexity never sends [DONE]; its last chunks carry the finish reason.
        return endpoint is not RESPONSES and _finish_reason(tail) is not None

    def error_message(self, body: bytes) -> str | None:
        try:
            data = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return None
        if not isinstance(data, dict):
            return None
        error = data.get("error")
        if isinstance(error, str):  # xAI sends the bare text
            return error
        if isinstance(error, dict):
            message = error.get("message")
            return (
                message
                if isinstance(message, str)
                else str(error.get("code") or error.get("type") or "error")
            )
        if data.get("type") == "error" and isinstance(data.get("message"), str):
            return str(data["message"])
        return None

    def models(self, cards: Sequence[ModelCard]) -> bytes:
        return msgspec.json.encode({"object": "list", "data": [_card(card) for card in cards]})

    def model(self, card: ModelCard) -> bytes:
        return msgspec.json.encode(_card(card))


def _error(error: CallError) -> dict[str, str | None]:
    fallback = "invalid_request_error" if error.status < 500 else "server_error"
    return {
        "message": error.message,
        "type": _ERROR_TYPES.get(error.status, fallback),
        "param": error.param,
        "code": error.code,
    }


def _says_nothing(choice: Any) -> bool:
    if not isinstance(choice, dict) or choice.get("finish_reason") is not None:
        return False
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return _START_UP_DELTA.issuperset(delta) and not delta.get("content") and not delta.get("refusal")
    return "delta" not in choice and choice.get("text") == ""


def _card(card: ModelCard) -> dict[str, str | int]:
    return {"id": card.id, "object": "model", "created": card.created, "owned_by": card.owned_by}
