"""A client's `POST /v1/messages` (or `/v1/messages/count_tokens`) as a neutral request.

Source: the published OpenAPI document (`CreateMessageParams`, `BetaCreateMessageParams`). `max_tokens` is not asked
for here, because a count of tokens has none; the endpoint's own check does that for messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec.structs import replace

from llmgw.canonical import (
    CacheMark,
    Chat,
    Json,
    JsonFormat,
    Media,
    Message,
    Native,
    NativeTool,
    Part,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmgw.dialects import members
from llmgw.dialects.anthropic import block_reader, thinking
from llmgw.dialects.anthropic.block_reader import RequestMark
from llmgw.dialects.anthropic.block_writer import cache_control
from llmgw.dialects.anthropic.spelling import NAME, keep
from llmgw.dialects.members import Members

_ROLES: Final[Mapping[Json, Literal["system", "user", "assistant"]]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
}
_TIERS: Final = {"standard_only": "default"}
_CHOICES: Final[Mapping[Json, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "any": "required",
    "tool": "required",
    "none": "none",
}
_TOOL_DEFAULTS: Final[Mapping[str, Json]] = {
    "type": "custom",
    "defer_loading": False,
    "allowed_callers": ["direct"],
    "eager_input_streaming": False,
    "input_examples": [],
}


def read(body: bytes) -> Chat:
    """The request.

    Raises:
        InvalidRequest: names the field and what it must be.
    """
    of = members.request(body)
    native: dict[str, Json] = {}
    words: dict[str, Json] = {}
    messages = [_message(one) for one in of.objects("messages")]
    mark = block_reader.cache_mark(of)
    if mark is not None:
        place = words if _mark_last(messages, mark) else native
        place["cache_control"] = cache_control(mark)
    config = of.object("output_config")
    reasoning, left = thinking.read(of.object("thinking"), config)
    _put(native, "thinking", left)
    wanted = _format(of, config, words)
    if config is not None:
        _put(native, "output_config", config.rest())
    choice, parallel = _tool_choice(of, native)
    user = _user(of, native)
    tier = of.text("service_tier")
    return Chat(
        dialect=NAME,
        model=of.need_text("model"),
        system=block_reader.system(of),
        messages=tuple(messages),
        tools=tuple(_tool(one) for one in of.objects("tools")),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        max_tokens=_count(of, "max_tokens"),
        temperature=of.number("temperature"),
        top_p=of.number("top_p"),
        top_k=_count(of, "top_k"),
        stop=of.texts("stop_sequences"),
        format=wanted,
        reasoning=reasoning,
        service_tier=None if tier is None else _TIERS.get(tier, tier),
        user=user,
        stream=of.flag("stream") or False,
        native=keep({**of.rest(), **native}, words),
    )


def _put(native: dict[str, Json], name: str, left: Native) -> None:
    if left:
        native[name] = left


def _count(of: Members, name: str) -> int | None:
    value = of.integer(name)
    if value is not None and value < 0:
        raise of.wrong(name, "a whole number of 0 or more")
    return value


def _message(of: Members) -> Message:
    said = of.any("role")
    role = _ROLES.get(said) if type(said) is str else None
    if role is None:
        raise of.wrong("role", "'user', 'assistant' or 'system'")
    if "content" not in of:
        raise of.wrong("content", "a string or an array of content blocks")
    return Message(role=role, parts=block_reader.content(of), native=of.rest())


def _mark_last(messages: list[Message], mark: CacheMark) -> bool:
    """Put the request's own `cache_control` where the API says that it counts: on the last block that can bear one."""
    for at in range(len(messages) - 1, -1, -1):
        parts = messages[at].parts
        for index in range(len(parts) - 1, -1, -1):
            part = parts[index]
            if not isinstance(part, Text | Media | ToolCall | ToolResult):
                continue
            if part.cache is not None:
                return True  # by itself already
            marked: Part = replace(part, cache=RequestMark(ttl=mark.ttl))
            messages[at] = replace(messages[at], parts=(*parts[:index], marked, *parts[index + 1 :]))
            return True
    return False


def _format(of: Members, config: Members | None, words: dict[str, Json]) -> JsonFormat | None:
    """`output_config.format`, or `output_format` as its beta named it."""
    for place, name in ((config, "format"), (of, "output_format")):
        said = place.whole().get(name) if place is not None else None
        if said is None:
            continue
        assert place is not None
        if type(said) is not dict:
            raise place.wrong(name, "an object")
        if (
            said.keys() == {"type", "schema"}
            and said["type"] == "json_schema"
            and type(said["schema"]) is dict
        ):
            del place.whole()[name]
            if place is of:
                words["format"] = name
            return JsonFormat(schema=said["schema"])
    return None


def _tool_choice(of: Members, native: dict[str, Json]) -> tuple[ToolChoice | None, bool | None]:
    choice = of.object("tool_choice")
    if choice is None:
        return None, None
    said = choice.need_text("type")
    mode = _CHOICES.get(said)
    if mode is None:
        raise choice.wrong("type", "'auto', 'any', 'tool' or 'none'")
    names = (choice.need_text("name"),) if said == "tool" else ()
    serial = choice.flag("disable_parallel_tool_use")
    _put(native, "tool_choice", choice.rest())
    return ToolChoice(mode=mode, names=names), None if serial is None else not serial


def _user(of: Members, native: dict[str, Json]) -> str | None:
    metadata = of.object("metadata")
    if metadata is None:
        return None
    user = metadata.text("user_id")
    _put(native, "metadata", metadata.rest())
    return user


def _tool(of: Members) -> Tool | NativeTool:
    kind = of.whole().get("type")
    if kind is not None and type(kind) is not str:
        raise of.wrong("type", "a string")
    if kind not in (None, "custom"):
        return NativeTool(dialect=NAME, kind=kind, data=of.whole())
    words = {
        name: of.any(name)
        for name, default in _TOOL_DEFAULTS.items()
        if name in of and of.whole()[name] == default
    }
    schema = of.object("input_schema")
    return Tool(
        name=of.need_text("name"),
        description=of.text("description"),
        parameters=None if schema is None else schema.whole(),
        strict=of.flag("strict"),
        cache=block_reader.cache_mark(of),
        native=keep(of.rest(), words),
    )
