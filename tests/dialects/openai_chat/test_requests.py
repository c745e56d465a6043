"""Clients' requests: read into neutral words, and unchanged on their way to a host of the same API."""

from __future__ import annotations

from typing import Any

import pytest

from llmgw.canonical import (
    CacheMark,
    Inline,
    JsonFormat,
    Link,
    Media,
    NativePart,
    NativeTool,
    Reasoning,
    Refusal,
    Stored,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.codec import Losses
from llmgw.dialects.openai_chat.codec import CODEC
from llmgw.errors import InvalidRequest, UnsupportedParameter
from tests.dialects.openai_chat.exchange import (
    ASKED,
    host,
    losses,
    read,
    said,
    to,
    write,
)

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": PARAMETERS}}

SAME: list[dict[str, Any]] = [
    {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "n": 2, "seed": 7, "stop": ["a", "b"]},
    {"presence_penalty": 1, "frequency_penalty": -1, "logprobs": True, "top_logprobs": 3},
    {"max_completion_tokens": 10, "verbosity": "low", "service_tier": "flex", "user": "u"},
    {"safety_identifier": "s", "prompt_cache_key": "k", "metadata": {"a": "b"}, "store": True},
    {"user": "u", "safety_identifier": "s"},
    {"store": False, "logit_bias": {"50256": -100}, "modalities": ["text", "audio"]},
    {"audio": {"voice": "alloy", "format": "wav"}, "prediction": {"type": "content", "content": "x"}},
    {"web_search_options": {"search_context_size": "low"}, "moderation": {"model": "m"}},
    {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}, "unheard_of": {"a": [1]}},
    {"response_format": {"type": "text"}},
    {"response_format": {"type": "json_object"}},
    {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": PARAMETERS, "strict": True, "description": "d"},
        }
    },
    {"response_format": {"type": "json_schema", "json_schema": {"name": "any"}}},
    {"response_format": {"type": "grammar", "grammar": "x"}},
    {"reasoning_effort": "minimal"},
    {"reasoning_effort": "ludicrous", "verbosity": "ludicrous"},
    {"reasoning": {"max_tokens": 2000, "exclude": True}},
    {"reasoning": {"enabled": True}},
    {"reasoning": {"effort": "high", "unheard_of": 1}},
    {"tools": [FUNCTION], "tool_choice": "required", "parallel_tool_calls": False},
    {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    {"tools": [FUNCTION], "tool_choice": "any"},
    {"tools": [{"function": {"name": "f", "description": "d", "strict": False}}]},
    {"tools": [{**FUNCTION, "cache_control": {"type": "ephemeral"}}]},
    {
        "tools": [{"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}],
        "tool_choice": {"type": "custom", "custom": {"name": "c"}},
    },
    {
        "tools": [FUNCTION],
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
        },
    },
    {"tools": [{"type": "web_search", "web_search": {}}], "tool_choice": {"type": "web_search"}},
    {"functions": [{"name": "f", "parameters": PARAMETERS}], "function_call": {"name": "f"}},
    {"functions": [{"name": "f"}], "function_call": "auto"},
    {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
    {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": True}},
]


@pytest.mark.parametrize("fields", SAME, ids=lambda fields: ",".join(fields))
def test_fields_go_unchanged_to_the_same_api(fields: dict[str, Any]) -> None:
    """Every field, known or not, stands in the provider's request as the client wrote it."""
    lost = losses()
    assert write(read(**fields), lost=lost) == {**ASKED, "model": "target", **fields}
    assert lost.dropped == []


MESSAGES: list[list[dict[str, Any]]] = [
    [{"role": "developer", "content": "d", "name": "n"}, {"role": "system", "content": "s"}],
    [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
    [{"role": "user", "content": "", "name": "ann"}],
    [{"role": "user", "content": []}],
    [
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c", "detail": "low"}}],
        }
    ],
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "detail": "original"}}]}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": "https://a.b/c.png"}]}],
    [
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
        }
    ],
    [
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}}],
        }
    ],
    [
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "flac"}}],
        }
    ],
    [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}],
    [{"role": "user", "content": [{"type": "file", "file": {"file_data": "AA==", "filename": "a.pdf"}}]}],
    [
        {
            "role": "user",
            "content": [
                {
                    "type": "file",
                    "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
                },
                {"type": "video_url", "video_url": {"url": "https://a.b/c.mp4"}},
                {"type": "unheard_of", "unheard_of": {"a": 1}},
            ],
        }
    ],
    [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {"type": "text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "text", "text": "c", "cache_control": {"type": "lasting"}},
            ],
        }
    ],
    [
        {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "2"}] * 2},
    ],
    [
        {"role": "assistant", "content": "", "tool_calls": [{**CALL, "index": 0}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "", "name": "f"},
    ],
    [{"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": ""}}]}],
    [
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "n", "input": "x y"}}],
        }
    ],
    [{"role": "assistant", "tool_calls": [{"id": "c", "type": "mcp", "mcp": {"name": "n"}}]}],
    [
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    ],
    [{"role": "assistant", "content": None, "refusal": "no"}],
    [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
    [{"role": "assistant", "content": "x", "audio": {"id": "audio_1"}, "prefix": True}],
    [{"role": "assistant", "content": "x", "reasoning_content": "hm"}],
    [{"role": "assistant", "content": "x", "reasoning": "hm", "annotations": [], "tool_calls": []}],
    [
        {
            "role": "assistant",
            "content": "x",
            "reasoning": "hm",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"},
                {"type": "reasoning.encrypted", "data": "d", "format": "unheard-of", "index": 1},
            ],
        }
    ],
    [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
                {"type": "text", "text": "x"},
            ],
        }
    ],
    [
        {
            "role": "assistant",
            "content": "x",
            "extra_content": {"google": {"thought_signature": "s"}},
            "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "t"}}}],
        }
    ],
    [
        {
            "role": "assistant",
            "content": "x",
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1},
                }
            ],
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}, "index": 0}],
        }
    ],
]


@pytest.mark.parametrize("messages", MESSAGES, ids=str)
def test_messages_go_unchanged_to_the_same_api(messages: list[dict[str, Any]]) -> None:
    """Every message stands in the provider's request as the client wrote it; null is absent."""
    lost = losses()
    assert plain(write(said(*messages), lost=lost)["messages"]) == plain(messages)
    assert lost.dropped == []


def plain(messages: Any) -> Any:
    """Null is absent."""
    return [{name: value for name, value in one.items() if value is not None} for one in messages]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text(text="a", cache=CacheMark(ttl="1h")),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"}},
            Media(kind="image", source=Inline(media_type="image/png", data="AA=="), detail="high"),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a.b/c"}},
            Media(kind="image", source=Link(url="https://a.b/c")),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            Media(kind="audio", source=Inline(media_type="audio/wav", data="AA==")),
        ),
        (
            {"type": "file", "file": {"file_id": "f", "filename": "n"}},
            Media(kind="document", source=Stored(id="f"), name="n"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}},
            Media(kind="document", source=Inline(media_type="application/pdf", data="AA==")),
        ),
        (
            {"type": "unheard_of", "x": 1},
            NativePart(dialect="openai_chat", kind="unheard_of", data={"type": "unheard_of", "x": 1}),
        ),
    ],
)
def test_parts_are_read(part: dict[str, Any], expected: Any) -> None:
    """Each kind of content is the part of the neutral model that means it."""
    assert said({"role": "user", "content": [part]}).messages[0].parts == (expected,)


def test_an_answer_in_the_history_is_read() -> None:
    """Text, refusal and calls of an assistant's message are its parts, and a result names its call."""
    chat = said(
        {"role": "assistant", "content": "a", "refusal": "no", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
    )
    call = ToolCall(id="call_1", name="f", arguments='{"a": 1}')
    assert chat.messages[0].parts == (Text(text="a"), Refusal(text="no"), call)
    assert chat.messages[1].parts == (ToolResult(call_id="call_1", name=None, parts=(Text(text="1"),)),)


def test_the_older_functions_are_tools() -> None:
    """`functions`, `function_call` and role `function` mean tools, a choice among them and a result without an id."""
    chat = read(
        functions=[{"name": "f", "parameters": PARAMETERS}],
        function_call={"name": "f"},
        messages=[
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
    )
    assert [(tool.name, tool.parameters) for tool in chat.tools if isinstance(tool, Tool)] == [
        ("f", PARAMETERS)
    ]
    assert chat.tool_choice == ToolChoice(mode="required", names=("f",))
    assert chat.messages[0].parts == (ToolCall(id=None, name="f", arguments="{}"),)
    assert chat.messages[1].parts == (ToolResult(call_id=None, name="f", parts=(Text(text="1"),)),)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"max_tokens": 5}, "max_tokens", 5),
        ({"max_completion_tokens": 5, "max_tokens": 5}, "max_tokens", 5),
        ({"stop": "x"}, "stop", ("x",)),
        ({"reasoning_effort": "high"}, "reasoning", Reasoning(effort="high")),
        (
            {"reasoning": {"max_tokens": 9, "exclude": True}},
            "reasoning",
            Reasoning(budget_tokens=9, show=False),
        ),
        ({"reasoning": {"enabled": False}}, "reasoning", Reasoning(effort="none")),
        ({"response_format": {"type": "json_object"}}, "format", JsonFormat()),
        ({"response_format": {"type": "text"}}, "format", None),
        ({"prompt_cache_key": "k"}, "cache_key", "k"),
        ({"safety_identifier": "s"}, "user", "s"),
        ({"stream": True}, "include_usage", False),
        ({"stream": True, "stream_options": {"include_usage": True}}, "include_usage", True),
        ({}, "include_usage", True),
        ({"tool_choice": "none"}, "tool_choice", ToolChoice(mode="none")),
        ({"temperature": None, "stream_options": None, "tools": None}, "temperature", None),
    ],
)
def test_fields_are_read(fields: dict[str, Any], name: str, value: Any) -> None:
    """Each field is the one of the neutral model that means it."""
    assert getattr(read(**fields), name) == value


def test_defaults_are_no_loss() -> None:
    """A documented default that only this API has is no native member, so no other API refuses it."""
    chat = read(store=False, logit_bias={}, modalities=["text"], response_format={"type": "text"})
    assert dict(chat.native) == {}


def test_foreign_thoughts_come_back_with_their_origin() -> None:
    """A client sends `reasoning_details` back; their format says whose thoughts they are."""
    details = [
        {
            "type": "reasoning.text",
            "text": "hm",
            "signature": "s",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
        {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1", "index": 1},
        {
            "type": "reasoning.summary",
            "summary": "so",
            "id": "rs_1",
            "format": "openai-responses-v1",
            "index": 2,
        },
        {
            "type": "reasoning.encrypted",
            "data": "e",
            "id": "rs_1",
            "format": "openai-responses-v1",
            "index": 3,
        },
    ]
    chat = said(
        {"role": "assistant", "content": "x", "reasoning_content": "hm", "reasoning_details": details}
    )
    claude, responses = {"dialect": "anthropic"}, {"dialect": "openai_responses"}
    assert chat.messages[0].parts[:-1] == (
        Thought(text="hm", signature="s", native=claude),
        Thought(redacted="d", native=claude),
        Thought(text="so", redacted="e", id="rs_1", native=responses),
    )


def test_gemini_signatures_come_back_to_their_parts() -> None:
    """In Google's own place, or among the details as OpenRouter has them."""
    google = {"type": "reasoning.encrypted", "format": "google-gemini-v1"}
    chat = said(
        {
            "role": "assistant",
            "content": "x",
            "extra_content": {"google": {"thought_signature": "of text"}},
            "tool_calls": [
                {**CALL, "extra_content": {"google": {"thought_signature": "of call"}}},
                {**CALL, "id": "call_2"},
            ],
            "reasoning_details": [{**google, "data": "of second", "id": "call_2"}],
        }
    )
    signatures = [getattr(part, "signature", None) for part in chat.messages[0].parts]
    assert signatures == ["of text", "of call", "of second"]


def test_other_tools_are_the_hosts_own() -> None:
    """A tool of a kind that this API has not is kept whole."""
    chat = read(tools=[{"type": "web_search", "web_search": {"x": 1}}])
    data = {"type": "web_search", "web_search": {"x": 1}}
    assert chat.tools == (NativeTool(dialect="openai_chat", kind="web_search", data=data),)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}
                ]
            },
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "function"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        ({"messages": [{"role": "assistant", "reasoning_details": "x"}]}, "messages[0].reasoning_details"),
        ({"temperature": "hot"}, "temperature"),
        ({"n": 0}, "n"),
        ({"n": 1.5}, "n"),
        ({"stop": [1]}, "stop"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"response_format": {"type": 1}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], path: str) -> None:
    """A wrong value is a 400 that names its path."""
    with pytest.raises(InvalidRequest) as refused:
        read(**fields)
    assert refused.value.param == path
    assert path in refused.value.message


# What a host's row changes


def test_a_host_has_its_own_names() -> None:
    """A renamed field goes out under the host's name, and an unnamed one under OpenAI's newest."""
    renamed = host(renamed={"max_completion_tokens": "max_tokens"})
    assert write(read(max_tokens=5), to(renamed))["max_tokens"] == 5
    assert write(read(max_tokens=5))["max_completion_tokens"] == 5


def test_what_a_host_does_not_take_is_refused_by_the_clients_name() -> None:
    """The error names the field as the client wrote it."""
    lost = Losses(CODEC.names, target="target", drop=False)
    narrow = to(host(unsupported=frozenset({"response_format"})))
    with pytest.raises(UnsupportedParameter) as refused:
        write(read(response_format={"type": "json_object"}), narrow, lost)
    assert refused.value.param == "response_format"


def test_what_a_host_does_not_take_is_dropped_by_name() -> None:
    """A hint is left out and named; a default is left out without a word."""
    narrow = host(unsupported=frozenset({"user", "n", "logprobs", "prompt_cache_key", "seed"}))
    lost = Losses(CODEC.names, target="target", drop=True)
    written = write(read(user="u", n=1, logprobs=False, prompt_cache_key="k", seed=1), to(narrow), lost)
    assert written.keys() == {"model", "messages"}
    assert sorted(lost.dropped) == ["prompt_cache_key", "seed", "user"]


def test_every_stream_is_asked_for_its_usage() -> None:
    """The gateway needs usage whether the client wants it or not; a host that always sends it is not asked."""
    assert write(read(stream=True))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in write(read(stream=True), to(host(asks_for_usage=False)))


def test_a_host_without_the_role_developer_gets_system() -> None:
    """The two roles mean the same."""
    narrow = host(unsupported=frozenset({"developer"}))
    assert write(said({"role": "developer", "content": "d"}), to(narrow))["messages"][0]["role"] == "system"


def test_a_host_that_takes_no_thoughts_gets_none() -> None:
    """Thoughts are left out and named, in whatever member they stand."""
    narrow = host(unsupported=frozenset({"reasoning_content", "extra_content"}))
    lost = losses()
    spoken = {
        "role": "assistant",
        "content": "x",
        "reasoning_content": "hm",
        "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "t"}}}],
    }
    written = write(said(spoken), to(narrow), lost)["messages"][0]
    assert written == {"role": "assistant", "content": "x", "tool_calls": [CALL]}
    assert lost.dropped == ["part.thought"]


@pytest.mark.parametrize(
    ("capabilities", "fields", "param"),
    [
        (Capabilities(sampling=False), {"temperature": 0.5}, "temperature"),
        (Capabilities(sampling=False), {"top_p": 0.5}, "top_p"),
        (Capabilities(tools=False), {"tools": [FUNCTION]}, "tools"),
        (
            Capabilities(json_schema=False),
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
            "format",
        ),
        (Capabilities(reasoning="none"), {"reasoning_effort": "low"}, "reasoning"),
    ],
)
def test_what_the_model_cannot_do_is_refused(
    capabilities: Capabilities, fields: dict[str, Any], param: str
) -> None:
    """Before anything is sent, with the field's name."""
    with pytest.raises(UnsupportedParameter) as refused:
        write(read(**fields), to(capabilities=capabilities))
    assert refused.value.param == param


def test_what_asks_for_nothing_is_not_refused() -> None:
    """The default temperature, and no thinking of a model that does not think."""
    capabilities = Capabilities(sampling=False, reasoning="none")
    written = write(read(temperature=1, reasoning_effort="none"), to(capabilities=capabilities))
    assert written == {**ASKED, "model": "target"}


@pytest.mark.parametrize(
    ("capabilities", "part", "param"),
    [
        (
            Capabilities(vision=False),
            {"type": "image_url", "image_url": {"url": "https://a.b/c"}},
            "part.image",
        ),
        (
            Capabilities(audio=False),
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            "part.audio",
        ),
        (Capabilities(documents=False), {"type": "file", "file": {"file_id": "f"}}, "part.document"),
    ],
)
def test_media_that_the_model_cannot_take_are_refused(
    capabilities: Capabilities, part: dict[str, Any], param: str
) -> None:
    """With the kind of the part; dropped, the rest of the message goes out."""
    chat = said({"role": "user", "content": [{"type": "text", "text": "see"}, part]})
    blind = to(capabilities=capabilities)
    with pytest.raises(UnsupportedParameter) as refused:
        write(chat, blind)
    assert refused.value.param == param
    lost = losses(drop=True)
    assert write(chat, blind, lost)["messages"] == [{"role": "user", "content": "see"}]
    assert lost.dropped == [param]
