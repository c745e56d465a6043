"""What a client asks for: the conversation, the tools, and how the answer is to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from llmgw.canonical.parts import NOTHING, CacheMark, Json, Native, Part


class Message(Struct, frozen=True, kw_only=True):
    """One turn. Tool results stand in a `user` message (or one of role `tool`, which means the same)."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    parts: tuple[Part, ...]
    name: str | None = None
    """The speaker's name, where participants of one role are told apart."""
    native: Native = NOTHING


class Tool(Struct, frozen=True, kw_only=True):
    """A function the model may ask for."""

    name: str
    description: str | None = None
    parameters: Json = None
    """JSON Schema of the arguments; None where none was given."""
    strict: bool | None = None
    custom: bool = False
    cache: CacheMark | None = None
    native: Native = NOTHING


class NativeTool(Struct, frozen=True, kw_only=True):
    """A tool that the provider itself runs (web search, code execution), or any other kind of its own."""

    dialect: str
    kind: str
    data: Json


class ToolChoice(Struct, frozen=True, kw_only=True):
    """What the model must do with its tools. `names` narrows `required` (forced) or `auto` to some of them."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


class JsonFormat(Struct, frozen=True, kw_only=True):
    """The answer is to be JSON; any JSON where `schema` is None."""

    schema: Json = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Reasoning(Struct, frozen=True, kw_only=True):
    """How much the model may think, and whether it shows it. At most one of `effort` and `budget_tokens`
    is what the client said; `dialects/reasoning.py` converts between them."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    """0 turns thinking off; None leaves it to `effort`."""
    adaptive: bool = False
    """The model decides how much (Anthropic's `adaptive`, Gemini's budget of -1)."""
    show: bool | None = None
    """Whether the client wants to see thoughts or their summary; None: the target's default."""
    summary: str | None = None
    """The Responses API's wish: auto, concise, detailed."""


class Chat(Struct, frozen=True, kw_only=True):
    """A request for an answer."""

    dialect: str
    """The codec's name that read it; `native` members anywhere inside are of this dialect."""
    model: str
    system: tuple[Part, ...] = ()
    """Instructions that stand outside the turns. Those within are messages of role system or developer."""
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool | NativeTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    """Upper bound of the answer, reasoning included."""
    temperature: float | None = None
    """On the client dialect's own scale: OpenAI and Gemini 0 to 2, Anthropic 0 to 1."""
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    n: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    format: JsonFormat | None = None
    reasoning: Reasoning | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: str | None = None
    """OpenAI's names: auto, default, flex, priority, scale; `standard_only` of Anthropic is `default`."""
    user: str | None = None
    """An opaque id of the end user, for the provider's abuse detection."""
    metadata: Mapping[str, str] | None = None
    cache_key: str | None = None
    """OpenAI's `prompt_cache_key`: which requests share a prefix."""
    stream: bool = False
    include_usage: bool = True
    """Whether the client wants usage in its stream; only OpenAI's chat lets it choose."""
    framing: Literal["sse", "array"] = "sse"
    """How a stream is framed; Gemini's is one JSON array unless asked for with `alt=sse`."""
    native: Native = NOTHING
    """Top-level members that none of the fields above holds. Nested containers keep their container's name:
    `{"generationConfig": {"mediaResolution": …}}`."""
