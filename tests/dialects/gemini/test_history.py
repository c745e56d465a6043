"""Turns of other APIs' conversations as Gemini's contents."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from llmgw.canonical import (
    Chat,
    Inline,
    Link,
    Media,
    Message,
    Part,
    PlainText,
    Refusal,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.gemini.codec import CODEC
from llmgw.errors import InvalidRequest
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


def test_media() -> None:
    """Bytes inline, public URLs as files with the media type their suffix tells, text documents as bytes."""
    body = written(
        chat(
            user(
                Media(kind="image", source=Inline(media_type="image/png", data="AAAA"), detail="auto"),
                Media(kind="image", source=Link(url="https://a.test/b.JPG?c=d")),
                Media(kind="image", source=Link(url="https://a.test/b", media_type="image/webp")),
                Media(kind="document", source=PlainText(text="abc")),
                Media(kind="audio", source=Inline(media_type="audio/wav", data="AAAA")),
            )
        )
    )
    assert body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://a.test/b.JPG?c=d", "mimeType": "image/jpeg"}},
        {"fileData": {"fileUri": "https://a.test/b", "mimeType": "image/webp"}},
        {"inlineData": {"mimeType": "text/plain", "data": base64.b64encode(b"abc").decode()}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
    ]


def test_resolution_of_an_image() -> None:
    """Gemini 3 takes a resolution for each medium."""
    image = Media(kind="image", source=Inline(media_type="image/png", data="AAAA"), detail="low")
    (part,) = written(chat(user(image)), recipient=THIRD)["contents"][0]["parts"]
    assert part["mediaResolution"] == {"level": "MEDIA_RESOLUTION_LOW"}


CALLS = model(
    ToolCall(id="1", name="f", arguments='{"a": 1.0}'),
    ToolCall(id="2", name="g", arguments=""),
)
RESULTS = (
    Message(role="tool", parts=(ToolResult(call_id="1", name=None, parts=(Text(text="ok"),)),)),
    Message(role="tool", parts=(ToolResult(call_id="2", name=None, parts=(Text(text='{"b": 2}'),)),)),
)


def test_calls_and_results() -> None:
    """Results find the name of their call, are objects, and those of one turn stand in one content."""
    body = written(chat(HELLO, CALLS, *RESULTS))
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "f", "args": {"a": 1.0}, "id": "1"}},
                {"functionCall": {"name": "g", "args": {}, "id": "2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"result": "ok"}, "id": "1"}},
                {"functionResponse": {"name": "g", "response": {"b": 2}, "id": "2"}},
            ],
        },
    ]


def test_failed_results() -> None:
    """A result that is an error is one for Gemini too."""
    failed = user(ToolResult(call_id="1", name=None, parts=(Text(text='{"b": 2}'),), is_error=True))
    body = written(chat(HELLO, CALLS, failed))
    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == {"error": '{"b": 2}'}


def test_a_result_without_its_call() -> None:
    """A result that answers nothing has no name, and Gemini wants one."""
    with pytest.raises(InvalidRequest, match="answers no tool call"):
        written(chat(HELLO, RESULTS[0]))


def test_arguments_that_are_no_object() -> None:
    """A call in the history must have arguments that are one JSON object."""
    for arguments in ("[1]", '{"a":', "1", '{"a": 1} {}'):
        with pytest.raises(InvalidRequest, match="one JSON object"):
            written(chat(HELLO, model(ToolCall(id="1", name="f", arguments=arguments))))


def test_images_in_results() -> None:
    """Within the result for Gemini 3, right behind it for its elders."""
    image = Media(kind="image", source=Inline(media_type="image/png", data="AAAA"))
    result = user(ToolResult(call_id="1", name=None, parts=(Text(text="see"), image)))
    inline = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    old = written(chat(HELLO, CALLS, result))["contents"][2]["parts"]
    assert old == [{"functionResponse": {"name": "f", "response": {"result": "see"}, "id": "1"}}, inline]
    (new,) = written(chat(HELLO, CALLS, result), recipient=THIRD)["contents"][2]["parts"]
    assert new["functionResponse"]["parts"] == [inline]


def test_signatures() -> None:
    """Gemini's own signatures go back to it; only for the first call of a step that has none, and only where
    signatures are checked, the documented placeholder stands in."""
    signed = model(
        ToolCall(id="1", name="f", arguments="{}", signature="c2ln"),
        ToolCall(id="2", name="g", arguments="{}"),
    )

    def signatures(message: Message, recipient: Any) -> list[Any]:
        parts = written(chat(HELLO, message), recipient=recipient)["contents"][1]["parts"]
        return [part.get("thoughtSignature") for part in parts]

    assert signatures(signed, THIRD) == ["c2ln", None]
    assert signatures(signed, to()) == ["c2ln", None]
    assert signatures(CALLS, THIRD) == ["skip_thought_signature_validator", None]
    assert signatures(CALLS, to()) == [None, None]


def test_thoughts() -> None:
    """Gemini's own thoughts return to it through a client of another API; other providers' are left out."""
    own = Thought(text="hm", signature="c2ln", native={"dialect": "gemini"})
    request = chat(HELLO, model(own, Thought(text="x", signature="y"), Refusal(text="No")))
    assert written(request)["contents"][1]["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "No"},
    ]
    assert dropped(request) == ["part.thought"]
