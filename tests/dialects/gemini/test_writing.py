"""Requests of other APIs' clients as Gemini gets them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

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
    Part,
    Reasoning,
    Stored,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
)
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.codec import Losses
from llmgw.dialects.gemini.codec import CODEC
from llmgw.dialects.hosts import GEMINI
from llmgw.errors import InvalidRequest, UnsupportedParameter
from tests.dialects.gemini import exchange
from tests.dialects.gemini.exchange import to, written

THIRD = to("gemini-3-flash", Capabilities(reasoning="level"))
HELLO = Message(role="user", parts=(Text(text="Hi"),))


def chat(*messages: Message, **fields: Any) -> Chat:
    return Chat(dialect="openai_chat", model="m", messages=messages or (HELLO,), **fields)


def user(*parts: Part) -> Message:
    return Message(role="user", parts=parts)


def model(*parts: Part) -> Message:
    return Message(role="assistant", parts=parts)


def dropped(request: Chat, recipient: Any = None) -> list[str]:
    losses = exchange.losses()
    CODEC.write_request(request, recipient or to(), losses)
    return losses.dropped


def refused(request: Chat, recipient: Any = None) -> str:
    """The field a request is refused for; with `drop` it is written all the same, and reported."""
    with pytest.raises(UnsupportedParameter) as caught:
        CODEC.write_request(request, recipient or to(), exchange.losses())
    losses = exchange.losses(drop=True)
    CODEC.write_request(request, recipient or to(), losses)
    assert caught.value.param in losses.dropped
    return str(caught.value.param)


def test_roles() -> None:
    """Instructions come first, the assistant is the model, and turns of one role become one content."""
    body = written(
        chat(
            Message(role="system", parts=(Text(text="a"),)),
            Message(role="user", parts=(Text(text="b"),)),
            Message(role="user", parts=(Text(text="c"),)),
            Message(role="assistant", parts=(Text(text="d"),)),
            Message(role="developer", parts=(Text(text="e"),)),
            Message(role="user", parts=(Text(text="f"),)),
            system=(Text(text="z"),),
        )
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "z"}, {"text": "a"}, {"text": "e"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "b"}, {"text": "c"}]},
            {"role": "model", "parts": [{"text": "d"}]},
            {"role": "user", "parts": [{"text": "f"}]},
        ],
    }


def test_settings() -> None:
    """Every neutral setting that Gemini has is written under its name."""
    body = written(
        chat(
            max_tokens=5, temperature=1.5, top_p=0.5, top_k=3, stop=("a",), n=2, seed=1, presence_penalty=0.5,
            frequency_penalty=0.25, logprobs=True, top_logprobs=2, format=JsonFormat(schema={"type": "object"}, name="x", description="y", strict=True),
            service_tier="flex", parallel_tool_calls=True, verbosity="medium",
        )
    )  # fmt: skip
    assert body["serviceTier"] == "flex"
    assert body["generationConfig"] == {
        "maxOutputTokens": 5, "temperature": 1.5, "topP": 0.5, "topK": 3, "stopSequences": ["a"], "candidateCount": 2,
        "seed": 1, "presencePenalty": 0.5, "frequencyPenalty": 0.25, "responseLogprobs": True, "logprobs": 2,
        "responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "description": "y"},
    }  # fmt: skip
    assert written(chat(format=JsonFormat()))["generationConfig"] == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"verbosity": "low"}, "verbosity"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"native": {"logit_bias": {"1": 2}}}, "logit_bias"),
        ({"tools": (Tool(name="f", custom=True),)}, "tool.custom"),
        ({"tools": (NativeTool(dialect="anthropic", kind="web_search", data={}),)}, "tool.web_search"),
    ],
)
def test_what_gemini_does_not_have_is_refused(fields: dict[str, Any], param: str) -> None:
    """A setting without a counterpart is an error that names it."""
    assert refused(chat(**fields)) == param


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ((Media(kind="image", source=Link(url="https://a.test/picture")),), "part.image"),
        ((Media(kind="image", source=Link(url="http://a.test/picture.png")),), "part.image"),
        ((Media(kind="document", source=Stored(id="file-1")),), "part.document"),
        ((NativePart(dialect="anthropic", kind="server_tool_use", data={}),), "part.server_tool_use"),
        ((ToolCall(id="1", name="f", arguments="x", custom=True),), "tool.custom"),
        ((Text(text="a", native={"odd": 1}),), "part.odd"),
    ],
)
def test_parts_that_gemini_does_not_have_are_refused(parts: tuple[Part, ...], param: str) -> None:
    """The same for parts."""
    assert refused(chat(user(*parts))) == param


def test_speakers_and_pictures_among_instructions_are_refused() -> None:
    """Names of speakers, and instructions that are no text."""
    assert refused(chat(Message(role="user", parts=(Text(text="a"),), name="Ann"))) == "message.name"
    image = Media(kind="image", source=Inline(media_type="image/png", data="AAAA"))
    assert refused(chat(HELLO, system=(image,))) == "system"


@pytest.mark.parametrize(
    ("kind", "ability"),
    [("image", "vision"), ("video", "vision"), ("audio", "audio"), ("document", "documents")],
)
def test_abilities(kind: Any, ability: Any) -> None:
    """What a model is known not to take is refused before it is sent."""
    media = Media(kind=kind, source=Inline(media_type="a/b", data="AAAA"))
    assert refused(chat(user(media)), to("m", replace(Capabilities(), **{ability: False}))) == f"part.{kind}"
    written(chat(user(media)), recipient=to("m", replace(Capabilities(), **{ability: True})))


def test_more_abilities() -> None:
    """Tools, schemas, sampling, thinking and the length of the answer."""
    assert refused(chat(tools=(Tool(name="f"),)), to("m", Capabilities(tools=False))) == "tools"
    formatted = chat(format=JsonFormat(schema={}))
    assert refused(formatted, to("m", Capabilities(json_schema=False))) == "format"
    assert refused(chat(temperature=1), to("m", Capabilities(sampling=False))) == "temperature"
    assert refused(chat(max_tokens=9000), to("m", Capabilities(max_output=8192))) == "max_tokens"
    assert (
        refused(chat(reasoning=Reasoning(effort="low")), to("m", Capabilities(reasoning="none")))
        == "reasoning"
    )
    assert written(
        chat(reasoning=Reasoning(effort="none")), recipient=to("m", Capabilities(reasoning="none"))
    )


def test_hints_are_left_out_and_reported() -> None:
    """What cannot change the answer is no reason to refuse a request, but it is said that it was left out."""
    request = chat(
        user(Text(text="a", cache=CacheMark(), citations=(Citation(url="u"),))),
        model(Thought(text="hm", signature="x"), Text(text="b")),
        user(Media(kind="document", source=Inline(media_type="application/pdf", data="AAAA"), name="a.pdf")),
        user(Media(kind="image", source=Inline(media_type="image/png", data="AAAA"), detail="high")),
        user="u",
        cache_key="k",
        metadata={"a": "b"},
        native={"store": True, "safety_identifier": "s", "logit_bias": {}, "modalities": ["text"]},
        tools=(Tool(name="f", cache=CacheMark()),),
    )
    assert dropped(request) == [
        "part.cache", "part.citations", "part.thought", "part.name", "part.detail", "tool.cache", "metadata", "user", "cache_key", "store", "safety_identifier",
    ]  # fmt: skip


BUDGET = Capabilities(reasoning="budget")
LEVEL = Capabilities(reasoning="level")


@pytest.mark.parametrize(
    ("reasoning", "name", "capabilities", "expected"),
    [
        (Reasoning(effort="medium"), "gemini-2.5-flash", BUDGET, {"thinkingBudget": 8192}),
        (Reasoning(effort="max"), "gemini-2.5-flash", BUDGET, {"thinkingBudget": 24576}),
        (Reasoning(effort="max"), "gemini-2.5-pro", BUDGET, {"thinkingBudget": 32768}),
        (Reasoning(effort="none"), "gemini-2.5-flash", BUDGET, {"thinkingBudget": 0}),
        (Reasoning(budget_tokens=5000, show=True), "gemini-2.5-pro", BUDGET, {"thinkingBudget": 5000, "includeThoughts": True}),
        (Reasoning(adaptive=True), "gemini-2.5-pro", BUDGET, {"thinkingBudget": -1}),
        (Reasoning(effort="medium"), "gemini-2.5-flash", Capabilities(), {"thinkingBudget": 8192}),
        (Reasoning(effort="medium"), "gemini-3-flash", LEVEL, {"thinkingLevel": "MEDIUM"}),
        (Reasoning(effort="medium"), "gemini-3-pro-preview", LEVEL, {"thinkingLevel": "LOW"}),
        (Reasoning(effort="xhigh"), "gemini-3.1-pro", LEVEL, {"thinkingLevel": "HIGH"}),
        (Reasoning(effort="none"), "gemini-3-flash", LEVEL, {"thinkingLevel": "MINIMAL"}),
        (Reasoning(budget_tokens=2000, show=False), "gemini-3-flash", LEVEL, {"thinkingLevel": "LOW", "includeThoughts": False}),
        (Reasoning(effort="high", summary="auto"), "gemini-3-flash", LEVEL, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        (Reasoning(adaptive=True, effort="high"), "gemini-3-flash", LEVEL, {"thinkingLevel": "HIGH"}),
        (Reasoning(adaptive=True), "gemini-3-flash", LEVEL, {}),
        (Reasoning(show=True), "gemini-3-flash", LEVEL, {"includeThoughts": True}),
    ],
)  # fmt: skip
def test_thinking(
    reasoning: Reasoning, name: str, capabilities: Capabilities, expected: dict[str, Any]
) -> None:
    """Budgets for Gemini 2.5, levels for Gemini 3, each within what the model takes."""
    config = written(chat(reasoning=reasoning), recipient=to(name, capabilities)).get("generationConfig", {})
    assert config.get("thinkingConfig", {}) == expected


@pytest.mark.parametrize(("name", "capabilities"), [("gemini-2.5-pro", BUDGET), ("gemini-3-pro", LEVEL)])
def test_models_that_always_think(name: str, capabilities: Capabilities) -> None:
    """A wish not to think is refused where it cannot be met."""
    assert refused(chat(reasoning=Reasoning(effort="none")), to(name, capabilities)) == "reasoning"


@pytest.mark.parametrize(
    ("choice", "strict", "expected"),
    [
        (None, None, None),
        (None, True, {"mode": "VALIDATED"}),
        (ToolChoice(mode="auto"), None, {"mode": "AUTO"}),
        (ToolChoice(mode="auto"), True, {"mode": "VALIDATED"}),
        (ToolChoice(mode="auto", names=("f",)), None, {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode="none"), None, {"mode": "NONE"}),
        (ToolChoice(mode="required"), True, {"mode": "ANY"}),
        (ToolChoice(mode="required", names=("f",)), None, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tools_and_their_choice(choice: ToolChoice | None, strict: bool | None, expected: Any) -> None:
    """JSON Schema goes where it is taken as it is; strict tools are VALIDATED."""
    schema = {"type": "object", "$defs": {"a": {"type": "string"}}}
    tool = Tool(name="f", description="d", parameters=schema, strict=strict)
    body = written(chat(tools=(tool,), tool_choice=choice))
    assert body["tools"] == [
        {"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": schema}]}
    ]
    assert body.get("toolConfig") == (expected and {"functionCallingConfig": expected})


def test_a_hosts_gaps() -> None:
    """Fields that a host does not take are losses, by their path."""
    host = replace(GEMINI, name="h", unsupported=frozenset({"serviceTier", "generationConfig.seed"}))
    recipient = replace(to(), host=host)
    losses = Losses({"generationConfig.seed": "seed"}, target="m", drop=True)
    body = CODEC.write_request(chat(seed=1, service_tier="flex", top_k=2), recipient, losses)
    assert b"seed" not in body and b"serviceTier" not in body and b"topK" in body
    assert set(losses.dropped) == {"seed", "serviceTier"}


def test_text_that_is_no_unicode() -> None:
    """A lone surrogate cannot be sent; it is the client's error."""
    with pytest.raises(InvalidRequest):
        written(chat(user(Text(text="a\ud800"))))
