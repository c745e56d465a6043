"""Recorded exchanges of Gemini and Vertex AI, the codec's way through them, and what counts as the same.

Two requests are the same when they differ only in what says nothing to Google: snake_case names of its own fields,
a single object for a list of one, the role of instructions, an absent role (which is the user's), empty containers,
an empty text beside other parts, how tools are grouped, and base64's alphabet. Two answers are the same when a
candidate without parts has an absent, an empty or a role-only content, and enumerated values are numbers or words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from llmgw.canonical import Chat, Event
from llmgw.dialects.capabilities import UNKNOWN, Capabilities
from llmgw.dialects.codec import Losses, Recipient, Stamp
from llmgw.dialects.gemini.codec import CODEC
from llmgw.dialects.gemini.finish import NUMBERS
from llmgw.dialects.gemini.spelling import camel
from llmgw.dialects.hosts import GEMINI
from tests.dialects.losses import any_losses
from tests.provider import recordings
from tests.provider.recordings import Recording

STAMP: Final = Stamp(id="call-1", created=1_760_000_000)
CHAT: Final = Chat(dialect="gemini", model="gemini-3-flash")


def recorded(*, streaming: bool | None = None, status: int | None = 200) -> list[Any]:
    """The recordings as parameters of a test; one that is skipped where there are no fixtures."""
    found = [
        recording
        for recording in recordings.select(streaming=streaming)
        if recording.provider in ("gemini", "vertex")
        and "enerateContent" in recording.endpoint
        and (status is None or recording.response["status"] == status)
    ]
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="the recorded fixtures are not here"))]
    return [pytest.param(recording, id=recording.id) for recording in found]


def to(model: str = "gemini-2.5-flash", capabilities: Capabilities = UNKNOWN) -> Recipient:
    return Recipient(model=model, host=GEMINI, capabilities=capabilities)


def losses(*, drop: bool = False) -> Losses:
    return Losses({}, target="target", drop=drop)


def read(body: Any, **options: Any) -> Chat:
    return CODEC.read_request(json.dumps(body).encode(), **{"model": "gemini-3-flash", **options})


def written(chat: Chat, *, drop: bool = False, recipient: Recipient | None = None) -> Any:
    return json.loads(CODEC.write_request(chat, recipient or to(), losses(drop=drop)))


def events(raw: bytes, size: int | None = None) -> list[Event]:
    """The events of a stream fed whole or in pieces of `size` bytes."""
    reader = CODEC.stream_reader()
    step = size or max(len(raw), 1)
    found = [event for at in range(0, len(raw), step) for event in reader.feed(raw[at : at + step])]
    return found + reader.end()


def streamed(found: list[Event], chat: Chat = CHAT) -> bytes:
    writer = CODEC.stream_writer(chat, STAMP, any_losses())
    return b"".join(writer.write(event) for event in found)


def chunks(stream: bytes) -> list[Any]:
    """The chunks of a stream in either framing."""
    if stream.lstrip().startswith(b"["):
        return list(json.loads(stream))
    lines = stream.decode().splitlines()
    return [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")]


def whole(recording: Recording) -> bytes:
    return recording.answer("compact").body


# What counts as the same


def same_request(body: Any) -> Any:
    """`body` in the form described above."""
    body = _camel(body)
    body.pop("model", None)
    for content in body.get("contents", []):
        content.setdefault("role", "user")
        content["parts"] = _parts(content.get("parts"))
    system = body.pop("systemInstruction", None)
    if system is not None:
        parts = _parts(system.get("parts"))
        if parts not in ([], [{"text": ""}]):
            body["systemInstruction"] = {"parts": parts}
    tools: list[Any] = []
    for tool in body.pop("tools", []):
        tool = _camel(tool)
        tools += [{"functionDeclarations": [_camel(one)]} for one in tool.pop("functionDeclarations", [])]
        tools += [{name: value} for name, value in tool.items()]
    if tools:
        body["tools"] = tools
    for name in ("generationConfig", "toolConfig"):
        if name in body:
            body[name] = {key: value for key, value in _camel(body[name]).items() if value not in ({}, None)}
            if "thinkingConfig" in body[name]:
                body[name]["thinkingConfig"] = _camel(body[name]["thinkingConfig"])
            if not body[name]:
                del body[name]
    return body


def _parts(parts: Any) -> list[Any]:
    listed = [_camel(part) for part in (parts if isinstance(parts, list) else [parts or {}])]
    for part in listed:
        for name in ("inlineData", "fileData", "functionCall", "functionResponse"):
            if name in part:
                part[name] = _camel(part[name])
        if "inlineData" in part:
            part["inlineData"]["data"] = _standard(part["inlineData"]["data"])
    return [part for part in listed if part != {"text": ""}] or listed


def _standard(data: str) -> str:
    data = data.replace("-", "+").replace("_", "/")
    return data + "=" * (-len(data) % 4)


def _camel(value: Any) -> Any:
    return {camel(name): one for name, one in value.items() if one is not None}


def same_answer(body: Any) -> Any:
    """`body` in the form described above."""
    body = json.loads(json.dumps(body))
    for position, candidate in enumerate(body.get("candidates", [])):
        candidate.setdefault("index", position)
        if not candidate.get("content", {}).get("parts"):
            candidate.pop("content", None)
        reason = candidate.get("finishReason")
        if isinstance(reason, int) and reason < len(NUMBERS):
            candidate["finishReason"] = NUMBERS[reason]
    return body


def same_stream(found: list[Any]) -> Any:
    """All chunks in one: parts joined as a client joins them, members as last said."""
    merged: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for chunk in found:
        for position, candidate in enumerate(chunk.get("candidates", [])):
            one = candidates.setdefault(candidate.get("index", position), {"parts": []})
            for part in candidate.get("content", {}).get("parts", []):
                _join(one["parts"], part)
            one.update({name: value for name, value in candidate.items() if name not in ("content", "index")})
        merged.update({name: value for name, value in chunk.items() if name != "candidates"})
    return {**merged, "candidates": candidates}


def _join(parts: list[Any], part: dict[str, Any]) -> None:
    if part == {"text": ""}:
        return
    plain = part.keys() <= {"text", "thought"}
    if (
        plain
        and parts
        and parts[-1].keys() <= {"text", "thought"}
        and parts[-1].get("thought") == part.get("thought")
    ):
        parts[-1] = {**parts[-1], "text": parts[-1]["text"] + part["text"]}
    else:
        parts.append(part)


def mutations(raw: bytes) -> Iterator[bytes]:
    """`raw` cut, doubled and spoilt in ways that a parser may trip over."""
    for cut in (0, 1, len(raw) // 3, len(raw) - 1):
        yield raw[:cut]
    yield raw + raw
    yield raw.replace(b'"text"', b'"text": 7, "x"')
    yield raw.replace(b'"parts"', b'"parts": "x", "y"')
    yield raw.replace(b'"parts":[', b'"parts":[null,[],')
    yield raw.replace(b'"name"', b'"title"')
    yield raw.replace(b":{", b":[{").replace(b"}", b"}]")
    yield raw.replace(b'"', b"'")
    yield raw.replace(b"e", b"\xff")
    yield raw.replace(b'":"', b'":"\\ud800')
    yield raw.replace(b'":', b'":' + b"[" * 3000)
    yield raw.replace(b'TokenCount":', b'TokenCount":-')
    yield raw.replace(b'TokenCount":', b'TokenCount":1e999')
    yield raw.replace(b"[{", b"[{}, {")
