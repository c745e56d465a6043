"""What rules may look at is read from any body of any endpoint, once, and never fails."""

from __future__ import annotations

import json
from timeit import repeat
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.canonical.traits import Prompt, Shape
from llmgw.dialects.known import DIALECTS
from llmgw.dialects.traits import Content
from tests.provider.recordings import Recording, load, select

ENDPOINTS = tuple(endpoint.name for dialect in DIALECTS.values() for endpoint in dialect.endpoints)
PATHS: Final = (
    ("/chat/completions", "chat_completions"),
    ("/completions", "completions"),
    ("/responses", "responses"),
    ("/messages", "messages"),
    ("/messages/count_tokens", "count_tokens"),
    ("/embeddings", "embeddings"),
    (":generateContent", "generate_content"),
    (":streamGenerateContent", "stream_generate_content"),
)

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}


def endpoint_of(recording: Recording) -> str | None:
    found = [name for ending, name in PATHS if recording.endpoint.endswith(ending)]
    return found[0] if found and isinstance(recording.request.get("body"), dict) else None


RECORDED = [
    recording.id for recording in select() if recording.request and endpoint_of(recording) is not None
]
needs_recordings = pytest.mark.skipif(not RECORDED, reason="the recorded traffic is not here")


def shape(endpoint: str, body: Any) -> Shape:
    return Content(endpoint, json.dumps(body).encode()).shape()


def prompt(endpoint: str, body: Any) -> Prompt:
    return Content(endpoint, json.dumps(body).encode()).prompt()


def seed(endpoint: str, body: Any) -> bytes:
    return Content(endpoint, json.dumps(body).encode()).seed()


def chat(*turns: Any, **members: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(turns), **members}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


SHAPES: list[tuple[str, dict[str, Any], Shape]] = [
    ("chat_completions", chat(user("the tools of an image schema")), Shape()),
    ("chat_completions", chat(user('{"tools": [1], "type": "image_url"}')), Shape()),
    ("chat_completions", chat(tools=[FUNCTION]), Shape(tools=True)),
    ("chat_completions", chat(tools=[]), Shape()),
    ("chat_completions", chat(tools=None), Shape()),
    ("chat_completions", chat(functions=[{"name": "f"}]), Shape(tools=True)),
    ("chat_completions", chat(user([IMAGE])), Shape(images=True)),
    ("chat_completions", chat(user([IMAGE]), tools=[FUNCTION], response_format=SCHEMA), Shape(True, True, True)),
    ("chat_completions", chat(response_format={"type": "json_object"}), Shape()),
    ("responses", {"input": "image"}, Shape()),
    ("responses", {"input": [user([{"type": "input_image", "image_url": "https://x"}])]}, Shape(images=True)),
    ("responses", {"input": [{"type": "function_call_output", "output": [{"type": "input_image"}]}]}, Shape(images=True)),
    ("responses", {"input": [{"type": "computer_call_output", "output": {"type": "computer_screenshot"}}]}, Shape(images=True)),
    ("responses", {"input": "x", "tools": [{"type": "image_generation"}]}, Shape(tools=True)),
    ("responses", {"input": "x", "text": {"format": {"type": "json_schema", "schema": {}}}}, Shape(json_schema=True)),
    ("responses", {"input": "x", "text": {"format": {"type": "text"}}}, Shape()),
    ("messages", chat(user([{"type": "image", "source": {}}])), Shape(images=True)),
    ("messages", chat(user([{"type": "tool_result", "content": [{"type": "image"}]}])), Shape(images=True)),
    ("messages", chat(user([{"type": "document", "source": {"type": "content", "content": [{"type": "image"}]}}])), Shape(images=True)),
    ("messages", chat({"role": "assistant", "content": [{"type": "tool_use", "input": {"type": "image"}}]}), Shape()),
    ("messages", chat(mcp_servers=[{"url": "x"}]), Shape(tools=True)),
    ("messages", chat(output_config={"format": {"type": "json_schema", "schema": {}}}), Shape(json_schema=True)),
    ("messages", chat(output_format={"type": "json_schema", "schema": {}}), Shape(json_schema=True)),
    ("generate_content", {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png"}}]}]}, Shape(images=True)),
    ("generate_content", {"contents": [{"parts": [{"file_data": {"mime_type": "Image/PNG"}}]}]}, Shape(images=True)),
    ("generate_content", {"contents": [{"parts": [{"inlineData": {"mimeType": "application/pdf"}}]}]}, Shape()),
    ("generate_content", {"contents": [{"parts": [{"functionResponse": {"parts": [{"inlineData": {"mimeType": "image/png"}}]}}]}]}, Shape(images=True)),
    ("stream_generate_content", {"tools": [{"functionDeclarations": []}]}, Shape(tools=True)),
    ("generate_content", {"generationConfig": {"responseSchema": {"type": "OBJECT"}}}, Shape(json_schema=True)),
    ("generate_content", {"generation_config": {"response_json_schema": {}}}, Shape(json_schema=True)),
    ("generate_content", {"generationConfig": {"responseMimeType": "application/json"}}, Shape()),
    ("completions", {"prompt": "image"}, Shape()),
    ("embeddings", {"input": ["image"]}, Shape()),
]  # fmt: skip


@pytest.mark.parametrize(("endpoint", "body", "expected"), SHAPES)
def test_shapes(endpoint: str, body: dict[str, Any], expected: Shape) -> None:
    """What a request asks for is told by its members, wherever the words stand."""
    assert shape(endpoint, body) == expected


@pytest.mark.parametrize(("endpoint", "body", "expected"), SHAPES)
def test_escapes_hide_nothing(endpoint: str, body: dict[str, Any], expected: Shape) -> None:
    """A letter written as an escape, in a key or a value, is that letter: no policy is got around by it."""
    plain = json.dumps(body)
    for word in (
        "tools",
        "functions",
        "mcp_servers",
        "image",
        "inlineData",
        "file_data",
        "json_schema",
        "Schema",
    ):
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in word)
        assert Content(endpoint, plain.replace(word, escaped).encode()).shape() == expected, word


PROMPTS: list[tuple[str, dict[str, Any], str, int]] = [
    ("chat_completions", chat({"role": "system", "content": "s"}, user("a"), {"role": "assistant", "content": "b"}, user("c")), "c", 4),
    ("chat_completions", chat(user("a"), {"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "r"}), "a", 3),
    ("chat_completions", chat(user([{"type": "text", "text": "a"}, IMAGE, {"type": "text", "text": "b"}])), "a\nb", 1),
    ("messages", chat(user("a"), {"role": "assistant", "content": []}, user([{"type": "tool_result", "content": "r"}])), "a", 3),
    ("messages", chat(user([{"type": "tool_result", "content": "r"}, {"type": "text", "text": "b"}])), "b", 1),
    ("responses", {"input": "a"}, "a", 1),
    ("responses", {"input": [user("a"), {"type": "function_call", "arguments": "{}"}, {"type": "function_call_output", "output": "x"}]}, "a", 3),
    ("responses", {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}]}, "a", 1),
    ("responses", {"input": [user("a"), {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "b"}]}]}, "a", 2),
    ("generate_content", {"contents": [{"parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}]}, "a", 2),
    ("completions", {"prompt": "a"}, "a", 1),
    ("completions", {"prompt": ["a", "b"]}, "a\nb", 1),
    ("completions", {"prompt": [1, 2]}, "", 1),
    ("embeddings", {"input": "a"}, "", 0),
    ("chat_completions", chat({"role": "developer", "content": "a"}), "", 1),
]  # fmt: skip


@pytest.mark.parametrize(("endpoint", "body", "text", "turns"), PROMPTS)
def test_prompts(endpoint: str, body: dict[str, Any], text: str, turns: int) -> None:
    """The last words of a person, not those of a tool, and how many turns there are."""
    found = prompt(endpoint, body)
    assert (found.text, found.turns) == (text, turns)
    assert found.context_bytes == len(json.dumps(body)) - len(text.encode())


CONVERSATIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # the first call of a conversation, and a later one
    ("chat_completions", chat({"role": "system", "content": "s"}, user("a")), chat({"role": "system", "content": "s"}, user("a"), {"role": "assistant", "content": "b"}, user("c"), tools=[FUNCTION])),
    ("messages", chat(user([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]), system=[{"type": "text", "text": "s"}]), chat(user([{"type": "text", "text": "a"}]), {"role": "assistant", "content": "b"}, user("c"), system=[{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}])),
    ("responses", {"instructions": "s", "input": "a"}, {"instructions": "s", "input": [user("a"), {"type": "function_call"}]}),
    ("generate_content", {"systemInstruction": {"parts": [{"text": "s"}]}, "contents": [{"parts": [{"text": "a"}]}]}, {"system_instruction": {"parts": [{"text": "s"}]}, "contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": []}]}),
]  # fmt: skip


@pytest.mark.parametrize(("endpoint", "first", "later"), CONVERSATIONS)
def test_the_calls_of_a_conversation_have_one_seed(
    endpoint: str, first: dict[str, Any], later: dict[str, Any]
) -> None:
    """Later turns, tools, marks of caching and the spelling of keys make no difference; other words do."""
    assert seed(endpoint, first) == seed(endpoint, later) == b"s\0a"
    other = json.dumps(first).replace('"a"', '"z"')
    assert Content(endpoint, other.encode()).seed() == b"s\0z"


def test_what_is_no_conversation_has_no_seed() -> None:
    """Embeddings, and bodies that say nothing."""
    assert seed("embeddings", {"input": "a"}) == b""
    assert seed("chat_completions", chat()) == b""
    assert seed("completions", {"prompt": "a" * 5000}) == b"a" * 2048


def test_the_seed_of_a_long_conversation_is_short() -> None:
    """Of long texts both ends count, and the length; what is hashed stays small."""
    long = "x" * 100_000
    found = {
        seed("chat_completions", chat({"role": "system", "content": system}, user(first)))
        for system in (long, long + "x", "y" + long[1:], long[:-1] + "y")
        for first in ("a", "b", long)
    }
    assert len(found) == 12
    assert max(map(len, found)) < 9000


def test_no_escape_of_half_a_letter_breaks_a_seed() -> None:
    """A lone surrogate, which JSON can hold and no text, has a seed and a prompt."""
    raw = b'{"messages": [{"role": "user", "content": "\\ud800 tools"}]}'
    assert isinstance(Content("chat_completions", raw).seed(), bytes)
    assert isinstance(Content("chat_completions", raw).prompt(), Prompt)


@needs_recordings
@pytest.mark.parametrize("recording_id", RECORDED)
def test_recordings(recording_id: str) -> None:
    """Real requests are told as their features say, and only those without a person's words have none."""
    recording = load(recording_id)
    endpoint, features = endpoint_of(recording), set(recording.features)
    assert endpoint is not None
    body = recording.request["body"]
    found = shape(endpoint, body)
    # A provider's own tools are tools, too; the recordings list them otherwise.
    assert found.tools is any(body.get(name) for name in ("tools", "functions", "mcp_servers"))
    assert found.tools or "tools" not in features
    assert found.images or not features & {"vision", "image_url", "image_b64"}
    assert found.json_schema is ("json_schema" in features)
    said = prompt(endpoint, body)
    assert bool(said.text) is (recording_id not in SILENT and endpoint != "embeddings")
    assert bool(seed(endpoint, body)) is (bool(said.text) or recording_id in ONLY_INSTRUCTED)


ONLY_INSTRUCTED: Final = {
    "openai-chat-chat-detailed-usage",
    "openai-chat-stream-chat-streaming-detailed-usage",
}
SILENT: Final = ONLY_INSTRUCTED | {
    "anthropic-messages-stream-image-with-no-prompt",
    "openai-chat-400-chat-no-messages",
    "openai-completions-400-openai-completions-post-ec9c4d9d",
    "openai-responses-agent-with-tool-calls",  # a tool's result alone
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.sampled_from(["user", "image"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "parts", "text", "type", "input", "tools", "source"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
MEMBERS = st.sampled_from(
    ["messages", "input", "contents", "prompt", "system", "instructions", "systemInstruction"]
) | st.sampled_from(["tools", "text", "response_format", "output_config", "generationConfig"])


@given(st.sampled_from(ENDPOINTS), st.dictionaries(MEMBERS, JSON, max_size=5))
def test_any_json_is_told_without_failing(endpoint: str, body: dict[str, Any]) -> None:
    """Members of any type in any place."""
    raw = json.dumps({**body, "image": 1, "schema": 1, "file": 1}).encode()
    assert isinstance(Content(endpoint, raw).shape(), Shape)
    assert isinstance(Content(endpoint, raw).prompt(), Prompt)
    assert isinstance(Content(endpoint, raw).seed(), bytes)


@given(st.sampled_from(ENDPOINTS), st.binary(max_size=60))
def test_any_bytes_are_told_without_failing(endpoint: str, raw: bytes) -> None:
    """What is no JSON at all has no traits."""
    assert Content(endpoint, raw + b'"tools" image schema file').shape() == Shape()
    assert Content(endpoint, raw + b"\xff").seed() == b""
    assert Content(endpoint, raw + b"\xff").prompt().text == ""


def test_nesting_beyond_measure_is_told_without_failing() -> None:
    """A body nested a hundred thousand deep ends no process."""
    raw = b'{"messages": [{"role": "user", "content": ' + b"[" * 100_000 + b"]" * 100_000 + b'}], "image": 1}'
    for endpoint in ENDPOINTS:
        assert Content(endpoint, raw).shape() == Shape()
        assert Content(endpoint, raw).seed() == b""
        assert Content(endpoint, raw).prompt().text == ""


@pytest.mark.slow
def test_a_megabyte_is_told_in_about_the_time_of_decoding_it() -> None:
    """Whatever is asked of it, it is decoded once."""
    raw = json.dumps(chat(*[user("lorem ipsum " * 400)] * 210)).encode()
    assert len(raw) > 1_000_000

    def told() -> None:
        content = Content("chat_completions", raw)
        content.shape()
        content.prompt()
        content.seed()

    decoded = min(repeat(lambda: msgspec.json.decode(raw), number=10, repeat=7))
    assert min(repeat(told, number=10, repeat=7)) < 2 * decoded
