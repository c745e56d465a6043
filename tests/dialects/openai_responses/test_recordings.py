"""Recorded traffic of OpenAI and its hosts, through the codec and back to the same API.

What hosts made of the API is one corpus: the recordings of every endpoint that ends in `/responses`.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from llmgw.canonical import Failure
from llmgw.dialects.openai_responses.codec import CODEC
from tests.dialects.losses import any_losses
from tests.dialects.openai_responses.exchange import STAMP, events, losses, own_losses, read, tell, to, told
from tests.provider import recordings
from tests.provider.recordings import Recording
from tests.translation import sdk

OURS: Final = {"id", "encrypted_content"}
"""Members of a stream's last response that are as in this stream: ids, and thoughts, which OpenAI encrypts anew in
each event."""


def recorded(*, streaming: bool, status: bool = True) -> list[Any]:
    """The recordings as parameters of a test; one that is skipped where there are no fixtures."""
    found = [
        one
        for one in recordings.select(streaming=streaming)
        if one.endpoint.endswith("/responses") and (one.response["status"] == 200) == status
    ]
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="the recorded fixtures are not here"))]
    return [pytest.param(one, id=one.id) for one in found]


def body_of(recording: Recording) -> bytes:
    return recording.answer("compact").body


@pytest.mark.parametrize("recording", [*recorded(streaming=False), *recorded(streaming=True)])
def test_requests_are_unchanged_for_their_own_api(recording: Recording) -> None:
    """Every member of the recorded request is in the one written; only the model is the target's."""
    asked = recording.request.get("body") if recording.request else None
    if not isinstance(asked, dict):
        pytest.skip("recorded without its request")
    lost = own_losses()
    written = CODEC.write_request(CODEC.read_request(json.dumps(asked).encode()), to(), lost)
    assert json.loads(written) == {**asked, "model": "target"}
    assert lost.dropped == []


@pytest.mark.parametrize("recording", recorded(streaming=False))
def test_answers_are_unchanged_for_their_own_clients(recording: Recording) -> None:
    """Every member of the recorded answer is in the one written."""
    lost = losses()
    assert tell(CODEC.read_answer(body_of(recording)), lost=lost) == recording.response["body"]
    assert lost.dropped == []


@pytest.mark.parametrize("recording", recorded(streaming=True))
def test_streams_say_the_same_to_their_own_clients(recording: Recording) -> None:
    """The SDK puts the recorded stream and the one written together to the same response."""
    found = events(body_of(recording))
    if isinstance(found[-1], Failure):
        pytest.skip("the provider failed")
    writer = CODEC.stream_writer(read(stream=True), STAMP, any_losses())
    written = b"".join(map(writer.write, found))
    before, after = (dump(sdk.streamed("openai_responses", one)) for one in (body_of(recording), written))
    assert after == before


def dump(response: Any) -> Any:
    return bare(response.model_dump(mode="json"))


def bare(value: Any, inside: str = "") -> Any:
    """Without nulls, and without what is this stream's own in an item."""
    if isinstance(value, dict):
        return {
            name: bare(member, name)
            for name, member in value.items()
            if member is not None and not (inside == "output" and name in OURS)
        }
    return [bare(member, inside) for member in value] if isinstance(value, list) else value


@pytest.mark.parametrize("recording", recorded(streaming=True))
def test_streams_have_openais_sequence(recording: Recording) -> None:
    """Written back, a stream of OpenAI's own has the same events, each as often."""
    if not recording.id.startswith(("openai-", "azure-")):
        pytest.skip("a host, whose sequence is another")
    found = events(body_of(recording))
    if isinstance(found[-1], Failure):
        pytest.skip("the provider failed")
    writer = CODEC.stream_writer(read(stream=True), STAMP, any_losses())
    written = b"".join(map(writer.write, found))
    assert [one["type"] for one in told(written)] == [
        json.loads(line.removeprefix(b"data: "))["type"]
        for line in body_of(recording).splitlines()
        if line.startswith(b"data: ")
    ]


@pytest.mark.parametrize("recording", recorded(streaming=True))
def test_pieces_make_no_difference(recording: Recording) -> None:
    """Whole, and cut into pieces of odd sizes: the same events."""
    body = body_of(recording)
    for size in (1, 611) if len(body) < 60_000 else (611,):
        assert events(*(body[at : at + size] for at in range(0, len(body), size))) == events(body)


@pytest.mark.parametrize(
    "recording", [*recorded(streaming=False, status=False), *recorded(streaming=True, status=False)]
)
def test_errors_keep_the_providers_words(recording: Recording) -> None:
    """Message, type and code of an error answer."""
    status, error = recording.response["status"], recording.response["body"]["error"]
    found = CODEC.read_error(status, body_of(recording))
    assert (found.status, found.message, found.type, found.code) == (
        status,
        error["message"],
        error["type"],
        error["code"],
    )
