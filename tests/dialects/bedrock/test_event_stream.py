"""The binary framing: lengths, checksums, headers of every type, in whatever pieces it comes."""

from __future__ import annotations

import struct
import uuid
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.dialects.bedrock.event_stream import Decoder, Message, Value
from llmgw.dialects.sse import EVENT_LIMIT
from llmgw.errors import UpstreamFailed
from tests.dialects.bedrock import event_stream as made
from tests.dialects.bedrock.exchange import parameters, recordings
from tests.provider.recordings import Recording

HEADERS: dict[str, made.Value] = {
    "yes": True,
    "no": False,
    "byte": made.Byte(-1),
    "short": made.Short(-300),
    "integer": made.Integer(70_000),
    "long": made.Long(-(2**40)),
    "bytes": b"\x00\xff",
    "text": "grüß",
    "time": made.Time(1_760_000_000_123),
    "uuid": uuid.UUID(int=2**100 + 7),
}
READ: dict[str, Value] = {
    "yes": True,
    "no": False,
    "byte": -1,
    "short": -300,
    "integer": 70_000,
    "long": -(2**40),
    "bytes": b"\x00\xff",
    "text": "grüß",
    "time": 1_760_000_000_123,
    "uuid": uuid.UUID(int=2**100 + 7),
}


def decoded(stream: bytes, size: int | None = None) -> list[Message]:
    decoder = Decoder()
    size = size or max(len(stream), 1)
    found = [one for at in range(0, len(stream), size) for one in decoder.feed(stream[at : at + size])]
    decoder.end()
    return found


def sealed(headers: bytes, payload: bytes = b"", claimed: int | None = None) -> bytes:
    """A message with right checksums around any header bytes."""
    lengths = struct.pack(
        ">II", 16 + len(headers) + len(payload), len(headers) if claimed is None else claimed
    )
    begun = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return begun + struct.pack(">I", zlib.crc32(begun))


@pytest.mark.parametrize("recording", parameters(recordings(streaming=True)))
def test_recorded_messages_are_decoded_and_encoded_again(recording: Recording) -> None:
    """Each recorded stream decodes to the messages it is filed with, and encoding them gives its very bytes."""
    stream = recording.answer().body
    found = decoded(stream)
    assert [message.headers for message in found] == [one["headers"] for one in recording.response["events"]]
    written = (made.message({k: str(v) for k, v in m.headers.items()}, m.payload) for m in found)
    assert b"".join(written) == stream


@pytest.mark.parametrize("size", [None, 1, 2, 7, 16])
def test_headers_of_every_type(size: int | None) -> None:
    """A header of each type of the encoding comes out as the value it stands for, whatever the pieces."""
    stream = made.message(HEADERS, b"payload") + made.message({}, b"")
    assert decoded(stream, size) == [Message(READ, b"payload"), Message({}, b"")]


@given(st.lists(st.tuples(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4),
                          st.binary(max_size=60)), max_size=4), st.integers(1, 40))  # fmt: skip
@settings(max_examples=60)
def test_what_is_encoded_is_decoded(messages: list[tuple[dict[str, str], bytes]], size: int) -> None:
    """Any headers and payloads survive, in pieces of any size."""
    stream = b"".join(made.message(dict(headers), payload) for headers, payload in messages)
    assert decoded(stream, size) == [Message(headers, payload) for headers, payload in messages]


def test_every_wrong_byte_is_noticed() -> None:
    """A message with one wrong bit in any of its bytes is no message: a checksum is wrong."""
    stream = made.event("messageStop", {"stopReason": "end_turn"})
    for at in range(len(stream)):
        damaged = stream[:at] + bytes([stream[at] ^ 4]) + stream[at + 1 :]
        with pytest.raises(UpstreamFailed, match="damaged"):
            decoded(damaged)


@pytest.mark.parametrize("kept", [1, 8, 12, 13, 40, -1])
def test_a_cut_stream_is_not_complete(kept: int) -> None:
    """A stream that ends within a message is told from one that ends behind it."""
    stream = made.event("messageStop", {"stopReason": "end_turn"})
    with pytest.raises(UpstreamFailed, match="within a message"):
        decoded(stream[:kept])


def test_a_message_over_the_cap_is_refused_at_its_prelude() -> None:
    """Nothing is kept of a message that is larger than the cap: its length is enough to refuse it."""
    lengths = struct.pack(">II", EVENT_LIMIT + 1, 0)
    with pytest.raises(UpstreamFailed, match="more than 8 MiB"):
        list(Decoder().feed(lengths + struct.pack(">I", zlib.crc32(lengths))))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(sealed(b"", claimed=17), id="headers-longer-than-message"),
        pytest.param(sealed(b"\x05ab"), id="name-cut"),
        pytest.param(sealed(b"\x01a"), id="type-missing"),
        pytest.param(sealed(b"\x01a\x07\x00\x09x"), id="text-cut"),
        pytest.param(sealed(b"\x01a\x05\x00"), id="number-cut"),
        pytest.param(sealed(b"\x01a\x0a"), id="type-unknown"),
        pytest.param(sealed(b"\x01\xff\x00"), id="name-not-utf8"),
        pytest.param(sealed(b"\x01a\x07\x00\x01\xff"), id="text-not-utf8"),
        pytest.param(sealed(b"\x00\x00" * 70_000), id="headers-over-128-KiB"),
        pytest.param(struct.pack(">III", 12, 0, zlib.crc32(struct.pack(">II", 12, 0))) + b"....", id="short"),
    ],
)
def test_headers_that_cannot_be_read(message: bytes) -> None:
    """Right checksums do not make wrong headers readable."""
    with pytest.raises(UpstreamFailed):
        decoded(message)


@given(st.binary(max_size=80))
@settings(max_examples=100)
def test_garbage_is_a_failure_of_the_provider(garbage: bytes) -> None:
    """Whatever comes, nothing but UpstreamFailed is raised."""
    found: list[Any] = []
    try:
        found = decoded(garbage)
    except UpstreamFailed:
        return
    assert found == [] and garbage == b""
