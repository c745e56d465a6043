"""Roughly how many input tokens a request has, for targets that do not count them; always to be labelled as such.

No tokenizer: four bytes of English text are about one token (OpenAI, "What are tokens and how to count them"), other
scripts have fewer bytes to a token. Images cost what providers publish for one of ordinary size; sounds, films and
PDF go by their bytes at ordinary rates. What a provider adds by itself (a preamble for tools, what its own tools
read) is not in it. Takes microseconds per kilobyte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from llmgw.canonical import (
    Chat,
    Inline,
    Json,
    Media,
    NativePart,
    NativeTool,
    Part,
    PlainText,
    Refusal,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
)

PER_MESSAGE: Final = 4
"""A turn's role and its separators (OpenAI cookbook, "How to count tokens": 3, and 1 for the name)."""
PER_REQUEST: Final = 3
"""What primes the answer (the same)."""
PER_TOOL: Final = 12
"""What stands around one function's definition (the same: 7 + 3 and its separators)."""
IMAGE: Final = 1600
"""Anthropic, "Vision": an image costs width x height / 750, and is scaled down to about this."""
IMAGE_LOW: Final = 85
"""OpenAI, "Images and vision": an image at low detail."""
PAGE: Final = 1500
"""Anthropic, "PDF support": 1,500 to 3,000 tokens of text per page."""

_BYTES_PER_PAGE: Final = 50_000
_RATES: Final[Mapping[str, tuple[int, int]]] = {
    "audio": (32, 16_000),  # Gemini, "Audio understanding": 32 tokens a second; 128 kbit a second
    "video": (300, 250_000),  # Gemini, "Video understanding": about 300 tokens a second; 2 Mbit a second
}
"""Tokens and bytes of one second."""
_UNSEEN: Final[Mapping[str, int]] = {"audio": 60 * 32, "video": 60 * 300, "document": PAGE}
"""Of a medium whose size is not known: a minute, or a page."""

_encode: Final = msgspec.json.Encoder().encode


def tokens(chat: Chat) -> int:
    """The estimate for the whole request, thinking of former turns included."""
    count = PER_REQUEST + _parts(chat.system)
    for message in chat.messages:
        count += PER_MESSAGE + _parts(message.parts)
    for tool in chat.tools:
        count += PER_TOOL + _tool(tool)
    if chat.format is not None:
        count += _json(chat.format.schema)
    return count


def text(given: str) -> int:
    """The estimate for a piece of text: a quarter of its characters, and a third of the bytes beyond ASCII."""
    return (3 * len(given) + 4 * (len(given.encode("utf-8", "surrogatepass")) - len(given)) + 11) // 12


def _json(value: Json) -> int:
    if value is None:
        return 0
    try:
        return len(_encode(value)) // 4
    except (ValueError, RecursionError):
        return 0  # nothing that could be sent


def _tool(tool: Tool | NativeTool) -> int:
    if isinstance(tool, NativeTool):
        return _json(tool.data)
    return text(tool.name) + text(tool.description or "") + _json(tool.parameters)


def _parts(parts: tuple[Part, ...]) -> int:
    return sum(_PARTS[type(part)](part) for part in parts)


def _media(part: Media) -> int:
    if isinstance(part.source, PlainText):
        return text(part.source.text)
    if part.kind == "image":
        return IMAGE_LOW if part.detail == "low" else IMAGE
    if not isinstance(part.source, Inline):
        return _UNSEEN[part.kind]
    size = len(part.source.data) * 3 // 4
    if part.kind == "document":
        if part.source.media_type.startswith("text/"):
            return size // 4
        return PAGE * max(1, size // _BYTES_PER_PAGE)
    rate, second = _RATES[part.kind]
    return rate * max(1, size // second)


def _thought(part: Thought) -> int:
    """Encrypted reasoning is base64, which is a third longer than the text it hides."""
    return text(part.text) + len(part.redacted or "") * 3 // 16


_PARTS: Final[Mapping[type[Part], Callable[[Any], int]]] = {
    Text: lambda part: text(part.text),
    Refusal: lambda part: text(part.text),
    Thought: _thought,
    Media: _media,
    ToolCall: lambda part: PER_MESSAGE + text(part.name) + text(part.arguments),
    ToolResult: lambda part: PER_MESSAGE + _parts(part.parts),
    NativePart: lambda part: _json(part.data),
}
