"""The neutral model that every dialect is read into and written from.

It holds what at least two dialects can say. What only one of them can say stands in `native`, exactly as that
dialect writes it: written back to the same dialect it returns unchanged, and the writer of another dialect
must account for it (`dialects/codec.py`, `Losses`). So nothing can vanish between a reader and a writer.

Values are immutable. JSON text that is passed through, such as a tool call's arguments, stays text, because a
decoded number does not always come back as it was written. Absent is None and never 0, "" or an empty list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

Json = Any
"""Decoded JSON: dict, list, str, int, float, bool or None."""
Native = Mapping[str, Json]
"""Members as the dialect of origin names and writes them, paths of one level. Never mutated."""
NOTHING: Native = {}

# What is said: parts of a message, of an answer, of a tool's result


class Citation(Struct, frozen=True, kw_only=True):
    """Where a piece of text comes from. Offsets count characters of the text part it belongs to."""

    url: str | None = None
    title: str | None = None
    quote: str | None = None
    """The cited words of the source."""
    start: int | None = None
    end: int | None = None
    native: Native = NOTHING
    """The whole citation as its dialect writes it (what the fields above cannot hold: pages, block indices)."""


class CacheMark(Struct, frozen=True, kw_only=True):
    """The prompt up to and with the marked part is to be cached by the provider."""

    ttl: Literal["5m", "1h"] | None = None
    """None: the provider's default (5 minutes)."""


class Text(Struct, frozen=True, kw_only=True):
    text: str
    citations: tuple[Citation, ...] = ()
    signature: str | None = None
    """Gemini puts a thought signature on plain text too; an empty text may exist only to carry one."""
    cache: CacheMark | None = None
    native: Native = NOTHING


class Refusal(Struct, frozen=True, kw_only=True):
    """The model's words for why it does not answer."""

    text: str


class Thought(Struct, frozen=True, kw_only=True):
    """Reasoning, as far as the provider shows it. To be sent back unchanged in the next turn."""

    text: str = ""
    signature: str | None = None
    """Opaque proof for the provider that made it; worthless to any other."""
    redacted: str | None = None
    """Encrypted reasoning without readable text (Anthropic's `redacted_thinking`, OpenAI's
    `encrypted_content`)."""
    id: str | None = None
    """The Responses API names its reasoning items."""
    native: Native = NOTHING


class Inline(Struct, frozen=True, kw_only=True):
    """Bytes within the request."""

    media_type: str
    data: str
    """Base64, standard alphabet, as it came."""


class Link(Struct, frozen=True, kw_only=True):
    """Something the provider fetches."""

    url: str
    media_type: str | None = None


class Stored(Struct, frozen=True, kw_only=True):
    """A file that the provider keeps. Its id means nothing to another provider."""

    id: str
    media_type: str | None = None


class PlainText(Struct, frozen=True, kw_only=True):
    """A document given as text (Anthropic's `text` source)."""

    text: str


Source = Inline | Link | Stored | PlainText


class Media(Struct, frozen=True, kw_only=True):
    """An image, a sound, a film or a document."""

    kind: Literal["image", "audio", "video", "document"]
    source: Source
    name: str | None = None
    """File name or title."""
    detail: Literal["low", "high", "auto"] | None = None
    """How closely an image is to be looked at."""
    cache: CacheMark | None = None
    native: Native = NOTHING


class ToolCall(Struct, frozen=True, kw_only=True):
    """The model wants a function of the client's to be run."""

    id: str | None
    """None where the dialect gives none (Gemini); a writer whose dialect needs one makes a unique one."""
    name: str
    arguments: str
    """JSON text of one object; "{}" where the call has none. For a `custom` tool: any text."""
    custom: bool = False
    """A free-form tool of OpenAI's: input is text and not JSON."""
    signature: str | None = None
    """Gemini's thought signature of the call."""
    cache: CacheMark | None = None
    native: Native = NOTHING


class ToolResult(Struct, frozen=True, kw_only=True):
    """What came of a tool call."""

    call_id: str | None
    name: str | None
    """The function's name: Gemini wants it; a reader whose dialect has ids only leaves None, and
    `dialects/thread.py` finds the name in the call."""
    parts: tuple[Part, ...]
    is_error: bool = False
    cache: CacheMark | None = None
    native: Native = NOTHING


class NativePart(Struct, frozen=True, kw_only=True):
    """A part that only its dialect has (a server tool's call or result, a container upload, …)."""

    dialect: str
    """The codec's name that read it."""
    kind: str
    """As the dialect names it: `server_tool_use`, `web_search_call`."""
    data: Json
    """The whole part as it was written."""


Part = Text | Refusal | Thought | Media | ToolCall | ToolResult | NativePart

# The request


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


class Embed(Struct, frozen=True, kw_only=True):
    """A request for embeddings."""

    dialect: str
    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    """Texts, or token ids."""
    single: bool = False
    """The client gave one input and not a list of them."""
    dimensions: int | None = None
    encoding: Literal["float", "base64"] | None = None
    user: str | None = None
    task: str | None = None
    """Gemini's `taskType`."""
    title: str | None = None
    native: Native = NOTHING


# The answer

Reason = Literal[
    "stop",
    "stop_sequence",
    "length",
    "context_length",  # the model's window is full, which is not the client's limit
    "tool_calls",
    "content_filter",
    "refusal",
    "pause",  # a long turn to be continued by sending the answer back (Anthropic's pause_turn)
    "malformed_tool_call",
    "other",
]


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens in disjoint buckets: their sum is everything the provider counted. None: not reported.

    A bucket that the provider reports only as part of another (cached within prompt tokens, reasoning within
    completion tokens) is taken out of that one. No bucket is ever negative.
    """

    input: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    input_audio: int | None = None
    output: int | None = None
    reasoning: int | None = None
    output_audio: int | None = None
    native: Native = NOTHING
    """Counters that are no tokens of this call's buckets (web searches, predicted tokens, iterations)."""


class Finish(Struct, frozen=True, kw_only=True):
    """Why a choice ended."""

    reason: Reason
    sequence: str | None = None
    """The stop sequence that was met."""
    said: str | None = None
    """The provider's own word."""
    message: str | None = None
    """Its explanation, where it gives one."""


class Choice(Struct, frozen=True, kw_only=True):
    """One of the alternatives asked for by `n`."""

    index: int = 0
    parts: tuple[Part, ...] = ()
    finish: Finish | None = None
    """None: the provider calls the answer whole and does not say why it ended."""
    logprobs: Json = None
    """OpenAI's shape: a list of `{"token", "logprob", "bytes", "top_logprobs"}`."""
    native: Native = NOTHING


class Answer(Struct, frozen=True, kw_only=True):
    """A whole answer."""

    dialect: str
    id: str | None = None
    model: str | None = None
    created: int | None = None
    """Unix seconds."""
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    service_tier: str | None = None
    native: Native = NOTHING


class Embeddings(Struct, frozen=True, kw_only=True):
    """Vectors in the order of the inputs; base64 text (little-endian float32) where that was asked for."""

    model: str | None
    vectors: tuple[tuple[float, ...] | str, ...]
    usage: Usage | None = None
    native: Native = NOTHING


class ProviderError(Struct, frozen=True, kw_only=True):
    """What a provider said when it refused or failed, in an answer of its own or within a stream."""

    status: int
    """HTTP status; of an error inside a stream the one its type stands for, 502 where that is unknown."""
    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None


# The answer as a stream. A `block` is one part of a choice: blocks count up from 0 within their choice, in
# order of first appearance over all kinds, and each has one kind.


class Start(Struct, frozen=True, kw_only=True):
    """The first event, exactly once. Brings no content, so it does not commit the call."""

    dialect: str
    id: str | None = None
    model: str | None = None
    created: int | None = None
    service_tier: str | None = None
    native: Native = NOTHING


class TextDelta(Struct, frozen=True, kw_only=True):
    text: str
    choice: int = 0
    block: int = 0
    signature: str | None = None
    logprobs: Json = None


class RefusalDelta(Struct, frozen=True, kw_only=True):
    text: str
    choice: int = 0
    block: int = 0


class ThoughtDelta(Struct, frozen=True, kw_only=True):
    """Any of its members may come alone; a signature or redacted text comes whole."""

    text: str = ""
    choice: int = 0
    block: int = 0
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None


class CitationDelta(Struct, frozen=True, kw_only=True):
    """Belongs to the text block of the same number."""

    citation: Citation
    choice: int = 0
    block: int = 0


class ToolDelta(Struct, frozen=True, kw_only=True):
    """`name` is set on the first delta of a block and only there; `arguments` are to be joined."""

    arguments: str = ""
    choice: int = 0
    block: int = 0
    id: str | None = None
    name: str | None = None
    custom: bool = False
    signature: str | None = None


class MediaDelta(Struct, frozen=True, kw_only=True):
    """A whole medium in one event (images that a model draws)."""

    media: Media
    choice: int = 0
    block: int = 0


class NativeDelta(Struct, frozen=True, kw_only=True):
    """An event or a part that only its dialect has."""

    dialect: str
    kind: str
    data: Json
    choice: int = 0
    block: int = 0


class UsageEvent(Struct, frozen=True, kw_only=True):
    """What has been used so far; a later one replaces an earlier one, it is never added."""

    usage: Usage


class FinishEvent(Struct, frozen=True, kw_only=True):
    """A choice is complete: once for each, after its last delta."""

    finish: Finish
    choice: int = 0


class Failure(Struct, frozen=True, kw_only=True):
    """The provider's own error within the stream. Nothing follows it."""

    error: ProviderError


class End(Struct, frozen=True, kw_only=True):
    """The stream ended as its dialect says a complete one must. Exactly once, last; never after a Failure."""


Event = (
    Start
    | TextDelta
    | RefusalDelta
    | ThoughtDelta
    | CitationDelta
    | ToolDelta
    | MediaDelta
    | NativeDelta
    | UsageEvent
    | FinishEvent
    | Failure
    | End
)
