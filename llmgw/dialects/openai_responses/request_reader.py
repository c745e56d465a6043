"""Reads a client's `POST /v1/responses`.

Source: the published OpenAPI document (`CreateResponse`). What needs the provider's own store or tools
(`previous_response_id`, `conversation`, `prompt`, `background`, hosted tools) stays in `native`, where every other
API refuses it by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, cast, get_args

from msgspec.structs import replace

from llmgw.canonical import (
    Chat,
    Effort,
    Json,
    JsonFormat,
    Message,
    NativeTool,
    Reasoning,
    Text,
    Tool,
    ToolChoice,
)
from llmgw.dialects import members
from llmgw.dialects.members import Members
from llmgw.dialects.openai_responses import item_reader
from llmgw.dialects.openai_responses.spelling import NAME, Said

_EFFORTS: Final = frozenset(get_args(Effort))
_VERBOSITY: Final = frozenset({"low", "medium", "high"})
_MODES: Final = frozenset({"auto", "none", "required"})
_LOGPROBS: Final = "message.output_text.logprobs"
_SATISFIED: Final = frozenset({_LOGPROBS, "reasoning.encrypted_content"})
"""Of `include`: what the neutral model has a field for, and what is always carried."""
_DEFAULTS: Final[Mapping[str, tuple[Json, ...]]] = {
    "background": (False,),
    "store": (False,),
    "truncation": ("disabled",),
    "include": ([],),
    "stream_options": ({}, {"include_obfuscation": False}),
}
"""Values that say what is so anyway."""


def read(body: bytes) -> Chat:
    """Read the request; InvalidRequest names the field that is not as it must be."""
    of = members.request(body)
    included = of.texts("include")
    text, thinking = of.object("text"), of.object("reasoning")
    metadata = of.object("metadata")
    instructions = of.text("instructions")
    choice, odd_choice = _choice(of)
    chat = Chat(
        dialect=NAME,
        model=of.need_text("model"),
        system=() if instructions is None else (Text(text=instructions),),
        messages=_input(of),
        tools=tuple(_tool(one) for one in of.objects("tools")),
        tool_choice=choice,
        parallel_tool_calls=of.flag("parallel_tool_calls"),
        max_tokens=of.integer("max_output_tokens"),
        temperature=of.number("temperature"),
        top_p=of.number("top_p"),
        logprobs=True if _LOGPROBS in included else None,
        top_logprobs=of.integer("top_logprobs") or None,
        format=None if text is None else _format(text),
        verbosity=None if text is None else _verbosity(text),
        reasoning=None if thinking is None else _reasoning(thinking),
        service_tier=of.text("service_tier"),
        user=of.text("user"),
        metadata=None if metadata is None else _texts(metadata),
        cache_key=of.text("prompt_cache_key"),
        stream=bool(of.flag("stream")),
    )
    native: dict[str, Json] = {
        name: value for name, value in of.rest().items() if value not in _DEFAULTS.get(name, ())
    }
    wanted = [one for one in included if one not in _SATISFIED]
    if wanted:
        native["include"] = wanted
    if odd_choice is not None:
        native["tool_choice"] = odd_choice
    for name, container in (("text", text), ("reasoning", thinking)):
        if container is not None and container.rest():
            native[name] = dict(container.rest())
    return replace(chat, native=Said(native, body))


def _input(of: Members) -> tuple[Message, ...]:
    value = of.whole().get("input")
    if isinstance(value, str):
        of.any("input")
        return (Message(role="user", parts=(Text(text=value),)),)
    if value is not None and not isinstance(value, list):
        raise of.wrong("input", "a string or an array of items")
    continued = "previous_response_id" in of or "conversation" in of
    return item_reader.messages(of.objects("input"), continued=continued)


def _tool(of: Members) -> Tool | NativeTool:
    kind = of.need_text("type")
    if kind == "function":
        return Tool(
            name=of.need_text("name"),
            description=of.text("description"),
            parameters=_schema(of, "parameters"),
            strict=of.flag("strict"),
            native=_own(of),
        )
    if kind == "custom":
        form = of.any("format")
        return Tool(
            name=of.need_text("name"),
            description=of.text("description"),
            custom=True,
            native=_own(of) if form is None else {**_own(of), "format": _nested(form)},
        )
    return NativeTool(dialect=NAME, kind=kind, data={"type": kind, **of.whole()})


def _own(of: Members) -> dict[str, Json]:
    """What only this API can say of a function."""
    if of.whole().get("defer_loading") is False:
        of.any("defer_loading")
    return dict(of.rest())


def _schema(of: Members, name: str) -> Json:
    """A JSON Schema, which is an object here."""
    schema = of.any(name)
    if schema is not None and not isinstance(schema, dict):
        raise of.wrong(name, "an object")
    return schema


def _nested(form: Json) -> Json:
    """A custom tool's input format as chat completions has it: the grammar is an object of its own there."""
    if not isinstance(form, dict) or form.get("type") != "grammar":
        return form
    return {
        "type": "grammar",
        "grammar": {name: value for name, value in form.items() if name in ("syntax", "definition")},
    }


def _choice(of: Members) -> tuple[ToolChoice | None, Json]:
    """The choice, or one that is OpenAI's own."""
    value = of.any("tool_choice")
    if value is None:
        return None, None
    if isinstance(value, str):
        if value not in _MODES:
            raise of.wrong("tool_choice", "none, auto, required or an object")
        return ToolChoice(mode=cast(Literal["auto", "none", "required"], value)), None
    if not isinstance(value, dict):
        raise of.wrong("tool_choice", "a string or an object")
    name = value.get("name")
    if value.get("type") in ("function", "custom"):
        if not isinstance(name, str):
            raise of.wrong("tool_choice.name", "a string")
        return ToolChoice(mode="required", names=(name,)), None
    if value.get("type") == "allowed_tools":
        return _allowed(of, value)
    return None, value


def _allowed(of: Members, value: dict[str, Any]) -> tuple[ToolChoice | None, Json]:
    mode, tools = value.get("mode"), value.get("tools")
    if mode not in ("auto", "required"):
        raise of.wrong("tool_choice.mode", "auto or required")
    if not isinstance(tools, list):
        raise of.wrong("tool_choice.tools", "an array")
    names = []
    for tool in tools:
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str):
            return None, value  # one of OpenAI's own tools is among them
        names.append(name)
    return ToolChoice(mode=mode, names=tuple(names)), None


def _format(text: Members) -> JsonFormat | None:
    of = text.object("format")
    if of is None:
        return None
    kind = of.need_text("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise of.wrong("type", "text, json_object or json_schema")
    form = None if kind == "text" else JsonFormat()
    if kind == "json_schema":
        form = JsonFormat(
            schema=_schema(of, "schema") or {},
            name=of.text("name"),
            description=of.text("description"),
            strict=of.flag("strict"),
        )
    if of.rest():
        text.whole()["format"] = dict(of.rest())
    return form


def _verbosity(text: Members) -> Literal["low", "medium", "high"] | None:
    said = text.text("verbosity")
    if said is not None and said not in _VERBOSITY:
        raise text.wrong("verbosity", "low, medium or high")
    return cast(Literal["low", "medium", "high"] | None, said)


def _reasoning(of: Members) -> Reasoning | None:
    effort, summary = of.text("effort"), of.text("summary")
    older = of.text("generate_summary")
    summary = summary or older
    if effort is not None and effort not in _EFFORTS:
        raise of.wrong("effort", "one of " + ", ".join(get_args(Effort)))
    if effort is None and summary is None:
        return None
    return Reasoning(
        effort=cast(Effort | None, effort), summary=summary, show=True if summary is not None else None
    )


def _texts(of: Members) -> Mapping[str, str]:
    for name, value in of.whole().items():
        if not isinstance(value, str):
            raise of.wrong(name, "a string")
    return of.whole()
