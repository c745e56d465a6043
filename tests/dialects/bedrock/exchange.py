"""The other ends of the tests: clients of every API, the provider, and what it recorded."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from llmgw.canonical import Chat, Event, Message, Part, Text
from llmgw.dialects.bedrock.codec import CODEC
from llmgw.dialects.capabilities import Capabilities, of
from llmgw.dialects.codec import Codec, Losses, Recipient, Stamp
from llmgw.dialects.hosts import Host
from llmgw.dialects.known import CODECS
from tests.dialects.bedrock import shapes
from tests.dialects.bedrock.event_stream import event
from tests.provider.recordings import Recording, select

CLAUDE: Final = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NEWEST: Final = "global.anthropic.claude-opus-4-6-v1"
NOVA: Final = "us.amazon.nova-lite-v1:0"
LLAMA: Final = "us.meta.llama3-3-70b-instruct-v1:0"
HIDDEN: Final = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"
STAMP: Final = Stamp(id="0193b1c2", created=1_760_000_000)
CLIENTS: Final[dict[str, Codec]] = {codec.name: codec for codec in CODECS.values()}
HOST: Final = Host(name="bedrock", dialect="bedrock")


def to(model: str = CLAUDE, capabilities: Capabilities | None = None, host: Host = HOST) -> Recipient:
    return Recipient(model=model, host=host, capabilities=capabilities or of(model))


def losses(client: str = "openai_chat", *, drop: bool = False) -> Losses:
    return Losses(CLIENTS[client].names, target="bedrock-model", drop=drop)


def chat(*messages: Message, **fields: Any) -> Chat:
    """A request of another API's client."""
    return Chat(**{"dialect": "openai_chat", "model": "m", "messages": messages or (user("hi"),), **fields})


def user(*parts: Part | str) -> Message:
    return Message(role="user", parts=_parts(parts))


def assistant(*parts: Part | str) -> Message:
    return Message(role="assistant", parts=_parts(parts))


def _parts(parts: tuple[Part | str, ...]) -> tuple[Part, ...]:
    return tuple(Text(text=part) if isinstance(part, str) else part for part in parts)


def sent(request: Chat, recipient: Recipient | None = None, account: Losses | None = None) -> dict[str, Any]:
    """What the provider gets, which its published model has nothing against."""
    body: dict[str, Any] = json.loads(CODEC.write_request(request, recipient or to(), account or losses()))
    if shapes.present():
        assert shapes.faults(body, "ConverseRequest") == []
    return body


def answered(*blocks: dict[str, Any], stop: str = "end_turn", **members: Any) -> bytes:
    """A provider's whole answer."""
    return json.dumps(
        {
            "output": {"message": {"role": "assistant", "content": list(blocks)}},
            "stopReason": stop,
            "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
            "metrics": {"latencyMs": 7},
            **members,
        }
    ).encode()


def streamed(*events: tuple[str, dict[str, Any]], stop: str = "end_turn") -> bytes:
    """A provider's whole stream around these events."""
    ending = (
        ("messageStop", {"stopReason": stop}),
        (
            "metadata",
            {
                "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
                "metrics": {"latencyMs": 7},
            },
        ),
    )
    begin = ("messageStart", {"role": "assistant"})
    return b"".join(event(kind, {**said, "p": "abc"}) for kind, said in (begin, *events, *ending))


def delta(index: int, said: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": said}


def start(index: int, said: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "contentBlockStart", {"contentBlockIndex": index, "start": said}


def stop(index: int) -> tuple[str, dict[str, Any]]:
    return "contentBlockStop", {"contentBlockIndex": index}


def events(stream: bytes, size: int | None = None) -> list[Event]:
    """A stream read in pieces of `size` bytes; None: at once."""
    reader = CODEC.stream_reader()
    size = size or max(len(stream), 1)
    found = [one for at in range(0, len(stream), size) for one in reader.feed(stream[at : at + size])]
    return found + reader.end()


def recordings(*, streaming: bool, status: int = 200) -> list[Recording]:
    """The recorded exchanges of this API."""
    endpoint = "/model/{modelId}/converse-stream" if streaming else "/model/{modelId}/converse"
    found = select(provider="bedrock", endpoint=endpoint, streaming=streaming)
    return [one for one in found if one.response["status"] == status]


def parameters(found: list[Recording]) -> Any:
    """The recordings as parameters of a test, which is skipped visibly where there are none."""
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="no recordings in this checkout"))]
    return [pytest.param(one, id=one.id) for one in found]
