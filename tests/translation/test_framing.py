"""The order of a client's stream: what each API promises about first and last events, indices and ids.

SDKs forgive much of this and other clients do not, so it is held here event by event, over every recorded stream told
to a client of another API.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest

from tests.translation.corpus import (
    CLIENTS,
    FAILING,
    answers,
    asked_by,
    body_of,
    dialect_of,
    read_stream,
    recording,
    write_stream,
)
from tests.translation.views import sse_objects

PAIRS: Final = [
    pytest.param(recording_id, client, id=f"{client}-{recording_id}")
    for client in CLIENTS
    for recording_id in answers(streamed=True)
    if recording_id not in FAILING and dialect_of(recording(recording_id)) != client
]


@pytest.mark.parametrize(("recording_id", "client"), PAIRS)
def test_a_stream_is_framed_as_its_api_says(recording_id: str, client: str) -> None:
    """First and last events, indices that count up, ids that stay the same."""
    recorded = recording(recording_id)
    chat = msgspec.structs.replace(asked_by(client), include_usage=True)
    written = write_stream(client, chat, read_stream(str(dialect_of(recorded)), [body_of(recorded)]))
    FRAMED[client](written, sse_objects(written))


def _chat(written: bytes, chunks: list[Any]) -> None:
    assert written.endswith(b"data: [DONE]\n\n")
    assert written.count(b"[DONE]") == 1
    for member in ("id", "created", "model", "object"):
        assert len({chunk[member] for chunk in chunks}) == 1, member
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    *others, last = chunks
    if last.get("usage"):
        assert last["choices"] == [], "usage comes in a chunk of its own"
        assert not any(chunk.get("usage") for chunk in others)
    for index in {choice["index"] for chunk in chunks for choice in chunk["choices"]}:
        pieces = [one for chunk in chunks for one in chunk["choices"] if one["index"] == index]
        assert [piece["finish_reason"] is not None for piece in pieces] == [False] * (len(pieces) - 1) + [
            True
        ]
        _calls([call for piece in pieces for call in piece["delta"].get("tool_calls") or ()])


def _calls(deltas: list[Any]) -> None:
    """A call's id, type and name come with its first delta; indices count up from 0."""
    seen: list[int] = []
    for delta in deltas:
        if delta["index"] not in seen:
            seen.append(delta["index"])
            assert delta["id"]
            assert delta["type"] == "function"
            assert delta["function"]["name"]
        else:
            assert "id" not in delta
    assert seen == list(range(len(seen)))


def _responses(written: bytes, events: list[Any]) -> None:
    assert b"[DONE]" not in written
    names = [line[7:].decode() for line in written.splitlines() if line.startswith(b"event: ")]
    kinds = [event["type"] for event in events]
    assert names == kinds
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in added] == list(range(len(added)))
    assert sorted(event["output_index"] for event in done) == list(range(len(added)))
    ids = {event["output_index"]: event["item"]["id"] for event in added}
    items = {event["output_index"]: event["item"] for event in done}
    assert [items[index] for index in sorted(items)] == events[-1]["response"]["output"]
    for event in events:
        if "item_id" in event:
            assert event["item_id"] == ids[event["output_index"]]
    _pieces(events)


def _pieces(events: list[Any]) -> None:
    """Deltas joined are what the matching `done` event says."""
    texts: dict[Any, str] = {}
    for event in events:
        kind, _, what = event["type"].rpartition(".")
        key = (kind, event.get("output_index"), event.get("content_index"), event.get("summary_index"))
        if what == "delta":
            texts[key] = texts.get(key, "") + event["delta"]
        elif what == "done" and kind.endswith(("text", "arguments", "refusal", "input")):
            whole = next(event[name] for name in ("text", "arguments", "refusal", "input") if name in event)
            assert texts.get(key, "") == whole


def _anthropic(written: bytes, events: list[Any]) -> None:
    names = [line[7:].decode() for line in written.splitlines() if line.startswith(b"event: ")]
    kinds = [event["type"] for event in events]
    assert names == kinds
    kinds = [kind for kind in kinds if kind != "ping"]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("message_delta") == kinds.count("message_stop") == 1
    current: int | None = None
    count = 0
    for event in events:
        if event["type"] == "content_block_start":
            assert current is None, "a block begins when the one before it is over"
            assert event["index"] == count
            current, count = count, count + 1
        elif event["type"] in ("content_block_delta", "content_block_stop"):
            assert event["index"] == current
            if event["type"] == "content_block_stop":
                current = None
    assert current is None


def _gemini(written: bytes, chunks: list[Any]) -> None:
    assert b"[DONE]" not in written
    assert len({chunk["responseId"] for chunk in chunks}) == 1
    assert len({chunk["modelVersion"] for chunk in chunks}) == 1
    ended = ["finishReason" in candidate for chunk in chunks for candidate in chunk.get("candidates") or ()]
    assert True in ended or any("promptFeedback" in chunk for chunk in chunks)
    for chunk in chunks:
        for candidate in chunk.get("candidates") or ():
            for part in (candidate.get("content") or {}).get("parts") or ():
                if "functionCall" in part:
                    assert isinstance(part["functionCall"].get("args", {}), dict), "a call comes whole"


FRAMED: Final[dict[str, Callable[[bytes, list[Any]], None]]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
}
