"""The Responses API."""

from __future__ import annotations

from tests.translation.views.said import Json, Spoken, Tokens, View, parsed


def view(answer: Json) -> View:
    text, refusal, thoughts, calls = "", "", "", []
    for item in answer["output"]:
        if item["type"] == "message":
            text += "".join(part["text"] for part in item["content"] if part["type"] == "output_text")
            refusal += "".join(part["refusal"] for part in item["content"] if part["type"] == "refusal")
        elif item["type"] == "reasoning":
            pieces = [*(item.get("summary") or ()), *(item.get("content") or ())]
            thoughts += "".join(piece["text"] for piece in pieces)
        elif item["type"] == "function_call":
            calls.append((item["name"], parsed(item["arguments"])))
        elif item["type"] == "custom_tool_call":
            calls.append((item["name"], item["input"]))
    if answer.get("status") == "incomplete":
        reason = str((answer.get("incomplete_details") or {}).get("reason"))
        finish = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason, "other")
    else:
        finish = "tool_calls" if calls else "refusal" if refusal and not text else "stop"
    said = Spoken(text=text, refusal=refusal, thoughts=thoughts, calls=tuple(calls), finish=finish)
    return View(choices=(said,), tokens=_responses_tokens(answer.get("usage")))


def _responses_tokens(usage: Json) -> Tokens | None:
    if not usage:
        return None
    before = usage.get("input_tokens_details") or {}
    return Tokens(
        input=usage["input_tokens"],
        output=usage["output_tokens"],
        cached=before.get("cached_tokens"),
        written=before.get("cache_write_tokens"),
        reasoning=(usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
        total=usage.get("total_tokens"),
    )
