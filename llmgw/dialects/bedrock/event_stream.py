"""Amazon's binary event stream: messages of named headers and a payload, each with two checksums.

Source: the AWS SDKs' "Event Stream encoding" (also docs.aws.amazon.com, "Event stream encoding" of Transcribe and
Kinesis). All numbers are big-endian:

    total length 4 | length of headers 4 | CRC-32 of these 8 | headers | payload | CRC-32 of all before it 4

A header is a length of 1 byte, its name, a type of 1 byte and a value, whose length the type says or 2 bytes before it.
Lengths are looked at only when their checksum is right, so that a damaged one is never waited for.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from llmgw.dialects.sse import EVENT_LIMIT
from llmgw.errors import UpstreamFailed

Value = bool | int | bytes | str | uuid.UUID
"""A header's value; a time is whole milliseconds since 1970."""

_PRELUDE: Final = struct.Struct(">III")
_CHECKSUM: Final = struct.Struct(">I")
_LEAST: Final = _PRELUDE.size + _CHECKSUM.size
_HEADER_LIMIT: Final = 128 * 1024
"""Bytes of all headers of one message at most, by the encoding's definition."""

_FLAGS: Final[Mapping[int, bool]] = {0: True, 1: False}
_NUMBERS: Final[Mapping[int, int]] = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8}
"""Bytes of a signed number: byte, short, integer, long and time."""
_BYTES, _TEXT, _UUID = 6, 7, 9


class Message(NamedTuple):
    """One message."""

    headers: Mapping[str, Value]
    payload: bytes


class Decoder:
    """Cuts a stream that comes in arbitrary pieces into messages. Memory: one unfinished message."""

    __slots__ = ("_checked", "_need", "_pending")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._need = _PRELUDE.size
        self._checked = False

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes; all of it is kept even where not all messages are asked for.

        Raises:
            UpstreamFailed: a checksum is wrong, a message is larger than EVENT_LIMIT, or its parts do not fit.
        """
        self._pending += data
        return self._messages()

    def end(self) -> None:
        """Nothing comes after what was fed.

        Raises:
            UpstreamFailed: the last message is not complete.
        """
        if self._pending:
            raise UpstreamFailed("The provider's stream ended within a message.")

    def _messages(self) -> Iterator[Message]:
        pending = self._pending
        while len(pending) >= self._need:
            if not self._checked:
                self._need = _length(pending)
                self._checked = True
                continue
            message = bytes(pending[: self._need])
            del pending[: self._need]
            self._need, self._checked = _PRELUDE.size, False
            yield _message(message)


def _length(pending: bytearray) -> int:
    """The length of the message that begins here."""
    total, headers, checksum = _PRELUDE.unpack_from(pending)
    if zlib.crc32(pending[:8]) != checksum:
        raise UpstreamFailed(
            "The provider's stream is damaged: the checksum of a message's prelude is wrong."
        )
    if total > EVENT_LIMIT:
        raise UpstreamFailed(f"The provider sent an event of more than {EVENT_LIMIT >> 20} MiB.")
    if total < _LEAST + headers or headers > _HEADER_LIMIT:
        raise UpstreamFailed("The provider's stream is damaged: a message's headers do not fit into it.")
    return int(total)


def _message(message: bytes) -> Message:
    if zlib.crc32(message[: -_CHECKSUM.size]) != _CHECKSUM.unpack_from(message, len(message) - 4)[0]:
        raise UpstreamFailed("The provider's stream is damaged: a message's checksum is wrong.")
    cut = _PRELUDE.size + int(_PRELUDE.unpack_from(message)[1])
    return Message(_headers(message[_PRELUDE.size : cut]), message[cut : -_CHECKSUM.size])


@lru_cache(maxsize=32)
def _headers(block: bytes) -> Mapping[str, Value]:
    """The headers; kept because a stream repeats a handful of them for each of its messages."""
    headers: dict[str, Value] = {}
    at = 0
    while at < len(block):
        name, at = _sized(block, at, 1)
        if at >= len(block):
            raise _damaged()
        kind = block[at]
        value, at = _value(block, at + 1, kind)
        headers[_text(name)] = value
    return headers


def _value(block: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in _FLAGS:
        return _FLAGS[kind], at
    if kind == _TEXT:
        raw, at = _sized(block, at, 2)
        return _text(raw), at
    if kind == _BYTES:
        return _sized(block, at, 2)
    if kind == _UUID:
        raw, at = _cut(block, at, 16)
        return uuid.UUID(bytes=raw), at
    if kind in _NUMBERS:
        raw, at = _cut(block, at, _NUMBERS[kind])
        return int.from_bytes(raw, "big", signed=True), at
    raise UpstreamFailed(f"The provider's stream has a header of the unknown type {kind}.")


def _sized(block: bytes, at: int, width: int) -> tuple[bytes, int]:
    size, at = _cut(block, at, width)
    return _cut(block, at, int.from_bytes(size, "big"))


def _cut(block: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(block):
        raise _damaged()
    return block[at : at + size], at + size


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise _damaged() from None


def _damaged() -> UpstreamFailed:
    return UpstreamFailed("The provider's stream is damaged: a message's headers cannot be read.")
