"""Writes the request to a provider of the Responses API.

Nothing is stored there unless this API's own client asked for it, so reasoning is asked for encrypted where the model
reasons: the conversation comes back whole in the next request. Functions are strict there unless told otherwise, and in
every other API the other way round, so that is always said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Chat, Effort, Json, NativeTool, Reasoning, Text, Tool
from llmgw.dialects import reasoning as scale
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.openai_responses import item_writer
from llmgw.dialects.openai_responses.spelling import ADVISORY, NAME, to_provider, whole_of

_EFFORTS: Final[tuple[Effort, ...]] = ("none", "minimal", "low", "medium", "high", "xhigh")
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


def body(chat: Chat, to: Recipient, losses: Losses) -> bytes:
    """The body of the request.

    Raises:
        UnsupportedParameter: through `losses`.
        InvalidRequest: the conversation contradicts itself.
    """
    whole = whole_of(chat.native) if chat.dialect == NAME else None
    if whole is None:
        whole = _request(chat, to, losses)
    whole["model"] = to.model
    for name in sorted(to.host.unsupported & whole.keys()):
        losses.refuse(name, "its host does not take it")
        del whole[name]
    return to_provider({to.host.renamed.get(name, name): value for name, value in whole.items()})


def _request(chat: Chat, to: Recipient, losses: Losses) -> dict[str, Json]:
    capabilities = to.capabilities
    for field in ("n", "seed", "top_k", "stop", "presence_penalty", "frequency_penalty"):
        value = getattr(chat, field)
        if value is not None and value not in _NEUTRAL.get(field, ()):
            losses.refuse(field, _NO_COUNTERPART)
    written: dict[str, Json] = {"store": False, "include": []}
    instructions = [part.text for part in chat.system if isinstance(part, Text)]
    for part in chat.system:
        if not isinstance(part, Text):
            losses.refuse("system", "only text can stand in the instructions")
        elif part.cache is not None:
            losses.advise("part.cache")
    if instructions:
        written["instructions"] = "\n\n".join(instructions)
    written["input"] = item_writer.items(chat, capabilities, losses)
    if chat.tools and capabilities.tools is False:
        losses.refuse("tools", "the model calls no functions")
    elif chat.tools:
        written["tools"] = [one for tool in chat.tools if (one := _tool(tool, chat, losses)) is not None]
        if chat.tool_choice is not None:
            written["tool_choice"] = _choice(chat)
        if chat.parallel_tool_calls is not None:
            written["parallel_tool_calls"] = chat.parallel_tool_calls
    if chat.max_tokens is not None:
        if chat.max_tokens < LEAST_OUTPUT and chat.dialect != NAME:
            losses.refuse("max_tokens", f"it must be at least {LEAST_OUTPUT}")
        else:
            written["max_output_tokens"] = chat.max_tokens
    for field in ("temperature", "top_p"):
        value = getattr(chat, field)
        if value is not None and capabilities.sampling is False:
            losses.refuse(field, "the model does not take it")
        elif value is not None:
            written[field] = value
    text = _text(chat, capabilities.json_schema, losses)
    if text:
        written["text"] = text
    _thinking(chat.reasoning, capabilities.reasoning, written, losses)
    if chat.logprobs:
        written["include"].append("message.output_text.logprobs")
        if chat.top_logprobs is not None:
            written["top_logprobs"] = chat.top_logprobs
    if not written["include"]:
        del written["include"]
    for field, name in _CARRIED.items():
        value = getattr(chat, field)
        if value is not None:
            written[name] = value
    if chat.stream:
        written["stream"] = True
    if chat.dialect == NAME:
        written.update(chat.native)
    else:
        losses.refuse_native(chat.native, ADVISORY)
    return written


_CARRIED: Final[Mapping[str, str]] = {
    "service_tier": "service_tier",
    "user": "user",
    "metadata": "metadata",
    "cache_key": "prompt_cache_key",
}


def _tool(tool: Tool | NativeTool, chat: Chat, losses: Losses) -> dict[str, Json] | None:
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
    if not tool.custom:
        written["parameters"] = tool.parameters or {"type": "object", "properties": {}}
        if tool.strict is not None or chat.dialect != NAME:
            written["strict"] = bool(tool.strict)
    if tool.custom and "format" in tool.native:
        form = tool.native["format"]
        grammar = form.get("grammar") if isinstance(form, dict) else None
        written["format"] = {"type": "grammar", **grammar} if isinstance(grammar, dict) else form
        return written
    if chat.dialect == NAME:
        return {**tool.native, **written}
    losses.refuse_native(tool.native, prefix="tools.")
    return written


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


def _text(chat: Chat, schemas: bool | None, losses: Losses) -> dict[str, Json]:
    written: dict[str, Json] = {}
    form = chat.format
    if form is not None and form.schema is None:
        written["format"] = {"type": "json_object"}
    elif form is not None and schemas is False:
        losses.refuse("format", "the model does not keep to a JSON Schema")
    elif form is not None:
        described = {} if form.description is None else {"description": form.description}
        written["format"] = {
            "type": "json_schema",
            "name": form.name or "answer",
            "schema": form.schema,
            "strict": bool(form.strict),
            **described,
        }
    if chat.verbosity is not None:
        written["verbosity"] = chat.verbosity
    return written


def _thinking(wish: Reasoning | None, style: str | None, written: dict[str, Json], losses: Losses) -> None:
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
