"""A neutral request as `generateContent`'s.

Instructions go to `systemInstruction`, the turns of one role after another into one content each, tool results into
the user's with the function's name beside the call's id. JSON Schema goes to the fields that take it as it is.
What Gemini's own clients said in its words (`Original`) is said in them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Chat, Json, Message, Part, Refusal, Text, Tool, ToolChoice
from llmgw.dialects import hints
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.gemini import config_writer
from llmgw.dialects.gemini.history import History
from llmgw.dialects.gemini.spelling import NAME, words_of
from llmgw.dialects.json_text import to_provider

NAMES: Final[Mapping[str, str]] = {
    "system": "systemInstruction",
    "messages": "contents",
    "tool_choice": "toolConfig.functionCallingConfig.mode",
    "tool_choice.names": "toolConfig.functionCallingConfig.allowedFunctionNames",
    "max_tokens": "generationConfig.maxOutputTokens",
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "stop": "generationConfig.stopSequences",
    "n": "generationConfig.candidateCount",
    "seed": "generationConfig.seed",
    "presence_penalty": "generationConfig.presencePenalty",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "logprobs": "generationConfig.responseLogprobs",
    "top_logprobs": "generationConfig.logprobs",
    "format": "generationConfig.responseJsonSchema",
    "format.schema": "generationConfig.responseJsonSchema",
    "reasoning": "generationConfig.thinkingConfig",
    "reasoning.effort": "generationConfig.thinkingConfig.thinkingLevel",
    "reasoning.budget_tokens": "generationConfig.thinkingConfig.thinkingBudget",
    "reasoning.show": "generationConfig.thinkingConfig.includeThoughts",
    "service_tier": "serviceTier",
    "metadata": "labels",
    "part.text": "contents.parts.text",
    "part.image": "contents.parts.inlineData",
    "part.audio": "contents.parts.inlineData",
    "part.video": "contents.parts.inlineData",
    "part.document": "contents.parts.inlineData",
    "part.name": "contents.parts.inlineData.displayName",
    "part.thought": "contents.parts.thought",
    "part.citations": "candidates.groundingMetadata",
    "part.executableCode": "contents.parts.executableCode",
    "part.codeExecutionResult": "contents.parts.codeExecutionResult",
    "part.toolCall": "contents.parts.toolCall",
    "part.toolResponse": "contents.parts.toolResponse",
    "part.videoMetadata": "contents.parts.videoMetadata",
    "part.mediaResolution": "contents.parts.mediaResolution",
    "part.mediaProcessing": "contents.parts.mediaProcessing",
    "part.partMetadata": "contents.parts.partMetadata",
    "part.willContinue": "contents.parts.functionResponse.willContinue",
    "part.scheduling": "contents.parts.functionResponse.scheduling",
    "tool.strict": "toolConfig.functionCallingConfig.mode",
    "tool.googleSearch": "tools.googleSearch",
    "tool.googleSearchRetrieval": "tools.googleSearchRetrieval",
    "tool.googleMaps": "tools.googleMaps",
    "tool.codeExecution": "tools.codeExecution",
    "tool.urlContext": "tools.urlContext",
    "tool.fileSearch": "tools.fileSearch",
    "tool.computerUse": "tools.computerUse",
    "tool.mcpServers": "tools.mcpServers",
}
"""Gemini's own names of neutral fields."""


_TIERS: Final = {"default": "standard", "flex": "flex", "priority": "priority"}


def body(chat: Chat, to: Recipient, losses: Losses) -> bytes:
    """The body of the request.

    Raises:
        UnsupportedParameter: through `losses`.
        InvalidRequest: the request contradicts itself.
    """
    own = chat.dialect == NAME
    history = History(chat, to, losses)
    written: dict[str, Json] = {}
    instructions: list[Json] = history.parts(chat.system, "system")
    for message in chat.messages:
        if message.role in ("system", "developer"):
            instructions += history.parts(_instruction(message, losses), message.role)
        else:
            history.add(message)
    written["contents"] = history.contents
    if instructions:
        written["systemInstruction"] = {"parts": instructions}

    words = words_of(chat.native) if own else {}
    config = config_writer.write(chat, to, losses, words)
    tools = _tools(chat, to, losses)
    if tools:
        written["tools"] = tools
    calling = _calling(chat, words) if tools else {}
    if calling:
        written["toolConfig"] = {"functionCallingConfig": calling}
    if chat.parallel_tool_calls is False:
        losses.refuse("parallel_tool_calls", "it cannot be told to call one tool at a time")
    _tier(chat, losses, written)
    if own and chat.metadata is not None:
        written["labels"] = chat.metadata
    elif chat.metadata:
        losses.advise("metadata")
    for field in ("user", "cache_key"):
        if getattr(chat, field) is not None:
            losses.advise(field)
    if chat.verbosity not in (None, "medium"):
        losses.refuse("verbosity", "it has no such setting")
    if config:
        written["generationConfig"] = config
    if own:
        for path, value in {**chat.native, **words}.items():
            _put(written, path, value)
    else:
        hints.account(chat.native, losses)
    for path in to.host.unsupported:
        if _take(written, path):
            losses.refuse(path, "the host that serves it does not take it")
    return to_provider(written)


_CONTAINERS: Final = (
    ("generationConfig", "thinkingConfig"),
    ("generationConfig",),
    ("toolConfig", "functionCallingConfig"),
    ("toolConfig",),
)


def _put(written: dict[str, Json], path: str, value: Json) -> None:
    """Put a member back into the container its path names, unless it is written already."""
    place = written
    *containers, name = path.split(".")
    if tuple(containers) not in _CONTAINERS:
        containers, name = [], path
    for container in containers:
        place = place.setdefault(container, {})
    place.setdefault(name, value)


def _take(written: dict[str, Json], path: str) -> bool:
    *containers, name = path.split(".")
    place: Json = written
    for container in containers:
        place = place.get(container, {})
    return place.pop(name, None) is not None


def _instruction(message: Message, losses: Losses) -> tuple[Part, ...]:
    if message.name is not None:
        losses.refuse("message.name", "it does not tell speakers apart by name")
    return tuple(Text(text=part.text) if isinstance(part, Refusal) else part for part in message.parts)


def _tools(chat: Chat, to: Recipient, losses: Losses) -> list[Json]:
    own = chat.dialect == NAME
    groups: list[Json] = []
    functions: list[Json] | None = None
    if chat.tools and to.capabilities.tools is False:
        losses.refuse("tools", "it takes no tools")
        return []
    for tool in chat.tools:
        if isinstance(tool, Tool):
            declaration = _function(tool, own, losses)
            if declaration is None:
                continue
            if functions is None:
                functions = []
                groups.append({"functionDeclarations": functions})
            functions.append(declaration)
        elif tool.dialect == NAME:
            groups.append(tool.data)
            functions = None
        else:
            losses.refuse(f"tool.{tool.kind}", "it is a tool of another provider's")
    return groups


def _function(tool: Tool, own: bool, losses: Losses) -> dict[str, Json] | None:
    if tool.custom:
        losses.refuse("tool.custom", "its tools take JSON and no free text")
        return None
    if tool.cache is not None:
        losses.advise("tool.cache")
    declaration: dict[str, Json] = {"name": tool.name}
    if tool.description is not None:
        declaration["description"] = tool.description
    words = words_of(tool.native) if own else {}
    if "parameters" not in words and tool.parameters is not None:
        declaration["parametersJsonSchema"] = tool.parameters
    if own:
        declaration.update(tool.native)
        declaration.update(words)
    else:
        losses.refuse_native(tool.native, prefix="tools[].")
    return declaration


def _calling(chat: Chat, words: Mapping[str, Json]) -> dict[str, Json]:
    """`functionCallingConfig`. ANY and VALIDATED both hold calls to their schema, which is what `strict` asks for;
    VALIDATED is AUTO with that, and the only one of the two that may be narrowed to some functions."""
    choice = chat.tool_choice or ToolChoice(mode="auto")
    strict = any(isinstance(tool, Tool) and tool.strict for tool in chat.tools)
    if choice.mode == "required":
        mode = "ANY"
    elif choice.mode == "none":
        mode = "NONE"
    else:
        mode = "VALIDATED" if strict or choice.names else "AUTO"
    said = words.get("toolConfig.functionCallingConfig.mode")
    if said is not None:
        mode = said
    elif chat.tool_choice is None and mode == "AUTO":
        return {}
    calling: dict[str, Json] = {"mode": mode}
    if choice.names and choice.mode != "none":
        calling["allowedFunctionNames"] = list(choice.names)
    return calling


def _tier(chat: Chat, losses: Losses, written: dict[str, Json]) -> None:
    tier = chat.service_tier
    if tier is None:
        return
    if chat.dialect == NAME:
        written["serviceTier"] = "unspecified" if tier == "auto" else _TIERS.get(tier, tier)
    elif tier in _TIERS:
        written["serviceTier"] = _TIERS[tier]
    elif tier != "auto":
        losses.refuse("service_tier", f"it has no tier {tier!r}")
