"""A client's request, read and written back to Anthropic."""

from __future__ import annotations

import json
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
    PlainText,
    Reasoning,
    Stored,
    Text,
    Thought,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmgw.dialects.anthropic import request_writer
from llmgw.dialects.anthropic.codec import CODEC
from llmgw.errors import CallError, InvalidRequest
from tests.dialects.anthropic.parties import asking, losses, normal, read, recordings, sent, to
from tests.provider.recordings import Recording, write_json

RECORDED = [
    one
    for one in [*recordings(streaming=False), *recordings(streaming=True)]
    if isinstance(one.request["body"], dict)
]
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def test_there_are_recordings() -> None:
    """The recordings stand beside this checkout; without them the tests of recorded traffic do not run."""
    if not RECORDED:
        pytest.skip("no fixtures beside this checkout")
    assert len(RECORDED) > 30


@pytest.mark.parametrize("recording", RECORDED, ids=lambda one: one.id)
def test_recorded_requests_are_written_back_as_they_were(recording: Recording) -> None:
    """The same API gets every recorded request back whole, and nothing is reported as lost."""
    body = {**recording.request["body"], "model": to().model}
    account = losses()
    assert normal(sent(read(body), account=account)) == normal(body)
    assert account.dropped == []


MARK = {"type": "ephemeral"}
EVERYTHING: list[dict[str, Any]] = [
    asking({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
    asking({"type": "text", "text": "a", "cache_control": {"type": "persistent"}, "new_member": 1}),
    asking({"type": "image", "source": PNG, "cache_control": MARK}),
    asking({"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}}),
    asking({"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
    asking({"type": "image", "source": {"type": "hologram", "x": 1}}),
    asking({"type": "image", "source": {**PNG, "new_member": 1}}),
    asking(
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            "title": "t",
            "context": "c",
            "citations": {"enabled": True},
            "cache_control": MARK,
        }
    ),
    asking(
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "words"},
            "citations": {"enabled": False},
        }
    ),
    asking({"type": "document", "source": {"type": "url", "url": "https://e.org/a.pdf"}}),
    asking({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
    asking({"type": "document", "source": {"type": "content", "content": "words"}}),
    asking({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}}),
    asking(
        {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "image", "source": PNG}]},
            "title": "t",
        }
    ),
    asking(
        {
            "type": "search_result",
            "source": "https://e.org",
            "title": "t",
            "content": [{"type": "text", "text": "found"}],
            "citations": {"enabled": True},
        }
    ),
    asking({"type": "container_upload", "file_id": "file_1"}, {"type": "unheard_of", "x": [None]}),
    asking(
        messages=[
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "be brief"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "Eq0EC="},
                    {"type": "redacted_thinking", "data": "Emw="},
                    {
                        "type": "text",
                        "text": "cited",
                        "citations": [
                            {
                                "type": "char_location",
                                "cited_text": "c",
                                "document_index": 0,
                                "document_title": "t",
                                "start_char_index": 0,
                                "end_char_index": 1,
                            }
                        ],
                    },
                    {
                        "type": "server_tool_use",
                        "id": "srvtoolu_1",
                        "name": "web_search",
                        "input": {"query": "q"},
                    },
                    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
                    {
                        "type": "tool_use",
                        "id": "toolu_1",
                        "name": "f",
                        "input": {"big": 12345678901234567890123, "n": None},
                        "caller": {"type": "direct"},
                        "cache_control": MARK,
                    },
                    {
                        "type": "tool_use",
                        "id": "toolu_2",
                        "name": "f",
                        "input": {},
                        "caller": {"type": "code_execution_20250825", "tool_id": "srvtoolu_1"},
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "", "is_error": True},
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_2",
                        "content": [
                            {"type": "text", "text": "a"},
                            {"type": "image", "source": PNG},
                            {"type": "tool_reference", "tool_name": "g"},
                        ],
                        "cache_control": MARK,
                    },
                    {"type": "text", "text": "go on"},
                ],
            },
            {"role": "assistant", "content": "prefilled:"},
        ]
    ),
    asking(
        system=[{"type": "text", "text": "s", "cache_control": MARK}, {"type": "text", "text": "t"}],
        tools=[
            {
                "type": "custom",
                "name": "f",
                "input_schema": {"type": "object"},
                "strict": True,
                "cache_control": MARK,
            },
            {
                "name": "g",
                "description": "d",
                "input_schema": {"type": "object"},
                "defer_loading": False,
                "allowed_callers": ["direct"],
                "input_examples": [{"a": 1}],
            },
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        ],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
        temperature=0.5,
        top_k=3,
        top_p=0.9,
        stream=True,
        metadata={"user_id": "u", "more": 1},
        service_tier="standard_only",
        container="c",
        mcp_servers=[{"type": "url", "url": "https://e.org", "name": "m"}],
        context_management={"edits": []},
        betas=["b"],
        cache_control={"type": "ephemeral", "ttl": "1h"},
    ),
    asking(tool_choice={"type": "auto", "disable_parallel_tool_use": False}, service_tier="auto"),
    asking(tool_choice={"type": "any"}, tools=[{"name": "f", "input_schema": {"type": "object"}}]),
    asking(tool_choice={"type": "none"}, tools=[{"name": "f", "input_schema": {"type": "object"}}]),
    asking(thinking={"type": "enabled", "budget_tokens": 2048}, output_config={"effort": "high"}),
    asking(thinking={"type": "enabled", "budget_tokens": 2048, "display": "omitted"}),
    asking(thinking={"type": "disabled"}),
    asking(thinking={"type": "adaptive", "display": "summarized"}, output_config={"effort": "xhigh"}),
    asking(
        thinking={"type": "adaptive", "display": "new"},
        output_config={"effort": "new", "task_budget": {"total": 1}},
    ),
    asking(thinking={"type": "new", "x": 1}),
    asking(output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}),
    asking(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}, "new": 1}}),
    asking(output_format={"type": "json_schema", "schema": {"type": "object"}}),
    asking({"type": "container_upload", "file_id": "f"}, cache_control=MARK),
    asking({"type": "text", "text": "a", "cache_control": MARK}, cache_control=MARK),
    asking(
        {"type": "thinking", "thinking": "hm", "signature": "s", "new": 1},
        tools=[{"name": "f"}],
        tool_choice={"type": "auto", "new": 1},
    ),
]


@pytest.mark.parametrize("body", EVERYTHING, ids=range(len(EVERYTHING)))
def test_every_member_of_the_api_is_written_back(body: dict[str, Any]) -> None:
    """What the published document has, and well-formed members that it has not, come back whole."""
    body = {**body, "model": to().model}
    account = losses()
    written = sent(read(body), account=account)
    for tool in (*body.get("tools", ()),):
        if tool.get("type") == "custom":
            assert written["tools"][0]["type"] == "custom"
    assert normal(written) == normal(body)
    assert account.dropped == []


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        (
            {"type": "image", "source": PNG},
            Media(kind="image", source=Inline(media_type="image/png", data=PNG["data"])),
        ),
        (
            {
                "type": "image",
                "source": {"type": "url", "url": "u"},
                "cache_control": {"type": "ephemeral", "ttl": "5m"},
            },
            Media(kind="image", source=Link(url="u"), cache=CacheMark(ttl="5m")),
        ),
        (
            {"type": "document", "source": {"type": "file", "file_id": "f"}, "title": "t", "context": "c"},
            Media(kind="document", source=Stored(id="f"), name="t", native={"context": "c"}),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            Media(kind="document", source=PlainText(text="words")),
        ),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "text", "text": "a"}] * 2},
            },
            Media(kind="document", source=PlainText(text="a\na")),
        ),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, Thought(text="hm", signature="s")),
        ({"type": "redacted_thinking", "data": "d"}, Thought(redacted="d")),
        (
            {"type": "tool_use", "id": "i", "name": "f", "input": {"a": 1.5}, "caller": {"type": "direct"}},
            ToolCall(id="i", name="f", arguments='{"a":1.5}'),
        ),
        (
            {"type": "tool_result", "tool_use_id": "i", "content": "out", "is_error": True},
            ToolResult(call_id="i", name=None, parts=(Text(text="out"),), is_error=True),
        ),
        ({"type": "tool_result", "tool_use_id": "i"}, ToolResult(call_id="i", name=None, parts=())),
        (
            {"type": "container_upload", "file_id": "f"},
            NativePart(
                dialect="anthropic",
                kind="container_upload",
                data={"type": "container_upload", "file_id": "f"},
            ),
        ),
    ],
)
def test_blocks_are_read_as_parts(block: dict[str, Any], part: object) -> None:
    """Each kind of block is the neutral part that other APIs can be written from."""
    assert read(asking(block)).messages[0].parts == (part,)


def test_settings_are_read() -> None:
    """The members that other APIs have too are in the neutral fields and not in `native`."""
    chat = read(EVERYTHING[17])
    assert (chat.temperature, chat.top_k, chat.top_p, chat.stop, chat.stream) == (0.5, 3, 0.9, ("END",), True)
    assert (chat.user, chat.service_tier, chat.parallel_tool_calls) == ("u", "default", False)
    assert chat.tool_choice == ToolChoice(mode="required", names=("f",))
    assert isinstance(chat.tools[2], NativeTool)
    assert set(chat.native) == {"metadata", "container", "mcp_servers", "context_management", "betas"}


def test_a_mark_of_the_whole_request_is_one_of_its_last_block() -> None:
    """The API puts a top-level `cache_control` on the last block that can bear one; other targets get it there."""
    chat = read(asking({"type": "text", "text": "a"}, {"type": "text", "text": "b"}, cache_control=MARK))
    first, last = chat.messages[0].parts
    assert isinstance(first, Text)
    assert isinstance(last, Text)
    assert first.cache is None
    assert last.cache is not None
    assert "cache_control" not in chat.native


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(budget_tokens=2048)),
        ({"thinking": {"type": "disabled"}}, Reasoning(budget_tokens=0)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning(adaptive=True, show=False)),
        ({"output_config": {"effort": "max"}}, Reasoning(effort="max")),
        ({}, None),
    ],
)
def test_thinking_is_read(members: dict[str, Any], wanted: Reasoning | None) -> None:
    """Budgets, efforts and their absence."""
    assert read(asking(**members)).reasoning == wanted


def test_structured_output_is_read_under_both_names() -> None:
    """`output_format` was the beta's name of `output_config.format`."""
    said = {"type": "json_schema", "schema": {"type": "object"}}
    for members in ({"output_format": said}, {"output_config": {"format": said}}):
        chat = read(asking(**members))
        assert chat.format == JsonFormat(schema={"type": "object"})
        assert dict(chat.native) == {}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": 1}, "model"),
        ({"messages": {}}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_use", "id": "i", "name": "f", "input": "x"}]}
                ]
            },
            "messages[0].content[0].input",
        ),
        ({"system": 1}, "system"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {}}, "thinking.type"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"stop_sequences": [1]}, "stop_sequences"),
        ({"output_config": {"effort": 1}}, "output_config.effort"),
        ({"output_config": {"format": 1}}, "output_config.format"),
        ({"metadata": "u"}, "metadata"),
    ],
)
def test_a_wrong_type_is_named_by_its_path(body: dict[str, Any], param: str) -> None:
    """The client learns which member is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        read({**asking(), **body})
    assert caught.value.param == param


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"model":"\xff"}', b'{"a":' + b"[" * 5000, b'{"n":1e999}']
)
def test_what_is_no_json_object_is_the_clients_fault(body: bytes) -> None:
    """Bytes that are no request raise nothing but InvalidRequest."""
    with pytest.raises(CallError) as caught:
        CODEC.read_request(body)
    assert isinstance(caught.value, InvalidRequest)


def test_a_count_takes_what_counts() -> None:
    """The body for `count_tokens` has none of the members that it would refuse."""
    body = json.loads(request_writer.count_body(read(EVERYTHING[17]), to(), losses()))
    assert set(body) == {
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "mcp_servers",
        "context_management",
        "betas",
        "cache_control",
    }


def test_writing_leaves_the_request_as_it_was() -> None:
    """A request may be written twice, to the next provider when the first one fails."""
    for body in EVERYTHING:
        chat = CODEC.read_request(write_json(body, "odd"))
        assert sent(chat) == sent(chat)
