"""Damaged copies of recordings, made from a seed: what a broken client, proxy or provider might send.

Two kinds: the JSON is decoded and one or two of its values are deleted, retyped, renamed, doubled or moved; or the
bytes are cut, overwritten or replaced by something that is no such message at all.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

Json = Any

ODD: Final[tuple[Json, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    7,
    2.5,
    10**30,
    1e308,
    "",
    "x",
    "\u0000",
    "\ud800",
    "{",
    "[1,2",
    "null",
    "data:;base64,",
    "😀" * 20,
    [],
    {},
    [None],
    [[]],
    [""],
    [{}],
    {"": None},
    {"type": "text"},
    {"type": []},
    {"type": "unheard_of", "x": [1]},
)
"""Values that stand where others were expected."""

HTML: Final = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
NOT_JSON: Final[tuple[bytes, ...]] = (
    b"",
    b" ",
    b"null",
    b"[]",
    b"{}",
    b"[{}]",
    b'"x"',
    b"1e999",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b"{" * 3000,
    b"[" * 3000,
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
    b'{"error":{"message":"no"}}',
    b'{"error":"no"}',
    HTML,
    b"upstream connect error or disconnect/reset before headers",
)


def texts(body: Json, seed: str, count: int) -> Iterator[bytes]:
    """`count` damaged copies of one JSON document."""
    rng = random.Random(seed)
    text = json.dumps(body).encode()
    yield from NOT_JSON
    for _ in range(count):
        if rng.random() < 0.2:
            yield damaged_bytes(text, rng)
        else:
            yield json.dumps(damaged(body, rng)).encode()


def damaged(body: Json, rng: random.Random) -> Json:
    """A copy with one to three values that are not what they were."""
    body = copy.deepcopy(body)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(body))
        if not places:
            return body
        holder, key = rng.choice(places)
        rng.choice(WAYS)(holder, key, rng)
    return body


def _places(value: Json) -> Iterator[tuple[Json, Any]]:
    """Every value below the top, as its holder and its name or index in it."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield value, name
            yield from _places(member)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield value, index
            yield from _places(member)


def _delete(holder: Json, key: Any, rng: random.Random) -> None:
    del rng
    del holder[key]


def _retype(holder: Json, key: Any, rng: random.Random) -> None:
    holder[key] = copy.deepcopy(rng.choice(ODD))


def _rename(holder: Json, key: Any, rng: random.Random) -> None:
    if isinstance(holder, dict):
        holder[rng.choice(("", "type", "index", "content", f"{key}_", "native"))] = holder.pop(key)
    else:
        holder.reverse()


def _double(holder: Json, key: Any, rng: random.Random) -> None:
    if isinstance(holder, list):
        holder.insert(rng.randint(0, len(holder)), copy.deepcopy(holder[key]))
    else:
        holder[key] = [holder[key]]


def _swap(holder: Json, key: Any, rng: random.Random) -> None:
    other = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    holder[key], holder[other] = holder[other], holder[key]


def _nudge(holder: Json, key: Any, rng: random.Random) -> None:
    """A value of the same type that says something else."""
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int | float):
        holder[key] = rng.choice((-value, value + 1, value * 10**20, 0.5))
    elif isinstance(value, str):
        at = rng.randint(0, len(value))
        holder[key] = rng.choice((value[:at], value[at:], value + "\ud800", value[:at] + '"' + value[at:]))
    else:
        holder[key] = type(value)()


WAYS: Final[tuple[Callable[[Json, Any, random.Random], None], ...]] = (
    _delete,
    _retype,
    _retype,
    _rename,
    _double,
    _swap,
    _nudge,
)


def damaged_bytes(text: bytes, rng: random.Random) -> bytes:
    """A copy that is cut, overwritten in one place, or has something foreign in it."""
    at = rng.randint(0, len(text))
    way = rng.randrange(6)
    if way == 0:
        return text[:at]
    if way == 1:
        return text[at:]
    if way == 2:
        return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]
    if way == 3:
        return text[:at] + rng.choice((b"\xff\xfe", b"\x00", b"\xed\xa0\x80", b"[" * 2000, HTML)) + text[at:]
    if way == 4:
        return text[: at // 2] + text[at:]
    return text + text[at:]


Event = tuple[bytes, bytes]
"""One event of a stream: what stands before its JSON, and the JSON (for AWS: headers and payload)."""


def streams(pieces: list[bytes], name: str, seed: str, count: int) -> Iterator[bytes]:
    """`count` damaged copies of a stream that consists of these events, shortened to 30 of them."""
    rng = random.Random(seed)
    pieces = pieces if len(pieces) <= 30 else pieces[:18] + pieces[-12:]
    yield from (
        HTML,
        b"",
        b"data: \n\n",
        b"data: [DONE]\n\n",
        b"event: x\n\n",
        b"data: " + b"[" * 3000 + b"\n\n",
    )
    for _ in range(count):
        copies = list(pieces)
        for _ in range(rng.choice((1, 1, 2, 3))):
            at = rng.randrange(len(copies)) if copies else 0
            way = rng.randrange(8)
            if way == 0 and copies:
                del copies[at]
            elif way == 1 and copies:
                copies.insert(rng.randint(0, len(copies)), copies[at])
            elif way == 2 and copies:
                other = rng.randrange(len(copies))
                copies[at], copies[other] = copies[other], copies[at]
            elif way == 3:
                copies = copies[:at]
            elif copies:
                copies[at] = _damaged_event(copies[at], rng)
        stream = b"".join(copies)
        yield damaged_bytes(stream, rng) if rng.random() < 0.1 else stream


def _damaged_event(piece: bytes, rng: random.Random) -> bytes:
    before, colon, data = piece.partition(b"data:")
    if piece.lstrip().startswith(b"["):  # a stream of Gemini's that is one array
        before, colon, data = b"", b"", piece
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):  # part of a document, or one that was damaged before
        return damaged_bytes(piece, rng)
    text = json.dumps(damaged(body, rng)).encode()
    return before + colon + b" " + text + b"\n\n" if colon else text
