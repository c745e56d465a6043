"""Who the tests speak for: a client's request, a provider, and the official SDK on the other end.

`normal` brings two spellings of one request or answer together that the API's reference calls equal: null and
absent; a string and one text block; `is_error: false`, `stream: false` and an empty list, and their absence.
"""

from __future__ import annotations

import functools
import json
from typing import Any, Final

import anthropic
import httpx2

from llmgw.canonical import Answer, Chat, Event, Message, Part, Text
from llmgw.dialects.anthropic.codec import CODEC
from llmgw.dialects.capabilities import UNKNOWN, Capabilities
from llmgw.dialects.codec import Losses, Recipient, Stamp
from llmgw.dialects.hosts import ANTHROPIC, Host
from tests.dialects.losses import any_losses
from tests.provider.recordings import Recording, select, write_json

STAMP: Final = Stamp(id="0193b1c2", created=1_760_000_000)
ASKED: Final = Chat(dialect="anthropic", model="claude-sonnet-4-5")


def recordings(*, streaming: bool) -> list[Recording]:
    """The recorded exchanges of this API that went well."""
    return [
        one
        for one in select(provider="anthropic", endpoint="/v1/messages", streaming=streaming)
        if one.response["status"] == 200
    ]


def to(capabilities: Capabilities = UNKNOWN, host: Host = ANTHROPIC) -> Recipient:
    return Recipient(model="claude-sonnet-4-5", host=host, capabilities=capabilities)


def losses(*, drop: bool = False) -> Losses:
    return Losses(CODEC.names, target="claude", drop=drop)


def read(body: dict[str, Any]) -> Chat:
    """An Anthropic client's request."""
    return CODEC.read_request(write_json(body, "compact"))


def asking(*blocks: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A request whose user says `blocks`."""
    return {
        "model": "m",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": list(blocks) or "hi"}],
        **members,
    }


def chat(*messages: Message, **fields: Any) -> Chat:
    """A request of another API's client."""
    return Chat(dialect="openai_chat", model="m", messages=messages or (user("hi"),), **fields)


def user(*parts: Part | str) -> Message:
    return Message(role="user", parts=_parts(parts))


def assistant(*parts: Part | str) -> Message:
    return Message(role="assistant", parts=_parts(parts))


def _parts(parts: tuple[Part | str, ...]) -> tuple[Part, ...]:
    return tuple(Text(text=part) if isinstance(part, str) else part for part in parts)


def sent(request: Chat, recipient: Recipient | None = None, account: Losses | None = None) -> dict[str, Any]:
    """What the provider gets."""
    body: dict[str, Any] = json.loads(CODEC.write_request(request, recipient or to(), account or losses()))
    return body


def got(answer: Answer, account: Losses | None = None) -> dict[str, Any]:
    """What the client gets."""
    body: dict[str, Any] = json.loads(CODEC.write_answer(answer, ASKED, STAMP, account or losses()))
    return body


def streamed(events: list[Event]) -> bytes:
    """What the client gets of a stream."""
    writer = CODEC.stream_writer(ASKED, STAMP, any_losses())
    return b"".join(writer.write(event) for event in events)


def read_stream(*pieces: bytes) -> list[Event]:
    """The provider's whole stream, in the pieces it comes in."""
    reader = CODEC.stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.end()


def wire(*events: dict[str, Any]) -> bytes:
    """A provider's stream."""
    return b"".join(
        b"event: " + str(one["type"]).encode() + b"\ndata: " + json.dumps(one).encode() + b"\n\n"
        for one in events
    )


def wired(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each checked to have the name of its type."""
    found = []
    for block in stream.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        one = json.loads(data.removeprefix("data: "))
        assert name == f"event: {one['type']}"
        found.append(one)
    return found


def normal(value: Any) -> Any:
    if isinstance(value, dict):
        made = {name: normal(member) for name, member in value.items() if member is not None}
        for name, default in (("is_error", False), ("stream", False)):
            if made.get(name) is default:
                del made[name]
        for name in ("citations", "tools", "stop_sequences"):
            if made.get(name) == []:
                del made[name]
        for name in ("content", "system"):
            if isinstance(made.get(name), str) and made.get("type") != "compaction":
                made[name] = [{"type": "text", "text": made[name]}]
        return made
    return [normal(member) for member in value] if isinstance(value, list) else value


class _Replay(httpx2.BaseTransport):
    """Answers with the bytes it was given."""

    def __init__(self) -> None:
        self.body = b""
        self.media_type = ""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        return httpx2.Response(
            200, headers={"content-type": self.media_type}, stream=httpx2.ByteStream(self.body)
        )


_replay: Final = _Replay()


@functools.cache
def _sdk() -> anthropic.Anthropic:
    client = httpx2.Client(transport=_replay)
    return anthropic.Anthropic(api_key="k", base_url="http://gateway.test", http_client=client, max_retries=0)


def _answering(body: bytes, media_type: str) -> anthropic.Anthropic:
    _replay.body, _replay.media_type = body, media_type
    return _sdk()


def sdk_plain(body: bytes, *, beta: bool) -> dict[str, Any]:
    """What the SDK makes of a whole answer."""
    client = _answering(body, "application/json")
    api: Any = client.beta.messages if beta else client.messages
    made = api.create(model="m", max_tokens=1, messages=[])
    found: dict[str, Any] = normal(made.to_dict(mode="json", warnings=False))
    return found


def sdk_streamed(body: bytes, *, beta: bool) -> dict[str, Any]:
    """The message that the SDK's stream helper puts together."""
    client = _answering(body, "text/event-stream")
    api: Any = client.beta.messages if beta else client.messages
    with api.stream(model="m", max_tokens=1, messages=[]) as stream:
        made = stream.get_final_message()
    found: dict[str, Any] = normal(made.to_dict(mode="json", warnings=False))
    return found


def sdk_events(body: bytes) -> list[Any]:
    """The SDK's typed events of `create(stream=True)`."""
    client = _answering(body, "text/event-stream")
    return list(client.messages.create(model="m", max_tokens=1, messages=[], stream=True))
