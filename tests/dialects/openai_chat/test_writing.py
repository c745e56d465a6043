"""Other APIs' requests for a host of this one: carried, converted, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from llmgw.canonical import (
    CacheMark,
    Citation,
    Inline,
    JsonFormat,
    Link,
    Media,
    Message,
    NativePart,
    NativeTool,
    Part,
    PlainText,
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
from llmgw.errors import InvalidRequest, UnsupportedParameter
from tests.dialects.openai_chat.exchange import answered, ask, host, losses, to, user, write

PNG = Media(kind="image", source=Inline(media_type="image/png", data="AA=="))
PDF = Media(kind="document", source=Inline(media_type="application/pdf", data="AA=="), name="a.pdf")
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}


def call(call_id: str | None = "toolu_1", name: str = "f", **fields: Any) -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments='{"a":1}', **fields)


def result(
    *parts: Part, call_id: str | None = "toolu_1", name: str | None = None, **fields: Any
) -> ToolResult:
    return ToolResult(call_id=call_id, name=name, parts=parts, **fields)


def messages(*given: Message, **fields: Any) -> Any:
    return write(ask(*given, **fields))["messages"]


def test_instructions_come_first() -> None:
    """What stands outside of the turns elsewhere is a first message here; those within stay where they are."""
    written = write(
        ask(
            user(Text(text="hi")),
            Message(role="developer", parts=(Text(text="d"),)),
            system=(Text(text="s"),),
        )
    )
    assert written["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": "d"},
    ]


def test_results_stand_directly_behind_their_calls() -> None:
    """Each in a message of its own, whatever stood between them and their calls, with what else the user said after
    them."""
    written = messages(
        user(Text(text="go")),
        answered(Text(text="I"), Text(text=" will"), call("toolu_1"), call("toolu_2", "g")),
        user(Text(text="so?"), result(Text(text="2"), call_id="toolu_2"), result(Text(text="1"))),
    )
    assert [one["role"] for one in written] == ["user", "assistant", "tool", "tool", "user"]
    assert written[1]["content"] == "I will"
    assert [one["id"] for one in written[1]["tool_calls"]] == ["toolu_1", "toolu_2"]
    assert written[1]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert [(one["tool_call_id"], one["content"]) for one in written[2:4]] == [
        ("toolu_2", "2"),
        ("toolu_1", "1"),
    ]
    assert written[4] == {"role": "user", "content": "so?"}


def test_calls_without_ids_get_some() -> None:
    """Gemini's calls are told apart by name and order; here each call and its result share an id."""
    written = messages(
        answered(call(None, "f"), call(None, "g"), call(None, "f")),
        user(
            result(Text(text="1"), call_id=None, name="f"),
            result(Text(text="2"), call_id=None, name="f"),
            result(Text(text="3"), call_id=None, name="g"),
        ),
        dialect="gemini",
    )
    first, second, third = (one["id"] for one in written[0]["tool_calls"])
    assert len({first, second, third}) == 3
    assert [one["tool_call_id"] for one in written[1:]] == [first, third, second]


def test_ids_fit_the_api() -> None:
    """OpenAI takes 40 characters; a longer id becomes a shorter one, the same for the call and its result, and an id
    that two turns share is made unique."""
    long = "x" * 100
    written = messages(
        answered(call(long)), user(result(call_id=long)), answered(call(long)), user(result(call_id=long))
    )
    ids = [written[0]["tool_calls"][0]["id"], written[2]["tool_calls"][0]["id"]]
    assert len(set(ids)) == 2
    assert all(len(one) <= 40 for one in ids)
    assert [written[1]["tool_call_id"], written[3]["tool_call_id"]] == ids


def test_a_result_without_its_call_is_the_clients_mistake() -> None:
    """A 400 that says so, before anything is sent."""
    with pytest.raises(InvalidRequest, match="answers no tool call"):
        messages(user(result(Text(text="1"))))


def test_images_of_a_result_follow_in_a_message() -> None:
    """A result takes text only, so its images stand in a message of the user's behind all results of the turn."""
    written = messages(
        answered(call("toolu_1"), call("toolu_2")),
        user(result(PNG, Text(text="see")), result(PDF, call_id="toolu_2"), Text(text="well?")),
    )
    assert [one["role"] for one in written] == ["assistant", "tool", "tool", "user", "user", "user"]
    assert written[1]["content"] == "see"
    assert "attached" in written[2]["content"]
    assert [part["type"] for part in written[3]["content"]] == ["text", "image_url"]
    assert "toolu_1" in written[3]["content"][0]["text"]
    assert [part["type"] for part in written[4]["content"]] == ["text", "file"]


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ((Text(text="no such file"),), "Error: no such file"),
        ((Text(text="Error: no such file"),), "Error: no such file"),
        ((), "Error: the tool call failed."),
    ],
)
def test_a_failed_tool_says_so(parts: tuple[Part, ...], content: str) -> None:
    """That a tool failed has no place of its own here, so it is said before its words."""
    written = messages(answered(call()), user(result(*parts, is_error=True)))
    assert written[1]["content"] == content


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (PNG, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}),
        (
            Media(kind="image", source=Link(url="https://a.b/c"), detail="low"),
            {"type": "image_url", "image_url": {"url": "https://a.b/c", "detail": "low"}},
        ),
        (
            PDF,
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
        ),
        (
            Media(kind="document", source=PDF.source),
            {
                "type": "file",
                "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,AA=="},
            },
        ),
        (
            Media(kind="audio", source=Inline(media_type="audio/mp3", data="AA==")),
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        ),
        (
            Media(kind="document", source=PlainText(text="words"), name="title"),
            {"type": "text", "text": "title\n\nwords"},
        ),
        (
            Media(kind="document", source=Inline(media_type="text/csv", data="YSxi")),
            {"type": "text", "text": "a,b"},
        ),
    ],
)
def test_media_are_carried(part: Media, block: dict[str, Any]) -> None:
    """As bytes in a data URL, by URL, or as text where a document is text."""
    content = messages(user(Text(text="see"), part))[0]["content"]
    assert content[1] == block


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (Media(kind="image", source=Stored(id="file_1")), "part.image"),
        (Media(kind="video", source=Link(url="https://a.b/c")), "part.video"),
        (Media(kind="audio", source=Link(url="https://a.b/c")), "part.audio"),
        (Media(kind="audio", source=Inline(media_type="audio/ogg", data="AA==")), "part.audio"),
        (Media(kind="document", source=Link(url="https://a.b/c")), "part.document"),
        (Media(kind="document", source=Stored(id="file_1")), "part.document"),
        (
            Media(kind="document", source=Inline(media_type="application/msword", data="AA==")),
            "part.document",
        ),
        (Media(kind="document", source=Inline(media_type="text/plain", data="!")), "part.document"),
        (NativePart(dialect="anthropic", kind="search_result", data={}), "part.search_result"),
    ],
)
def test_media_without_a_place_are_refused(part: Part, field: str) -> None:
    """By their kind; or left out and named, where the operator wants that."""
    chat = ask(user(Text(text="see"), part))
    with pytest.raises(UnsupportedParameter) as refused:
        write(chat)
    assert refused.value.param == field
    lost = losses(drop=True)
    assert write(chat, lost=lost)["messages"] == [{"role": "user", "content": "see"}]
    assert lost.dropped == [field]


def test_openais_two_apis_share_their_files() -> None:
    """A file that a client of the Responses API names is the same file here."""
    stored = Media(kind="document", source=Stored(id="file_1"))
    content = messages(user(stored), dialect="openai_responses")[0]["content"]
    assert content == [{"type": "file", "file": {"file_id": "file_1"}}]


def test_hints_without_a_place_are_named() -> None:
    """Cache markers, citations and other providers' thoughts change no answer: left out, reported, never refused."""
    lost = losses()
    chat = ask(
        user(Text(text="a", cache=CacheMark())),
        answered(
            Thought(text="hm", signature="s"),
            Text(text="b", citations=(Citation(url="u"),)),
            call(signature="s", cache=CacheMark()),
        ),
        tools=(Tool(name="f", cache=CacheMark()),),
        metadata={"a": "b"},
    )
    written = write(chat, lost=lost)
    assert written["messages"] == [
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": "b",
            "tool_calls": [
                {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
            ],
        },
    ]
    assert sorted(lost.dropped) == ["metadata", "part.cache", "part.citations", "part.thought", "tool.cache"]


def test_a_hosts_row_opens_places() -> None:
    """A host that names `cache_control`, `reasoning_details`, `extra_content` or `top_k` gets them."""
    names = ("cache_control", "reasoning_details", "extra_content", "top_k", "video_url")
    wide = to(host(renamed={name: name for name in names}))
    film = Media(kind="video", source=Link(url="https://a.b/c"))
    chat = ask(
        user(Text(text="a", cache=CacheMark(ttl="1h")), film),
        answered(Thought(text="hm", signature="s"), Text(text="b"), call(signature="t")),
        top_k=5,
    )
    lost = losses()
    written = write(chat, wide, lost)
    assert written["top_k"] == 5
    asked, spoken = written["messages"]
    assert asked["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert asked["content"][1] == {"type": "video_url", "video_url": {"url": "https://a.b/c"}}
    assert spoken["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "index": 0,
            "text": "hm",
            "signature": "s",
            "format": "anthropic-claude-v1",
        }
    ]
    assert spoken["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "t"}}
    assert lost.dropped == []


def test_thoughts_of_this_api_go_back_to_it() -> None:
    """A host's own thoughts, kept by another API's client, are sent back as the host gave them."""
    own = {"dialect": "openai_chat"}
    sealed = '{"type":"reasoning.text","signature":"s","format":"anthropic-claude-v1"}'
    written = messages(
        answered(Thought(text="hm", signature=sealed, native=own), Text(text="b")),
        answered(Thought(text="so", native=own), Text(text="c")),
    )
    assert written[0]["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "signature": "s",
            "format": "anthropic-claude-v1",
            "text": "hm",
            "index": 0,
        }
    ]
    assert written[1] == {"role": "assistant", "content": "c", "reasoning_content": "so"}


def test_refusals_and_names_have_their_places() -> None:
    """The model's refusal is a member of its message, and speakers are told apart."""
    written = messages(
        user(Text(text="a"), name="ann"), answered(Refusal(text="no")), dialect="openai_responses"
    )
    assert written == [
        {"role": "user", "content": "a", "name": "ann"},
        {"role": "assistant", "content": None, "refusal": "no"},
    ]


def test_a_message_of_which_nothing_is_left_is_left_out() -> None:
    """Only thoughts that nobody here can use."""
    assert messages(user(Text(text="a")), answered(Thought(text="hm", signature="s"))) == [
        {"role": "user", "content": "a"}
    ]


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (Reasoning(effort="xhigh"), "xhigh"),
        (Reasoning(budget_tokens=0), "none"),
        (Reasoning(budget_tokens=1024), "low"),
        (Reasoning(budget_tokens=10_000), "medium"),
        (Reasoning(budget_tokens=100_000), "high"),
        (Reasoning(adaptive=True), "medium"),
    ],
)
def test_thinking_becomes_an_effort(reasoning: Reasoning, effort: str) -> None:
    """An effort is carried; a budget becomes the nearest that every reasoning model knows."""
    assert write(ask(reasoning=reasoning))["reasoning_effort"] == effort


def test_what_is_shown_of_thoughts_is_up_to_the_host() -> None:
    """The wish is named, not refused."""
    lost = losses()
    assert "reasoning_effort" not in write(ask(reasoning=Reasoning(show=True)), lost=lost)
    assert lost.dropped == ["reasoning"]


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, True),
        ({**SCHEMA, "additionalProperties": True}, None),
        ({**SCHEMA, "required": []}, None),
        ({**SCHEMA, "properties": {"a": {"type": "object", "properties": {}}}}, None),
    ],
)
def test_a_schema_is_strict_where_it_can_be(schema: dict[str, Any], strict: bool | None) -> None:
    """Other APIs always hold an answer to its schema; this one only a strict one, which must be closed and complete."""
    written = write(ask(format=JsonFormat(schema=schema)))["response_format"]["json_schema"]
    assert written["schema"] == schema
    assert written["name"] == "answer"
    assert written.get("strict") is strict


def test_any_json_is_an_object() -> None:
    """Without a schema there is `json_object`."""
    assert write(ask(format=JsonFormat()))["response_format"] == {"type": "json_object"}


F, G = Tool(name="f", description="d", parameters=SCHEMA, strict=True), Tool(name="g")


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="none"), "none"),
        (ToolChoice(mode="required"), "required"),
        (ToolChoice(mode="required", names=("f",)), {"type": "function", "function": {"name": "f"}}),
        (
            ToolChoice(mode="auto", names=("f",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        ),
    ],
)
def test_tools_are_carried(choice: ToolChoice, written: Any) -> None:
    """With their schema, and what must be done with them; names narrow the choice."""
    found = write(ask(tools=(F, G), tool_choice=choice, parallel_tool_calls=False))
    assert found["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
        },
        {"type": "function", "function": {"name": "g"}},
    ]
    assert found["tool_choice"] == written
    assert found["parallel_tool_calls"] is False


def test_a_host_without_allowed_tools_gets_only_those() -> None:
    """The others are left out, which comes to the same."""
    narrow = to(host(unsupported=frozenset({"allowed_tools"})))
    chosen = ToolChoice(mode="required", names=("f", "g"))
    found = write(ask(tools=(F, G, Tool(name="h")), tool_choice=chosen), narrow)
    assert [tool["function"]["name"] for tool in found["tools"]] == ["f", "g"]
    assert found["tool_choice"] == "required"


def test_a_choice_of_no_tool_is_the_clients_mistake() -> None:
    """A 400 that names the tool."""
    with pytest.raises(InvalidRequest, match="'z'"):
        write(ask(tools=(F,), tool_choice=ToolChoice(mode="required", names=("z",))))


def test_a_choice_without_tools_is_left_out() -> None:
    """The API refuses it, and it means nothing."""
    assert "tool_choice" not in write(ask(tool_choice=ToolChoice(mode="none"), parallel_tool_calls=True))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"top_k": 5}, "top_k"),
        ({"temperature": 2.5}, "temperature"),
        ({"stop": ("a", "b", "c", "d", "e")}, "stop"),
        ({"service_tier": "batch"}, "service_tier"),
        (
            {"tools": (NativeTool(dialect="anthropic", kind="web_search_20250305", data={}),)},
            "tool.web_search_20250305",
        ),
        ({"tools": (Tool(name="f", native={"defer_loading": True}),)}, "tools[].defer_loading"),
        ({"native": {"container": "c"}}, "container"),
        ({"system": (PNG,)}, "system"),
    ],
)
def test_what_has_no_place_is_refused(fields: dict[str, Any], field: str) -> None:
    """By its name; with `on_unsupported: drop` it is left out and named."""
    with pytest.raises(UnsupportedParameter) as refused:
        write(ask(**fields))
    assert refused.value.param == field
    lost = losses(drop=True)
    write(ask(**fields), lost=lost)
    assert field in lost.dropped


@pytest.mark.parametrize(
    ("dialect", "native"),
    [
        ("openai_responses", {"background": True}),
        ("openai_responses", {"include": ["web_search_call.action.sources"]}),
        ("gemini", {"cachedContent": "cachedContents/1"}),
    ],
)
def test_what_decides_on_the_answer_is_refused(dialect: str, native: dict[str, Any]) -> None:
    """An answer to be fetched later, with the sources of a search, or to a prompt that only Google holds."""
    with pytest.raises(UnsupportedParameter) as refused:
        write(ask(native=native, dialect=dialect))
    assert [refused.value.param] == list(native)


@pytest.mark.parametrize("known", [False, True])
def test_the_cache_mark_of_media_in_a_result(known: bool) -> None:
    """It goes along to the message that the media are moved to where the host knows such marks; else it is named."""
    marked = replace(PNG, cache=CacheMark(ttl="1h"))
    chat = ask(user(Text(text="a")), answered(call()), user(result(marked)))
    names = {"cache_control": "cache_control"} if known else {}
    lost = losses()
    written = write(chat, to(host(renamed=names)), lost)["messages"]
    attached = written[-1]["content"][-1]
    assert attached["type"] == "image_url"
    assert attached.get("cache_control") == ({"type": "ephemeral", "ttl": "1h"} if known else None)
    assert lost.dropped == ([] if known else ["part.cache"])


def test_what_a_failed_result_has_beside_its_text_is_named() -> None:
    """The word for a failure before the text changes nothing else about it."""
    text = Text(text="a", citations=(Citation(url="https://e.org"),), signature="s", native={"x": 1})
    lost = losses(drop=True)
    write(ask(user(Text(text="a")), answered(call()), user(result(text, is_error=True))), lost=lost)
    assert lost.dropped == ["part.x", "part.citations", "part.thought"]


def test_values_that_mean_nothing_are_no_loss() -> None:
    """Other APIs' members at their defaults, and null."""
    lost = losses()
    native = {"store": False, "truncation": "disabled", "background": False, "mcp_servers": None}
    assert write(ask(native=native), lost=lost).keys() == {"model", "messages"}
    assert lost.dropped == []


def test_grammars_of_custom_tools_are_converted() -> None:
    """The Responses API has their members one level higher."""
    given = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
    tool = Tool(name="c", custom=True, native={"format": given})
    inner = {"syntax": "lark", "definition": "start: /a/"}
    written = write(ask(tools=(tool,), dialect="openai_responses"))
    assert written["tools"][0]["custom"]["format"] == {"type": "grammar", "grammar": inner}


def test_calls_of_the_user_are_the_assistants() -> None:
    """Gemini lets its user make calls; nobody but the assistant does here."""
    written = messages(user(Text(text="hi"), call()), user(result(Text(text="1"))), dialect="gemini")
    assert [one["role"] for one in written] == ["user", "assistant", "tool"]


def test_what_is_kept_elsewhere_is_refused_before_its_results_are_missed() -> None:
    """A request that goes on from a stored answer has results without calls: its name is the reason."""
    chat = ask(user(result()), native={"previous_response_id": "resp_1"}, dialect="openai_responses")
    with pytest.raises(UnsupportedParameter) as refused:
        write(chat)
    assert refused.value.param == "previous_response_id"


def test_a_host_may_not_tell_speakers_apart() -> None:
    """A name is refused by it, because it is part of what was said."""
    narrow = to(host(unsupported=frozenset({"name"})))
    with pytest.raises(UnsupportedParameter) as refused:
        write(ask(user(Text(text="a"), name="ann")), narrow)
    assert refused.value.param == "message.name"


def test_custom_tools_are_shared_with_the_responses_api() -> None:
    """Both have tools that take any text, in the same format."""
    tool = Tool(name="c", custom=True, native={"format": {"type": "text"}})
    made = ToolCall(id="call_1", name="c", arguments="x y", custom=True)
    written = write(
        ask(answered(made), user(result(call_id="call_1")), tools=(tool,), dialect="openai_responses")
    )
    assert written["tools"] == [{"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}]
    assert written["messages"][0]["tool_calls"] == [
        {"id": "call_1", "type": "custom", "custom": {"name": "c", "input": "x y"}}
    ]
