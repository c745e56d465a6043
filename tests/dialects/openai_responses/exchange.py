"""Requests, answers and streams of the Responses API, and the codec's way through them."""

from __future__ import annotations

import json
from typing import Any, Final

from llmgw.canonical import Answer, Chat, Choice, Event, Finish, Message, Part, Start, Text
from llmgw.dialects.capabilities import UNKNOWN, Capabilities
from llmgw.dialects.codec import Losses, Recipient, Stamp
from llmgw.dialects.hosts import OPENAI, Host
from llmgw.dialects.openai_responses.codec import CODEC
from tests.dialects.losses import any_losses

STAMP: Final = Stamp(id="0193b1c2", created=1_760_000_000)
ASKED: Final[dict[str, Any]] = {"model": "gpt-5", "input": "hi"}
START: Final = Start(dialect="anthropic", id="msg_1", model="claude")
PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def to(on: Host = OPENAI, capabilities: Capabilities = UNKNOWN) -> Recipient:
    return Recipient(model="target", host=on, capabilities=capabilities)


def losses(*, drop: bool = False) -> Losses:
    """Losses of a client that calls every field as the neutral model does."""
    return Losses({}, target="target", drop=drop)


def own_losses(*, drop: bool = False) -> Losses:
    """Losses of this API's own client."""
    return Losses(CODEC.names, target="target", drop=drop)


def read(**fields: Any) -> Chat:
    """A client's request with these fields."""
    return CODEC.read_request(json.dumps({**ASKED, **fields}).encode())


def items(*given: Any, **fields: Any) -> Chat:
    """A client's request with these items."""
    return read(input=list(given), **fields)


def ask(*messages: Message, dialect: str = "anthropic", **fields: Any) -> Chat:
    """A request of another API's client."""
    return Chat(dialect=dialect, model="m", messages=messages or (user(Text(text="hi")),), **fields)


def user(*parts: Part, **fields: Any) -> Message:
    return Message(role="user", parts=parts, **fields)


def answered(*parts: Part, **fields: Any) -> Message:
    return Message(role="assistant", parts=parts, **fields)


def write(chat: Chat, recipient: Recipient | None = None, lost: Losses | None = None) -> Any:
    """The request as it goes to the provider."""
    return json.loads(CODEC.write_request(chat, recipient or to(), lost or losses()))


def inputs(*messages: Message, dialect: str = "anthropic", lost: Losses | None = None) -> Any:
    """The input that another API's conversation becomes."""
    return write(ask(*messages, dialect=dialect), lost=lost)["input"]


ANSWERED: Final[dict[str, Any]] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_750_000_000,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-5-2026",
    "output": [],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}


def message(*content: Any, **members: Any) -> dict[str, Any]:
    """An output item."""
    return {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "content": list(content),
        **members,
    }


def text(words: str, *annotations: Any, **members: Any) -> dict[str, Any]:
    """A part of a message."""
    return {"type": "output_text", "text": words, "annotations": list(annotations), **members}


def function_call(name: str = "f", arguments: str = "{}", **members: Any) -> dict[str, Any]:
    """An output item."""
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": name,
        "arguments": arguments,
        **members,
    }


def answer(*output: Any, **fields: Any) -> Answer:
    """A provider's answer with these items."""
    return CODEC.read_answer(json.dumps({**ANSWERED, "output": list(output), **fields}).encode())


def tell(given: Answer, chat: Chat | None = None, lost: Losses | None = None) -> Any:
    """The answer as a client gets it."""
    return json.loads(CODEC.write_answer(given, chat or read(), STAMP, lost or losses()))


def tell_parts(
    *parts: Part, reason: Any = "stop", dialect: str = "anthropic", lost: Losses | None = None, **fields: Any
) -> Any:
    """Another provider's answer of these parts, as a client gets it."""
    choice = Choice(parts=parts, finish=Finish(reason=reason))
    return tell(Answer(dialect=dialect, choices=(choice,), **fields), lost=lost)


def data(kind: str, **members: Any) -> bytes:
    """One event of a provider's stream."""
    whole = json.dumps({"type": kind, "sequence_number": 0, **members})
    return f"event: {kind}\ndata: {whole}\n\n".encode()


CREATED: Final = data("response.created", response={**ANSWERED, "status": "in_progress", "usage": None})


def completed(*output: Any, kind: str = "response.completed", **fields: Any) -> bytes:
    """The event that ends a provider's stream."""
    return data(kind, response={**ANSWERED, "output": list(output), **fields})


def added(item: Any, index: int = 0) -> bytes:
    return data("response.output_item.added", output_index=index, item=item)


def done(item: Any, index: int = 0) -> bytes:
    return data("response.output_item.done", output_index=index, item=item)


def said(words: str, index: int = 0, content: int = 0, **members: Any) -> bytes:
    return data(
        "response.output_text.delta", output_index=index, content_index=content, delta=words, **members
    )


def argued(piece: str, index: int = 0) -> bytes:
    return data("response.function_call_arguments.delta", output_index=index, delta=piece)


def events(*pieces: bytes) -> list[Event]:
    """What the reader makes of a whole stream."""
    reader = CODEC.stream_reader()
    found = [event for piece in pieces for event in reader.feed(piece)]
    return found + reader.end()


def stream(*given: Event, chat: Chat | None = None) -> bytes:
    """What a client gets for these events."""
    writer = CODEC.stream_writer(chat or read(stream=True), STAMP, any_losses())
    return b"".join(writer.write(event) for event in given)


def told(body: bytes) -> list[Any]:
    """The objects of a client's stream; each event's name is its type."""
    found = []
    for block in body.split(b"\n\n")[:-1]:
        name, _, line = block.partition(b"\n")
        found.append(json.loads(line.removeprefix(b"data: ")))
        assert name == b"event: " + found[-1]["type"].encode()
    return found


def kinds(body: bytes) -> list[str]:
    """The types of a client's events, without the API's prefix."""
    return [one["type"].removeprefix("response.") for one in told(body)]
