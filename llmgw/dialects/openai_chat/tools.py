"""Tools and what must be done with them, both ways; and the older `functions`, which are the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec.structs import replace

from llmgw.canonical import Chat, Json, NativeTool, Tool, ToolChoice
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.members import Members
from llmgw.dialects.openai_chat import content
from llmgw.dialects.openai_chat.spelling import NAME, keep, words_of
from llmgw.errors import InvalidRequest

FUNCTIONS: Final = "functions"
"""Under this word a request says that its client knows the older members only."""
_MODES: Final[Mapping[Json, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",  # Mistral
}


# Reading


def read(of: Members, words: dict[str, Json]) -> tuple[Tool | NativeTool, ...]:
    """The tools of a request."""
    found = [_tool(one) for one in of.objects("tools")]
    for one in of.objects("functions"):
        found.append(_function(one, {}, {FUNCTIONS: True}))
        words[FUNCTIONS] = True
    return tuple(found)


def _tool(of: Members) -> Tool | NativeTool:
    kind = of.whole().get("type")
    if kind is not None and type(kind) is not str:
        raise of.wrong("type", "a string")
    if kind not in (None, "function", "custom"):
        return NativeTool(dialect=NAME, kind=kind, data=of.whole())
    words: dict[str, Json] = {} if kind is not None else {"type": None}
    of.any("type")
    cache = content.cache_mark(of, words)
    custom = kind == "custom"
    inner = of.object("custom" if custom else "function")
    if inner is None:
        raise of.wrong("custom" if custom else "function", "an object")
    if not custom:
        tool = _function(inner, of.rest(), words)
    else:
        tool = Tool(
            name=inner.need_text("name"),
            description=inner.text("description"),
            custom=True,
            native=keep({**of.rest(), **inner.rest()}, words),
        )
    return tool if cache is None else replace(tool, cache=cache)


def _function(inner: Members, beside: Mapping[str, Json], words: dict[str, Json]) -> Tool:
    name, description = inner.need_text("name"), inner.text("description")
    schema = inner.object("parameters")
    strict = inner.flag("strict")
    native = dict(beside)
    if inner.rest():
        native["function"] = inner.rest()
    return Tool(
        name=name,
        description=description,
        parameters=None if schema is None else schema.whole(),
        strict=strict,
        native=keep(native, words),
    )


def read_choice(of: Members, native: dict[str, Json], words: dict[str, Json]) -> ToolChoice | None:
    """`tool_choice` or the older `function_call`."""
    name = "tool_choice" if "tool_choice" in of or "function_call" not in of else "function_call"
    value = of.any(name)
    if value is None:
        return None
    if type(value) is str:
        mode = _MODES.get(value)
        if mode is None:
            raise of.wrong(name, "'none', 'auto', 'required' or an object")
        if value == "any":
            words[name] = value
        return ToolChoice(mode=mode)
    if type(value) is not dict:
        raise of.wrong(name, "a string or an object")
    names = (_name(value),) if name == "function_call" else _named(value)
    if None in names:
        raise of.wrong(name, "an object that names a tool")
    words[name] = value
    known = tuple(one for one in names if one is not None)
    allowed = value.get("allowed_tools")
    if type(allowed) is dict and known:
        mode = _MODES.get(allowed.get("mode")) if type(allowed.get("mode")) is str else None
        if mode in ("auto", "required"):
            return ToolChoice(mode=mode, names=known)
    elif known:
        return ToolChoice(mode="required", names=known)
    native[name] = value
    del words[name]
    return None


def _named(value: dict[str, Json]) -> tuple[str | None, ...]:
    """The names of the tools that an object chooses; none where it chooses by something else than a name."""
    kind = value.get("type")
    if kind in ("function", "custom"):
        return (_name(value.get(kind)),)
    allowed = value.get("allowed_tools")
    listed = allowed.get("tools") if kind == "allowed_tools" and type(allowed) is dict else None
    if type(listed) is not list:
        return ()
    names = []
    for one in listed:
        if type(one) is not dict or one.get("type") not in ("function", "custom"):
            return ()  # a tool that the provider runs
        names.append(_name(one.get(one["type"])) or _name(one))
    return tuple(names)


def _name(value: Json) -> str | None:
    name = value.get("name") if type(value) is dict else None
    return name if type(name) is str else None


# Writing


def write(chat: Chat, to: Recipient, losses: Losses) -> dict[str, Json]:
    """The members of a request that concern tools."""
    own = chat.dialect == NAME
    if chat.tools and to.capabilities.tools is False:
        losses.refuse("tools", "it takes no tools")
        return {}
    written: dict[str, Json] = {}
    choice = chat.tool_choice
    offered = [(tool, block) for tool in chat.tools if (block := _block(tool, own, to, losses)) is not None]
    filtered = choice is not None and choice.names and not own and "allowed_tools" in to.host.unsupported
    if filtered and choice is not None and len(choice.names) > 1:
        offered = [
            (tool, block) for tool, block in offered if isinstance(tool, Tool) and tool.name in choice.names
        ]
        choice = ToolChoice(mode=choice.mode)
    for tool, block in offered:
        older = isinstance(tool, Tool) and own and FUNCTIONS in words_of(tool.native)
        written.setdefault("functions" if older else "tools", []).append(block)
    if choice is not None and (own or written):
        written.update(_choice(chat, choice))
    if chat.parallel_tool_calls is not None and (own or (written and not chat.parallel_tool_calls)):
        written["parallel_tool_calls"] = chat.parallel_tool_calls
    return written


def _block(tool: Tool | NativeTool, own: bool, to: Recipient, losses: Losses) -> dict[str, Json] | None:
    if isinstance(tool, NativeTool):
        if tool.dialect == NAME:
            whole: dict[str, Json] = tool.data
            return whole
        losses.refuse(f"tool.{tool.kind}", "it is a tool of another provider's")
        return None
    written: dict[str, Json] = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.parameters is not None:
        written["parameters"] = tool.parameters
    if tool.strict is not None and not tool.custom:
        written["strict"] = tool.strict
    kind = "custom" if tool.custom else "function"
    if own:
        return _own_block(tool, kind, written)
    if tool.custom and tool.native.keys() == {"format"}:
        written["format"] = _custom_format(tool.native["format"])
    else:
        losses.refuse_native(tool.native, prefix="tools[].")
    marked: dict[str, Json] = {"type": kind, kind: written}
    if tool.cache is not None and "cache_control" in to.host.renamed:
        marked.update(content.mark(tool))
    elif tool.cache is not None:
        losses.advise("tool.cache")  # it caches prefixes by itself
    return marked


def _custom_format(given: Json) -> Json:
    """The format of a custom tool's input: the Responses API has a grammar's members one level higher."""
    if type(given) is not dict or given.get("type") != "grammar" or "grammar" in given:
        return given
    inner = {name: value for name, value in given.items() if name != "type"}
    return {"type": "grammar", "grammar": inner}


def _own_block(tool: Tool, kind: str, inner: dict[str, Json]) -> dict[str, Json]:
    words, native = words_of(tool.native), dict(tool.native)
    inner.update(native if tool.custom else native.pop("function", {}))
    if FUNCTIONS in words:
        return inner
    written: dict[str, Json] = {kind: inner} if "type" in words else {"type": kind, kind: inner}
    return {**written, **({} if tool.custom else native), **content.mark(tool)}


def _choice(chat: Chat, choice: ToolChoice) -> dict[str, Json]:
    own = chat.dialect == NAME
    words = words_of(chat.native) if own else {}
    for name in ("tool_choice", "function_call"):
        if name in words:
            return {name: words[name]}
    name = "function_call" if FUNCTIONS in words else "tool_choice"
    if not choice.names:
        return {name: choice.mode}
    kinds = {
        tool.name: "custom" if tool.custom else "function" for tool in chat.tools if isinstance(tool, Tool)
    }
    strange = set(choice.names) - kinds.keys()
    if strange and not own:
        raise InvalidRequest(
            f"The tool choice names no tool of the request: {min(strange)!r}.", param="tool_choice"
        )
    listed: list[Json] = []
    for one in choice.names:
        kind = kinds.get(one, "function")
        listed.append({"type": kind, kind: {"name": one}})
    if choice.mode == "required" and len(listed) == 1:
        return {name: listed[0]}
    return {name: {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": listed}}}
