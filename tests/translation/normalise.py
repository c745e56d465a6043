"""When two bodies of one API say the same: both are brought into one spelling and compared as JSON.

Only spellings that the API's own reference calls equal are brought together: null and absent; a string and one
part of text; a member at its documented default; two names of one member. Everything else is a difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.translation.views.gemini import NUMBERS

Json = Any


def request(dialect: str, body: Json) -> Json:
    """The one spelling of a request."""
    return REQUESTS[dialect](_without_nulls(body))


def answer(dialect: str, body: Json) -> Json:
    """The one spelling of an answer or of one event of a stream."""
    return ANSWERS[dialect](_without_nulls(body))


def _without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(member) for member in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _drop(body: dict[str, Any], defaults: Mapping[str, Json]) -> None:
    for name, default in defaults.items():
        if name in body and body[name] == default:
            del body[name]


CHAT_DEFAULTS: Final = {"stream": False, "stop": [], "tools": []}


def _chat_request(body: dict[str, Any]) -> Json:
    _drop(body, CHAT_DEFAULTS)
    # The gateway asks every stream for its usage, and hides it from a client that did not.
    options = body.pop("stream_options", {})
    options.pop("include_usage", None)
    if options:
        body["stream_options"] = options
    if "max_tokens" in body:  # its older name
        body["max_completion_tokens"] = body.pop("max_tokens")
    if isinstance(body.get("stop"), str):
        body["stop"] = [body["stop"]]
    for message in body["messages"]:
        if isinstance(message.get("content"), str):
            message["content"] = [{"type": "text", "text": message["content"]}]
    return body


def _responses_request(body: dict[str, Any]) -> Json:
    _drop(body, {"stream": False, "tools": []})
    if isinstance(body.get("input"), str):
        body["input"] = [{"role": "user", "content": body["input"]}]
    for item in body.get("input", ()):
        if "role" in item:
            item.setdefault("type", "message")
        if isinstance(item.get("content"), str):
            kind = "output_text" if item.get("role") == "assistant" else "input_text"
            item["content"] = [{"type": kind, "text": item["content"]}]
        if isinstance(item.get("output"), str):
            item["output"] = [{"type": "input_text", "text": item["output"]}]
    return body


def _anthropic_request(body: dict[str, Any]) -> Json:
    _drop(body, {"stream": False, "stop_sequences": [], "tools": []})
    if isinstance(body.get("system"), str):
        body["system"] = [{"type": "text", "text": body["system"]}]
    for message in body["messages"]:
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        for block in message["content"]:
            if block["type"] == "tool_result":
                _drop(block, {"is_error": False, "content": []})
                if isinstance(block.get("content"), str):
                    block["content"] = [{"type": "text", "text": block["content"]}]
    for tool in body.get("tools", ()):
        _drop(tool, {"type": "custom"})
    return body


FREE: Final = frozenset({"args", "response", "parametersJsonSchema", "responseJsonSchema", "labels"})
"""Members of Gemini's whose content is the client's own JSON."""


def _gemini_request(body: dict[str, Any]) -> Json:
    """Protocol buffers as JSON have two names for each member and any letter case in an enumeration."""
    body = _camel(body)
    for content in [*body["contents"], *([body["systemInstruction"]] if "systemInstruction" in body else [])]:
        if isinstance(content.get("parts"), dict):
            content["parts"] = [content["parts"]]
    for content in body["contents"]:
        content.setdefault("role", "user")
        for part in content.setdefault("parts", []):
            _gemini_part(part)
    if "systemInstruction" in body:
        _drop(body["systemInstruction"], {"role": "user"})
        _drop(body["systemInstruction"], {"role": "system"})
    _drop(body, {"store": False})
    nothing: tuple[Json, ...] = ({"parts": [{"text": ""}]}, {"parts": []}, {})
    for empty in nothing:
        _drop(body, {"systemInstruction": empty})  # no words are no instruction
    config = body.get("generationConfig")
    if config is not None:
        _drop(config, {"stopSequences": []})
        if not config:
            del body["generationConfig"]
    return body


def _gemini_part(part: dict[str, Any]) -> None:
    """A part without any content is an empty text; a call without arguments has an empty object of them."""
    _drop(part, {"thought": False})
    if not {"partMetadata", "thoughtSignature", "thought"}.issuperset(part):
        if "functionCall" in part:
            part["functionCall"].setdefault("args", {})
    else:
        part["text"] = ""


def _camel(value: Json) -> Json:
    if isinstance(value, list):
        return [_camel(member) for member in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, member in value.items():
        name = re.sub(r"_([a-z])", lambda at: at[1].upper(), name)
        if name in FREE:
            made[name] = member
        elif name == "properties":
            made[name] = {key: _camel(one) for key, one in member.items()}
        elif name in ("type", "mode", "thinkingLevel") and isinstance(member, str):
            made[name] = member.upper()
        else:
            made[name] = _camel(member)
    return made


REQUESTS: Final[Mapping[str, Callable[[Json], Json]]] = {
    "openai_chat": _chat_request,
    "openai_responses": _responses_request,
    "anthropic": _anthropic_request,
    "gemini": _gemini_request,
}


def _chat_answer(body: dict[str, Any]) -> Json:
    for choice in body.get("choices", ()):
        message = choice.get("message", {})
        _drop(message, {"annotations": []})
        _drop(message, {"tool_calls": []})
        _drop(message, {"content": ""})
        _drop(choice, {"logprobs": {}})
    return body


def _anthropic_answer(body: dict[str, Any]) -> Json:
    for block in body.get("content", ()):
        if block["type"] == "text":
            _drop(block, {"citations": []})
    usage = body.get("usage", {})
    if "cache_creation" in usage:
        usage.setdefault("cache_creation_input_tokens", sum(usage["cache_creation"].values()))
    return body


def _gemini_answer(body: dict[str, Any]) -> Json:
    """Protocol buffers as JSON: zero is the default of a number, and an enumeration is its number or its name."""
    for candidate in body.get("candidates", ()):
        _drop(candidate, {"index": 0})
        candidate.setdefault("content", {}).setdefault("role", "model")
        _drop(candidate, {"finishReason": "FINISH_REASON_UNSPECIFIED"})
        for part in candidate["content"].get("parts", ()):
            _gemini_part(part)
        if isinstance(candidate.get("finishReason"), int):
            candidate["finishReason"] = NUMBERS[candidate["finishReason"]]
    return body


ANSWERS: Final[Mapping[str, Callable[[Json], Json]]] = {
    "openai_chat": _chat_answer,
    "openai_responses": lambda body: body,
    "anthropic": _anthropic_answer,
    "gemini": _gemini_answer,
}


def differences(one: Json, other: Json, path: str = "$") -> list[str]:
    """Where two JSON values differ, at most a screenful."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = [f"{path}.{name} is missing: {_short(one[name])}" for name in one if name not in other]
        found += [f"{path}.{name} is new: {_short(other[name])}" for name in other if name not in one]
        for name in one:
            if name in other:
                found += differences(one[name], other[name], f"{path}.{name}")
        return found[:20]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found = []
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            found += differences(left, right, f"{path}[{index}]")
        return found[:20]
    if one == other and isinstance(one, bool) == isinstance(other, bool):
        return []
    return [f"{path} was {_short(one)} and is {_short(other)}"]


def _short(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)[:160]
