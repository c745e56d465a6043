"""A client's `generateContent` request in neutral words.

Source: the published discovery document (v1beta) and Vertex AI's additions (labels, fields of media). The model and
whether to stream stand in the URL; `alt=sse` in its query says how a stream is framed.
"""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import parse_qsl

from llmgw.canonical import (
    NOTHING,
    Chat,
    Json,
    Message,
    NativeTool,
    Part,
    Text,
    Tool,
    ToolChoice,
)
from llmgw.dialects.gemini import config_reader, part_reader, schema, spelling
from llmgw.dialects.gemini.config_reader import Config
from llmgw.dialects.gemini.spelling import NAME, Fields, keep

_ROLES: Final[dict[str | None, Literal["user", "assistant", "tool"]]] = {
    None: "user",
    "": "user",
    "user": "user",
    "model": "assistant",
    "function": "tool",
}
_MODES: Final[dict[str, ToolChoice | None]] = {
    "MODE_UNSPECIFIED": None,
    "AUTO": ToolChoice(mode="auto"),
    "ANY": ToolChoice(mode="required"),
    "NONE": ToolChoice(mode="none"),
    "VALIDATED": ToolChoice(mode="auto"),
}
_TIERS: Final = {"standard": "default", "unspecified": "auto"}


def read(body: bytes, *, model: str | None, stream: bool | None, query: bytes) -> Chat:
    """Read the request.

    Raises:
        InvalidRequest: names the field and what it must be.
    """
    request = spelling.request(body)
    native: dict[str, Json] = {}
    words: dict[str, Json] = {}
    named = request.text("model")
    model = model if model is not None else named
    if model is None:
        raise request.wrong("model", "a string")

    config = request.fields("generationConfig")
    found = Config() if config is None else config_reader.read(config, native, words)
    choice, validated = _tool_config(request, native, words)
    tools = _tools(request, strict=validated)
    contents = [_message(content) for content in request.every("contents")]
    system = _system(request)
    metadata = _labels(request)
    tier = request.text("serviceTier")
    if request.flag("store"):
        native["store"] = True
    native.update(config_reader.at("", request))
    return Chat(
        dialect=NAME,
        model=model.removeprefix("models/"),
        system=system,
        messages=tuple(contents),
        tools=tools,
        tool_choice=choice,
        max_tokens=found.max_tokens,
        temperature=found.temperature,
        top_p=found.top_p,
        top_k=found.top_k,
        stop=found.stop,
        n=found.n,
        seed=found.seed,
        presence_penalty=found.presence_penalty,
        frequency_penalty=found.frequency_penalty,
        logprobs=found.logprobs,
        top_logprobs=found.top_logprobs,
        format=found.format,
        reasoning=found.reasoning,
        service_tier=None if tier is None else _TIERS.get(tier.lower(), tier.lower()),
        metadata=metadata,
        stream=bool(stream),
        framing="sse" if not stream or wants_events(query) else "array",
        native=keep(native or NOTHING, words),
    )


def wants_events(query: bytes) -> bool:
    """Whether the query string asks for server-sent events."""
    pairs = parse_qsl(query.decode("latin-1"))
    return any(name in ("alt", "$alt") and value.lower() == "sse" for name, value in pairs)


def _system(request: Fields) -> tuple[Part, ...]:
    value = request.whole().get("systemInstruction")
    if type(value) is str:
        request.any("systemInstruction")
        return (Text(text=value),)
    instruction = request.fields("systemInstruction")
    if instruction is None:
        return ()
    # Its role means nothing: Google's own clients send none, `user` or `system`.
    instruction.text("role")
    parts = part_reader.read_all(instruction.every("parts"))
    return () if parts == (Text(text=""),) else parts


def _message(content: Fields) -> Message:
    role = content.text("role")
    if role not in _ROLES:
        raise content.wrong("role", "'user' or 'model'")
    parts = part_reader.read_all(content.every("parts"))
    return Message(role=_ROLES[role], parts=parts, native=content.rest())


def _tools(request: Fields, *, strict: bool) -> tuple[Tool | NativeTool, ...]:
    found: list[Tool | NativeTool] = []
    for group in request.every("tools"):
        found += [_function(declaration, strict) for declaration in group.every("functionDeclarations")]
        for name, value in group.rest().items():
            found.append(NativeTool(dialect=NAME, kind=name, data={name: value}))
    return tuple(found)


def _function(declaration: Fields, strict: bool) -> Tool:
    name = declaration.need_text("name")
    description = declaration.text("description")
    openapi = declaration.any("parameters")
    parameters = declaration.any("parametersJsonSchema")
    words: dict[str, Json] = {}
    if openapi is not None:
        if parameters is not None:
            raise declaration.wrong("parameters", "left out where parametersJsonSchema is given")
        words["parameters"] = openapi
        parameters = schema.to_json_schema(openapi, declaration.path("parameters"))
    elif parameters is not None and type(parameters) is not dict:
        raise declaration.wrong("parametersJsonSchema", "an object")
    if declaration.whole().get("behavior") in ("BLOCKING", "UNSPECIFIED"):  # as every function is
        words["behavior"] = declaration.any("behavior")
    return Tool(
        name=name,
        description=description,
        parameters=parameters,
        strict=strict or None,
        native=keep(declaration.rest(), words),
    )


def _tool_config(
    request: Fields, native: dict[str, Json], words: dict[str, Json]
) -> tuple[ToolChoice | None, bool]:
    """What must be done with the tools, and whether calls must keep to their schema (VALIDATED)."""
    config = request.fields("toolConfig")
    if config is None:
        return None, False
    # It says how server-side tools answer; a request that has some is refused elsewhere for having them.
    served = config.flag("includeServerSideToolInvocations")
    if served is not None:
        words["toolConfig.includeServerSideToolInvocations"] = served
    calling = config.fields("functionCallingConfig")
    native.update(config_reader.at("toolConfig.", config))
    if calling is None:
        return None, False
    prefix = "toolConfig.functionCallingConfig."
    said = calling.text("mode")
    mode = (said or "MODE_UNSPECIFIED").upper()
    if mode not in _MODES:
        raise calling.wrong("mode", "one of " + ", ".join(_MODES))
    names = calling.strings("allowedFunctionNames")
    streamed = calling.flag("streamFunctionCallArguments")
    if streamed is not None:  # in which pieces a call arrives changes nothing about it
        words[prefix + "streamFunctionCallArguments"] = streamed
    native.update(config_reader.at(prefix, calling))
    if said is not None:
        words[prefix + "mode"] = said
    choice = _MODES[mode]
    if choice is not None and names:
        choice = ToolChoice(mode=choice.mode, names=names)
    return choice, mode == "VALIDATED"


def _labels(request: Fields) -> dict[str, str] | None:
    labels = request.any("labels")
    if labels is None:
        return None
    if type(labels) is not dict or any(type(value) is not str for value in labels.values()):
        raise request.wrong("labels", "an object of strings")
    return labels
