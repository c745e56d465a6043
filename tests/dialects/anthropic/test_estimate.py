"""The rough count of a request's tokens."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from llmgw.canonical import (
    Chat,
    Inline,
    JsonFormat,
    Link,
    Media,
    Message,
    NativePart,
    NativeTool,
    Part,
    PlainText,
    Refusal,
    Stored,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
)
from llmgw.dialects import estimate
from tests.dialects.anthropic.parties import chat, read, user
from tests.provider.recordings import select


def of(*parts: Part) -> int:
    """What `parts` add to a request."""
    return estimate.tokens(chat(user(*parts))) - estimate.tokens(chat(user()))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("a", 1, 1),
        ("The quick brown fox jumps over the lazy dog. " * 20, 180, 240),  # 200 by OpenAI's tokenizer
        ("敏捷的棕色狐狸跳过懒狗。" * 20, 180, 320),
        ("Съешь же ещё этих мягких французских булок. " * 20, 300, 560),
        ("\ud800", 1, 2),
    ],
)
def test_texts(text: str, least: int, most: int) -> None:
    """Within the range of real tokenizers, for several scripts."""
    assert least <= estimate.text(text) <= most


def inline(kind: Any, media_type: str, size: int) -> Media:
    return Media(kind=kind, source=Inline(media_type=media_type, data=base64.b64encode(b"x" * size).decode()))


@pytest.mark.parametrize(
    ("part", "count"),
    [
        (Media(kind="image", source=Link(url="https://e.org/" + "a" * 4000)), estimate.IMAGE),
        (Media(kind="image", source=Stored(id="f"), detail="low"), estimate.IMAGE_LOW),
        (inline("document", "application/pdf", 10), estimate.PAGE),
        (inline("document", "application/pdf", 500_000), 10 * estimate.PAGE),
        (inline("document", "text/plain", 4000), 1000),
        (Media(kind="document", source=Link(url="u")), estimate.PAGE),
        (Media(kind="document", source=PlainText(text="a" * 400)), 100),
        (inline("audio", "audio/mp3", 160_000), 320),
        (inline("video", "video/mp4", 250_000), 300),
        (Media(kind="audio", source=Link(url="u")), 1920),
        (Media(kind="video", source=Stored(id="f")), 18_000),
        (Refusal(text="a" * 40), 10),
        (Thought(text="a" * 40, signature="s" * 4000), 10),
        (Thought(redacted="d" * 1600), 300),
        (ToolCall(id="i", name="f" * 8, arguments='{"a":12345}'), 4 + 2 + 3),
        (ToolResult(call_id="i", name=None, parts=(Text(text="a" * 40),)), 4 + 10),
        (NativePart(dialect="anthropic", kind="x", data={"a": "b" * 93}), 25),
    ],
)
def test_parts(part: Part, count: int) -> None:
    """Media cost what they cost, however long their address or signature is."""
    assert of(part) == count


def test_the_whole_request_counts() -> None:
    """Instructions, turns, tools and the schema of the answer."""
    bare = Chat(dialect="anthropic", model="m")
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    more: list[Chat] = [
        Chat(dialect="anthropic", model="m", system=(Text(text="be brief"),)),
        Chat(dialect="anthropic", model="m", messages=(Message(role="user", parts=()),)),
        Chat(dialect="anthropic", model="m", tools=(Tool(name="f", description="d", parameters=schema),)),
        Chat(
            dialect="anthropic", model="m", tools=(NativeTool(dialect="anthropic", kind="k", data={"a": 1}),)
        ),
        Chat(dialect="anthropic", model="m", format=JsonFormat(schema=schema)),
    ]
    assert all(estimate.tokens(one) > estimate.tokens(bare) for one in more)


def test_plain_recorded_requests_are_counted_well() -> None:
    """Within a half of what the provider counted, where it added nothing of its own (tools, thinking, media)."""
    found = 0
    for recording in select(provider="anthropic", endpoint="/v1/messages", streaming=False):
        body, answer = recording.request["body"], recording.response["body"]
        if recording.response["status"] != 200 or not isinstance(body, dict):
            continue
        extra = {"tools", "thinking", "context_management", "mcp_servers", "container", "output_format"}
        if extra & body.keys() or {"vision", "document"} & set(recording.features):
            continue
        usage = answer["usage"]
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        counted = sum(usage.get(name) or 0 for name in names)
        assert 0.5 * counted <= estimate.tokens(read(body)) <= 1.5 * counted + 8
        found += 1
    if not found:
        pytest.skip("no fixtures beside this checkout")
