"""Requests, answers and streams of the chat completions API, and the codec's way through them."""

from __future__ import annotations

import json
from typing import Any, Final

from llmgw.canonical import Answer, Chat, Event, Message, Part, Start, Text
from llmgw.dialects.capabilities import UNKNOWN, Capabilities
from llmgw.dialects.codec import Losses, Recipient, Stamp
from llmgw.dialects.hosts import OPENAI, Host
from llmgw.dialects.openai_chat.codec import CODEC
from tests.dialects.losses import any_losses

STAMP: Final = Stamp(id="0193b1c2", created=1_760_000_000)
ASKED: Final[dict[str, Any]] = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}


def host(**fields: Any) -> Host:
    """A host of this API with these peculiarities."""
    return Host(name="host", dialect="openai", **fields)


def to(on: Host = OPENAI, capabilities: Capabilities = UNKNOWN) -> Recipient:
    return Recipient(model="target", host=on, capabilities=capabilities)


def losses(*, drop: bool = False) -> Losses:
    """Losses of a client that calls every field as the neutral model does."""
    return Losses({}, target="target", drop=drop)


def read(**fields: Any) -> Chat:
    """A client's request with these fields."""
    return CODEC.read_request(json.dumps({**ASKED, **fields}).encode())


def said(*messages: dict[str, Any]) -> Chat:
    """A client's request with these messages."""
    return read(messages=list(messages))


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


def answer(**fields: Any) -> Answer:
    """A provider's answer with these members."""
    return CODEC.read_answer(json.dumps({**ANSWERED, **fields}).encode())


def message(finish: str | None = "stop", **members: Any) -> Answer:
    """A provider's answer with this message."""
    return answer(choices=[choice(finish, **members)])


def choice(finish: str | None = "stop", index: int = 0, **members: Any) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", **members}, "finish_reason": finish}


ANSWERED: Final[dict[str, Any]] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_750_000_000,
    "model": "gpt-5-2026",
    "choices": [choice(content="Hello", refusal=None)],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def tell(given: Answer, chat: Chat | None = None, lost: Losses | None = None) -> Any:
    """The answer as a client gets it."""
    return json.loads(CODEC.write_answer(given, chat or read(), STAMP, lost or losses()))


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **members: Any) -> bytes:
    """One event of a provider's stream."""
    piece = {"index": members.pop("index", 0), "delta": delta or {}, "finish_reason": finish}
    piece |= members.pop("beside", {})
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": "gpt-5-2026",
        "choices": [piece],
        **members,
    }
    return data(whole)


def data(whole: Any) -> bytes:
    return b"data: " + json.dumps(whole).encode() + b"\n\n"


DONE: Final = b"data: [DONE]\n\n"


def events(*pieces: bytes) -> list[Event]:
    """What the reader makes of a whole stream."""
    reader = CODEC.stream_reader()
    found = [event for piece in pieces for event in reader.feed(piece)]
    return found + reader.end()


def stream(*given: Event, chat: Chat | None = None) -> bytes:
    """What a client gets for these events."""
    writer = CODEC.stream_writer(chat or read(stream=True), STAMP, any_losses())
    return b"".join(writer.write(event) for event in given)


def chunks(body: bytes) -> list[Any]:
    """The objects of a client's stream, without the terminator."""
    found = [block.removeprefix(b"data: ") for block in body.split(b"\n\n") if block]
    return [json.loads(one) for one in found if one != b"[DONE]"]


def deltas(body: bytes) -> list[Any]:
    """The deltas of its first choices that are not empty."""
    return [
        one["choices"][0]["delta"]
        for one in chunks(body)
        if one.get("choices") and one["choices"][0]["delta"]
    ]


START: Final = Start(dialect="anthropic", id="msg_1", model="claude")
