"""Tool calls, in the history of a conversation and in an answer.

A function's call has JSON text for arguments, a custom tool's any text. Gemini's signature of a call stands in
`extra_content.google.thought_signature`, as in Google's own OpenAI-compatible API.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from llmgw.canonical import Json, NativePart, ToolCall
from llmgw.dialects.members import Members
from llmgw.dialects.openai_chat.spelling import NAME, keep, object_text, words_of

LEGACY: Final = "function_call"
"""Under this word a call of the older `functions` is known."""
CALL: Final = "tool_calls."
"""Stands before the kind of a call that the neutral model has no part for."""
_LONGEST_ID: Final = 40
"""Characters that OpenAI takes."""


def signature_of(extra: Json) -> str | None:
    """Gemini's signature within an `extra_content`."""
    google = extra.get("google") if type(extra) is dict else None
    signature = google.get("thought_signature") if type(google) is dict else None
    return signature if type(signature) is str else None


def extra_content(signature: str) -> dict[str, Json]:
    """The member that carries Gemini's signature."""
    return {"extra_content": {"google": {"thought_signature": signature}}}


def arguments(of: Members, name: str = "arguments") -> str:
    """A call's arguments; some hosts send the object itself."""
    value = of.any(name)
    if value is None or type(value) is str:
        return value or ""
    if type(value) is dict:
        return object_text(of, name, value)
    raise of.wrong(name, "a string")


def read(of: Members) -> ToolCall | NativePart:
    """One of `tool_calls`."""
    whole = of.whole()
    kind = whole.get("type")
    if kind is not None and type(kind) is not str:
        raise of.wrong("type", "a string")
    if kind not in (None, "function", "custom"):
        return NativePart(dialect=NAME, kind=CALL + kind, data=whole)
    custom = kind == "custom" or (kind is None and "function" not in of and "custom" in of)
    words: dict[str, Json] = {}
    of.any("type")
    if kind is None:
        words["type"] = None
    for name in ("index", "function" if custom else "custom"):  # Snowflake sends both forms
        if name in of:
            words[name] = of.any(name)
    call_id = of.text("id")
    if call_id == "":
        words["id"] = call_id
    inner = of.object("custom" if custom else "function")
    if inner is None:
        raise of.wrong("custom" if custom else "function", "an object")
    name = inner.need_text("name")
    said = arguments(inner, "input" if custom else "arguments")
    signature = _signature(of)
    left = dict(of.rest())
    if inner.rest():
        left["custom" if custom else "function"] = inner.rest()
    if not custom and not said.strip():
        words["arguments"] = said
        said = "{}"
    return ToolCall(
        id=call_id or None,
        name=name,
        arguments=said,
        custom=custom,
        signature=signature,
        native=keep(left, words),
    )


def _signature(of: Members) -> str | None:
    extra = of.whole().get("extra_content")
    signature = signature_of(extra)
    if signature is not None and {"extra_content": extra} == extra_content(signature):
        of.any("extra_content")
    return signature


def read_legacy(of: Members) -> ToolCall:
    """A `function_call`, which has no id."""
    return ToolCall(
        id=None,
        name=of.need_text("name"),
        arguments=arguments(of) or "{}",
        native=keep(of.rest(), {LEGACY: True}),
    )


def write_legacy(call: ToolCall) -> dict[str, Json]:
    return {"name": call.name, "arguments": call.arguments, **call.native}


def write(call: ToolCall, call_id: str, *, own: bool) -> dict[str, Any]:
    """One of `tool_calls`. `own`: the call's native members are of this API."""
    kind, text = ("custom", "input") if call.custom else ("function", "arguments")
    words = words_of(call.native) if own else {}
    inner: dict[str, Json] = {"name": call.name, text: words.get("arguments", call.arguments)}
    written: dict[str, Json] = {"id": call_id, "type": kind, kind: inner}
    if call.signature is not None:
        written |= extra_content(call.signature)
    if own:
        for name, value in {**call.native, **words}.items():
            if name == kind:
                inner.update(value)
            elif name == "type":
                del written["type"]
            elif name not in ("arguments", LEGACY):
                written[name] = value
    return written


def fitting(call_id: str) -> str:
    """An id that OpenAI takes; the same for a call and its result."""
    if len(call_id) <= _LONGEST_ID:
        return call_id
    return "call_" + hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:32]
