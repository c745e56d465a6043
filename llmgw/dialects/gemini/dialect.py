"""Google's wire format for relaying within it: `generateContent`, plain and streamed.

The model stands in the path, behind the version and before the method: `/v1beta/models/{model}:generateContent`. A
stream is server-sent events with `alt=sse` in the query and one JSON array without; the two framings are endpoints
of their own, for they begin, break off and end differently. Neither has a terminator that says the answer is
complete, only candidates with a finish reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from llmgw.dialects import sse
from llmgw.dialects.body import FieldType
from llmgw.dialects.dialect import Endpoint, Header, ModelCard
from llmgw.dialects.gemini import errors, finish
from llmgw.dialects.gemini.request_reader import wants_events
from llmgw.dialects.sse import ServerSentEvent
from llmgw.errors import CallError

PATH: Final = b"/v1beta/models/"
"""Stands before the model, of clients and of the provider."""

_TYPES: Final = {
    "contents": FieldType("an array", "an object"),
    "generationConfig": FieldType("an object", "null"),
    "tools": FieldType("an array", "an object", "null"),
}

GENERATE_CONTENT: Final = Endpoint(
    name="generate_content", path=PATH, suffix=b":generateContent", names_model=True, types=_TYPES
)
STREAM_EVENTS: Final = Endpoint(
    name="stream_generate_content",
    path=PATH,
    suffix=b":streamGenerateContent?alt=sse",
    names_model=True,
    streams=True,
    types=_TYPES,
)
STREAM_ARRAY: Final = Endpoint(
    name="stream_generate_content_array",
    path=PATH,
    suffix=b":streamGenerateContent",
    names_model=True,
    streams=True,
    types=_TYPES,
)
COUNT_TOKENS: Final = Endpoint(
    name="gemini_count_tokens", path=PATH, suffix=b":countTokens", names_model=True
)
EMBED_CONTENT: Final = Endpoint(name="embed_content", path=PATH, suffix=b":embedContent", names_model=True)
BATCH_EMBED_CONTENTS: Final = Endpoint(
    name="batch_embed_contents", path=PATH, suffix=b":batchEmbedContents", names_model=True
)

_PLAIN: Final = {
    b"generateContent": GENERATE_CONTENT,
    b"countTokens": COUNT_TOKENS,
    b"embedContent": EMBED_CONTENT,
    b"batchEmbedContents": BATCH_EMBED_CONTENTS,
}
_METHODS: Final = re.compile(
    rb"/v1(?:beta)?/models/(.+):(streamGenerateContent|" + b"|".join(_PLAIN) + b")"
).fullmatch
_FIELDS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
_finish_reason: Final = re.compile(
    rb'(?<!\\)"finishReason"\s*:\s*(?:"(?!FINISH_REASON_UNSPECIFIED)|[1-9])'
).search


def called(path: bytes, query: bytes) -> tuple[Endpoint, bytes] | None:
    """The endpoint that a client's path and query name, and the model as it stands there, percent-encoded; it may
    have slashes and colons in it. None where the path is no such path."""
    match = _METHODS(path)
    if match is None:
        return None
    if match[2] in _PLAIN:
        return _PLAIN[match[2]], match[1]
    return (STREAM_EVENTS if wants_events(query) else STREAM_ARRAY), match[1]


class Gemini:
    """The `gemini` dialect; implements `Dialect`."""

    name: str = "gemini"
    endpoints: tuple[Endpoint, ...] = (
        GENERATE_CONTENT,
        STREAM_EVENTS,
        STREAM_ARRAY,
        COUNT_TOKENS,
        EMBED_CONTENT,
        BATCH_EMBED_CONTENTS,
    )
    # x-goog-user-project chooses who pays within the gateway's account; that is not the client's choice.
    forwarded: tuple[bytes, ...] = (b"accept", b"content-type", b"user-agent", b"x-goog-api-client")

    def error(self, error: CallError, request_id: str) -> bytes:
        return msgspec.json.encode(errors.body(error, request_id))

    def stream_error(self, endpoint: Endpoint, error: CallError, request_id: str, last: bytes) -> bytes:
        body = msgspec.json.encode(errors.body(error, request_id))
        if endpoint is not STREAM_ARRAY:
            return b"data: " + body + b"\r\n\r\n"
        # The array stays open, so that it does not parse as a complete one.
        last = last.rstrip()
        if not last:
            return b"[" + body
        return (b",\r\n" if last.endswith(b"}") else b"") + body

    def credential(self, secret: str) -> tuple[Header, ...]:
        return ((b"x-goog-api-key", secret.encode("latin-1")),)

    def may_refuse_credential(self, status: int) -> bool:
        return status == 400

    def refuses_credential(self, body: bytes) -> bool:
        return errors.answered(400, body).code == errors.BAD_KEY

    def is_start_up(self, event: ServerSentEvent) -> bool:
        try:
            data = msgspec.json.decode(event.data)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return False
        if not isinstance(data, dict) or "promptFeedback" in data or "error" in data:
            return False
        candidates = data.get("candidates", [])
        return isinstance(candidates, list) and all(_says_nothing(one) for one in candidates)

    def ends(self, endpoint: Endpoint, piece: bytes) -> bool:
        return endpoint is STREAM_ARRAY and piece.rstrip().endswith(b"]")

    def is_finished(self, endpoint: Endpoint, tail: bytes) -> bool:
        if endpoint is STREAM_ARRAY:
            return False  # its closing bracket is always sent
        if not tail.startswith(_FIELDS) and _finish_reason(tail) is not None:
            return True  # the end of an event that was too large to be kept whole
        for event in sse.parse(tail):
            try:
                data = msgspec.json.decode(event.data)
            except (msgspec.DecodeError, RecursionError, UnicodeError):
                continue
            if _is_last(data):
                return True
        return False

    def error_message(self, body: bytes) -> str | None:
        return errors.message_of(body)

    def models(self, cards: Sequence[ModelCard]) -> bytes:
        return msgspec.json.encode({"models": [_card(card) for card in cards]})

    def model(self, card: ModelCard) -> bytes:
        return msgspec.json.encode(_card(card))


def _says_nothing(candidate: Any) -> bool:
    if not isinstance(candidate, dict) or candidate.get("finishReason"):
        return False
    content = candidate.get("content") or {}
    parts = content.get("parts") or [] if isinstance(content, dict) else None
    return isinstance(parts, list) and all(part in ({}, {"text": ""}) for part in parts)


def _is_last(data: Any) -> bool:
    if not isinstance(data, dict):
        return False
    if finish.blocked(data.get("promptFeedback")) is not None:
        return True
    candidates = data.get("candidates")
    return isinstance(candidates, list) and any(
        isinstance(one, dict) and one.get("finishReason") not in (None, 0, finish.NUMBERS[0])
        for one in candidates
    )


def _card(card: ModelCard) -> dict[str, Any]:
    return {
        "name": f"models/{card.id}",
        "baseModelId": card.id,
        "version": "",
        "displayName": card.id,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
    }
