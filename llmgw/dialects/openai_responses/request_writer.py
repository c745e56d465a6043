"""Writes the request to a provider of the Responses API.

Nothing is stored there unless this API's own client asked for it, so reasoning is asked for encrypted where the model
reasons: the conversation comes back whole in the next request. Functions are strict there unless told otherwise, and in
every other API the other way round, so that is always said. A request of this API's own goes out as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmgw.canonical import Chat, Effort, Json, Native, NativeTool, Reasoning, Text, Tool
from llmgw.dialects import origin
from llmgw.dialects import reasoning as scale
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.json_text import to_provider
from llmgw.dialects.openai_chat.request_writer import can_be_strict
from llmgw.dialects.openai_responses import item_writer, request_reader, seal
from llmgw.dialects.openai_responses.spelling import ADVISORY, NAME, TIERS, Said, whole_of

_EFFORTS: Final[tuple[Effort, ...]] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LEAST_OUTPUT: Final = 16
"""The API's least `max_output_tokens` (its OpenAPI document)."""
_NO_COUNTERPART: Final = "the Responses API has no such parameter"
_NEUTRAL: Final[Mapping[str, tuple[Json, ...]]] = {
    "n": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "stop": ((),),
}
"""Of fields without a counterpart: the values that say what is so anyway."""
_UNASKED: Final[Mapping[str, tuple[Json, ...]]] = {"store": (False,)}
"""What is said although no client asks for it, so that a host that does not take it loses nothing."""
_CARRIED: Final[Mapping[str, str]] = {
    "user": "user",
    "metadata": "metadata",
    "cache_key": "prompt_cache_key",
    "top_logprobs": "top_logprobs",
}


def body(chat: Chat, to: Recipient, losses: Losses) -> bytes:
    """The body of the request.

    Raises:
        UnsupportedParameter: through `losses`.
        InvalidRequest: the conversation contradicts itself.
    """
    chat = _without_foreign(chat, losses)
    before = len(losses.dropped)
    written = _request(chat, to, losses)
    if len(losses.dropped) == before and _is_as_read(chat):
        written = whole_of(chat.native) or written
    written["model"] = to.model
    for name in sorted(to.host.unsupported & written.keys()):
        if written.pop(name) not in _UNASKED.get(name, ()):
            losses.refuse(name, "its host does not take it")
    return to_provider({to.host.renamed.get(name, name): value for name, value in written.items()})


def _without_foreign(chat: Chat, losses: Losses) -> Chat:
    """The same request without other providers' thoughts, which this API's refuses; all else stays as it came."""
    whole = whole_of(chat.native) if chat.dialect == NAME else None
    items = None if whole is None else whole.get("input")
    if (
        whole is None
        or not isinstance(items, list)
        or not origin.holds_foreign(chat)
        or not _is_as_read(chat)
    ):
        return chat
    losses.advise("part.thought")
    whole["input"] = [item for item in items if not seal.is_sealed(item)]
    return request_reader.read(to_provider(whole))


def _is_as_read(chat: Chat) -> bool:
    """Whether the request is still what the client wrote."""
    return (
        chat.dialect == NAME
        and isinstance(chat.native, Said)
        and request_reader.read(chat.native.body) == chat
    )


def _request(chat: Chat, to: Recipient, losses: Losses) -> dict[str, Json]:
    capabilities, own = to.capabilities, chat.dialect == NAME
    if not own:
        losses.refuse_native(chat.native, ADVISORY)
    for field in ("n", "seed", "top_k", "stop", "presence_penalty", "frequency_penalty"):
        value = getattr(chat, field)
        if value is not None and value not in _NEUTRAL.get(field, ()):
            losses.refuse(field, _NO_COUNTERPART)
    written: dict[str, Json] = {"store": False, "include": []}
    _instruct(chat, written, losses)
    written["input"] = item_writer.items(chat, to, losses)
    _offer(chat, to, written, losses)
    if chat.max_tokens is not None:
        if chat.max_tokens < LEAST_OUTPUT and not own:
            losses.refuse("max_tokens", f"it must be at least {LEAST_OUTPUT}")
        else:
            written["max_output_tokens"] = chat.max_tokens
    for field in ("temperature", "top_p"):
        value = getattr(chat, field)
        if value is not None and value != 1 and capabilities.sampling is False:
            losses.refuse(field, "the model does not take it")
        elif value is not None and capabilities.sampling is not False:
            written[field] = value
    text = _text(chat, capabilities.json_schema, losses)
    if text:
        written["text"] = text
    _think(chat.reasoning, capabilities.reasoning, written, losses)
    if chat.logprobs:
        written["include"].append("message.output_text.logprobs")
    for field, name in _CARRIED.items():
        value = getattr(chat, field)
        if value is not None:
            written[name] = value
    if chat.service_tier is not None and chat.service_tier not in TIERS and not own:
        losses.refuse("service_tier", "OpenAI has no tier of that name")
    elif chat.service_tier is not None:
        written["service_tier"] = chat.service_tier
    if chat.stream:
        written["stream"] = True
    if own:
        _put_back(chat.native, written)
    if not written["include"]:
        del written["include"]
    return written


def _put_back(native: Native, written: dict[str, Json]) -> None:
    """The members that only this API has; those of `text` and `reasoning` beside what is there already."""
    for name, value in native.items():
        there = written.get(name)
        if isinstance(there, dict) and isinstance(value, dict):
            _put_back(value, there)
        elif name == "include" and isinstance(there, list):
            there += [one for one in value if one not in there]
        else:
            written[name] = value


def _instruct(chat: Chat, written: dict[str, Json], losses: Losses) -> None:
    instructions: list[str] = []
    for part in chat.system:
        if isinstance(part, Text):
            item_writer.leave_out(part, chat.dialect, losses)
            instructions.append(part.text)
        else:
            losses.refuse("system", "only text can stand in the instructions")
    if instructions:
        written["instructions"] = "\n\n".join(instructions)


# Tools


def _offer(chat: Chat, to: Recipient, written: dict[str, Json], losses: Losses) -> None:
    tools: list[Json] = []
    if chat.tools and to.capabilities.tools is False:
        losses.refuse("tools", "the model calls no functions")
    else:
        tools = [one for tool in chat.tools if (one := _tool(tool, chat, losses)) is not None]
    if tools:
        written["tools"] = tools
        if chat.parallel_tool_calls is not None:
            written["parallel_tool_calls"] = chat.parallel_tool_calls
    choice = chat.tool_choice
    if choice is None:
        return
    if tools:
        written["tool_choice"] = _choice(chat)
    elif choice.mode == "required":
        losses.refuse("tool_choice", "there is no tool to choose")


def _tool(tool: Tool | NativeTool, chat: Chat, losses: Losses) -> dict[str, Json] | None:
    own = chat.dialect == NAME
    if isinstance(tool, NativeTool):
        if tool.dialect == NAME:
            return dict(tool.data)
        losses.refuse(f"tool.{tool.kind}", "it is another provider's own tool")
        return None
    if tool.cache is not None:
        losses.advise("tool.cache")
    written: dict[str, Json] = {"type": "custom" if tool.custom else "function", "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    native = dict(tool.native)
    if tool.custom:
        form = native.pop("format", None)
        if form is not None:
            written["format"] = _flat(form)
    else:
        written["parameters"] = tool.parameters or {"type": "object", "properties": {}}
        if tool.strict is not None or not own:
            written["strict"] = bool(tool.strict)
    if own:
        return {**native, **written}
    losses.refuse_native(native, prefix="tools[].")
    return written


def _flat(form: Any) -> Json:
    """A custom tool's input format, whose grammar is an object of its own in chat completions."""
    grammar = form.get("grammar") if isinstance(form, dict) else None
    return {"type": "grammar", **grammar} if isinstance(grammar, dict) else form


def _choice(chat: Chat) -> Json:
    choice = chat.tool_choice
    assert choice is not None
    if not choice.names:
        return choice.mode
    custom = {tool.name for tool in chat.tools if isinstance(tool, Tool) and tool.custom}
    tools = [{"type": "custom" if name in custom else "function", "name": name} for name in choice.names]
    if len(tools) == 1 and choice.mode == "required":
        return tools[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}


# The form of the answer, and thinking


def _text(chat: Chat, schemas: bool | None, losses: Losses) -> dict[str, Json]:
    written: dict[str, Json] = {}
    form = chat.format
    if form is not None and form.schema is None:
        written["format"] = {"type": "json_object"}
    elif form is not None and schemas is False:
        losses.refuse("format", "the model does not keep to a JSON Schema")
    elif form is not None:
        described = {} if form.description is None else {"description": form.description}
        strict = form.strict
        if strict is None and chat.dialect not in (NAME, "openai_chat"):
            strict = can_be_strict(form.schema)  # the other APIs always hold the answer to the schema
        written["format"] = {
            "type": "json_schema",
            "name": form.name or "answer",
            "schema": form.schema,
            "strict": bool(strict),
            **described,
        }
    if chat.verbosity is not None:
        written["verbosity"] = chat.verbosity
    return written


def _think(wish: Reasoning | None, style: str | None, written: dict[str, Json], losses: Losses) -> None:
    if style == "none":
        if wish is not None and scale.budget(wish) != 0:
            losses.refuse("reasoning", "the model does not reason")
        return
    if style is not None or wish is not None:
        written["include"].append("reasoning.encrypted_content")
    if wish is None:
        return
    thinking: dict[str, Json] = {}
    effort = scale.effort(wish, _EFFORTS)
    if effort is None and wish.adaptive:
        effort = "medium"  # what the model decides by itself
    if effort is not None:
        thinking["effort"] = effort
    if wish.summary is not None:
        thinking["summary"] = wish.summary
    elif wish.show:
        thinking["summary"] = "auto"
    if thinking:
        written["reasoning"] = thinking
