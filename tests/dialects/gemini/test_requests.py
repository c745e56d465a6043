"""Requests of Gemini's clients in neutral words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmgw.canonical import (
    Chat,
    Inline,
    JsonFormat,
    Link,
    Media,
    NativePart,
    NativeTool,
    Reasoning,
    Stored,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmgw.errors import InvalidRequest
from tests.dialects.gemini import exchange
from tests.dialects.gemini.exchange import read, written

USER = [{"role": "user", "parts": [{"text": "Hi"}]}]


def part_of(part: dict[str, Any], role: str = "user") -> Any:
    return read({"contents": [{"role": role, "parts": [part]}]}).messages[0].parts[0]


def config(**members: Any) -> Chat:
    return read({"contents": USER, "generationConfig": members})


def same(body: Any) -> bool:
    """Whether `body` comes back as it is."""
    return bool(exchange.same_request(written(read(body))) == exchange.same_request(body))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"text": "a", "thoughtSignature": "c2ln"}, Text(text="a", signature="c2ln")),
        ({"text": "", "thoughtSignature": "c2ln"}, Text(text="", signature="c2ln")),
        ({"thoughtSignature": "c2ln"}, Text(text="", signature="c2ln")),
        ({"text": "a", "thought": True, "thoughtSignature": "c2ln"}, Thought(text="a", signature="c2ln")),
        ({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, Media(kind="image", source=Inline(media_type="image/png", data="AAAA"))),
        ({"inline_data": {"mime_type": "audio/wav", "data": "_-8"}}, Media(kind="audio", source=Inline(media_type="audio/wav", data="/+8="))),
        ({"fileData": {"fileUri": "https://a.test/b.pdf"}}, Media(kind="document", source=Link(url="https://a.test/b.pdf"))),
        ({"fileData": {"fileUri": "https://youtu.be/x"}}, Media(kind="video", source=Link(url="https://youtu.be/x"))),
        (
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1", "mimeType": "video/mp4"}},
            Media(kind="video", source=Stored(id="https://generativelanguage.googleapis.com/v1beta/files/1", media_type="video/mp4")),
        ),
        ({"fileData": {"fileUri": "gs://b/c", "mimeType": "image/png"}}, Media(kind="image", source=Stored(id="gs://b/c", media_type="image/png"))),
        (
            {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}, "videoMetadata": {"fps": 2}},
            Media(kind="video", source=Inline(media_type="video/mp4", data="AAAA"), native={"videoMetadata": {"fps": 2}}),
        ),
        ({"functionCall": {"name": "f"}}, ToolCall(id=None, name="f", arguments="{}")),
        (
            {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
            ToolCall(id="1", name="f", arguments='{"a":1}', signature="c2ln"),
        ),
        (
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            NativePart(dialect="gemini", kind="executableCode", data={"executableCode": {"language": "PYTHON", "code": "1"}}),
        ),
        ({"somethingNew": {"a": 1}}, NativePart(dialect="gemini", kind="somethingNew", data={"somethingNew": {"a": 1}})),
        ({}, Text(text="")),
    ],
)  # fmt: skip
def test_each_kind_of_part(part: dict[str, Any], expected: Any) -> None:
    """Every part of the published schema has its neutral counterpart, and comes back from it."""
    before = json.loads(json.dumps(part))
    assert part_of(part) == expected
    if before not in ({}, {"thoughtSignature": "c2ln"}, {"functionCall": {"name": "f"}}):
        assert same({"contents": [{"role": "user", "parts": [before]}]})


@pytest.mark.parametrize(
    ("response", "text", "failed"),
    [
        ({"result": "ok"}, "ok", False),
        ({"output": "ok"}, "ok", False),
        ({"error": "no"}, "no", True),
        ({"error": {"code": 1}}, '{"code":1}', True),
        ({"a": 1, "b": [2]}, '{"a":1,"b":[2]}', False),
        ({"result": {"a": 1}}, '{"result":{"a":1}}', False),
    ],
)
def test_tool_results(response: Any, text: str, failed: bool) -> None:
    """Google's documented keys become text and failure; any other object is its JSON. All of them come back."""
    body = {"functionResponse": {"name": "f", "id": "1", "response": response}}
    part = part_of(json.loads(json.dumps(body)))
    assert isinstance(part, ToolResult)
    assert (part.name, part.call_id, part.is_error) == ("f", "1", failed)
    assert part.parts == (Text(text=text),)
    assert same({"contents": [{"role": "user", "parts": [body]}]})


@pytest.mark.parametrize(
    "part",
    [
        {"functionResponse": {"name": "f", "response": {"a": 1}, "willContinue": False}},
        {"functionCall": {"name": "f", "args": {}, "willContinue": False}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"},
    ],
)
def test_what_means_nothing_elsewhere(part: dict[str, Any]) -> None:
    """Defaults and proofs for Gemini come back to it, and are no loss for any other API."""
    assert same({"contents": [{"role": "model", "parts": [json.loads(json.dumps(part))]}]})
    assert part_of(part, "model").native == {}


def test_media_in_tool_results() -> None:
    """`functionResponse.parts` are parts of the result."""
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    body = {"functionResponse": {"name": "f", "response": {"result": "see"}, "parts": [image]}}
    part = part_of(json.loads(json.dumps(body)))
    assert [type(one) for one in part.parts] == [Text, Media]
    assert same({"contents": [{"role": "user", "parts": [body]}]})


def test_every_setting() -> None:
    """The settings that the neutral model has fields for are read into them, in either spelling."""
    settings = {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "candidateCount": 2,
        "maxOutputTokens": 100,
        "stopSequences": ["END"],
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024},
    }
    chat = config(**json.loads(json.dumps(settings)))
    assert (chat.temperature, chat.top_p, chat.top_k, chat.n, chat.max_tokens) == (0.5, 0.9, 40, 2, 100)
    assert (chat.stop, chat.seed, chat.presence_penalty, chat.frequency_penalty) == (("END",), 7, 0.1, 0.2)
    assert (chat.logprobs, chat.top_logprobs) == (True, 3)
    assert chat.format == JsonFormat(schema={"type": "object"})
    assert chat.reasoning == Reasoning(budget_tokens=1024, show=True)
    assert chat.native == {}
    assert same({"contents": USER, "generationConfig": settings})
    snake = read(
        {
            "contents": USER,
            "generation_config": {
                "top_k": 40.0,
                "max_output_tokens": 100,
                "thinking_config": {"thinking_budget": -1},
            },
            "system_instruction": {"parts": {"text": "Be brief"}},
        }
    )
    assert (snake.top_k, snake.max_tokens, snake.system) == (40, 100, (Text(text="Be brief"),))
    assert snake.reasoning == Reasoning(adaptive=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("responseModalities", ["TEXT", "IMAGE"]),
        ("speechConfig", {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}),
        ("mediaResolution", "MEDIA_RESOLUTION_LOW"),
        ("imageConfig", {"aspectRatio": "1:1"}),
        ("enableEnhancedCivicAnswers", True),
        ("translationConfig", {"targetLanguageCode": "pl"}),
        ("audioTimestamp", True),
        ("responseFormat", {"text": {"mimeType": "APPLICATION_JSON"}}),
        ("somethingNew", 1),
    ],
)
def test_settings_of_geminis_own(name: str, value: Any) -> None:
    """What only Gemini can be told stands in `native` under the path that an error would name, and comes back."""
    chat = config(**{name: value})
    assert chat.native == {f"generationConfig.{name}": value}
    assert same({"contents": USER, "generationConfig": {name: value}})


@pytest.mark.parametrize(
    "body",
    [
        {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]},
        {"cachedContent": "cachedContents/1"},
        {"labels": {"team": "a"}},
        {"serviceTier": "flex"},
        {"serviceTier": "standard"},
        {"serviceTier": "unspecified"},
        {"store": True},
        {"toolConfig": {"retrievalConfig": {"languageCode": "pl"}}},
        {"toolConfig": {"includeServerSideToolInvocations": True}},
        {"somethingNew": {"a": 1}},
        {"generationConfig": {"responseMimeType": "text/plain"}},
        {"generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}},
        {"generationConfig": {"responseModalities": ["TEXT"]}},
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": False}}},
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}},
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
        {"generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}, "propertyOrdering": ["a"]}}},
        {"systemInstruction": {"role": "user", "parts": [{"text": "Be brief"}]}},
        {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}, "behavior": "BLOCKING", "response": {"type": "STRING"}}]}]},
        {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}], "googleSearch": {}}, {"codeExecution": {}}, {"fileSearch": {"file_search_store_names": ["s"]}}]},
        {"tools": [{"functionDeclarations": [{"name": "f"}]}], "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"], "streamFunctionCallArguments": True}}},
        {"tools": [{"functionDeclarations": [{"name": "f"}]}], "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}},
        {"tools": [{"functionDeclarations": [{"name": "f"}]}], "toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
    ],
)  # fmt: skip
def test_the_rest_comes_back(body: dict[str, Any]) -> None:
    """Nothing of a request is lost on its way through the neutral model to the same dialect."""
    assert same({"contents": USER, **body})


@pytest.mark.parametrize(
    ("mode", "choice", "strict"),
    [
        ("AUTO", ToolChoice(mode="auto"), None),
        ("ANY", ToolChoice(mode="required", names=("f",)), None),
        ("NONE", ToolChoice(mode="none"), None),
        ("VALIDATED", ToolChoice(mode="auto"), True),
        ("any", ToolChoice(mode="required", names=("f",)), None),
    ],
)
def test_tool_choice(mode: str, choice: ToolChoice, strict: bool | None) -> None:
    """The modes of function calling; VALIDATED is AUTO with tools that are strict."""
    names = ["f"] if choice.names else []
    chat = read(
        {
            "contents": USER,
            "tools": [{"functionDeclarations": [{"name": "f"}]}, {"google_search": {}}],
            "toolConfig": {"functionCallingConfig": {"mode": mode, "allowedFunctionNames": names}},
        }
    )
    assert chat.tool_choice == choice
    tool, search = chat.tools
    assert isinstance(tool, Tool) and tool.strict is strict
    assert search == NativeTool(dialect="gemini", kind="googleSearch", data={"googleSearch": {}})


def test_the_openapi_subset_becomes_json_schema() -> None:
    """Types, nullability, bounds and the order of properties are translated for other APIs."""
    chat = read(
        {
            "contents": USER,
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "f",
                            "parameters": {
                                "type": "OBJECT",
                                "properties": {
                                    "any_of": {"type": "STRING", "nullable": True, "enum": ["a"], "maxLength": "5"},
                                    "b": {"type": "ARRAY", "items": {"any_of": [{"type": "INTEGER"}, {"type": "NUMBER"}]}, "example": [1]},
                                },
                                "property_ordering": ["b", "any_of"],
                                "required": ["b"],
                            },
                        }
                    ]
                }
            ],
        }
    )  # fmt: skip
    tool = chat.tools[0]
    assert isinstance(tool, Tool)
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "b": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "number"}]}, "examples": [[1]]},
            "any_of": {"type": ["string", "null"], "enum": ["a", None], "maxLength": 5},
        },
        "required": ["b"],
    }  # fmt: skip
    assert list(tool.parameters["properties"]) == ["b", "any_of"]


def test_where_the_model_and_the_framing_come_from() -> None:
    """The URL names the model and says how a stream is framed."""
    assert read({"contents": USER}, model="models/a").model == "a"
    assert read({"contents": USER, "model": "models/b"}, model=None).model == "b"
    assert read({"contents": USER}, stream=True, query=b"alt=sse&key=1").framing == "sse"
    assert read({"contents": USER}, stream=True, query=b"key=1").framing == "array"
    with pytest.raises(InvalidRequest, match="'model'"):
        read({"contents": USER}, model=None)


def test_instructions_may_be_bare_text() -> None:
    """A string is a text, and an empty one says nothing."""
    assert read({"contents": USER, "systemInstruction": "Be brief"}).system == (Text(text="Be brief"),)
    assert read({"contents": USER, "systemInstruction": {"parts": {"text": ""}}}).system == ()
