"""The Messages API."""

from __future__ import annotations

from typing import Final

from tests.translation.views.said import Json, Spoken, Tokens, View, added

FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "context_length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}


def view(answer: Json) -> View:
    blocks = answer["content"]
    said = Spoken(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        explanation=(answer.get("stop_details") or {}).get("explanation") or "",
        thoughts="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        calls=tuple((block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"),
        finish=FINISH.get(answer["stop_reason"], "other"),
    )
    usage = answer.get("usage")
    if not usage:
        return View(choices=(said,), tokens=None)
    cached, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    tokens = Tokens(
        input=added(usage.get("input_tokens"), cached, written),
        output=usage.get("output_tokens"),
        cached=cached,
        written=written,
        reasoning=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
        total=added(usage.get("input_tokens"), cached, written, usage.get("output_tokens")),
    )
    return View(choices=(said,), tokens=tokens)
