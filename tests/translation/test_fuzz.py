"""Damaged requests, answers and streams: only typed errors come out, whatever goes in.

A client's damage is InvalidRequest (or UnsupportedParameter, where what is left can be read and not be served); a
provider's is UpstreamFailed. Anything else is a defect, and the test shows the bytes that bring it about. What can be
read is written on to every API, because what a reader lets through a writer must be able to take.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from llmgw.canonical import Event
from llmgw.errors import InvalidRequest, UnsupportedParameter, UpstreamFailed
from tests.dialects.losses import any_losses
from tests.translation import mutate
from tests.translation.corpus import (
    CLIENTS,
    PROVIDERS,
    STAMP,
    answers,
    asked_by,
    body_of,
    codec,
    dialect_of,
    losses,
    pieces_of,
    recipient,
    recording,
    requests,
)

pytestmark = pytest.mark.slow

SEED: Final = "3"
REQUESTS: Final = 25
ANSWERS: Final = 40
STREAMS: Final = 20
"""Damaged copies of each recording, next to the fixed ones."""


def defects(
    damaged: Iterator[bytes], run: Callable[[bytes], Any], typed: tuple[type[Exception], ...]
) -> list[str]:
    """What came out that is no typed error, with the bytes that brought it about."""
    found = []
    for body in damaged:
        try:
            run(body)
        except typed:
            continue
        except Exception as error:  # noqa: BLE001 - any other exception is what is looked for
            at = traceback.extract_tb(error.__traceback__)[-1]
            found.append(f"{type(error).__name__}: {error} at {at.filename}:{at.lineno}\n   {body[:2000]!r}")
    return found


@pytest.mark.parametrize("recording_id", requests())
def test_damaged_requests(recording_id: str) -> None:
    """A client's bad request is told to the client, by whichever codec notices it."""
    asked = requests()[recording_id]
    reader = codec(asked.dialect)
    in_url: dict[str, Any] = (
        {"model": asked.model, "stream": asked.stream} if asked.dialect == "gemini" else {}
    )
    writers = [codec(name) for name in PROVIDERS]

    def run(body: bytes) -> None:
        chat = reader.read_request(body, **in_url)
        for writer in writers:
            for drop in (True, False):
                try:
                    writer.write_request(
                        chat, recipient(writer.name), losses(asked.dialect, writer.name, drop=drop)
                    )
                except InvalidRequest:
                    pass
                except UnsupportedParameter:
                    if drop:
                        raise AssertionError("refused though it may be dropped") from None

    found = defects(
        mutate.texts(asked.body, SEED + recording_id, REQUESTS), run, (InvalidRequest, UnsupportedParameter)
    )
    assert not found, "\n".join(found[:3])


@pytest.mark.parametrize("recording_id", answers(streamed=False))
def test_damaged_answers(recording_id: str) -> None:
    """A provider's bad answer is the provider's failure, in the reader or where it is written for a client."""
    recorded = recording(recording_id)
    reader = codec(str(dialect_of(recorded)))
    clients = [(codec(name), asked_by(name)) for name in CLIENTS]

    def run(body: bytes) -> None:
        answer = reader.read_answer(body)
        for client, chat in clients:
            try:
                client.write_answer(answer, chat, STAMP, losses(client.name, reader.name, drop=True))
            except UpstreamFailed:
                continue

    found = defects(
        mutate.texts(recorded.response["body"], SEED + recording_id, ANSWERS), run, (UpstreamFailed,)
    )
    assert not found, "\n".join(found[:3])


@pytest.mark.parametrize("recording_id", answers(streamed=True))
def test_damaged_streams(recording_id: str) -> None:
    """The same of a stream; and whatever happened before, the writer can still tell the client of the failure."""
    recorded = recording(recording_id)
    reader = codec(str(dialect_of(recorded)))
    clients = [(codec(name), asked_by(name)) for name in CLIENTS]
    pieces = pieces_of(body_of(recorded), reader.name)

    def run(body: bytes) -> None:
        broken: UpstreamFailed | None = None
        events: list[Event] = []
        try:
            stream = reader.stream_reader()
            events += stream.feed(body)
            events += stream.end()
        except UpstreamFailed as failed:
            broken = failed
        for client, chat in clients:
            writer = client.stream_writer(chat, STAMP, any_losses())
            failure = broken
            try:
                for event in events:
                    writer.write(event)
            except UpstreamFailed as failed:
                failure = failed
            if failure is not None:
                assert writer.broken(failure, "req_1"), "the client is not told"

    found = defects(mutate.streams(pieces, reader.name, SEED + recording_id, STREAMS), run, (UpstreamFailed,))
    assert not found, "\n".join(found[:3])


@pytest.mark.parametrize("name", [*PROVIDERS])
def test_an_event_without_end_is_cut_off(name: str) -> None:
    """A single event of more than the cap is refused before it fills the memory."""
    stream = codec(name).stream_reader()
    piece = b"data: {" + b" " * 1_000_000

    def flood() -> None:
        for _ in range(12):
            stream.feed(piece)

    with pytest.raises(UpstreamFailed):
        flood()


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("body", [*mutate.NOT_JSON, b'{"error":null}', b'{"detail":"x"}', b'{"message":1}'])
def test_errors_are_always_read(name: str, body: bytes) -> None:
    """Whatever stands in an error answer, its status remains and there are words for it."""
    error = codec(name).read_error(503, body)
    assert error.status == 503
    assert error.message.strip()
