"""Another API's request, written for Anthropic."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from llmgw.dialects.anthropic.codec import CODEC
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.hosts import Host
from llmgw.errors import InvalidRequest, UnsupportedParameter
from tests.dialects.anthropic.parties import assistant, chat, losses, sent, to, user

F = Tool(name="f", parameters={"type": "object", "properties": {}})
G = Tool(name="g")


def call(call_id: str | None, name: str = "f", arguments: str = "{}") -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments)


def result(call_id: str | None, text: str = "out", name: str | None = None) -> ToolResult:
    return ToolResult(call_id=call_id, name=name, parts=(Text(text=text),))


def roles(body: dict[str, Any]) -> list[str]:
    return [message["role"] for message in body["messages"]]


# What the API requires


def test_the_limit_is_the_clients_or_the_models_or_4096() -> None:
    """`max_tokens` is required here and optional elsewhere."""
    assert sent(chat(max_tokens=7))["max_tokens"] == 7
    assert sent(chat(), to(Capabilities(max_output=64_000)))["max_tokens"] == 64_000
    assert sent(chat())["max_tokens"] == 4096


def test_instructions_stand_outside_the_turns() -> None:
    """Leading instructions and later ones are hoisted, in their order."""
    body = sent(
        chat(
            Message(role="system", parts=(Text(text="one"),)),
            user("hi"),
            Message(role="developer", parts=(Text(text="two", cache=CacheMark(ttl="1h")),)),
            user("you"),
            system=(Text(text="zero"),),
        )
    )
    assert body["system"] == [
        {"type": "text", "text": "zero"},
        {"type": "text", "text": "one"},
        {"type": "text", "text": "two", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "you"}]}
    ]


def test_tool_results_open_the_turn_after_their_call() -> None:
    """The API refuses a call that is not answered at once, and results behind other words."""
    body = sent(
        chat(
            user("go"),
            assistant("calling", call("a"), call("b")),
            user("wait"),
            Message(role="tool", parts=(result("b"),)),
            Message(role="tool", parts=(result("a"),)),
            assistant("done"),
            user("thanks"),
        )
    )
    assert roles(body) == ["user", "assistant", "user", "assistant", "user"]
    answered = body["messages"][2]["content"]
    assert [block.get("tool_use_id", block.get("text")) for block in answered] == ["b", "a", "wait"]


def test_results_alone_part_two_turns_of_the_assistant() -> None:
    """Calls of two steps do not run into one turn."""
    body = sent(
        chat(user("go"), assistant(call("a")), user(result("a")), assistant(call("b")), user(result("b")))
    )
    assert roles(body) == ["user", "assistant", "user", "assistant", "user"]


def test_a_late_result_goes_back_to_its_call() -> None:
    """A result that comes after further turns is moved behind its call."""
    body = sent(
        chat(user("go"), assistant(call("a")), assistant("hm"), user("?"), assistant("!"), user(result("a")))
    )
    assert roles(body) == ["user", "assistant", "user", "assistant"]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "text"]


def test_calls_without_ids_and_with_odd_ones_are_told_apart() -> None:
    """Every call gets an id that the API takes, unique in the conversation, and its result the same."""
    body = sent(
        chat(
            user("go"),
            assistant(call(None), call(None, "g"), call(None)),
            user(result(None, "1", "f"), result(None, "2", "g"), result(None, "3", "f")),
            assistant(call("x/1")),
            user(result("x/1", "4")),
            assistant(call("x/1")),
            user(result("x/1", "5")),
        )
    )
    calls = [b for m in body["messages"][1::2] for b in m["content"]]
    results = [b for m in body["messages"][2::2] for b in m["content"]]
    assert [one["id"] for one in calls] == ["toolu_f", "toolu_g", "toolu_f_2", "x_1", "x_1_2"]
    assert [(one["tool_use_id"], one["content"]) for one in results] == [
        ("toolu_f", "1"),
        ("toolu_g", "2"),
        ("toolu_f_2", "3"),
        ("x_1", "4"),
        ("x_1_2", "5"),
    ]


@pytest.mark.parametrize("messages", [(user(result("a")),), (user(result("a")), assistant(call("a")))])
def test_a_result_without_its_call_contradicts_itself(messages: tuple[Message, ...]) -> None:
    """The client hears of it before the provider does."""
    with pytest.raises(InvalidRequest):
        sent(chat(*messages))


@pytest.mark.parametrize(
    "arguments", ["", "{}", '{"a": 1.50, "b": 1e400}', "[]", "null", "{", "x", '{"a":"\\ud800"}']
)
def test_arguments_must_be_an_object(arguments: str) -> None:
    """They go out as they were written; anything but an object is the client's fault."""
    request = chat(user("go"), assistant(call("a", arguments=arguments)))
    if arguments in ("", "{}"):
        assert sent(request)["messages"][1]["content"][0]["input"] == {}
    else:
        with pytest.raises(InvalidRequest):
            sent(request)


def test_arguments_are_not_written_anew() -> None:
    """Numbers stay as the model wrote them."""
    request = chat(user("go"), assistant(call("a", arguments='{"a": 1.50, "b": 12345678901234567890.0}')))
    assert b'{"a": 1.50, "b": 12345678901234567890.0}' in CODEC.write_request(request, to(), losses())


def test_blank_texts_are_left_out() -> None:
    """The API refuses blocks of white space, and messages without blocks."""
    body = sent(chat(user("", "hi", " \n"), assistant(""), user("there")))
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "there"}]}
    ]


PARTS = st.sampled_from(["words", "", call("a"), call("b", "g"), call(None)])
TURNS = st.lists(
    st.tuples(st.sampled_from(["user", "assistant", "system"]), st.lists(PARTS, max_size=3)), max_size=6
)


@given(TURNS, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_any_conversation_comes_out_in_order(turns: list[tuple[str, list[Any]]], dice: Any) -> None:
    """Roles alternate, each call is answered in the next turn before anything else, ids are unique, none is lost."""
    messages: list[Message] = []
    waiting: list[ToolCall] = []
    for role, parts in turns:
        if role == "assistant":
            messages.append(assistant(*parts))
            waiting += [part for part in parts if isinstance(part, ToolCall)]
        else:
            said: list[Part | str] = [part for part in parts if isinstance(part, str)]
            while waiting and dice.random() < 0.7:
                one = waiting.pop(0)
                said.insert(dice.randint(0, len(said)), result(one.id, name=one.name))
            made = user(*said)
            messages.append(made if role == "user" else Message(role="tool", parts=made.parts))
    messages.append(user(*[result(one.id, name=one.name) for one in waiting]))
    body = sent(chat(*messages))
    said_roles = roles(body)
    assert all(one != other for one, other in pairwise(said_roles))
    ids: list[str] = []
    for at, message in enumerate(body["messages"]):
        content = message["content"]
        assert content
        if isinstance(content, str):
            continue
        calls = [block["id"] for block in content if block["type"] == "tool_use"]
        ids += calls
        if calls:
            after = body["messages"][at + 1]["content"]
            answered = [block["tool_use_id"] for block in after if block["type"] == "tool_result"]
            assert sorted(answered) == sorted(calls)
            assert all(block["type"] == "tool_result" for block in after[: len(calls)])
    assert len(ids) == len(set(ids)) == sum(isinstance(p, ToolCall) for m in messages for p in m.parts)


# Parts


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Media(kind="image", source=Inline(media_type="image/jpg", data="AA=="), detail="high"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}},
        ),
        (
            Media(kind="image", source=Link(url="https://e.org/a"), cache=CacheMark()),
            {
                "type": "image",
                "source": {"type": "url", "url": "https://e.org/a"},
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (
            Media(kind="document", source=Inline(media_type="application/pdf", data="AA=="), name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                "title": "a.pdf",
            },
        ),
        (
            Media(
                kind="document",
                source=Inline(media_type="text/markdown", data=base64.b64encode("ä".encode()).decode()),
            ),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ä"}},
        ),
        (
            Media(kind="document", source=PlainText(text="a")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}},
        ),
        (
            Media(kind="document", source=Link(url="https://e.org/a.pdf")),
            {"type": "document", "source": {"type": "url", "url": "https://e.org/a.pdf"}},
        ),
        (Refusal(text="no"), {"type": "text", "text": "no"}),
    ],
)
def test_parts_are_converted(part: Part, block: dict[str, Any]) -> None:
    """Each neutral part is the block that says the same."""
    account = losses()
    assert sent(chat(user(part, "?")), account=account)["messages"][0]["content"][0] == block
    assert account.dropped == []


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (Media(kind="audio", source=Inline(media_type="audio/wav", data="")), "messages.content.audio"),
        (Media(kind="video", source=Link(url="https://e.org/a.mp4")), "messages.content.video"),
        (Media(kind="image", source=Inline(media_type="image/tiff", data="")), "messages.content.image"),
        (Media(kind="image", source=Link(url="gs://b/a.png")), "messages.content.image"),
        (Media(kind="image", source=Stored(id="file-1")), "messages.content.image"),
        (
            Media(kind="document", source=Inline(media_type="application/zip", data="")),
            "messages.content.document",
        ),
        (
            Media(kind="document", source=Inline(media_type="text/csv", data="/w==")),
            "messages.content.document",
        ),
        (
            Media(kind="document", source=Link(url="https://e.org/a", media_type="text/csv")),
            "messages.content.document",
        ),
        (NativePart(dialect="gemini", kind="executableCode", data={}), "part.executableCode"),
        (
            Media(kind="document", source=Link(url="ftp://e.org/a.pdf", media_type="application/pdf")),
            "messages.content.document",
        ),
        (
            Media(kind="image", source=Link(url="https://e.org/a"), native={"videoMetadata": {}}),
            "part.videoMetadata",
        ),
    ],
)
def test_parts_without_a_place_are_refused_by_name(part: Part, name: str) -> None:
    """With `on_unsupported: drop` they are left out and named."""
    with pytest.raises(UnsupportedParameter) as caught:
        sent(chat(user(part, "hi")))
    assert caught.value.param == name
    account = losses(drop=True)
    sent(chat(user(part, "hi")), account=account)
    assert account.dropped == [name]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (Thought(text="hm", signature="s"), "messages.content.thinking"),
        (Thought(redacted="d", native={"dialect": "openai_responses"}), "messages.content.thinking"),
        (Thought(text="hm", native={"dialect": "anthropic"}), "messages.content.thinking"),
        (Text(text="a", signature="s"), "messages.content.thinking"),
        (ToolCall(id="a", name="f", arguments="{}", signature="s"), "messages.content.thinking"),
        (Text(text="a", citations=(Citation(url="u"),)), "messages.content.citations"),
    ],
)
def test_hints_are_left_out_and_named(part: Part, name: str) -> None:
    """What only its own provider can use, or what cannot change an answer, refuses no request."""
    account = losses()
    sent(chat(user("hi"), assistant(part)), account=account)
    assert account.dropped == [name]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (Media(kind="image", source=Link(url="https://e.org/a"), name="a.png"), "messages.content.title"),
        (Media(kind="image", source=Link(url="https://e.org/a"), detail="low"), "messages.content.source"),
    ],
)
def test_an_images_name_and_detail_are_hints(part: Part, name: str) -> None:
    """The image is seen all the same, as closely as can be."""
    account = losses()
    assert sent(chat(user(part)), account=account)["messages"][0]["content"][0]["type"] == "image"
    assert account.dropped == [name]


def test_a_free_form_call_is_kept_as_one_of_json() -> None:
    """Where the operator has the tool dropped, the conversation still says what was called and what came of it."""
    free = ToolCall(id="a", name="f", arguments="words", custom=True)
    account = losses(drop=True)
    body = sent(chat(user("go"), assistant(free), user(result("a"))), account=account)
    assert body["messages"][1]["content"][0]["input"] == {"input": "words"}
    assert account.dropped == ["tools.type"]


def test_anthropics_own_thoughts_come_back_through_another_api() -> None:
    """A thought that says it is Anthropic's is replayed as it was."""
    thought = Thought(text="hm", signature="s", native={"dialect": "anthropic"})
    hidden = Thought(redacted="d", native={"dialect": "anthropic"})
    account = losses()
    body = sent(chat(user("hi"), assistant(thought, hidden, "so")), account=account)
    assert body["messages"][1]["content"][:2] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ]
    assert account.dropped == []


def test_only_the_user_shows_images() -> None:
    """The API takes no image of the assistant's and none among the instructions."""
    image = Media(kind="image", source=Link(url="https://e.org/a"))
    for request in (chat(assistant(image)), chat(system=(image,))):
        with pytest.raises(UnsupportedParameter):
            sent(request)


# Settings


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"temperature": 1.5}, "temperature"),
        ({"n": 2}, "n"),
        ({"seed": 0}, "seed"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -1}, "frequency_penalty"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"verbosity": "low"}, "verbosity"),
        ({"stop": ("\n",)}, "stop_sequences"),
        ({"format": JsonFormat()}, "output_config.format"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"native": {"logit_bias": {"1": 2}}}, "logit_bias"),
        ({"tools": (Tool(name="f", custom=True),)}, "tools.type"),
        ({"tools": (NativeTool(dialect="gemini", kind="googleSearch", data={}),)}, "tool.googleSearch"),
        ({"tools": (Tool(name="f", native={"x": 1}),)}, "tools[].x"),
    ],
)
def test_settings_without_a_counterpart_are_refused_by_name(fields: dict[str, Any], name: str) -> None:
    """And are left out and named where the operator says so."""
    with pytest.raises(UnsupportedParameter) as caught:
        sent(chat(**fields))
    assert caught.value.param == name
    account = losses(drop=True)
    body = sent(chat(**fields), account=account)
    assert account.dropped == [name]
    assert set(body) <= {"model", "max_tokens", "messages", "tools"}


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "presence_penalty": 0, "frequency_penalty": 0.0, "logprobs": False, "top_logprobs": 0},
        {"verbosity": "medium", "parallel_tool_calls": True, "metadata": {}},
        {"native": {"store": False, "logit_bias": {}, "modalities": ["text"], "x": None}},
        {"tool_choice": ToolChoice(mode="auto")},
        {"tool_choice": ToolChoice(mode="none"), "parallel_tool_calls": False},
    ],
)
def test_what_asks_for_nothing_is_no_loss(fields: dict[str, Any]) -> None:
    """Documented defaults of the other APIs."""
    account = losses()
    assert set(sent(chat(**fields), account=account)) == {"model", "max_tokens", "messages"}
    assert account.dropped == []


def test_hints_of_the_request_are_named() -> None:
    """They cannot change the answer, so that nothing is refused for them."""
    account = losses()
    sent(
        chat(cache_key="k", metadata={"a": "b"}, native={"safety_identifier": "x", "store": True}),
        account=account,
    )
    assert account.dropped == ["metadata", "cache_key", "safety_identifier", "store"]


def test_settings_are_carried() -> None:
    """The same things under this API's names."""
    schema = {"type": "object"}
    body = sent(
        chat(
            temperature=0.5,
            top_p=0.9,
            top_k=4,
            stop=("a", "b"),
            user="u",
            stream=True,
            service_tier="default",
            format=JsonFormat(schema=schema, name="n", description="d", strict=True),
        )
    )
    del body["messages"]
    assert body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 4096,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "stop_sequences": ["a", "b"],
        "metadata": {"user_id": "u"},
        "stream": True,
        "service_tier": "standard_only",
        "output_config": {
            "format": {"type": "json_schema", "schema": {"description": "d", "type": "object"}}
        },
    }


def test_the_default_of_top_p_does_not_meet_a_temperature() -> None:
    """Newer models refuse both together, and 1 asks for nothing."""
    account = losses()
    body = sent(chat(temperature=0.2, top_p=1), account=account)
    assert "top_p" not in body
    assert account.dropped == ["top_p"]


@pytest.mark.parametrize(
    ("choice", "parallel", "written", "tools"),
    [
        (None, None, None, ["f", "g"]),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}, ["f", "g"]),
        (ToolChoice(mode="auto"), None, {"type": "auto"}, ["f", "g"]),
        (ToolChoice(mode="none"), False, {"type": "none"}, ["f", "g"]),
        (ToolChoice(mode="required"), False, {"type": "any", "disable_parallel_tool_use": True}, ["f", "g"]),
        (ToolChoice(mode="required", names=("g",)), None, {"type": "tool", "name": "g"}, ["f", "g"]),
        (ToolChoice(mode="auto", names=("g",)), None, {"type": "auto"}, ["g"]),
        (ToolChoice(mode="required", names=("f", "g")), None, {"type": "any"}, ["f", "g"]),
    ],
)
def test_tool_choices(
    choice: ToolChoice | None, parallel: bool | None, written: dict[str, Any] | None, tools: list[str]
) -> None:
    """A choice among some tools leaves the others out, which comes to the same."""
    body = sent(chat(tools=(F, G), tool_choice=choice, parallel_tool_calls=parallel))
    assert body.get("tool_choice") == written
    assert [tool["name"] for tool in body["tools"]] == tools


def test_a_choice_of_no_tool_of_the_request_contradicts_itself() -> None:
    """It would leave no tool."""
    with pytest.raises(InvalidRequest):
        sent(chat(tools=(F,), tool_choice=ToolChoice(mode="required", names=("x", "y"))))


def test_tools_say_that_their_arguments_are_an_object() -> None:
    """The API requires a schema, and its type."""
    tools = (
        G,
        Tool(name="h", description="d", parameters={"properties": {}}, strict=True, cache=CacheMark()),
    )
    assert sent(chat(tools=tools))["tools"] == [
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        {
            "name": "h",
            "description": "d",
            "input_schema": {"type": "object", "properties": {}},
            "strict": True,
            "cache_control": {"type": "ephemeral"},
        },
    ]


# Thinking


@pytest.mark.parametrize(
    ("wish", "style", "limit", "written"),
    [
        (Reasoning(effort="low"), None, 8000, {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        (
            Reasoning(effort="minimal"),
            "budget",
            8000,
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        ),
        (Reasoning(effort="high"), "budget", 8000, {"thinking": {"type": "enabled", "budget_tokens": 7999}}),
        (
            Reasoning(budget_tokens=100),
            "budget",
            8000,
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        ),
        (Reasoning(adaptive=True), "budget", 9000, {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        (
            Reasoning(budget_tokens=2000, show=False),
            "budget",
            9000,
            {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
        ),
        (Reasoning(effort="none"), "budget", 9000, {"thinking": {"type": "disabled"}}),
        (Reasoning(effort="none"), "none", 9000, {}),
        (Reasoning(show=False), "budget", 9000, {}),
        (
            Reasoning(effort="high"),
            "adaptive",
            8000,
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        (
            Reasoning(budget_tokens=9000, show=True),
            "adaptive",
            8000,
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "medium"},
            },
        ),
        (
            Reasoning(summary="auto"),
            "adaptive",
            8000,
            {"thinking": {"type": "adaptive", "display": "summarized"}},
        ),
    ],
)
def test_thinking_is_asked_for_as_the_model_takes_it(
    wish: Reasoning, style: Any, limit: int, written: dict[str, Any]
) -> None:
    """By a budget below `max_tokens`, or adaptively with an effort."""
    body = sent(chat(reasoning=wish, max_tokens=limit), to(Capabilities(reasoning=style)))
    assert {name: body[name] for name in ("thinking", "output_config") if name in body} == written
    assert body["max_tokens"] == limit


def test_the_default_limit_leaves_room_beside_the_budget() -> None:
    """4,096 tokens for the answer, where neither the client nor the model's row sets a limit."""
    body = sent(chat(reasoning=Reasoning(effort="high")))
    assert (body["thinking"]["budget_tokens"], body["max_tokens"]) == (16384, 16384 + 4096)


@pytest.mark.parametrize(
    ("wish", "capabilities", "limit"),
    [
        (Reasoning(effort="low"), Capabilities(reasoning="none"), 9000),
        (Reasoning(adaptive=True), Capabilities(reasoning="none"), 9000),
        (Reasoning(effort="low"), Capabilities(), 1024),
    ],
)
def test_thinking_that_cannot_be_is_refused(wish: Reasoning, capabilities: Capabilities, limit: int) -> None:
    """By a model that does not think, and within a limit below the least budget."""
    with pytest.raises(UnsupportedParameter) as caught:
        sent(chat(reasoning=wish, max_tokens=limit), to(capabilities))
    assert caught.value.param == "thinking"


# Models and hosts


@pytest.mark.parametrize(
    ("request_", "capabilities", "name"),
    [
        (
            chat(user(Media(kind="image", source=Link(url="https://e.org/a")))),
            Capabilities(vision=False),
            "messages.content.image",
        ),
        (
            chat(user(Media(kind="document", source=PlainText(text="a")))),
            Capabilities(documents=False),
            "messages.content.document",
        ),
        (chat(tools=(F,)), Capabilities(tools=False), "tools"),
        (chat(format=JsonFormat(schema={})), Capabilities(json_schema=False), "output_config.format"),
        (chat(temperature=0.5), Capabilities(sampling=False), "temperature"),
        (chat(top_k=1), Capabilities(sampling=False), "top_k"),
    ],
)
def test_what_a_model_cannot_do_is_refused(request_: Any, capabilities: Capabilities, name: str) -> None:
    """Before anything is sent."""
    with pytest.raises(UnsupportedParameter) as caught:
        sent(request_, to(capabilities))
    assert caught.value.param == name


def test_a_hosts_ways_are_kept() -> None:
    """Fields it names otherwise are renamed; those it does not take are refused."""
    host = Host(name="h", dialect="anthropic", renamed={"top_p": "p"}, unsupported=frozenset({"top_k"}))
    assert sent(chat(top_p=0.5), to(host=host))["p"] == 0.5
    with pytest.raises(UnsupportedParameter):
        sent(chat(top_k=1), to(host=host))


def test_speakers_names_are_refused() -> None:
    """Nothing here tells participants of one role apart."""
    with pytest.raises(UnsupportedParameter) as caught:
        sent(chat(Message(role="user", parts=(Text(text="hi"),), name="Ann")))
    assert caught.value.param == "messages.name"
