"""Tools and the choice among them as `toolConfig`.

The API has no word that forbids calls, wants the tools beside any conversation that has calls, and cannot be told to
call one at a time. In a conversation without calls, tools that must not be called are left out, which says the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from llmgw.canonical import Chat, Json, NativeTool, Tool, ToolChoice
from llmgw.dialects.bedrock import families
from llmgw.dialects.bedrock.cache_point import cache_point
from llmgw.dialects.bedrock.spelling import NAME
from llmgw.dialects.codec import Losses, Recipient
from llmgw.errors import InvalidRequest

Block = dict[str, Json]

_fits: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}").fullmatch
_foreign: Final = re.compile(r"[^a-zA-Z0-9_-]").sub
_NAMES: Final = "its tools have names of 1 to 64 letters, digits, '_' and '-'"


def called_name(given: str, losses: Losses) -> str:
    """The name of a tool that was called."""
    if _fits(given) is not None:
        return given
    losses.refuse("tool.name", _NAMES)
    return _foreign("_", given)[:64] or "_"


def write(chat: Chat, to: Recipient, losses: Losses, called: Iterable[str]) -> Block | None:
    """`toolConfig`; None where there is nothing to say.

    Args:
        called: the names of the tools that the conversation has calls of.

    Raises:
        UnsupportedParameter: through `losses`.
        InvalidRequest: the choice names a tool that is none of the request's.
    """
    history = tuple(called)
    choice = chat.tool_choice
    if choice is not None and choice.mode == "none":
        if not history:
            return None
        if chat.tools:
            losses.refuse("tool_choice", "it cannot forbid calls in a conversation that has some")
        choice = None
    if chat.tools and to.capabilities.tools is False:
        losses.refuse("tools", "it takes no tools")
        return None
    offered = _offered(chat, to, losses, choice)
    if not offered:
        if choice is not None and choice.mode == "required" and not chat.tools:
            losses.refuse("tool_choice", "the request has no tools")
        return _of_history(history, losses)
    config: Block = {"tools": offered}
    if choice is not None:
        config["toolChoice"] = _choice(choice)
    if chat.parallel_tool_calls is False:
        losses.refuse("parallel_tool_calls", "it cannot be told to call one tool at a time")
    return config


def _offered(chat: Chat, to: Recipient, losses: Losses, choice: ToolChoice | None) -> list[Block]:
    names = frozenset(() if choice is None else choice.names)
    strange = names - {tool.name for tool in chat.tools if isinstance(tool, Tool)}
    if strange:
        raise InvalidRequest(
            f"The tool choice names no tool of the request: {min(strange)!r}.", param="tool_choice"
        )
    forced = choice is not None and choice.mode == "required" and len(names) == 1
    family = families.of(to.model)
    offered: list[Block] = []
    for tool in chat.tools:
        if names and not forced and (isinstance(tool, NativeTool) or tool.name not in names):
            continue  # a choice among some leaves the others out
        written = _tool(tool, chat.dialect == NAME, losses)
        if written is None:
            continue
        offered.append(written)
        if isinstance(tool, Tool) and tool.cache is not None:
            point = cache_point(tool.cache, family, "tools", losses)
            offered += [] if point is None else [point]
    return offered


def _tool(tool: Tool | NativeTool, own: bool, losses: Losses) -> Block | None:
    if isinstance(tool, NativeTool):
        if tool.dialect == NAME:
            native: Block = tool.data
            return native
        losses.refuse(f"tool.{tool.kind}", "it is a tool of another provider's")
        return None
    if tool.custom:
        losses.refuse("tool.custom", "its tools take JSON and no free text")
        return None
    if _fits(tool.name) is None:
        losses.refuse("tool.name", _NAMES)
        return None
    if not own:
        losses.refuse_native(tool.native, prefix="tools[].")
    spec: Block = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": _schema(tool.parameters)}
    if tool.strict:
        spec["strict"] = True
    return {"toolSpec": {**spec, **(tool.native if own else {})}}


def _schema(given: Json) -> Json:
    """The API wants it said that arguments are an object, which goes without saying elsewhere."""
    schema = given if type(given) is dict else {}
    return {"type": "object", **({} if schema else {"properties": {}}), **schema}


def _choice(choice: ToolChoice) -> Block:
    if choice.mode == "required" and len(choice.names) == 1:
        return {"tool": {"name": choice.names[0]}}
    return {"any" if choice.mode == "required" else "auto": {}}


def _of_history(called: tuple[str, ...], losses: Losses) -> Block | None:
    """The least that the API takes beside calls whose tools the client does not offer any more."""
    if not called:
        return None
    losses.refuse(
        "part.tool_call", "it takes calls and their results only beside the definitions of the tools"
    )
    names = dict.fromkeys(called_name(one, losses) for one in called)
    return {"tools": [{"toolSpec": {"name": one, "inputSchema": {"json": _schema(None)}}} for one in names]}
