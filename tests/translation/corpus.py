"""The recordings as each codec meets them, and the codecs themselves.

A recording belongs to the dialect of its endpoint, whatever the provider: the hosts that speak OpenAI's API are
part of that dialect's corpus. A codec that cannot be imported skips the tests that need it, and says so.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
from typing import Any, Final

import pytest
from msgspec import Struct

from llmgw.canonical import Chat, Event
from llmgw.dialects.capabilities import UNKNOWN, Capabilities
from llmgw.dialects.codec import Codec, Losses, Recipient, Stamp
from llmgw.dialects.hosts import Host
from llmgw.dialects.sse import complete_until
from tests.dialects.losses import any_losses
from tests.provider.recordings import Recording, load, select, write_json

CLIENTS: Final = ("openai_chat", "openai_responses", "anthropic", "gemini")
PROVIDERS: Final = CLIENTS

ENDPOINTS: Final = (
    (re.compile(r"/chat/completions$"), "openai_chat"),
    (re.compile(r"(/v1|^)/responses$"), "openai_responses"),
    (re.compile(r"^/v1/messages$"), "anthropic"),
    (re.compile(r":(generateContent|streamGenerateContent)$"), "gemini"),
)
MODELS: Final = {
    "openai_chat": "gpt-5-nano",
    "openai_responses": "gpt-5-nano",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
}
STAMP: Final = Stamp(id="0193b1c2d3e4f5a6", created=1_760_000_000)

ASKED: Final = {
    "openai_chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "openai_responses": {"model": "m", "input": "hi"},
    "anthropic": {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}
"""The plainest request of each client API, for answers that are not to their own client's request."""


def codec(name: str) -> Codec:
    """The codec of that name; skips the test where there is none yet."""
    try:
        module = importlib.import_module(f"llmgw.dialects.{name}.codec")
    except ModuleNotFoundError as missing:
        if not str(missing.name).startswith(f"llmgw.dialects.{name}"):
            raise
        pytest.skip(f"there is no codec for {name}: {missing}")
    made: Codec = module.CODEC
    return made


def dialect_of(recording: Recording) -> str | None:
    """The codec that reads the recording's answer; None for endpoints that are no chats."""
    if recording.provider == "gemini" and "/openai/" in recording.endpoint:
        return "openai_chat"
    return next((name for pattern, name in ENDPOINTS if pattern.search(recording.endpoint)), None)


def recipient(name: str, *, model: str | None = None, capabilities: Capabilities = UNKNOWN) -> Recipient:
    """A target that speaks `name` and is known to refuse nothing."""
    host = Host(name=name.partition("_")[0], dialect=name.partition("_")[0])
    return Recipient(model=model or MODELS[name], host=host, capabilities=capabilities)


def losses(client: str, target: str, *, drop: bool) -> Losses:
    return Losses(codec(client).names, target=MODELS[target], drop=drop)


class Asked(Struct, frozen=True):
    """A recorded request as the gateway gets it."""

    recording: Recording
    dialect: str
    body: dict[str, Any]
    model: str | None
    """From the URL, where the API has it there."""
    stream: bool | None

    def read(self) -> Chat:
        query = str(self.recording.request.get("path", "")).partition("?")[2].encode()
        return codec(self.dialect).read_request(
            write_json(self.body, "compact"), model=self.model, stream=self.stream, query=query
        )


@functools.cache
def requests() -> dict[str, Asked]:
    """Every request that its provider accepted and that is written in a client's API, by recording."""
    found = {}
    for recording in select():
        dialect = dialect_of(recording)
        body = (recording.request or {}).get("body")
        if dialect in CLIENTS and recording.response["status"] == 200 and isinstance(body, dict):
            found[recording.id] = _asked(recording, dialect, body)
    return found


def _asked(recording: Recording, dialect: str, body: dict[str, Any]) -> Asked:
    if dialect != "gemini":
        return Asked(recording, dialect, body, None, None)
    model = re.search(r"/models/([^:/?]+):", str(recording.request["path"]))
    return Asked(
        recording,
        dialect,
        body,
        model[1] if model else "gemini-2.5-flash",
        "streamGenerateContent" in recording.endpoint,
    )


@functools.cache
def answers(*, streamed: bool) -> tuple[str, ...]:
    """The recordings of complete successful answers of all dialects."""
    return tuple(
        recording.id
        for recording in select(streaming=streamed)
        if dialect_of(recording) is not None
        and recording.response["status"] == 200
        and recording.id not in NO_ANSWERS
    )


FAILING: Final = frozenset(
    {
        "anthropic-stream-overloaded-first",
        "anthropic-stream-overloaded-midway",
        "groq-chat-stream-tool-use-failed-error-streaming-with-text",
        "openai-chat-stream-error-midway",
        "openai-responses-stream-insufficient-quota",
        "openrouter-chat-stream-openrouter-stream-error",
    }
)
"""Streams in which the provider itself reports that it failed."""

NO_ANSWERS: Final = {
    "anthropic-stream-cut": "broken off",
    "openai-chat-stream-cut": "broken off",
    "azure-chat-prompt-content-filtering": "an error with status 200",
}
"""Recordings with status 200 that hold no complete answer, and why."""


def body_of(recording: Recording) -> bytes:
    """The answer's bytes as the provider sent them."""
    return recording.answer("compact").body


def asked_by(client: str, recording: Recording | None = None) -> Chat:
    """The request that an answer for `client` is written to: the recording's own where it is of that API."""
    if recording is not None and recording.id in requests() and dialect_of(recording) == client:
        return requests()[recording.id].read()
    body = json.dumps(ASKED[client]).encode()
    in_url: dict[str, Any] = (
        {"model": "m", "stream": False, "query": b"alt=sse"} if client == "gemini" else {}
    )
    return codec(client).read_request(body, **in_url)


def read_stream(name: str, pieces: list[bytes]) -> list[Event]:
    """All events of a provider's stream that came in these pieces."""
    reader = codec(name).stream_reader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.end()


def pieces_of(body: bytes, name: str) -> list[bytes]:
    """A stream cut behind each of its events."""
    pieces = []
    while body:
        first = min(
            (at + len(gap) for gap in (b"\n\n", b"\r\n\r\n", b"\r\r") if (at := body.find(gap)) >= 0),
            default=len(body),
        )
        pieces.append(body[:first])
        body = body[first:]
    assert all(complete_until(piece) in (0, len(piece)) for piece in pieces)
    return pieces


def write_stream(client: str, chat: Chat, events: list[Event]) -> bytes:
    """What the client gets for these events."""
    writer = codec(client).stream_writer(chat, STAMP, any_losses())
    return b"".join(writer.write(event) for event in events)


def recording(recording_id: str) -> Recording:
    return load(recording_id)
