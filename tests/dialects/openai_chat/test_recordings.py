"""Recorded traffic of OpenAI and its hosts, through the codec and back to the same API.

What hosts made of the API is one corpus: the recordings of every endpoint that ends in `/chat/completions`.
"""

from __future__ import annotations

import json
import random
from typing import Any, Final

import pytest

from llmgw.canonical import End, Event, Failure, UsageEvent
from llmgw.dialects.openai_chat.codec import CODEC
from llmgw.errors import InvalidRequest, UpstreamFailed
from tests.dialects.losses import any_losses
from tests.dialects.openai_chat.exchange import STAMP, events, losses, read, tell, to, write
from tests.provider import recordings
from tests.provider.recordings import Recording

CUT: Final = "openai-chat-stream-cut"


def recorded(*, streaming: bool, status: int | None = 200) -> list[Any]:
    """The recordings as parameters of a test; one that is skipped where there are no fixtures."""
    found = [
        one
        for one in recordings.select(streaming=streaming)
        if one.endpoint.endswith("/chat/completions")
        and (one.response["status"] == 200) == (status == 200)
        and one.id != CUT
    ]
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="the recorded fixtures are not here"))]
    return [pytest.param(one, id=one.id) for one in found]


def body_of(recording: Recording) -> bytes:
    return recording.answer("compact").body


def is_failing(recording: Recording) -> bool:
    return "error_in_200" in recording.features or "error_in_stream" in recording.features


@pytest.mark.parametrize("recording", recorded(streaming=False))
def test_answers_are_unchanged_for_their_own_clients(recording: Recording) -> None:
    """Every member of the recorded answer is in the one written; null is absent."""
    said = recording.response["body"]
    if "error" in said:
        with pytest.raises(UpstreamFailed, match=r"reported an error: The response was filtered"):
            CODEC.read_answer(body_of(recording))
        return
    lost = losses()
    written = tell(CODEC.read_answer(body_of(recording)), lost=lost)
    assert bare(written) == bare(said)
    assert lost.dropped == []


def bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: bare(member) for name, member in value.items() if member is not None}
    return [bare(member) for member in value] if isinstance(value, list) else value


@pytest.mark.parametrize("recording", [*recorded(streaming=False), *recorded(streaming=True)])
def test_requests_are_unchanged_for_their_own_api(recording: Recording) -> None:
    """Every member of the recorded request is in the one written, under its newest name."""
    asked = recording.request.get("body") if recording.request else None
    if asked is None:
        pytest.skip("recorded without its request")
    chat = CODEC.read_request(json.dumps(asked).encode())
    lost = losses()
    written = write(chat, to(), lost)
    assert request_of(written) == request_of({**asked, "model": "target"})
    assert lost.dropped == []


def request_of(body: dict[str, Any]) -> Any:
    """One spelling: a list of one text is a string, the older limit the newer one; usage is always asked for."""
    body = bare(body)
    body.pop("stream_options", None)
    for name, nothing in (("stream", False), ("tools", [])):
        if body.get(name) == nothing:
            del body[name]
    if "max_tokens" in body:
        body["max_completion_tokens"] = body.pop("max_tokens")
    if isinstance(body.get("stop"), str):
        body["stop"] = [body["stop"]]
    for message in body["messages"]:
        content = message.get("content")
        if isinstance(content, list) and len(content) == 1 and content[0].keys() == {"type", "text"}:
            message["content"] = content[0]["text"]
    return body


@pytest.mark.parametrize("recording", recorded(streaming=True))
def test_streams_are_the_same_in_any_pieces(recording: Recording) -> None:
    """Whole, byte by byte and cut at random: the same events, and one end."""
    body = body_of(recording)
    found = events(body)
    assert events(*(body[at : at + 1] for at in range(len(body)))) == found
    rng = random.Random(recording.id)
    places = sorted(rng.randrange(len(body)) for _ in range(30))
    pieces = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    assert events(*pieces) == found
    assert [isinstance(event, End | Failure) for event in found].count(True) == 1
    assert isinstance(found[-1], Failure if is_failing(recording) else End)


@pytest.mark.parametrize("recording", recorded(streaming=True))
def test_streams_read_the_same_when_written_back(recording: Recording) -> None:
    """What is written for a client of this API reads as the same events, native ones included, but for usage, which
    comes last here."""
    found = events(body_of(recording))
    if is_failing(recording):
        pytest.skip("a stream that fails is written with another error")
    chat = read(stream=True, stream_options={"include_usage": True})
    writer = CODEC.stream_writer(chat, STAMP, any_losses())
    again = events(*(writer.write(event) for event in found))
    assert [event for event in again if not isinstance(event, UsageEvent)] == without_early_usage(found)
    assert last_usage(again) == last_usage(found)


def without_early_usage(found: list[Event]) -> list[Event]:
    return [event for event in found if not isinstance(event, UsageEvent)]


def last_usage(found: list[Event]) -> UsageEvent | None:
    return next((event for event in reversed(found) if isinstance(event, UsageEvent)), None)


@pytest.mark.skipif(CUT not in recordings.index(), reason="the recorded fixtures are not here")
def test_a_stream_that_was_cut_is_not_complete() -> None:
    """It says so."""
    with pytest.raises(UpstreamFailed, match="not complete"):
        events(body_of(recordings.load(CUT)))


@pytest.mark.parametrize(
    "recording", [*recorded(streaming=False, status=None), *recorded(streaming=True, status=None)]
)
def test_recorded_errors_keep_their_words(recording: Recording) -> None:
    """Status and message are the provider's."""
    status, body = recording.response["status"], recording.response["body"]
    error = CODEC.read_error(status, body_of(recording))
    said = body.get("error", body)
    expected = said if isinstance(said, str) else said.get("message", said.get("detail"))
    assert error.status == status
    assert str(expected) in error.message


def test_a_request_of_another_shape_is_the_clients_mistake() -> None:
    """A request to the Responses API is none to this one."""
    with pytest.raises(InvalidRequest, match="'messages' must be an array"):
        CODEC.read_request(b'{"model": "m", "input": "hi"}')
