"""Hand-written answers of Google's API: `canned.answer` for its paths. Shapes after the published discovery
document; streams have CRLF and no terminator, as recorded."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.provider.recordings import Answer, write_json

_HEADERS: Final = (("content-type", "application/json; charset=UTF-8"),)
_EVENTS: Final = (("content-type", "text/event-stream"),)
_USAGE: Final = {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14}


def answer(path: str, query: str, words: tuple[str, ...]) -> Answer | None:
    """The answer at `path`; None where it is no path of this API."""
    model, _, method = path.rpartition("/")[2].partition(":")
    if method == "generateContent":
        return _plain(_chunk(model, "".join(words), "STOP", _USAGE))
    if method == "streamGenerateContent":
        chunks = [_chunk(model, word) for word in words[:-1]]
        chunks.append(_chunk(model, words[-1], "STOP", _USAGE))
        if "alt=sse" in query:
            body = b"".join(b"data: %s\r\n\r\n" % json.dumps(chunk).encode() for chunk in chunks)
            return Answer(200, _EVENTS, body, streamed=True)
        body = b"[" + b",\r\n".join(json.dumps(chunk).encode() for chunk in chunks) + b"\n]\n"
        return Answer(200, _HEADERS, body, streamed=True)
    if method == "countTokens":
        return _plain({"totalTokens": 14})
    if method == "embedContent":
        return _plain({"embedding": {"values": [0.25, -0.5, 1e-05]}})
    if method == "batchEmbedContents":
        return _plain({"embeddings": [{"values": [0.25, -0.5, 1e-05]}]})
    return None


def failure(status: int, message: str) -> Answer:
    """A google.rpc.Status."""
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
    names |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
    error = {"code": status, "message": message, "status": names.get(status, "UNKNOWN")}
    wait = (("retry-after", "7"),) if status in (429, 503) else ()
    return Answer(status, (*_HEADERS, *wait), write_json({"error": error}, "odd"))


def _plain(body: dict[str, Any]) -> Answer:
    return Answer(200, _HEADERS, write_json(body, "odd"))


def _chunk(
    model: str, text: str, finish: str | None = None, usage: dict[str, int] | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    chunk: dict[str, Any] = {"candidates": [candidate], "modelVersion": model, "responseId": "canned"}
    return chunk if usage is None else {**chunk, "usageMetadata": usage}
