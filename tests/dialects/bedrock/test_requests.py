"""A neutral request as the body of Converse; every body is held against the service's published model (`sent`)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from llmgw.canonical import (
    CacheMark,
    Chat,
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
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmgw.dialects.bedrock import families
from llmgw.dialects.bedrock.codec import CODEC
from llmgw.dialects.capabilities import Capabilities
from llmgw.errors import InvalidRequest, UnsupportedParameter
from tests.dialects.bedrock.exchange import (
    CLAUDE,
    HIDDEN,
    HOST,
    LLAMA,
    NEWEST,
    NOVA,
    assistant,
    chat,
    losses,
    sent,
    to,
    user,
)

PNG = Inline(media_type="image/png", data="iVBORw0KGgo=")
PDF = Inline(media_type="application/pdf", data="JVBERi0=")
MARK = CacheMark()
WEATHER = Tool(
    name="weather", description="Tells it.", parameters={"type": "object", "properties": {"at": {}}}
)
TIME = Tool(name="time")
CALL = ToolCall(id="c1", name="weather", arguments='{"at": "Graz"}')
RESULT = ToolResult(call_id="c1", name=None, parts=(Text(text="rain"),))


def test_the_model_and_the_stream_are_not_in_the_body() -> None:
    """The URL says both, so the least request is its messages."""
    request = chat(user("hi"), model="m", stream=True)
    assert sent(request) == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}


def test_instructions_stand_outside_the_turns() -> None:
    """Messages of system and developer become system blocks, in order, behind the request's own instructions."""
    developer = Message(role="developer", parts=(Text(text="c"),))
    request = chat(user("hi"), developer, system=(Text(text="a"), Text(text=" "), Text(text="b")))
    body = sent(request)
    assert body["system"] == [{"text": "a"}, {"text": "b"}, {"text": "c"}]
    assert [one["role"] for one in body["messages"]] == ["user"]


def test_neighbours_of_one_role_become_one_turn() -> None:
    """The API wants user and assistant in turns; blank texts, which it refuses, are left out."""
    body = sent(
        chat(user("a"), user(" ", "b"), assistant("c", Refusal(text="no")), assistant("d"), user("e"))
    )
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
        {"role": "assistant", "content": [{"text": "c"}, {"text": "no"}, {"text": "d"}]},
        {"role": "user", "content": [{"text": "e"}]},
    ]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Media(kind="image", source=PNG), {"image": {"format": "png", "source": {"bytes": PNG.data}}}),
        (
            Media(kind="image", source=Inline(media_type="image/JPG; q=1", data="AA==")),
            {"image": {"format": "jpeg", "source": {"bytes": "AA=="}}},
        ),
        (
            Media(kind="video", source=Inline(media_type="video/3gpp", data="AA==")),
            {"video": {"format": "three_gp", "source": {"bytes": "AA=="}}},
        ),
        (
            Media(kind="audio", source=Inline(media_type="audio/mpeg", data="AA==")),
            {"audio": {"format": "mp3", "source": {"bytes": "AA=="}}},
        ),
        (
            Media(kind="document", source=PDF, name="My  report_v1.pdf"),
            {"document": {"format": "pdf", "name": "My report-v1-pdf", "source": {"bytes": PDF.data}}},
        ),
        (
            Media(kind="document", source=PlainText(text="plain")),
            {
                "document": {
                    "format": "txt",
                    "name": "Document 1",
                    "source": {"bytes": base64.b64encode(b"plain").decode()},
                }
            },
        ),
    ],
)
def test_media_are_bytes(part: Media, block: dict[str, Any]) -> None:
    """Each kind has the API's own word for its format; a document has a name in the letters allowed."""
    body = sent(chat(user(part, "look")), to(NOVA, Capabilities()))
    assert body["messages"][0]["content"] == [block, {"text": "look"}]


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (Media(kind="image", source=Link(url="https://example.com/a.png")), "no address"),
        (Media(kind="image", source=Link(url="s3://bucket/kiwi.png")), "no address"),
        (Media(kind="image", source=Stored(id="file-1")), "another provider"),
        (Media(kind="image", source=Inline(media_type="image/tiff", data="AA==")), "image/tiff"),
        (Media(kind="document", source=Inline(media_type="application/zip", data="AA==")), "application/zip"),
        (Media(kind="image", source=Inline(media_type="image/png", data="")), "empty"),
    ],
)
def test_media_that_cannot_be_carried_are_refused(part: Media, why: str) -> None:
    """The refusal says why; dropped, the rest of the turn remains."""
    with pytest.raises(UnsupportedParameter, match=why):
        sent(chat(user(part, "look")))
    account = losses(drop=True)
    assert sent(chat(user(part, "look")), account=account)["messages"][0]["content"] == [{"text": "look"}]
    assert account.dropped


@pytest.mark.parametrize(
    ("part", "capabilities"),
    [
        (Media(kind="image", source=PNG), Capabilities(vision=False)),
        (
            Media(kind="video", source=Inline(media_type="video/mp4", data="AA==")),
            Capabilities(vision=False),
        ),
        (
            Media(kind="audio", source=Inline(media_type="audio/mp3", data="AA==")),
            Capabilities(audio=False),
        ),
        (Media(kind="document", source=PDF), Capabilities(documents=False)),
    ],
)
def test_a_model_that_lacks_the_sense_is_not_asked(part: Media, capabilities: Capabilities) -> None:
    """What the model is known not to take is refused before anything is sent."""
    with pytest.raises(UnsupportedParameter):
        sent(chat(user(part)), to(CLAUDE, capabilities))


def test_names_of_documents_are_unique() -> None:
    """Two documents of one name would be refused; the second and the third get a number, however long they are."""
    long = "x" * 250
    named = [
        Media(kind="document", source=PDF, name=name) for name in ("a.pdf", "a?pdf", "a/pdf", long, long)
    ]
    content = sent(chat(user(*named, "read")))["messages"][0]["content"]
    names = [block["document"]["name"] for block in content[:-1]]
    assert names == ["a-pdf", "a-pdf 2", "a-pdf 3", "x" * 200, "x" * 198 + " 2"]


def test_anthropic_clients_documents_keep_context_and_citations() -> None:
    """Both APIs have these two members with the same meaning."""
    native = {"context": "of 1999", "citations": {"enabled": True}}
    part = Media(kind="document", source=PDF, native=native)
    body = sent(chat(user(part), dialect="anthropic"))
    assert body["messages"][0]["content"][0]["document"].items() >= native.items()


def test_results_of_one_turn_stand_in_one_message_behind_its_calls() -> None:
    """Results given later, in any order and message, come first in the user's next turn, under their calls' ids."""
    other = ToolCall(id="c2", name="time", arguments="")
    failed = ToolResult(
        call_id="c2", name=None, is_error=True, parts=(Text(text="no clock"), Media(kind="image", source=PNG))
    )
    tool = Message(role="tool", parts=(failed,))
    body = sent(
        chat(user("hi"), assistant("so", CALL, other), tool, user(RESULT, "go on"), tools=(WEATHER, TIME))
    )
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"text": "so"},
                {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"at": "Graz"}}},
                {"toolUse": {"toolUseId": "c2", "name": "time", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "c2",
                        "content": [
                            {"text": "no clock"},
                            {"image": {"format": "png", "source": {"bytes": PNG.data}}},
                        ],
                        "status": "error",
                    }
                },
                {"toolResult": {"toolUseId": "c1", "content": [{"text": "rain"}]}},
                {"text": "go on"},
            ],
        },
    ]


def test_ids_of_calls_are_made_to_fit() -> None:
    """Missing, repeated, too long and oddly spelt ids become unique ones in the letters allowed, results alike."""
    ids = [None, None, "ä/b", "same", "x" * 80, "x" * 79 + "y"]
    calls = [ToolCall(id=one, name="time", arguments="{}") for one in ids]
    results = [ToolResult(call_id=one, name="time", parts=(Text(text=str(n)),)) for n, one in enumerate(ids)]
    again = ToolCall(id="same", name="time", arguments="{}")
    more = ToolResult(call_id="same", name=None, parts=())
    turns = (user("hi"), assistant(*calls), user(*results), assistant(again), user(more))
    body = sent(chat(*turns, tools=(TIME,)))
    called = [block["toolUse"]["toolUseId"] for one in body["messages"][1::2] for block in one["content"]]
    answered = [
        block["toolResult"]["toolUseId"] for one in body["messages"][2::2] for block in one["content"]
    ]
    assert called == answered
    assert len(set(called)) == len(called) == 7
    assert max(map(len, called)) <= 64


@pytest.mark.parametrize(
    "messages",
    [
        (user("hi"), user(RESULT)),
        (assistant(CALL), user(RESULT), user(RESULT)),
        (assistant(ToolCall(id="c1", name="weather", arguments="[1]")), user(RESULT)),
        (assistant(ToolCall(id="c1", name="weather", arguments="{")), user(RESULT)),
    ],
)
def test_a_conversation_that_contradicts_itself_is_the_clients_fault(messages: tuple[Message, ...]) -> None:
    """A result without its call, and arguments that are no object, are named and not sent."""
    with pytest.raises(InvalidRequest):
        sent(chat(*messages, tools=(WEATHER,)))


def test_tools_and_the_choice_among_them() -> None:
    """Schemas say `object`, strictness is carried where it is asked for, and the three choices have their words."""
    strict = Tool(name="s", parameters={"properties": {}}, strict=True)
    body = sent(chat(tools=(WEATHER, TIME, strict), tool_choice=ToolChoice(mode="auto")))
    assert body["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": "weather",
                    "description": "Tells it.",
                    "inputSchema": {"json": WEATHER.parameters},
                }
            },
            {"toolSpec": {"name": "time", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
            {
                "toolSpec": {
                    "name": "s",
                    "inputSchema": {"json": {"type": "object", "properties": {}}},
                    "strict": True,
                }
            },
        ],
        "toolChoice": {"auto": {}},
    }
    choices = {
        (): {"any": {}},
        ("time",): {"tool": {"name": "time"}},
    }
    for names, written in choices.items():
        body = sent(chat(tools=(WEATHER, TIME), tool_choice=ToolChoice(mode="required", names=names)))
        assert (len(body["toolConfig"]["tools"]), body["toolConfig"]["toolChoice"]) == (2, written)
    body = sent(
        chat(tools=(WEATHER, TIME, strict), tool_choice=ToolChoice(mode="required", names=("time", "s")))
    )
    assert [one["toolSpec"]["name"] for one in body["toolConfig"]["tools"]] == ["time", "s"]
    assert body["toolConfig"]["toolChoice"] == {"any": {}}


def test_forbidden_calls() -> None:
    """Without calls before, tools that must not be called are left out; with some they must be there, so the wish
    is refused, and dropped it leaves the tools as they are."""
    forbidden = ToolChoice(mode="none")
    assert "toolConfig" not in sent(chat(tools=(WEATHER,), tool_choice=forbidden, parallel_tool_calls=False))
    history = chat(assistant(CALL), user(RESULT), tools=(WEATHER,), tool_choice=forbidden)
    with pytest.raises(UnsupportedParameter) as refused:
        sent(history)
    assert refused.value.param == "tool_choice"
    account = losses(drop=True)
    assert sent(history, account=account)["toolConfig"].keys() == {"tools"}
    assert account.dropped == ["tool_choice"]


def test_calls_whose_tools_are_gone() -> None:
    """The API takes calls only beside the tools: refused, and where the operator drops it, the least it takes."""
    history = chat(assistant(CALL), user(RESULT))
    with pytest.raises(UnsupportedParameter) as refused:
        sent(history)
    assert refused.value.param == "messages.tool_calls"
    spec = {"name": "weather", "inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert sent(history, account=losses(drop=True))["toolConfig"] == {"tools": [{"toolSpec": spec}]}


def test_cache_marks_become_points_behind_what_they_mark() -> None:
    """In the instructions, the turns and the tools; a mark within a result stands behind the whole result."""
    inner = ToolResult(call_id="c1", name=None, parts=(Text(text="rain", cache=CacheMark(ttl="1h")),))
    request = chat(
        user(Text(text="a", cache=MARK), "b", Media(kind="document", source=PDF, cache=CacheMark(ttl="5m"))),
        assistant(CALL),
        user(inner),
        system=(Text(text="s", cache=CacheMark(ttl="1h")), Text(text="t")),
        tools=(Tool(name="weather", cache=MARK), TIME),
        dialect="anthropic",
    )
    body = sent(request)
    point: dict[str, Any] = {"cachePoint": {"type": "default"}}
    hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["system"] == [{"text": "s"}, hour, {"text": "t"}]
    first = body["messages"][0]["content"]
    assert [next(iter(one)) for one in first] == ["text", "cachePoint", "text", "document", "cachePoint"]
    assert (first[1], first[4]) == (point, {"cachePoint": {"type": "default", "ttl": "5m"}})
    assert body["messages"][2]["content"][1] == hour
    assert body["toolConfig"]["tools"][1] == point


@pytest.mark.parametrize(
    ("model", "places", "reported"),
    [
        (CLAUDE, 3, set()),
        (HIDDEN, 3, set()),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", 3, {"part.cache"}),
        (NOVA, 2, {"part.cache", "tool.cache"}),
        (LLAMA, 0, {"part.cache", "tool.cache"}),
        ("anthropic.claude-3-haiku-20240307-v1:0", 0, {"part.cache", "tool.cache"}),
    ],
)
def test_cache_points_go_where_the_family_takes_them(model: str, places: int, reported: set[str]) -> None:
    """A model that knows none, not there or not for an hour gets none or a plain one, and it is reported."""
    hour = CacheMark(ttl="1h")
    request = chat(
        user(Text(text="a", cache=hour)),
        system=(Text(text="s", cache=MARK),),
        tools=(Tool(name="weather", cache=MARK),),
    )
    account = losses()
    text = json.dumps(sent(request, to(model, Capabilities()), account))
    assert text.count("cachePoint") == places
    names = {"messages.content.cache_control": "part.cache", "tools.cache_control": "tool.cache"}
    assert {names[one] for one in account.dropped} == reported


def test_sampling_limits_and_stop_sequences() -> None:
    """They have members of their own; Claude is asked which sequence it met."""
    body = sent(chat(max_tokens=9, temperature=0, top_p=0.5, stop=("END",)))
    assert body["inferenceConfig"] == {
        "maxTokens": 9,
        "temperature": 0,
        "topP": 0.5,
        "stopSequences": ["END"],
    }
    assert body["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    assert "additionalModelResponseFieldPaths" not in sent(chat(stop=("END",)), to(NOVA))


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (CLAUDE, {"top_k": 7}),
        ("arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0", {"top_k": 7}),
        (NOVA, {"inferenceConfig": {"topK": 7}}),
    ],
)
def test_top_k_is_said_in_the_familys_way(model: str, fields: dict[str, Any]) -> None:
    """The API has no such member, so it stands in the model's own fields."""
    assert sent(chat(top_k=7), to(model))["additionalModelRequestFields"] == fields


@pytest.mark.parametrize(
    ("reasoning", "model", "fields", "effort"),
    [
        (Reasoning(effort="low"), CLAUDE, {"type": "enabled", "budget_tokens": 2048}, None),
        (Reasoning(budget_tokens=5000), CLAUDE, {"type": "enabled", "budget_tokens": 5000}, None),
        (Reasoning(effort="none"), CLAUDE, {"type": "disabled"}, None),
        (Reasoning(effort="high"), NEWEST, {"type": "adaptive"}, "high"),
        (Reasoning(adaptive=True, show=True), NEWEST, {"type": "adaptive", "display": "summarized"}, None),
    ],
)
def test_claude_is_told_how_much_to_think(
    reasoning: Reasoning, model: str, fields: dict[str, Any], effort: str | None
) -> None:
    """By a budget up to 4.5 and adaptively later, as Anthropic's own API; the effort has a member of its own here."""
    body = sent(chat(reasoning=reasoning), to(model))
    assert body["additionalModelRequestFields"] == {"thinking": fields}
    assert body.get("outputConfig") == (None if effort is None else {"effort": effort})
    assert "inferenceConfig" not in body


def test_an_operator_can_say_that_a_hidden_model_thinks() -> None:
    """An ARN may not tell the family: then `reasoning` of the configuration does."""
    with pytest.raises(UnsupportedParameter):
        sent(chat(reasoning=Reasoning(effort="low")), to(HIDDEN))
    body = sent(chat(reasoning=Reasoning(effort="low")), to(HIDDEN, Capabilities(reasoning="budget")))
    assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 2048


@pytest.mark.parametrize("reasoning", [Reasoning(effort="none"), Reasoning(budget_tokens=0), Reasoning()])
def test_a_wish_not_to_think_is_what_others_do_unasked(reasoning: Reasoning) -> None:
    """Nothing is said and nothing is lost."""
    account = losses()
    assert sent(chat(reasoning=reasoning), to(NOVA), account).keys() == {"messages"}
    assert account.dropped == []


def test_json_by_a_schema() -> None:
    """The schema is JSON text within the JSON; its name and description have members."""
    wanted = JsonFormat(schema={"type": "object"}, name="n", description="d", strict=True)
    body = sent(chat(format=wanted))
    structure = {"jsonSchema": {"schema": '{"type":"object"}', "name": "n", "description": "d"}}
    assert body["outputConfig"] == {"textFormat": {"type": "json_schema", "structure": structure}}


def test_metadata_and_the_user_are_labels_of_the_log() -> None:
    """What does not fit the labels' letters, length and number is reported."""
    account = losses()
    metadata = {"run": "7", "word": "grüß", "long": "x" * 257}
    body = sent(chat(metadata=metadata, user="u-1", cache_key="k"), account=account)
    assert body["requestMetadata"] == {"run": "7", "user": "u-1"}
    assert account.dropped == ["metadata", "prompt_cache_key"]
    account = losses()
    many = {f"k{n}": "v" for n in range(20)}
    assert len(sent(chat(metadata=many, user="u"), account=account)["requestMetadata"]) == 16
    assert account.dropped == ["metadata", "user"]


def test_service_tiers() -> None:
    """OpenAI's words are the API's own, `auto` is no wish, and what it has not is refused."""
    assert sent(chat(service_tier="flex"))["serviceTier"] == {"type": "flex"}
    assert "serviceTier" not in sent(chat(service_tier="auto"))
    with pytest.raises(UnsupportedParameter):
        sent(chat(service_tier="scale"))


REFUSED: dict[str, Callable[[], Chat]] = {
    "seed": lambda: chat(seed=1),
    "n": lambda: chat(n=2),
    "presence_penalty": lambda: chat(presence_penalty=0.1),
    "frequency_penalty": lambda: chat(frequency_penalty=0.1),
    "logprobs": lambda: chat(logprobs=True),
    "top_logprobs": lambda: chat(top_logprobs=3),
    "verbosity": lambda: chat(verbosity="low"),
    "temperature": lambda: chat(temperature=1.5),
    "stop": lambda: chat(stop=(" ",)),
    "response_format": lambda: chat(format=JsonFormat()),
    "parallel_tool_calls": lambda: chat(tools=(TIME,), parallel_tool_calls=False),
    "tools.custom": lambda: chat(tools=(Tool(name="t", custom=True),)),
    "tool.name": lambda: chat(tools=(Tool(name="a.b"),)),
    "tool.web_search": lambda: chat(tools=(NativeTool(dialect="anthropic", kind="web_search", data={}),)),
    "messages.name": lambda: chat(Message(role="user", parts=(Text(text="hi"),), name="Ann")),
    "tools[].x": lambda: chat(tools=(Tool(name="t", native={"x": 1}),)),
    "part.x": lambda: chat(user(Text(text="hi", native={"x": 1}))),
    "part.web": lambda: chat(user(NativePart(dialect="anthropic", kind="web", data={}))),
    "logit_bias": lambda: chat(native={"logit_bias": {"1": 2}}),
    "messages.content.input_audio": lambda: chat(
        assistant(CALL),
        user(
            ToolResult(
                call_id="c1",
                name=None,
                parts=(Media(kind="audio", source=Inline(media_type="audio/wav", data="AA==")),),
            )
        ),
        tools=(WEATHER,),
    ),
    "messages.content.image_url": lambda: chat(assistant(Media(kind="image", source=PNG))),
}


@pytest.mark.parametrize("param", REFUSED)
def test_what_has_no_counterpart_is_refused_or_named(param: str) -> None:
    """The refusal names the client's field; dropped, the request goes out without it and says so."""
    with pytest.raises(UnsupportedParameter) as refused:
        sent(REFUSED[param]())
    assert refused.value.param == param
    account = losses(drop=True)
    sent(REFUSED[param](), account=account)
    assert account.dropped == [param]


def test_hints_are_reported() -> None:
    """What cannot change an answer is left out and named."""
    account = losses()
    cited = Text(text="hi", citations=(Citation(url="https://a.example"),), signature="s")
    image = Media(kind="image", source=PNG, detail="low", name="a.png")
    native = {"store": True, "safety_identifier": "x", "logit_bias": {}}
    sent(chat(user(cited, image), native=native), account=account)
    assert account.dropped == [
        "messages.reasoning_details",
        "messages.annotations",
        "messages.content.file.filename",
        "messages.content.image_url.detail",
        "store",
        "safety_identifier",
    ]


def test_values_that_ask_for_nothing_are_no_loss() -> None:
    """Documented defaults neither reach the provider nor are reported."""
    account = losses()
    request = chat(
        n=1, logprobs=False, presence_penalty=0, frequency_penalty=0, parallel_tool_calls=True,
        verbosity="medium", native={"store": False, "logit_bias": {}, "x": None},
    )  # fmt: skip
    assert sent(request, account=account).keys() == {"messages"}
    assert account.dropped == []


def test_models_without_tools_schemas_or_sampling() -> None:
    """What the table of capabilities rules out is refused."""
    none = Capabilities(tools=False, json_schema=False, sampling=False)
    for request in (
        chat(tools=(TIME,)),
        chat(format=JsonFormat(schema={})),
        chat(temperature=0.5),
        chat(top_k=1),
    ):
        with pytest.raises(UnsupportedParameter):
            sent(request, to(CLAUDE, none))


def test_a_choice_of_a_strange_tool_is_the_clients_fault() -> None:
    """A name that is none of the request's tools is no loss but a mistake."""
    with pytest.raises(InvalidRequest):
        sent(chat(tools=(TIME,), tool_choice=ToolChoice(mode="required", names=("weather",))))
    with pytest.raises(UnsupportedParameter):
        sent(chat(tool_choice=ToolChoice(mode="required")))


def test_its_own_words_pass_unchanged() -> None:
    """A request in this very dialect keeps what only this API has."""
    tool = NativeTool(
        dialect="bedrock", kind="systemTool", data={"systemTool": {"name": "nova_code_interpreter"}}
    )
    guard = {"guardContent": {"text": {"text": "hi"}}}
    request = chat(
        user(NativePart(dialect="bedrock", kind="guardContent", data=guard)),
        dialect="bedrock",
        tools=(tool,),
        native={"performanceConfig": {"latency": "optimized"}},
    )
    body = sent(request)
    assert body["messages"][0]["content"] == [guard]
    assert body["toolConfig"] == {"tools": [tool.data]}
    assert body["performanceConfig"] == {"latency": "optimized"}


def test_what_a_host_does_not_take_is_refused() -> None:
    """A host's row may name members of the body."""
    host = msgspec.structs.replace(HOST, unsupported=frozenset({"serviceTier"}))
    with pytest.raises(UnsupportedParameter):
        sent(chat(service_tier="flex"), to(host=host))


@pytest.mark.parametrize(
    ("model", "claude"),
    [
        (CLAUDE, True),
        ("anthropic.claude-v2:1", True),
        (f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{CLAUDE}", True),
        (NOVA, False),
        (LLAMA, False),
        (HIDDEN, False),
    ],
)
def test_families_by_id(model: str, claude: bool) -> None:
    """Regions and ARNs around a model's id do not hide its family."""
    assert families.of(model).claude is claude
    assert (families.of(model) is families.UNKNOWN) is (model == HIDDEN)


def test_what_cannot_be_written_as_json_is_the_clients_fault() -> None:
    """Text that is no Unicode is refused with a message and never by accident."""
    with pytest.raises(InvalidRequest):
        CODEC.write_request(chat(user("\ud800")), to(), losses())
