"""Answers with log-probabilities, plain and streamed, which no recording has."""

from __future__ import annotations

import json
from typing import Any, Final

_TOKEN: Final = {
    "token": "Hi",
    "logprob": -0.1,
    "bytes": [72, 105],
    "top_logprobs": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}],
}
_RESULT: Final = {
    "logprobsResult": {
        "chosenCandidates": [{"token": "Hi", "tokenId": 1, "logProbability": -0.1}],
        "topCandidates": [{"candidates": [{"token": "Hi", "tokenId": 1, "logProbability": -0.1}]}],
    },
    "avgLogprobs": -0.1,
}
_ITEM: Final = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
_TEXT: Final = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": [_TOKEN]}
_PLACE: Final = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_RESPONSE: Final = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
}

PLAIN: Final[dict[str, Any]] = {
    "openai_chat": {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi"},
                "logprobs": {"content": [_TOKEN], "refusal": [_TOKEN]},
                "finish_reason": "stop",
            }
        ],
    },
    "openai_responses": {**_RESPONSE, "output": [{**_ITEM, "content": [_TEXT]}]},
    "gemini": {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", **_RESULT}
        ]
    },
}
_EVENTS: Final[dict[str, list[Any]]] = {
    "openai_chat": [
        {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "delta": {"content": "Hi"},
                    "logprobs": {"content": [_TOKEN], "refusal": [_TOKEN]},
                    "finish_reason": reason,
                }
            ],
        }
        for reason in (None, "stop")
    ],
    "openai_responses": [
        {"type": "response.created", "response": {**_RESPONSE, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**_ITEM, "content": []}},
        {"type": "response.output_text.delta", **_PLACE, "delta": "Hi", "logprobs": [_TOKEN]},
        {"type": "response.output_text.done", **_PLACE, "text": "Hi", "logprobs": [_TOKEN]},
        {"type": "response.content_part.done", **_PLACE, "part": _TEXT},
        {"type": "response.output_item.done", "output_index": 0, "item": {**_ITEM, "content": [_TEXT]}},
        {"type": "response.completed", "response": PLAIN["openai_responses"]},
    ],
    "gemini": [PLAIN["gemini"]],
}
STREAMS: Final[dict[str, bytes]] = {
    dialect: b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    + (b"data: [DONE]\n\n" if dialect == "openai_chat" else b"")
    for dialect, events in _EVENTS.items()
}
