"""A neutral request as the body of `POST /v1/messages`.

Converted: `max_tokens` must be said here, so where the client set none it is the model's most, or 4,096 beside the
budget for thinking; a choice among some tools leaves the others out; a JSON format's description goes into its
schema, and its name, which is a label, goes nowhere. Refused: what the API has no member for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Chat, Json, JsonFormat, NativeTool, Tool
from llmgw.dialects import hints, json_text
from llmgw.dialects.anthropic import block_writer, thinking
from llmgw.dialects.anthropic.history import History
from llmgw.dialects.anthropic.spelling import NAME, words_of
from llmgw.dialects.codec import Losses, Recipient
from llmgw.errors import InvalidRequest

_TIERS: Final = {"auto": "auto", "priority": "auto", "default": "standard_only"}
"""`auto` takes the priority capacity that the account has bought, which nothing else can ask for."""


def body(chat: Chat, to: Recipient, losses: Losses) -> bytes:
    """The body of the request.

    Raises:
        UnsupportedParameter: through `losses`.
        InvalidRequest: the request contradicts itself.
    """
    return json_text.to_provider(_request(chat, to, losses))


def count_body(chat: Chat, to: Recipient, losses: Losses) -> bytes:
    """The body of the same request to `/v1/messages/count_tokens`, which takes what counts and nothing else."""
    written = _request(chat, to, losses)
    return json_text.to_provider({name: value for name, value in written.items() if name not in _UNCOUNTED})


_UNCOUNTED: Final = frozenset(
    {
        "max_tokens",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "metadata",
        "service_tier",
        "container",
        "inference_geo",
    }
)


def _request(chat: Chat, to: Recipient, losses: Losses) -> dict[str, Json]:
    own = chat.dialect == NAME
    limit = chat.max_tokens
    if limit is None:
        limit = to.capabilities.max_output or thinking.ROOM
    written: dict[str, Json] = {"model": to.model, "max_tokens": limit}
    messages, system = History(chat, to, losses).write()
    if system is not None:
        written["system"] = system
    written["messages"] = messages
    _tools(chat, to, losses, written)
    _sampling(chat, to, losses, written)
    thinking.write(chat, to, losses, written)
    if chat.format is not None:
        _format(chat, chat.format, to, losses, written)
    _nowhere(chat, losses)
    if chat.user is not None:
        written["metadata"] = {"user_id": chat.user}
    if chat.service_tier is not None:
        tier = _TIERS.get(chat.service_tier, chat.service_tier if own else None)
        if tier is None:
            losses.refuse("service_tier", "it has no such tier")
        else:
            written["service_tier"] = tier
    if chat.stream:
        written["stream"] = True
    if own:
        _put_back(chat, written)
    else:
        hints.account(chat.native, losses)
    return _for_host(to, losses, written)


def _put_back(chat: Chat, written: dict[str, Json]) -> None:
    """The members that only this API has, within their containers."""
    for name, value in chat.native.items():
        there = written.get(name)
        if isinstance(there, dict) and isinstance(value, dict):
            written[name] = {**there, **value}
        else:
            written[name] = value
    if "cache_control" in words_of(chat.native):
        written["cache_control"] = words_of(chat.native)["cache_control"]


def _tools(chat: Chat, to: Recipient, losses: Losses, written: dict[str, Json]) -> None:
    if not chat.tools:
        if chat.tool_choice is not None and (chat.dialect == NAME or chat.tool_choice.mode == "required"):
            _choice(chat, written)
        return
    if to.capabilities.tools is False:
        losses.refuse("tools", "it takes no tools")
        return
    tools = [block for tool in chat.tools if (block := _tool(chat, tool, losses)) is not None]
    choice = chat.tool_choice
    if choice is not None and chat.dialect != NAME:
        strange = set(choice.names) - {tool.name for tool in chat.tools if isinstance(tool, Tool)}
        if strange:
            raise InvalidRequest(
                f"The tool choice names no tool of the request: {min(strange)!r}.", param="tool_choice"
            )
    if choice is not None and choice.names and not (choice.mode == "required" and len(choice.names) == 1):
        tools = [tool for tool in tools if tool.get("name") in choice.names]
    if tools:
        written["tools"] = tools
        _choice(chat, written)


def _tool(chat: Chat, tool: Tool | NativeTool, losses: Losses) -> dict[str, Json] | None:
    own = chat.dialect == NAME
    if isinstance(tool, NativeTool):
        if tool.dialect != NAME:
            losses.refuse(f"tool.{tool.kind}", "it is a tool of another provider's")
            return None
        native: dict[str, Json] = tool.data
        return native
    if tool.custom:
        losses.refuse("tool.custom", "its tools take JSON and no free text")
        return None
    written: dict[str, Json] = {"name": tool.name}
    if tool.description is not None and (own or tool.description):
        written["description"] = tool.description
    if own:
        if tool.parameters is not None:
            written["input_schema"] = tool.parameters
    else:
        schema = tool.parameters if isinstance(tool.parameters, dict) else {}
        # The API wants it said that arguments are an object, which goes without saying elsewhere.
        written["input_schema"] = {"type": "object", **({} if schema else {"properties": {}}), **schema}
        losses.refuse_native(tool.native, prefix="tools[].")
    if tool.strict is not None:
        written["strict"] = tool.strict
    if tool.cache is not None:
        written["cache_control"] = block_writer.cache_control(tool.cache)
    return {**written, **block_writer.said(tool.native, own)}


def _choice(chat: Chat, written: dict[str, Json]) -> None:
    """`tool_choice`. A model that may call no tool cannot call two at once, so `none` has no such member."""
    choice, parallel = chat.tool_choice, chat.parallel_tool_calls
    said: dict[str, Json] = {}
    if choice is not None:
        if choice.mode == "required" and len(choice.names) == 1:
            said = {"type": "tool", "name": choice.names[0]}
        else:
            said = {"type": "any" if choice.mode == "required" else choice.mode}
    if parallel is False or (parallel is True and chat.dialect == NAME):
        said = said or {"type": "auto"}
        if said["type"] != "none":
            said["disable_parallel_tool_use"] = not parallel
    if said:
        written["tool_choice"] = said


def _sampling(chat: Chat, to: Recipient, losses: Losses, written: dict[str, Json]) -> None:
    own = chat.dialect == NAME
    fixed = to.capabilities.sampling is False
    for field in ("temperature", "top_p", "top_k"):
        value = getattr(chat, field)
        if value is None:
            continue
        if field == "top_p" and value == 1 and chat.temperature is not None and not own:
            losses.advise(field)  # asks for nothing, and newer models take one of the two only
            continue
        if fixed and not (value == 1 and field != "top_k"):
            losses.refuse(field, "it takes no sampling parameters")
        elif not own and field == "temperature" and value > 1:
            losses.refuse(field, "its temperature ends at 1")
        else:
            written[field] = value
    stop = [one for one in chat.stop if own or one.strip()]
    if len(stop) < len(chat.stop):
        losses.refuse("stop", "a stop sequence must not be white space only")
    if stop:
        written["stop_sequences"] = stop


def _format(chat: Chat, wanted: JsonFormat, to: Recipient, losses: Losses, written: dict[str, Json]) -> None:
    if wanted.schema is None:
        losses.refuse("format", "it gives JSON by a schema only")
        return
    if to.capabilities.json_schema is False:
        losses.refuse("format", "it gives no JSON by a schema")
        return
    schema = wanted.schema
    if isinstance(schema, dict) and wanted.description is not None:
        schema = {"description": wanted.description, **schema}
    said = {"type": "json_schema", "schema": schema}
    if chat.dialect == NAME and words_of(chat.native).get("format") == "output_format":
        written["output_format"] = said
    else:
        written.setdefault("output_config", {})["format"] = said


_NEUTRAL: Final[Mapping[str, tuple[Json, ...]]] = {
    "n": (None, 1),
    "seed": (None,),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "verbosity": (None, "medium"),
}
"""Fields without a counterpart, and the values that ask for nothing."""


def _nowhere(chat: Chat, losses: Losses) -> None:
    for field, nothing in _NEUTRAL.items():
        if getattr(chat, field) not in nothing:
            losses.refuse(field, "it has no such setting")
    for field in ("metadata", "cache_key"):
        if getattr(chat, field):
            losses.advise(field)


def _for_host(to: Recipient, losses: Losses, written: dict[str, Json]) -> dict[str, Json]:
    """The host's own names, and what it does not take."""
    for name in sorted(to.host.unsupported & written.keys()):
        losses.refuse(name, "the host that serves it does not take it")
        del written[name]
    return {to.host.renamed.get(name, name): value for name, value in written.items()}
