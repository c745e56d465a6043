"""What the codec writes for clients, read by Google's own SDK over a made-up transport."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types
from google.genai.errors import ClientError

from llmgw.canonical import Chat, TextDelta
from llmgw.dialects.gemini.codec import CODEC
from llmgw.dialects.gemini.dialect import STREAM_EVENTS, Gemini, called
from llmgw.errors import InvalidApiKey
from tests.dialects.gemini import exchange
from tests.dialects.gemini.exchange import STAMP
from tests.dialects.gemini.test_answers import FOREIGN as ANSWER
from tests.dialects.gemini.test_stream_writing import FOREIGN as EVENTS

Serve = Callable[[httpx.Request], httpx.Response]


def client(serve: Serve) -> genai.Client:
    transport = httpx.Client(transport=httpx.MockTransport(serve))
    return genai.Client(
        api_key="k", http_options=types.HttpOptions(base_url="http://gateway.test", httpx_client=transport)
    )


def asked(request: httpx.Request) -> Chat:
    """The neutral request that the SDK sent."""
    found = called(request.url.path.encode(), request.url.query)
    assert found is not None
    endpoint, model = found
    return CODEC.read_request(
        request.read(), model=model.decode(), stream=endpoint is STREAM_EVENTS, query=request.url.query
    )


def test_an_answer() -> None:
    """The SDK sees text, thoughts, calls with ids, usage and grounding of another provider's answer, and sends the
    call's result back so that its call is known."""
    seen: list[Chat] = []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append(asked(request))
        body = CODEC.write_answer(ANSWER, seen[-1], STAMP, exchange.losses())
        return httpx.Response(200, content=body, headers={"content-type": "application/json"})

    def f(a: int) -> str:
        """A tool."""
        return str(a)

    config = types.GenerateContentConfig(
        system_instruction="Be brief",
        tools=[f, types.Tool(google_search=types.GoogleSearch())],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW),
        temperature=0.5,
        response_modalities=["TEXT"],
    )
    chat = client(serve).chats.create(model="gpt-4o", config=config)
    answer = chat.send_message("Hi")
    assert (
        answer.function_calls is not None
        and answer.usage_metadata is not None
        and answer.candidates is not None
    )
    assert [(call.id, call.name) for call in answer.function_calls] == [("toolu_1", "f"), ("call-1-0-5", "g")]
    assert answer.usage_metadata.total_token_count == 30
    assert answer.candidates[0].grounding_metadata is not None
    chat.send_message(
        types.Part(function_response=types.FunctionResponse(id="toolu_1", name="f", response={"result": "1"}))
    )

    first, second = seen
    assert (first.model, first.stream, first.temperature) == ("gpt-4o", False, 0.5)
    assert first.native == {}
    thought = second.messages[1].parts[0]
    assert thought.native == {"dialect": "anthropic"}  # type: ignore[union-attr]


def test_a_stream() -> None:
    """The SDK joins the chunks, and its chat keeps the turn."""
    seen: list[Chat] = []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append(asked(request))
        stream = exchange.streamed(EVENTS, seen[-1])
        return httpx.Response(200, content=stream, headers={"content-type": "text/event-stream"})

    chat = client(serve).chats.create(model="claude")
    chunks = list(chat.send_message_stream("Hi"))
    said = "".join(event.text for event in EVENTS if isinstance(event, TextDelta))
    parts = [part for chunk in chunks for part in chunk.parts or ()]
    assert "".join(part.text or "" for part in parts if not part.thought) == said + "No"
    assert chunks[-1].usage_metadata is not None and chunks[-1].usage_metadata.total_token_count == 16
    assert seen[0].framing == "sse"
    assert len(chat.get_history(curated=True)) > 1


def test_an_error() -> None:
    """The SDK raises with our status and message."""

    def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, content=Gemini().error(InvalidApiKey("Wrong key"), "r"))

    with pytest.raises(ClientError, match="Wrong key") as caught:
        client(serve).models.generate_content(model="m", contents="Hi")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")


def spelled(recording: Any) -> bool:
    """Whether enumerations are words, which is all that the SDK reads."""
    return recording is None or "enum_as_int" not in recording.features


@pytest.mark.parametrize("recording", [one for one in exchange.recorded() if spelled(one.values[0])])
def test_recorded_answers(recording: Any) -> None:
    """Through the codec and back, the SDK sees of a recorded answer what it saw of the original."""
    raw = exchange.whole(recording)
    if not recording.streaming:
        again = CODEC.write_answer(CODEC.read_answer(raw), exchange.CHAT, STAMP, exchange.losses())
        first, second = look(raw), look(again)
        assert second.text == first.text
        assert second.function_calls == first.function_calls
        assert second.usage_metadata == first.usage_metadata
    else:
        again = exchange.streamed(exchange.events(raw))
        if raw.lstrip().startswith(b"["):  # the SDK asks for events
            raw = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in exchange.chunks(raw))
        assert stream(again) == stream(raw)


def look(body: bytes) -> types.GenerateContentResponse:
    return client(lambda _: httpx.Response(200, content=body)).models.generate_content(
        model="m", contents="Hi"
    )


def stream(body: bytes) -> str:
    """The text of all chunks."""
    chunks = client(lambda _: httpx.Response(200, content=body)).models.generate_content_stream(
        model="m", contents="Hi"
    )
    parts = [part for chunk in chunks for part in chunk.parts or ()]
    return "".join(part.text or "" for part in parts if not part.thought)
