"""The Gemini API, also as Vertex speaks it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Final

from tests.translation.views.said import Json, Spoken, Tokens, View, added

NUMBERS: Final = ("FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER")
"""What Vertex's client over gRPC gets as numbers."""
FINISH: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "MODEL_ARMOR",
        ),
        "content_filter",
    ),
    **dict.fromkeys(
        ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"), "malformed_tool_call"
    ),
}


def view(answer: Json) -> View:
    choices = tuple(_candidate(candidate) for candidate in answer.get("candidates") or ())
    if not choices and (answer.get("promptFeedback") or {}).get("blockReason"):
        choices = (Spoken(finish="content_filter"),)
    return View(choices=choices, tokens=_gemini_tokens(answer.get("usageMetadata")))


def _candidate(candidate: Json) -> Spoken:
    parts = (candidate.get("content") or {}).get("parts") or ()
    finish = candidate.get("finishReason")
    if isinstance(finish, int):
        finish = NUMBERS[finish]
    calls = tuple(
        (part["functionCall"]["name"], part["functionCall"].get("args") or {})
        for part in parts
        if "functionCall" in part
    )
    reason = None if finish is None else FINISH.get(finish, "other")
    return Spoken(
        text="".join(part.get("text") or "" for part in parts if not part.get("thought")),
        thoughts="".join(part.get("text") or "" for part in parts if part.get("thought")),
        calls=calls,
        finish="tool_calls" if calls and reason == "stop" else reason,
    )


def _gemini_tokens(usage: Json) -> Tokens | None:
    if not usage or usage.get("totalTokenCount") is None:
        return None
    thoughts = usage.get("thoughtsTokenCount")
    return Tokens(
        input=added(usage.get("promptTokenCount"), usage.get("toolUsePromptTokenCount")),
        output=added(usage.get("candidatesTokenCount"), thoughts),
        cached=usage.get("cachedContentTokenCount"),
        reasoning=thoughts,
        total=usage["totalTokenCount"],
    )


def join(chunks: Iterable[Json]) -> Json:
    """Chunks joined to the whole answer, streamed arguments of calls included."""
    candidates: dict[int, dict[str, Any]] = {}
    joined: dict[str, Any] = {}
    for chunk in chunks:
        joined |= {name: chunk[name] for name in ("usageMetadata", "promptFeedback") if name in chunk}
        for piece in chunk.get("candidates") or ():
            candidate = candidates.setdefault(piece.get("index") or 0, {"content": {"parts": []}})
            if piece.get("finishReason"):
                candidate["finishReason"] = piece["finishReason"]
            for part in (piece.get("content") or {}).get("parts") or ():
                _gemini_part(candidate["content"]["parts"], part)
    return joined | {"candidates": [candidates[index] for index in sorted(candidates)]}


def _gemini_part(parts: list[Json], part: Json) -> None:
    call = part.get("functionCall")
    if call is None:
        _gemini_text(parts, part)
    elif "name" in call:
        parts.append({"functionCall": {"name": call["name"], "args": dict(call.get("args") or {})}})
    for piece in (call or {}).get("partialArgs") or ():
        _put(parts[-1]["functionCall"]["args"], piece)


def _gemini_text(parts: list[Json], part: Json) -> None:
    """Text goes on where it is of the same kind; an empty one without a signature says nothing."""
    bare = {name for name in part if name != "thought"} == {"text"}
    last = parts[-1] if parts else {}
    follows = {name for name in last if name != "thought"} == {"text"}
    if bare and follows and last.get("thought") == part.get("thought"):
        last["text"] += part["text"]
    elif not bare or part["text"]:
        parts.append(dict(part))


def _put(arguments: dict[str, Any], piece: Json) -> None:
    """One piece of an argument at its JSON path: `$.a.b[0]`."""
    steps: list[str | int] = []
    for step in piece["jsonPath"].removeprefix("$").replace("[", ".[").split("."):
        if step:
            steps.append(
                int(step[1:-1]) if step.startswith("[") and step[1:-1].isdigit() else step.strip("[]'\"")
            )
    kind = next(
        (name for name in ("stringValue", "numberValue", "boolValue", "nullValue") if name in piece), None
    )
    if kind is None:
        return
    value = None if kind == "nullValue" else piece[kind]
    at: Any = arguments
    for step, following in itertools.pairwise(steps):
        if isinstance(at, list) and step == len(at):
            at.append([] if isinstance(following, int) else {})
        elif isinstance(at, dict):
            at.setdefault(step, [] if isinstance(following, int) else {})
        at = at[step]
    last: Any = steps[-1]
    if isinstance(at, list) and last == len(at):
        at.append(value)
    elif isinstance(at, dict) and kind == "stringValue":
        at[last] = at.get(last, "") + value
    elif isinstance(at, list) and kind == "stringValue":
        at[last] += value
    else:
        at[last] = value
