"""Writes Amazon's binary event stream, which a provider sends and the gateway only reads.

The layout is that of `llmgw/dialects/bedrock/event_stream.py`, written from the encoding's definition and not from the
decoder: `test_event_stream.py` holds it against recorded streams byte for byte.
"""

from __future__ import annotations

import json
import struct
import uuid
import zlib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Byte(Struct, frozen=True):
    """A header's number of one byte."""

    value: int


class Short(Struct, frozen=True):
    """Of two bytes."""

    value: int


class Integer(Struct, frozen=True):
    """Of four bytes."""

    value: int


class Long(Struct, frozen=True):
    """Of eight bytes."""

    value: int


class Time(Struct, frozen=True):
    """Milliseconds since 1970."""

    value: int


Value = bool | str | bytes | uuid.UUID | Byte | Short | Integer | Long | Time


def message(headers: Mapping[str, Value], payload: bytes) -> bytes:
    """One message with its checksums."""
    block = b"".join(_header(name, value) for name, value in headers.items())
    lengths = struct.pack(">II", len(block) + len(payload) + 16, len(block))
    begun = lengths + struct.pack(">I", zlib.crc32(lengths)) + block + payload
    return begun + struct.pack(">I", zlib.crc32(begun))


def event(kind: str, payload: Any) -> bytes:
    """An event as Bedrock writes it: the payload is JSON without blanks."""
    return message(_named("event", ":event-type", kind), _json(payload))


def exception(kind: str, text: str) -> bytes:
    """An exception within a stream, after which a provider sends nothing more."""
    return message(_named("exception", ":exception-type", kind), _json({"message": text}))


def error(code: str, text: str) -> bytes:
    """An error of the framing itself, which has no payload."""
    return message({":error-code": code, ":error-message": text, ":message-type": "error"}, b"")


def _named(message_type: str, header: str, kind: str) -> dict[str, Value]:
    return {header: kind, ":content-type": "application/json", ":message-type": message_type}


def _json(payload: Any) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def _header(name: str, value: Value) -> bytes:
    encoded = name.encode()
    return bytes([len(encoded)]) + encoded + _value(value)


def _value(value: Value) -> bytes:
    match value:
        case bool():
            return b"\x00" if value else b"\x01"
        case Byte():
            return struct.pack(">Bb", 2, value.value)
        case Short():
            return struct.pack(">Bh", 3, value.value)
        case Integer():
            return struct.pack(">Bi", 4, value.value)
        case Long():
            return struct.pack(">Bq", 5, value.value)
        case bytes():
            return struct.pack(">BH", 6, len(value)) + value
        case str():
            return struct.pack(">BH", 7, len(value.encode())) + value.encode()
        case Time():
            return struct.pack(">Bq", 8, value.value)
        case uuid.UUID():
            return b"\x09" + value.bytes
