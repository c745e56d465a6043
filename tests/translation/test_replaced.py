"""No value in the place of another brings out anything but a typed error.

Every JSON value of the recorded requests, answers and streams is replaced in turn by each of `replaced.VALUES`; what
can still be read is written on to every API. One test for each API tries each shape of a place once; the slow ones
try all places of every recording.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from llmgw.canonical import Chat, Event
from llmgw.errors import InvalidRequest, UnsupportedParameter, UpstreamFailed
from tests.dialects.losses import any_losses
from tests.translation import replaced, samples, schemas, tokens
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

SHOWN: Final = 12
"""Defects told of one test."""
asked = functools.cache(asked_by)


class Defects:
    """What came out that is no typed error, once for each place in the code."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def attempt(self, what: str, run: Callable[[], Any], typed: tuple[type[Exception], ...]) -> None:
        try:
            run()
        except typed:
            pass
        except Exception as error:  # noqa: BLE001 - any other exception is what is looked for
            at = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {at.filename}:{at.lineno}"
            self.found.setdefault(where, f"{where}: {error}\n   with {what}")

    def told(self) -> str:
        return "\n".join(list(self.found.values())[:SHOWN])


def of_dialect(recordings: Any, dialect: str) -> list[str]:
    return [one for one in recordings if dialect_of(recording(one)) == dialect]


def published(
    members: Callable[[str], list[str]],
    made: Callable[[str, str], list[Any]],
    shape: schemas.Shape,
    dialect: str,
) -> Iterator[Any]:
    """What the published description adds to the recordings; nothing where it is not at hand."""
    if (schemas.SCHEMAS / schemas.FILES[shape.document]).exists():
        for member in members(dialect):
            yield from made(dialect, member)


# Requests


def try_request(dialect: str, document: Any, defects: Defects, tried: set[str] | None) -> None:
    reader = codec(dialect)
    in_url: dict[str, Any] = {"model": "m", "stream": False} if dialect == "gemini" else {}

    def run(body: bytes) -> None:
        chat = reader.read_request(body, **in_url)
        for name in PROVIDERS:
            try:
                codec(name).write_request(chat, recipient(name), losses(dialect, name, drop=True))
            except InvalidRequest:
                pass
            except UnsupportedParameter:
                raise AssertionError(f"{name} refused though it may be dropped") from None

    for what, body in replaced.copies(copy.deepcopy(document), tried):
        defects.attempt(what, functools.partial(run, body), (InvalidRequest,))


@pytest.mark.parametrize("dialect", CLIENTS)
def test_requests(dialect: str) -> None:
    """A client's odd value is the client's error, in the reader or in any of the writers."""
    defects, tried = Defects(), set[str]()
    for recording_id in of_dialect(requests(), dialect):
        try_request(dialect, requests()[recording_id].body, defects, tried)
    for document in published(samples.members, samples.samples, schemas.REQUESTS[dialect], dialect):
        try_request(dialect, document, defects, tried)
    assert tried
    assert not defects.found, defects.told()


@pytest.mark.slow
@pytest.mark.parametrize("recording_id", requests())
def test_all_places_of_requests(recording_id: str) -> None:
    """The same of every place of every recorded request."""
    defects = Defects()
    try_request(requests()[recording_id].dialect, requests()[recording_id].body, defects, None)
    assert not defects.found, defects.told()


# Plain answers


def try_answer(dialect: str, document: Any, defects: Defects, tried: set[str] | None) -> None:
    reader = codec(dialect)
    chats = [(codec(name), asked(name)) for name in CLIENTS]

    def run(body: bytes) -> None:
        answer = reader.read_answer(body)
        for client, chat in chats:
            try:
                client.write_answer(answer, chat, STAMP, losses(client.name, reader.name, drop=True))
            except UpstreamFailed:
                continue

    for what, body in replaced.copies(copy.deepcopy(document), tried):
        defects.attempt(what, functools.partial(run, body), (UpstreamFailed,))


@pytest.mark.parametrize("dialect", PROVIDERS)
def test_answers(dialect: str) -> None:
    """A provider's odd value is the provider's failure, in the reader or where it is written for a client."""
    defects, tried = Defects(), set[str]()
    for recording_id in of_dialect(answers(streamed=False), dialect):
        try_answer(dialect, json.loads(body_of(recording(recording_id))), defects, tried)
    try_answer(dialect, tokens.PLAIN.get(dialect, {}), defects, tried)
    for document in published(
        samples.answer_members, samples.answer_samples, schemas.ANSWERS[dialect], dialect
    ):
        try_answer(dialect, document, defects, tried)
    assert tried
    assert not defects.found, defects.told()


@pytest.mark.slow
@pytest.mark.parametrize("recording_id", answers(streamed=False))
def test_all_places_of_answers(recording_id: str) -> None:
    """The same of every place of every recorded answer."""
    defects = Defects()
    one = recording(recording_id)
    try_answer(str(dialect_of(one)), json.loads(body_of(one)), defects, None)
    assert not defects.found, defects.told()


# Streams


class Piece:
    """One event of a stream: its bytes, and its JSON with what stands around it, where it has some."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        before, colon, data = raw.partition(b"data:")
        self.before, self.after = (before + colon, b"\n\n") if colon else (b"", b"")
        self.document: Any = None
        with contextlib.suppress(ValueError):
            self.document = json.loads(data if colon else raw)
        self.skeleton = replaced.skeleton(self.document)

    def copies(self, tried: set[str] | None) -> Iterator[tuple[str, bytes]]:
        for what, body in replaced.copies(self.document, tried):
            yield what, self.before + body + self.after


def thinned(stream: bytes, dialect: str) -> list[Piece]:
    """The stream's events, at most two of a kind in a row."""
    kept: list[Piece] = []
    for piece in map(Piece, pieces_of(stream, dialect)):
        if len(kept) < 2 or any(one.skeleton != piece.skeleton for one in kept[-2:]):
            kept.append(piece)
    return kept


def try_stream(dialect: str, body: bytes, defects: Defects, tried: set[str] | None) -> None:
    pieces = thinned(body, dialect)
    chats: list[tuple[Any, Chat]] = [(codec(name), asked(name)) for name in CLIENTS]

    def run(at: int, damaged: bytes) -> None:
        stream = codec(dialect).stream_reader()
        events: list[Event] = []
        broken: UpstreamFailed | None = None
        try:
            for index, piece in enumerate(pieces):
                events += stream.feed(damaged if index == at else piece.raw)
            events += stream.end()
        except UpstreamFailed as failed:
            broken = failed
        for client, chat in chats:
            writer = client.stream_writer(chat, STAMP, any_losses())
            failure = broken
            try:
                for event in events:
                    writer.write(event)
            except UpstreamFailed as failed:
                failure = failed
            if failure is not None:
                assert writer.broken(failure, "req_1"), "the client is not told"

    for at, piece in enumerate(pieces):
        for what, damaged in piece.copies(tried):
            defects.attempt(what, functools.partial(run, at, damaged), (UpstreamFailed,))


@pytest.mark.parametrize("dialect", PROVIDERS)
def test_streams(dialect: str) -> None:
    """The same of the events of a stream; whatever happened before, the client can still be told of the failure."""
    defects, tried = Defects(), set[str]()
    for recording_id in of_dialect(answers(streamed=True), dialect):
        try_stream(dialect, body_of(recording(recording_id)), defects, tried)
    try_stream(dialect, tokens.STREAMS.get(dialect, b""), defects, tried)
    assert tried
    assert not defects.found, defects.told()


@pytest.mark.slow
@pytest.mark.parametrize("recording_id", answers(streamed=True))
def test_all_places_of_streams(recording_id: str) -> None:
    """The same of every place of every recorded stream."""
    defects = Defects()
    one = recording(recording_id)
    try_stream(str(dialect_of(one)), body_of(one), defects, None)
    assert not defects.found, defects.told()
