"""Every recorded stream of every provider, as each client's SDK puts it together.

The same bytes in other pieces give the same events and the same client bytes; what the SDK accumulates is what the
provider said; each event is what the client's API describes; and a stream that fails or breaks off ends for the client
as its API says such a stream ends, never as if it were complete.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Final

import anthropic
import msgspec
import openai
import pytest
from google.genai import errors as google

from llmgw.canonical import Chat, Event, Failure, NativeDelta
from llmgw.errors import UpstreamFailed
from tests.dialects.losses import any_losses
from tests.translation import normalise, schemas, sdk, views
from tests.translation.corpus import (
    CLIENTS,
    FAILING,
    STAMP,
    answers,
    asked_by,
    body_of,
    codec,
    dialect_of,
    pieces_of,
    read_stream,
    recording,
    write_stream,
)
from tests.translation.test_answers import assert_agree, write
from tests.translation.views import gemini, json_objects, openai_chat, sse_objects
from tests.translation.views.said import dump
from tests.translation.whole import answer_of, check_order

STREAMS: Final = answers(streamed=True)
WHOLE: Final = [one for one in STREAMS if one not in FAILING]
FAILED: Final = [one for one in STREAMS if one in FAILING]


def for_clients(recordings: tuple[str, ...] | list[str]) -> list[Any]:
    return [
        pytest.param(recording_id, client, id=f"{client}-{recording_id}")
        for client in CLIENTS
        for recording_id in recordings
    ]


def dialect(recording_id: str) -> str:
    found = dialect_of(recording(recording_id))
    assert found is not None
    return found


@functools.cache
def events(recording_id: str) -> list[Event]:
    return read_stream(dialect(recording_id), [body_of(recording(recording_id))])


@pytest.mark.slow
@pytest.mark.parametrize("recording_id", STREAMS)
def test_pieces_make_no_difference(recording_id: str) -> None:
    """Whole, cut behind each event, and one byte at a time: the same events."""
    body, name = body_of(recording(recording_id)), dialect(recording_id)
    assert read_stream(name, pieces_of(body, name)) == events(recording_id)
    assert read_stream(name, [body[at : at + 1] for at in range(len(body))]) == events(recording_id)


@pytest.mark.parametrize("recording_id", STREAMS)
def test_events_keep_their_order(recording_id: str) -> None:
    """Start, then blocks that count up, one finish for each choice, usage that counts, and one end."""
    check_order(events(recording_id))


@pytest.mark.parametrize("recording_id", STREAMS)
def test_no_event_waits_for_the_next(recording_id: str) -> None:
    """Each piece of text is given as soon as the provider's event that has it is complete."""
    name = dialect(recording_id)
    reader = codec(name).stream_reader()
    given: list[Event] = []
    for piece in pieces_of(body_of(recording(recording_id)), name):
        before = len(given)
        given += reader.feed(piece)
        if name in TEXTS and re.search(TEXTS[name], piece):
            assert len(given) > before
    assert given + reader.end() == events(recording_id)


TEXTS: Final = {
    "openai_chat": rb'"delta":\{"content":"[^"]',
    "openai_responses": rb'"type":"response.output_text.delta"',
    "anthropic": rb'"type":"text_delta"',
}
"""What an event with text has in it."""


@pytest.mark.parametrize(("recording_id", "client"), for_clients(WHOLE))
def test_the_client_is_told_what_the_provider_said(recording_id: str, client: str) -> None:
    """What the client's SDK puts together and what the provider's own says agree."""
    written = write_stream(client, asked_by(client, recording(recording_id)), events(recording_id))
    told = views.of_client(client, written, streamed=True)
    assert_agree(views.of_provider(recording(recording_id)), told, client)


def with_usage(client: str, recording_id: str) -> Chat:
    """The recording's request, made to ask for usage: a host may send it unasked."""
    return msgspec.structs.replace(asked_by(client, recording(recording_id)), include_usage=True)


@pytest.mark.parametrize(
    ("recording_id", "client"),
    [pair for pair in for_clients(WHOLE) if dialect(str(pair.values[0])) != pair.values[1]],
)
def test_each_event_is_valid(recording_id: str, client: str) -> None:
    """Each event of the client's stream passes the published description and the strict types of its SDK; to its own
    API a stream says what the provider said, valid or not."""
    written = write_stream(client, asked_by(client), events(recording_id))
    said = set()
    for event in sse_objects(written):
        if event.get("type") == "ping":
            continue
        said.update(sdk.event_faults(client, event))
        said.update(schemas.complaints(schemas.EVENTS[client], event, client))
    assert said == set()


@pytest.mark.parametrize(("recording_id", "client"), for_clients(WHOLE))
def test_the_stream_and_the_plain_answer_are_the_same(recording_id: str, client: str) -> None:
    """The events put together and written as a plain answer say what the stream says."""
    if client == dialect(recording_id) and any(isinstance(one, NativeDelta) for one in events(recording_id)):
        pytest.skip("parts that only this API has are not put together here")
    plain = views.of_client(
        client, write(answer_of(events(recording_id)), client, recording_id)[0], streamed=False
    )
    written = write_stream(client, with_usage(client, recording_id), events(recording_id))
    assert views.of_client(client, written, streamed=True) == plain


@pytest.mark.parametrize("recording_id", [one for one in WHOLE if dialect(one) in CLIENTS])
def test_to_its_own_api_a_stream_says_the_same(recording_id: str) -> None:
    """The SDK puts the recorded stream and the one read and written back together to the same answer.

    But for the ids of response items, which a writer gives before a reader can know them, and for their encryption,
    which OpenAI makes anew for each event.
    """
    name, body = dialect(recording_id), body_of(recording(recording_id))
    written = write_stream(name, with_usage(name, recording_id), events(recording_id))
    if name == "gemini":
        before, after = (gemini.join(json_objects(one)) for one in (body, written))
    elif name == "openai_chat":
        before, after = (openai_chat.join(sse_objects(one)) for one in (body, written))
    else:
        before, after = (dump(sdk.streamed(name, one)) for one in (body, written))
    if name == "openai_responses":
        for item in (*before["output"], *after["output"]):
            item |= {name: "…" for name in ("id", "encrypted_content") if item.get(name)}
    assert normalise.differences(normalise.answer(name, before), normalise.answer(name, after)) == []


@pytest.mark.parametrize(("recording_id", "client"), for_clients(FAILED))
def test_a_failure_is_told_in_the_stream(recording_id: str, client: str) -> None:
    """The provider's error reaches the client as its SDK's own error, with the provider's words."""
    failure = events(recording_id)[-1]
    assert isinstance(failure, Failure)
    written = write_stream(client, asked_by(client), events(recording_id))
    with pytest.raises((openai.APIError, anthropic.APIError, google.APIError)) as raised:
        _consume(client, written)
    assert failure.error.message in str(raised.value)


def _consume(client: str, written: bytes) -> None:
    if client == "openai_responses":
        for event in sdk.chunks(client, written):
            if event.type == "response.failed":
                raise openai.APIError(event.response.error.message, request=None, body=None)  # type: ignore[arg-type]
    else:
        sdk.chunks(client, written)


@pytest.mark.parametrize("recording_id", WHOLE)
def test_a_stream_cut_anywhere_is_not_complete(recording_id: str) -> None:
    """Cut behind any event before the one that ends it, a stream is reported as broken off."""
    name = dialect(recording_id)
    pieces = pieces_of(body_of(recording(recording_id)), name)
    for cut in range(0, _last(name, pieces), max(1, len(pieces) // 12)):
        with pytest.raises(UpstreamFailed):
            read_stream(name, pieces[:cut])


def _last(name: str, pieces: list[bytes]) -> int:
    """The index of the piece that makes the answer complete."""
    marks = {
        "openai_chat": b'"finish_reason":"',
        "openai_responses": b"response.completed",
        "anthropic": b"message_stop",
        "gemini": b'"finishReason"',
    }
    found = [at for at, piece in enumerate(pieces) if marks[name] in piece.replace(b'": "', b'":"')]
    return found[0] if found else len(pieces)


@pytest.mark.parametrize(("recording_id", "client"), for_clients(WHOLE))
def test_a_broken_stream_ends_with_an_error(recording_id: str, client: str) -> None:
    """When the provider breaks off half-way, the client's SDK raises or is given no end; never a complete answer."""
    writer = codec(client).stream_writer(asked_by(client), STAMP, any_losses())
    half = events(recording_id)[: max(1, len(events(recording_id)) // 2)]
    written = b"".join(writer.write(event) for event in half)
    written += writer.broken(UpstreamFailed("The provider broke off."), "req_1")
    with pytest.raises((openai.APIError, anthropic.APIError, google.APIError), match="broke off"):
        _consume(client, written)


def _own_parts(recording_id: str) -> set[str]:
    """The parts in a stream that only its API has."""
    return {
        f"part.{event.part}"
        for event in events(recording_id)
        if isinstance(event, NativeDelta) and event.part is not None
    }


@pytest.mark.parametrize(("recording_id", "client"), for_clients(WHOLE))
def test_what_a_stream_cannot_show_is_named(recording_id: str, client: str) -> None:
    """Parts that only the provider's API has are told by name, each once; a client of the same API loses nothing."""
    losses = any_losses()
    writer = codec(client).stream_writer(asked_by(client), STAMP, losses)
    for event in events(recording_id):
        writer.write(event)
    assert len(set(losses.dropped)) == len(losses.dropped)
    if codec(client).name == dialect(recording_id):
        assert losses.dropped == []
    else:
        assert _own_parts(recording_id) <= set(losses.dropped)


def test_providers_have_parts_of_their_own() -> None:
    """So the test above has something to find."""
    found = {dialect(recording_id) for recording_id in WHOLE if _own_parts(recording_id)}
    assert {"anthropic", "openai_responses", "gemini"} <= found
