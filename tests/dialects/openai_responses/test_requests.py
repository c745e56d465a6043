"""What is read of a client's request, and what of it goes back to the same API."""

from __future__ import annotations

import json
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
from llmgw.dialects.anthropic.codec import CODEC as ANTHROPIC
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.openai_chat.codec import CODEC as CHAT
from llmgw.dialects.openai_responses.codec import CODEC
from llmgw.errors import InvalidRequest, UnsupportedParameter
from tests.dialects.openai_responses.exchange import (
    PNG,
    answered,
    function_call,
    items,
    own_losses,
    read,
    to,
    user,
    write,
)


def part_of(given: dict[str, Any]) -> Any:
    """The part that a content part of the user's becomes."""
    return items({"role": "user", "content": [given]}).messages[0].parts[0]


# The conversation


def test_a_string_is_a_message_of_the_user() -> None:
    """`input` may be a string."""
    assert read(input="hello").messages == (user(Text(text="hello")),)


@pytest.mark.parametrize("kind", [{}, {"type": "message"}])
def test_messages_are_read_with_and_without_their_type(kind: dict[str, str]) -> None:
    """An easy message says no type; its content is a string or an array."""
    parts = [{"type": "input_text", "text": "b"}]
    chat = items(
        {**kind, "role": "developer", "content": "a"},
        {**kind, "role": "user", "content": parts},
        {**kind, "role": "assistant", "content": "c"},
    )
    assert chat.messages == (
        Message(role="developer", parts=(Text(text="a"),)),
        user(Text(text="b")),
        answered(Text(text="c")),
    )


def test_an_assistants_turn_is_one_message() -> None:
    """Reasoning, text and calls that follow each other are parts of one message; results stand alone."""
    chat = items(
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAA"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
        function_call(arguments='{"a":1}'),
        {"type": "function_call_output", "call_id": "call_1", "output": "42"},
    )
    assert chat.messages[1:] == (
        answered(
            Thought(redacted="gAA", id="rs_1"),
            Text(text="so"),
            ToolCall(id="call_1", name="f", arguments='{"a":1}'),
        ),
        Message(role="tool", parts=(ToolResult(call_id="call_1", name=None, parts=(Text(text="42"),)),)),
    )


def test_a_thought_is_its_summary_or_else_its_text() -> None:
    """Several summaries are paragraphs; hosts that show the thought itself have it as content."""
    summary = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    content = [{"type": "reasoning_text", "text": "c"}]
    first = items({"type": "reasoning", "summary": summary, "content": content}).messages[0].parts[0]
    second = items({"type": "reasoning", "summary": [], "content": content}).messages[0].parts[0]
    assert (first, second) == (Thought(text="a\n\nb"), Thought(text="c"))


def test_custom_calls_have_text_for_input() -> None:
    """A free-form tool's call and its output are told from a function's."""
    chat = items(
        {"type": "custom_tool_call", "call_id": "c", "name": "sh", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "a.txt"},
    )
    assert chat.messages[0].parts == (ToolCall(id="c", name="sh", arguments="ls", custom=True),)
    written = json.loads(CODEC.write_request(replace(chat, native={}), to(), own_losses()))
    assert [one["type"] for one in written["input"]] == ["custom_tool_call", "custom_tool_call_output"]


def test_an_output_may_be_a_list() -> None:
    """Texts, images and files of a result are its parts; a cache mark within it is the result's."""
    output = [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
        {"type": "input_file", "file_id": "file-1", "prompt_cache_breakpoint": {"mode": "explicit"}},
    ]
    chat = items(function_call(), {"type": "function_call_output", "call_id": "call_1", "output": output})
    result = chat.messages[1].parts[0]
    assert isinstance(result, ToolResult)
    assert result.cache == CacheMark()
    assert result.parts == (
        Text(text="see"),
        Media(kind="image", source=Inline(media_type="image/png", data=PNG)),
        Media(kind="document", source=Stored(id="file-1")),
    )


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({"image_url": f"data:image/png;base64,{PNG}"}, Inline(media_type="image/png", data=PNG)),
        ({"image_url": "https://e.com/a.png"}, Link(url="https://e.com/a.png")),
        ({"file_id": "file-1"}, Stored(id="file-1")),
        ({"image_url": "data:image/svg+xml,%3Csvg%3E"}, Inline(media_type="image/svg+xml", data="PHN2Zz4=")),
    ],
)
def test_images(given: dict[str, str], source: Any) -> None:
    """An image is bytes, an address, or a file of OpenAI's."""
    assert part_of({"type": "input_image", **given}) == Media(kind="image", source=source)


@pytest.mark.parametrize(
    ("given", "source"),
    [
        (
            {"file_data": "data:application/pdf;base64,AA=="},
            Inline(media_type="application/pdf", data="AA=="),
        ),
        ({"file_data": "AA=="}, Inline(media_type="application/pdf", data="AA==")),
        ({"file_url": "https://e.com/a.pdf"}, Link(url="https://e.com/a.pdf")),
        ({"file_id": "file-1"}, Stored(id="file-1")),
        ({"file_data": "data:text/plain,a%20b"}, PlainText(text="a b")),
    ],
)
def test_files(given: dict[str, str], source: Any) -> None:
    """A document is bytes with or without their type, an address, a file of OpenAI's, or text."""
    read_part = part_of({"type": "input_file", "filename": "a", **given})
    assert read_part == Media(kind="document", source=source, name="a")


def test_sound_is_read() -> None:
    """`input_audio` is no published part of an input, but hosts have it as chat completions do."""
    part = part_of({"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}})
    assert part == Media(kind="audio", source=Inline(media_type="audio/mpeg", data="AA=="))


def test_an_unusual_detail_is_native() -> None:
    """`original` is a detail that only this API has."""
    part = part_of({"type": "input_image", "image_url": "https://e.com/a.png", "detail": "original"})
    assert part.native == {"detail": "original"}
    assert part.detail is None


def test_an_answer_of_the_past_keeps_its_citations_and_refusals() -> None:
    """Parts of output in the history are what they were in the answer."""
    cited = {"type": "url_citation", "url": "https://e.com", "title": "t", "start_index": 0, "end_index": 2}
    content = [
        {"type": "output_text", "text": "so", "annotations": [cited], "logprobs": []},
        {"type": "refusal", "refusal": "no"},
    ]
    item = {"type": "message", "id": "msg_1", "status": "completed", "phase": "final_answer"}
    chat = items({**item, "role": "assistant", "content": content})
    found = Citation(url="https://e.com", title="t", start=0, end=2, native=cited)
    assert chat.messages == (answered(Text(text="so", citations=(found,)), Refusal(text="no")),)


def test_a_drawn_image_is_an_image() -> None:
    """The result of OpenAI's drawing tool is an image of the assistant's, of the type that its bytes say."""
    chat = items({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": PNG})
    source = Inline(media_type="image/png", data=PNG)
    assert chat.messages == (answered(Media(kind="image", source=source)),)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "item_reference", "id": "msg_1"},
        {"id": "msg_1"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "mcp_approval_response", "approval_request_id": "x", "approve": True},
        {"type": "something_new", "x": 1},
    ],
)
def test_items_of_openais_own_are_refused_by_name(item: dict[str, Any]) -> None:
    """What is in OpenAI's store, its hosted tools and unknown items go to no other API."""
    chat = items({"role": "user", "content": "hi"}, item)
    kind = item.get("type", "item_reference")
    native = chat.messages[-1].parts[0]
    assert isinstance(native, NativePart)
    assert native.kind == kind
    with pytest.raises(UnsupportedParameter) as refused:
        CHAT.write_request(chat, to(), own_losses())
    assert refused.value.param in (f"input.{kind}", f"part.{kind}")


def test_results_of_stored_calls_belong_to_the_store() -> None:
    """With `previous_response_id`, or behind a reference, a result may answer a call that is not here."""
    result = {"type": "function_call_output", "call_id": "call_9", "output": "42"}
    for chat in (
        items(result, previous_response_id="resp_1"),
        items({"type": "item_reference", "id": "fc_9"}, result),
    ):
        assert isinstance(chat.messages[-1].parts[0], NativePart)
        assert write(chat, lost=own_losses())["input"][-1] == result


def test_members_that_nobody_knows_are_refused_by_name() -> None:
    """Of an item, a part or a tool: nothing is left out in silence."""
    tool = {"type": "function", "name": "f", "parameters": {}, "defer_loading": True}
    for chat, field in (
        (items({"role": "user", "content": "hi", "mood": "sad"}), "mood"),
        (items({"role": "user", "content": [{"type": "input_text", "text": "hi", "mood": 1}]}), "mood"),
        (items({**function_call(), "namespace": "n"}), "input.namespace"),
        (read(tools=[tool]), "defer_loading"),
        (read(text={"format": {"type": "text", "mood": 1}}), "text"),
    ):
        with pytest.raises(UnsupportedParameter) as refused:
            CHAT.write_request(chat, to(), own_losses())
        assert str(refused.value.param).endswith(field)


# Fields


def test_fields_that_have_a_neutral_one() -> None:
    """Each is read under its neutral name."""
    chat = read(
        instructions="be brief",
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_logprobs=3,
        include=["message.output_text.logprobs"],
        parallel_tool_calls=False,
        service_tier="flex",
        user="u",
        metadata={"a": "b"},
        prompt_cache_key="k",
        stream=True,
        text={"verbosity": "low", "format": {"type": "json_object"}},
        reasoning={"effort": "high", "summary": "auto"},
    )
    assert chat.system == (Text(text="be brief"),)
    assert (chat.max_tokens, chat.temperature, chat.top_p) == (100, 0.5, 0.9)
    assert (chat.logprobs, chat.top_logprobs) == (True, 3)
    assert chat.parallel_tool_calls is False
    assert (chat.service_tier, chat.user, chat.metadata, chat.cache_key) == ("flex", "u", {"a": "b"}, "k")
    assert chat.stream
    assert (chat.verbosity, chat.format) == ("low", JsonFormat())
    assert chat.reasoning == Reasoning(effort="high", summary="auto", show=True)
    assert chat.native == {}


def test_a_json_schema_is_read() -> None:
    """`text.format` with its name and strictness."""
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    assert read(text={"format": form}).format == JsonFormat(schema={"type": "object"}, name="n", strict=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("prompt", {"id": "pmpt_1"}),
        ("background", True),
        ("truncation", "auto"),
        ("max_tool_calls", 3),
        ("context_management", [{"type": "compaction"}]),
        ("something_new", 1),
    ],
)
def test_what_needs_openai_itself_stays_native(field: str, value: Any) -> None:
    """It goes back to OpenAI and to no other API."""
    chat = read(**{field: value})
    assert chat.native == {field: value}
    assert write(chat, lost=own_losses())[field] == value
    with pytest.raises(UnsupportedParameter) as refused:
        ANTHROPIC.write_request(chat, to(), own_losses())
    assert refused.value.param == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("background", False),
        ("store", False),
        ("truncation", "disabled"),
        ("include", ["reasoning.encrypted_content"]),
        ("stream_options", {"include_obfuscation": False}),
        ("top_logprobs", 0),
        ("input", [{**function_call(), "caller": {"type": "direct"}}]),
        ("conversation", None),
        ("text", {"format": {"type": "text"}}),
        ("reasoning", {"effort": None, "summary": None}),
    ],
)
def test_defaults_are_no_loss(field: str, value: Any) -> None:
    """What says only what is so anyway is refused nowhere, and named nowhere."""
    lost = own_losses()
    CHAT.write_request(read(**{field: value}), to(), lost)
    assert lost.dropped == []


def test_tools_of_each_kind() -> None:
    """A function's description is flat; a custom tool's grammar is nested as in chat; the others are OpenAI's."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
    chat = read(
        tools=[
            {"type": "function", "name": "f", "description": "d", "parameters": {"a": 1}, "strict": True},
            {"type": "custom", "name": "c", "format": grammar},
            {"type": "web_search", "filters": None},
        ]
    )
    nested = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}
    assert chat.tools == (
        Tool(name="f", description="d", parameters={"a": 1}, strict=True),
        Tool(name="c", custom=True, native={"format": nested}),
        NativeTool(
            dialect="openai_responses", kind="web_search", data={"type": "web_search", "filters": None}
        ),
    )
    with pytest.raises(UnsupportedParameter) as refused:
        CHAT.write_request(read(tools=[{"type": "web_search"}]), to(), own_losses())
    assert refused.value.param == "tools.web_search"


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ({"type": "function", "name": "f"}, ToolChoice(mode="required", names=("f",))),
        ({"type": "custom", "name": "c"}, ToolChoice(mode="required", names=("c",))),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
            },
            ToolChoice(mode="auto", names=("f", "g")),
        ),
    ],
)
def test_tool_choices(given: Any, choice: ToolChoice) -> None:
    """All that name functions are neutral."""
    assert read(tool_choice=given).tool_choice == choice


@pytest.mark.parametrize(
    "given",
    [
        {"type": "web_search_preview"},
        {"type": "mcp", "server_label": "s"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]},
    ],
)
def test_a_choice_of_openais_own_tool_is_native(given: Any) -> None:
    """It is refused elsewhere under the name of the field."""
    chat = read(tool_choice=given)
    assert (chat.tool_choice, chat.native) == (None, {"tool_choice": given})


# Wrong requests


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": None}, "model"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"input": [{"type": 3}]}, "input[0].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "name": "f", "parameters": 3}]}, "tools[0].parameters"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.mode"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": "x"}}}, "text.format.schema"),
        ({"text": {"verbosity": "chatty"}}, "text.verbosity"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"include": [3]}, "include"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], path: str) -> None:
    """The error says which field must be what."""
    with pytest.raises(InvalidRequest) as wrong:
        read(**fields)
    assert wrong.value.param == path


# Back to the same API


def test_what_nobody_changed_goes_out_as_it_came() -> None:
    """Members unknown, defaults spelt out and nulls included; only the model is the target's."""
    given = {
        "model": "gpt-5",
        "input": [{"role": "user", "content": "hi", "status": None}],
        "store": False,
        "temperature": None,
        "something_new": {"a": [1, 2.50]},
    }
    lost = own_losses()
    assert write(CODEC.read_request(json.dumps(given).encode()), lost=lost) == {**given, "model": "target"}
    assert lost.dropped == []


def test_a_change_to_the_request_is_written() -> None:
    """A request that was changed after it was read goes out changed, with all else that the client said."""
    call, cited = function_call(namespace="n"), {"type": "file_citation", "file_id": "f", "index": 1}
    words = {"type": "output_text", "text": "so", "annotations": [cited]}
    fields: dict[str, Any] = {
        "store": True,
        "include": ["web_search_call.results", "message.output_text.logprobs"],
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "new": 1}},
        "reasoning": {"effort": "low", "mode": "pro"},
        "tools": [{"type": "function", "name": "f", "parameters": {"a": 1}, "output_schema": {}}],
        "tool_choice": "auto",
    }
    chat = items(
        {"role": "user", "content": [{"type": "input_text", "text": "hi", "new": 1}], "mood": 1},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "t"}]},
        {"role": "assistant", "content": [words, {"type": "refusal", "refusal": "no"}]},
        {"type": "image_generation_call", "id": "ig_3", "status": "completed", "result": PNG},
        call,
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [
                {"type": "new", "x": 1},
                {"type": "input_text", "text": "r", "prompt_cache_breakpoint": {"mode": "explicit"}},
            ],
            "caller": {"type": "program", "caller_id": "x"},
        },
        {"role": "user", "content": [{"type": "computer_screenshot", "image_url": "https://e.com/a"}]},
        **fields,
    )
    written = write(replace(chat, temperature=0.5), lost=own_losses())
    whole = write(chat, lost=own_losses())
    assert written.pop("temperature") == 0.5
    written["text"]["format"].pop("strict")
    assert sorted(written.pop("include")) == sorted([*whole.pop("include"), "reasoning.encrypted_content"])
    for item in whole["input"]:
        item.pop("id", None)
        if "role" in item:
            item["type"] = "message"
    for item in written["input"]:
        item.pop("id", None)
    assert written == whole


def test_capabilities_hold_within_the_api_too() -> None:
    """A model without vision is not sent an image by its own API's client either."""
    chat = items({"role": "user", "content": [{"type": "input_image", "image_url": "https://e.com/a.png"}]})
    blind = to(capabilities=Capabilities(vision=False))
    with pytest.raises(UnsupportedParameter) as refused:
        write(chat, blind, own_losses())
    assert refused.value.param == "input.content.input_image"
    lost = own_losses(drop=True)
    assert write(chat, blind, lost)["input"] == []
    assert lost.dropped == ["input.content.input_image"]
