"""The chat completions API, with what its compatible hosts make of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tests.translation.views.said import Json, Spoken, Tokens, View, parsed

FINISH: Final = {
    "stop": "stop",
    "eos": "stop",  # Together
    "length": "length",
    "model_length": "context_length",  # Mistral
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def view(answer: Json) -> View:
    return View(
        choices=tuple(_chat_choice(choice) for choice in answer["choices"]),
        tokens=_chat_tokens(answer.get("usage") or (answer.get("x_groq") or {}).get("usage")),
    )


def _chat_choice(choice: Json) -> Spoken:
    message = choice["message"]
    text, thoughts = _chat_content(message.get("content"))
    calls = []
    for call in message.get("tool_calls") or ():
        if call.get("type") == "custom":
            calls.append((call["custom"]["name"], call["custom"]["input"]))
        else:
            calls.append((call["function"]["name"], parsed(call["function"].get("arguments"))))
    if (message.get("function_call") or {}).get("name"):  # what tools were called at first
        calls.append((message["function_call"]["name"], parsed(message["function_call"]["arguments"])))
    details = "".join(detail.get("text") or "" for detail in message.get("reasoning_details") or ())
    finish = choice.get("finish_reason")
    return Spoken(
        text=text,
        refusal=message.get("refusal") or "",
        thoughts=thoughts or message.get("reasoning_content") or message.get("reasoning") or details,
        calls=tuple(calls),
        finish=None if finish is None else FINISH.get(finish, "other"),
    )


def _chat_content(content: Json) -> tuple[str, str]:
    """Text and thoughts; Mistral's content is a list of both."""
    if isinstance(content, list):
        text = "".join(part.get("text") or "" for part in content if part["type"] == "text")
        thoughts = [part["thinking"] for part in content if part["type"] == "thinking"]
        return text, "".join(piece["text"] for pieces in thoughts for piece in pieces)
    return content or "", ""


def _chat_tokens(usage: Json) -> Tokens | None:
    if not usage:
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    before = usage.get("prompt_tokens_details") or {}
    after = usage.get("completion_tokens_details") or {}
    reasoning = after.get("reasoning_tokens")
    total = usage.get("total_tokens")
    if None not in (total, prompt, completion) and reasoning and total == prompt + completion + reasoning:
        completion += reasoning  # some hosts count it beside
    # DeepSeek, Mistral, Together; and a host that counts more cached tokens than there are.
    elsewhere = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
    cached = before.get("cached_tokens") or next((usage[one] for one in elsewhere if usage.get(one)), None)
    return Tokens(
        input=prompt,
        output=completion,
        cached=None if cached is None else min(cached, prompt),
        written=before.get("cache_write_tokens"),
        reasoning=reasoning,
        total=total,
    )


def join(chunks: Iterable[Json]) -> Json:
    """Chunks joined to the whole answer; usage of a later chunk replaces that of an earlier one."""
    choices: dict[int, dict[str, Any]] = {}
    usage = None
    for chunk in chunks:
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or usage
        for piece in chunk.get("choices") or ():
            choice = choices.setdefault(piece["index"], {"message": {}, "calls": {}, "finish_reason": None})
            choice["finish_reason"] = piece.get("finish_reason") or choice["finish_reason"]
            _join(choice, piece.get("delta") or {})
    joined = []
    for index in sorted(choices):
        message = choices[index]["message"]
        message["tool_calls"] = list(choices[index]["calls"].values())
        joined.append({"message": message, "finish_reason": choices[index]["finish_reason"]})
    return {"choices": joined, "usage": usage}


def _join(choice: dict[str, Any], delta: Json) -> None:
    message = choice["message"]
    for member in ("content", "refusal", "reasoning_content", "reasoning"):
        piece = delta.get(member)
        if isinstance(piece, str):
            before = message.get(member) or ""
            message[member] = (
                [*before, {"type": "text", "text": piece}] if isinstance(before, list) else before + piece
            )
        elif isinstance(piece, list):
            before = message.get(member) or []
            message[member] = (
                [{"type": "text", "text": before}] if isinstance(before, str) else before
            ) + piece
    for call in delta.get("tool_calls") or ():
        calls = choice["calls"]
        kind = "custom" if "custom" in call else "function"
        body = call.get(kind) or {}
        text = "input" if kind == "custom" else "arguments"
        index = call.get("index")
        made = calls.setdefault(
            len(calls) if index is None else index, {"type": kind, kind: {"name": "", text: ""}}
        )
        made[kind]["name"] = body.get("name") or made[kind]["name"]
        made[kind][text] += body.get(text) or ""
