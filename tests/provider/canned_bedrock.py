"""Hand-written answers of Amazon Bedrock's Converse API: `canned.answer` for its paths. Shapes after the service's
published model."""

from __future__ import annotations

from typing import Any, Final

from tests.dialects.bedrock.event_stream import event
from tests.provider.recordings import Answer, write_json

_HEADERS: Final = (("content-type", "application/json"), ("x-amzn-requestid", "req-canned"))
_EVENTS: Final = (("content-type", "application/vnd.amazon.eventstream"), ("x-amzn-requestid", "req-canned"))
_USAGE: Final = {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14}
_METRICS: Final = {"latencyMs": 12}


def answer(path: str, words: tuple[str, ...]) -> Answer | None:
    """The answer at `path`; None where it is no path of this API."""
    if path.endswith("/converse"):
        message = {"role": "assistant", "content": [{"text": "".join(words)}]}
        said = {
            "output": {"message": message},
            "stopReason": "end_turn",
            "usage": _USAGE,
            "metrics": _METRICS,
        }
        return Answer(200, _HEADERS, write_json(said, "odd"))
    if path.endswith("/converse-stream"):
        events: list[tuple[str, dict[str, Any]]] = [
            ("messageStart", {"role": "assistant"}),
            *(("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}}) for word in words),
            ("contentBlockStop", {"contentBlockIndex": 0}),
            ("messageStop", {"stopReason": "end_turn"}),
            ("metadata", {"usage": _USAGE, "metrics": _METRICS}),
        ]
        return Answer(200, _EVENTS, b"".join(event(*one) for one in events), streamed=True)
    return None


def failure(status: int, message: str) -> Answer:
    """An exception, whose kind stands in the head."""
    kinds = {400: "ValidationException", 403: "AccessDeniedException", 429: "ThrottlingException"}
    kind = (("x-amzn-errortype", kinds.get(status, "InternalServerException")),)
    return Answer(status, (*_HEADERS, *kind), write_json({"message": message}, "odd"))
