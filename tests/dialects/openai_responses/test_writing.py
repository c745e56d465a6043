"""What other APIs' requests become on their way to a provider of the Responses API."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.hosts import Host
from llmgw.dialects.openai_chat.codec import CODEC as CHAT
from llmgw.dialects.openai_responses.codec import CODEC
from llmgw.errors import InvalidRequest, UnsupportedParameter
from tests.dialects.openai_responses.exchange import (
    PNG,
    answered,
    ask,
    inputs,
    losses,
    to,
    user,
    write,
)
from tests.translation import targets

IMAGE = Media(kind="image", source=Inline(media_type="image/png", data=PNG))
F = Tool(name="f", parameters={"type": "object", "properties": {}})


def call(identity: str | None = "call_1", name: str = "f", **fields: Any) -> ToolCall:
    return ToolCall(id=identity, name=name, arguments='{"a":1}', **fields)


def result(*parts: Part, call_id: str | None = "call_1", **fields: Any) -> ToolResult:
    return ToolResult(call_id=call_id, name=None, parts=parts or (Text(text="42"),), **fields)


def refused(field: str, chat: Any, recipient: Any = None) -> None:
    """Assert that the field is refused, and with drop left out and named."""
    with pytest.raises(UnsupportedParameter) as said:
        write(chat, recipient)
    assert said.value.param == field
    lost = losses(drop=True)
    assert targets.faults("openai_responses", write(chat, recipient, lost)) == []
    assert field in lost.dropped


# The conversation


def test_a_whole_conversation() -> None:
    """Turns are messages; thoughts, calls and results are items of their own, in the order they stood in."""
    thought = Thought(text="hm", redacted="gAA", id="rs_1", native={"dialect": "openai_responses"})
    lost = losses()
    written = write(
        ask(
            user(Text(text="look"), IMAGE),
            answered(thought, Text(text="I "), Text(text="call"), call(), call("call_2", "g")),
            user(result(call_id="call_2"), result(Text(text="a"), Text(text="b")), Text(text="go on")),
            system=(Text(text="x"), Text(text="y")),
            tools=(F,),
        ),
        lost=lost,
    )
    assert targets.faults("openai_responses", written) == []
    assert (written["instructions"], written["store"], lost.dropped) == ("x\n\ny", False, [])
    url = f"data:image/png;base64,{PNG}"
    assert written["input"] == [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "detail": "auto", "image_url": url},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "gAA",
        },
        {"type": "message", "role": "assistant", "content": "I call"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call", "call_id": "call_2", "name": "g", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "call_2", "output": "42"},
        {"type": "function_call_output", "call_id": "call_1", "output": "a\nb"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go on"}]},
    ]


def test_a_refusal_of_the_past_is_text() -> None:
    """Only OpenAI itself can make a message with a refusal in it."""
    assert inputs(answered(Refusal(text="no")))[0]["content"] == "no"


def test_roles() -> None:
    """System and developer messages keep their place; a host may know the one role alone."""
    turns = (
        Message(role="system", parts=(Text(text="a"),)),
        Message(role="developer", parts=(Text(text="b"),)),
    )
    assert [one["role"] for one in inputs(*turns)] == ["system", "developer"]
    host = Host(name="h", dialect="openai", unsupported=frozenset({"developer"}))
    assert [one["role"] for one in write(ask(*turns), to(host))["input"]] == ["system", "system"]


def test_calls_without_ids_are_matched_by_order_and_name() -> None:
    """Gemini gives no ids: each result finds the first call of its name."""
    named = [ToolResult(call_id=None, name=name, parts=(Text(text=name),)) for name in ("g", "f", "f")]
    calls = [call(None, name) for name in ("f", "g", "f")]
    items = inputs(answered(*calls), user(*named), dialect="gemini")
    ids = {item["call_id"]: item["name"] for item in items[:3]}
    assert len(ids) == 3
    assert [ids[item["call_id"]] for item in items[3:]] == ["g", "f", "f"]
    assert items[4]["call_id"] == items[0]["call_id"]


def test_ids_fit_and_are_unique() -> None:
    """The API takes 64 characters; calls that share an id are told apart, and their results follow them."""
    long = "c" * 200
    items = inputs(
        answered(call(long), call("x")), user(result(call_id=long), result(call_id="x")),
        answered(call("x")), user(result(call_id="x")),
    )  # fmt: skip
    ids = [item["call_id"] for item in items]
    assert ids[:2] == ids[2:4]
    assert ids[4] == ids[5]
    assert len(set(ids)) == 3
    assert max(map(len, ids)) <= 64


def test_many_calls_of_one_id_take_no_long_time() -> None:
    """Making ids unique is not quadratic in the number of calls that share one."""
    items = inputs(*(answered(call("x")) for _ in range(20_000)))
    assert len({item["call_id"] for item in items}) == 20_000


def test_a_result_without_a_call_contradicts_itself() -> None:
    """The provider would not know what it answers."""
    with pytest.raises(InvalidRequest, match="answers no tool call"):
        inputs(user(result()))


@pytest.mark.parametrize(
    ("parts", "output"),
    [
        ((Text(text="boom"),), "Error: boom"),
        ((), "Error"),
        ((IMAGE,), None),
    ],
)
def test_a_failed_call_says_so(parts: tuple[Part, ...], output: Any) -> None:
    """The output of a call that failed begins with the word for it."""
    failed = ToolResult(call_id="call_1", name=None, parts=parts, is_error=True)
    item = inputs(answered(call()), user(failed))[1]
    if output is None:
        assert item["output"][0] == {"type": "input_text", "text": "Error"}
    else:
        assert item["output"] == output


def test_images_within_a_result_are_carried() -> None:
    """An output may be a list of parts."""
    items = inputs(answered(call()), user(result(Text(text="see"), IMAGE)))
    assert [one["type"] for one in items[1]["output"]] == ["input_text", "input_image"]


def test_custom_tools_and_their_calls() -> None:
    """A custom tool of chat completions has its grammar flat here; its result is an output of its kind."""
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "u"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "a"},
        ],
        "tools": [
            {
                "type": "custom",
                "custom": {
                    "name": "sh",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "d"}},
                },
            }
        ],
    }
    written = write(CHAT.read_request(json.dumps(body).encode()))
    assert targets.faults("openai_responses", written) == []
    assert written["tools"] == [
        {
            "type": "custom",
            "name": "sh",
            "format": {"type": "grammar", "syntax": "lark", "definition": "d"},
        }
    ]
    assert [one["type"] for one in written["input"][1:]] == ["custom_tool_call", "custom_tool_call_output"]


@pytest.mark.parametrize(
    ("source", "item"),
    [
        (
            Inline(media_type="application/pdf", data="AA=="),
            {"filename": "a", "file_data": "data:application/pdf;base64,AA=="},
        ),
        (Link(url="https://e.com/a.pdf"), {"filename": "a", "file_url": "https://e.com/a.pdf"}),
    ],
)
def test_documents(source: Any, item: dict[str, str]) -> None:
    """By bytes or by address, with its name."""
    content = inputs(user(Media(kind="document", source=source, name="a")))[0]["content"]
    assert content == [{"type": "input_file", **item}]


def test_a_document_of_text_is_text() -> None:
    """With its title in front."""
    document = Media(kind="document", source=PlainText(text="words"), name="Title")
    assert inputs(user(document))[0]["content"] == [{"type": "input_text", "text": "Title\n\nwords"}]


def test_openais_stored_files_are_carried_for_its_other_api() -> None:
    """A file id of chat completions means the same file; another provider's means nothing."""
    stored = Media(kind="document", source=Stored(id="file-1"))
    written = inputs(user(stored), dialect="openai_chat")
    assert written[0]["content"] == [{"type": "input_file", "file_id": "file-1"}]
    refused("part.document", ask(user(Text(text="hi"), stored)))


@pytest.mark.parametrize(
    ("field", "part"),
    [
        ("part.audio", Media(kind="audio", source=Inline(media_type="audio/wav", data="AA=="))),
        ("part.video", Media(kind="video", source=Link(url="https://e.com/a.mp4"))),
        ("part.server_tool_use", NativePart(dialect="anthropic", kind="server_tool_use", data={})),
        ("part.context", Media(kind="document", source=PlainText(text="x"), native={"context": "c"})),
        ("part.mood", Text(text="x", native={"mood": 1})),
    ],
)
def test_parts_that_have_no_place_are_refused(field: str, part: Part) -> None:
    """Each by its name."""
    refused(field, ask(user(Text(text="hi"), part)))


def test_what_else_of_a_conversation_is_refused() -> None:
    """Names of speakers, an answer's media, members of messages, calls and results of another API."""
    refused("message.name", ask(user(Text(text="hi"), name="ann")))
    refused("part.image", ask(answered(Text(text="a"), IMAGE)))
    refused("messages[].mood", ask(user(Text(text="hi"), native={"mood": 1})))
    refused("part.caller", ask(answered(call(native={"caller": {"type": "x"}})), user(result())))
    refused("part.x", ask(answered(call()), user(result(native={"x": 1}))))
    refused("part.tool_result", ask(answered(call()), user(result(Refusal(text="no")))))
    refused("system", ask(system=(IMAGE,)))
    refused("part.x", ask(system=(Text(text="s", native={"x": 1}),)))


def test_what_changes_no_answer_is_reported() -> None:
    """Cache marks, citations, thoughts and signatures of another provider, a picture's name: never refused."""
    mark = CacheMark()
    lost = losses()
    image = Media(kind="image", source=Link(url="https://e.com/a.png"), name="a", cache=mark)
    write(
        ask(
            user(Text(text="a", cache=mark), image),
            answered(
                Thought(text="hm", signature="c2ln"),
                Text(text="b", citations=(Citation(url="https://e.com"),)),
                call(signature="s", cache=mark),
            ),
            user(result(cache=mark)),
            tools=(Tool(name="f", cache=mark),),
        ),
        lost=lost,
    )
    assert sorted(lost.dropped) == ["part.cache", "part.citations", "part.name", "part.thought", "tool.cache"]


# Fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("seed", 1),
        ("top_k", 40),
        ("stop", ("x",)),
        ("presence_penalty", 0.5),
        ("frequency_penalty", 0.5),
        ("max_tokens", 5),
        ("service_tier", "batch"),
        ("tool_choice", ToolChoice(mode="required")),
    ],
)
def test_fields_without_a_counterpart_are_refused(field: str, value: Any) -> None:
    """So is a value that the API does not take."""
    refused(field, ask(**{field: value}))


def test_native_fields_of_another_api_are_refused() -> None:
    """`logit_bias` by its name, before anything of the conversation is looked at."""
    refused("logit_bias", ask(dialect="openai_chat", native={"logit_bias": {"1": 2}}))
    with pytest.raises(UnsupportedParameter):
        write(ask(user(result()), native={"container": "c"}))
    lost = losses()
    write(ask(dialect="openai_chat", native={"store": True}), lost=lost)
    assert lost.dropped == ["store"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 1), ("presence_penalty", 0), ("frequency_penalty", 0.0), ("stop", ()), ("logprobs", False)],
)
def test_defaults_are_left_out(field: str, value: Any) -> None:
    """They say nothing, so nothing is lost."""
    lost = losses()
    assert write(ask(**{field: value}), lost=lost).keys() == {"model", "input", "store"}
    assert lost.dropped == []


def test_fields_are_carried() -> None:
    """Each under this API's name."""
    written = write(
        ask(
            max_tokens=100,
            temperature=0.5,
            top_p=0.9,
            service_tier="flex",
            user="u",
            metadata={"a": "b"},
            cache_key="k",
            verbosity="low",
            logprobs=True,
            top_logprobs=3,
            stream=True,
            tools=(F,),
            parallel_tool_calls=False,
        )
    )
    assert targets.faults("openai_responses", written) == []
    del written["input"], written["tools"]
    assert written == {
        "model": "target",
        "store": False,
        "include": ["message.output_text.logprobs"],
        "max_output_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "service_tier": "flex",
        "user": "u",
        "metadata": {"a": "b"},
        "prompt_cache_key": "k",
        "text": {"verbosity": "low"},
        "top_logprobs": 3,
        "stream": True,
        "parallel_tool_calls": False,
    }


def test_functions_say_whether_they_are_strict() -> None:
    """Left unsaid, this API makes them strict, which no other API does."""
    tools = write(ask(tools=(F, Tool(name="g", description="d", strict=True))))["tools"]
    assert tools == [
        {"type": "function", "name": "f", "parameters": F.parameters, "strict": False},
        {
            "type": "function",
            "name": "g",
            "description": "d",
            "parameters": {"type": "object", "properties": {}},
            "strict": True,
        },
    ]


def test_other_tools_are_refused() -> None:
    """Another provider's own tool, what only its API says of a function, and any tool for a model without."""
    refused("tool.bash", ask(tools=(NativeTool(dialect="anthropic", kind="bash", data={}),)))
    refused("tools[].x", ask(tools=(Tool(name="f", native={"x": 1}),)))
    refused("tools", ask(tools=(F,)), to(capabilities=Capabilities(tools=False)))


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="required"), "required"),
        (ToolChoice(mode="required", names=("f",)), {"type": "function", "name": "f"}),
        (
            ToolChoice(mode="auto", names=("f", "c")),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}],
            },
        ),
    ],
)
def test_tool_choices(choice: ToolChoice, written: Any) -> None:
    """One function that is forced, and a set that is allowed."""
    body = write(ask(tools=(F, Tool(name="c", custom=True)), tool_choice=choice))
    assert body["tool_choice"] == written
    assert targets.faults("openai_responses", body) == []


@pytest.mark.parametrize(("closed", "strict"), [(True, True), (False, False)])
def test_a_schema_is_strict_where_it_can_be(closed: bool, strict: bool) -> None:
    """The other APIs always hold the answer to the schema; here a strict one must be closed."""
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    if closed:
        schema["additionalProperties"] = False
    assert write(ask(format=JsonFormat(schema=schema)))["text"]["format"] == {
        "type": "json_schema",
        "name": "answer",
        "schema": schema,
        "strict": strict,
    }
    assert write(ask(format=JsonFormat()))["text"] == {"format": {"type": "json_object"}}


@pytest.mark.parametrize(
    ("wish", "written"),
    [
        (Reasoning(effort="low"), {"effort": "low"}),
        (Reasoning(effort="max"), {"effort": "max"}),
        (Reasoning(budget_tokens=8192), {"effort": "medium"}),
        (Reasoning(budget_tokens=0), {"effort": "none"}),
        (Reasoning(adaptive=True, show=True), {"effort": "medium", "summary": "auto"}),
        (Reasoning(show=False), None),
    ],
)
def test_wishes_to_think(wish: Reasoning, written: Any) -> None:
    """A budget is the nearest effort; thoughts are shown as a summary; they come encrypted, to be sent back."""
    body = write(ask(reasoning=wish))
    assert body.get("reasoning") == written
    assert body["include"] == ["reasoning.encrypted_content"]


def test_encrypted_thoughts_are_asked_for_where_the_model_thinks() -> None:
    """Unasked too; and not of a model that does not, which would be an error."""
    assert "include" in write(ask(), to(capabilities=Capabilities(reasoning="effort")))
    silent = to(capabilities=Capabilities(reasoning="none"))
    assert "include" not in write(ask(reasoning=Reasoning(budget_tokens=0)), silent)
    refused("reasoning", ask(reasoning=Reasoning(effort="high")), silent)


@pytest.mark.parametrize(
    ("field", "capabilities", "fields"),
    [
        ("part.image", Capabilities(vision=False), {"messages": (user(Text(text="a"), IMAGE),)}),
        (
            "part.document",
            Capabilities(documents=False),
            {"messages": (user(Text(text="a"), Media(kind="document", source=Link(url="https://e.com"))),)},
        ),
        ("format", Capabilities(json_schema=False), {"format": JsonFormat(schema={"a": 1})}),
        ("temperature", Capabilities(sampling=False), {"temperature": 0.5}),
    ],
)
def test_what_the_model_cannot_do_is_refused(
    field: str, capabilities: Capabilities, fields: dict[str, Any]
) -> None:
    """By the table of capabilities."""
    messages = fields.pop("messages", ())
    refused(field, ask(*messages, **fields), to(capabilities=capabilities))


def test_a_default_temperature_is_no_wish() -> None:
    """A model that takes none does with 1 what it does anyway."""
    lost = losses()
    written = write(ask(temperature=1.0), to(capabilities=Capabilities(sampling=False)), lost)
    assert "temperature" not in written
    assert lost.dropped == []


def test_a_hosts_peculiarities() -> None:
    """Fields have the host's names; what it does not take is refused, unless nobody asked for it."""
    host = Host(
        name="h", dialect="openai", renamed={"user": "end_user"}, unsupported=frozenset({"metadata", "store"})
    )
    refused("metadata", ask(metadata={"a": "b"}), to(host))
    lost = losses()
    written = write(ask(user="u"), to(host), lost)
    assert (written["end_user"], "store" in written, lost.dropped) == ("u", False, [])


def test_text_that_is_no_text_is_a_typed_error() -> None:
    """A lone surrogate cannot be written as UTF-8."""
    with pytest.raises(InvalidRequest):
        CODEC.write_request(ask(user(Text(text="\ud800"))), to(), losses())
    with pytest.raises(InvalidRequest):
        CODEC.write_request(ask(answered(call("\ud800" * 80)), user(result())), to(), losses())
