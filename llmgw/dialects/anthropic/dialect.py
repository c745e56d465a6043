"""Anthropic's wire format: messages and token counts.

Sources: the published OpenAPI document of api.anthropic.com, its page on errors and recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from llmgw.dialects.body import FieldType
from llmgw.dialects.dialect import Endpoint, Header, ModelCard
from llmgw.dialects.sse import ServerSentEvent
from llmgw.errors import CallError

VERSION: Final = b"2023-06-01"
"""The API version sent for a client that names none; the provider refuses a request without one."""

MESSAGES: Final = Endpoint(
    name="messages",
    path=b"/v1/messages",
    suffix=b"/v1/messages",
    types={
        "messages": FieldType("an array"),
        "max_tokens": FieldType("a number"),
        "stream": FieldType("a boolean", "null"),
        "system": FieldType("a string", "an array", "null"),
        "tools": FieldType("an array", "null"),
        "temperature": FieldType("a number", "null"),
    },
)
COUNT_TOKENS: Final = Endpoint(
    name="count_tokens",
    path=b"/v1/messages/count_tokens",
    suffix=b"/v1/messages/count_tokens",
    types={"messages": FieldType("an array"), "system": FieldType("a string", "an array", "null")},
)

_ERROR_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

# JSON escapes a line break inside a string, so these lines are never the model's own words.
_stop: Final = re.compile(
    rb'^(?:event:[ ]?message_stop[ ]*\r?$|data:[ ]?\{\s*"type"\s*:\s*"message_stop")', re.MULTILINE
).search


class Anthropic:
    """The `anthropic` dialect; implements `Dialect`."""

    name: str = "anthropic"
    endpoints: tuple[Endpoint, ...] = (MESSAGES, COUNT_TOKENS)
    forwarded: tuple[bytes, ...] = (
        b"accept",
        b"content-type",
        b"user-agent",
        b"anthropic-version",
        b"anthropic-beta",
    )

    def error(self, error: CallError, request_id: str) -> bytes:
        return msgspec.json.encode(_error(error, request_id))

    def stream_error(self, endpoint: Endpoint, error: CallError, request_id: str, last: bytes) -> bytes:
        return b"event: error\ndata: " + msgspec.json.encode(_error(error, request_id)) + b"\n\n"

    def credential(self, secret: str) -> tuple[Header, ...]:
        return ((b"x-api-key", secret.encode("latin-1")),)

    def may_refuse_credential(self, status: int) -> bool:
        return False  # its status says so

    def refuses_credential(self, body: bytes) -> bool:
        return False

    def is_start_up(self, event: ServerSentEvent) -> bool:
        if event.name in (b"message_start", b"ping"):
            return True
        if event.name != b"content_block_start":
            return False
        # An opened block is content only where it brings some: redacted thinking and tool results come whole.
        try:
            block = msgspec.json.decode(event.data)["content_block"]
            kind = block["type"]
            return kind in ("text", "thinking") and not block.get(kind)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
            return False

    def ends(self, endpoint: Endpoint, piece: bytes) -> bool:
        return b"message_stop" in piece and _stop(piece) is not None

    def is_finished(self, endpoint: Endpoint, tail: bytes) -> bool:
        return False  # message_stop is always sent

    def error_message(self, body: bytes) -> str | None:
        try:
            data = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return None
        if (
            not isinstance(data, dict)
            or data.get("type") != "error"
            or not isinstance(data.get("error"), dict)
        ):
            return None
        return str(data["error"].get("message") or data["error"].get("type") or "error")

    def models(self, cards: Sequence[ModelCard]) -> bytes:
        ids = [card.id for card in cards]
        return msgspec.json.encode(
            {
                "data": [_card(card) for card in cards],
                "has_more": False,
                "first_id": ids[0] if ids else None,
                "last_id": ids[-1] if ids else None,
            }
        )

    def model(self, card: ModelCard) -> bytes:
        return msgspec.json.encode(_card(card))


def _error(error: CallError, request_id: str) -> dict[str, object]:
    fallback = "invalid_request_error" if error.status < 500 else "api_error"
    return {
        "type": "error",
        "error": {
            "type": _ERROR_TYPES.get(error.status, fallback),
            "message": error.message,
            "code": error.code,
        },
        "request_id": request_id,
    }


def _card(card: ModelCard) -> dict[str, str]:
    created = datetime.fromtimestamp(card.created, UTC).isoformat().replace("+00:00", "Z")
    return {"type": "model", "id": card.id, "display_name": card.id, "created_at": created}
