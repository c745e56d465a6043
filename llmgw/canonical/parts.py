"""What is said: parts of a message, of an answer, of a tool's result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

Json = Any
"""Decoded JSON: dict, list, str, int, float, bool or None."""
Native = Mapping[str, Json]
"""Members as the dialect of origin names and writes them, paths of one level. Never mutated."""
NOTHING: Native = {}


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
