"""Whatever bytes come, only typed errors come out."""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

import pytest

from llmgw.dialects.anthropic.codec import CODEC
from llmgw.errors import InvalidRequest, UnsupportedParameter, UpstreamFailed
from tests.dialects.anthropic.parties import (
    ASKED,
    STAMP,
    losses,
    read_stream,
    recordings,
    streamed,
    to,
)
from tests.dialects.anthropic.test_requests import EVERYTHING

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    2.5,
    10**40,
    "",
    "x",
    "é\x00",
    [],
    {},
    [None],
    [[]],
    {"type": []},
    {"": {}},
)
ROUNDS = 40


def damaged(value: Any, dice: random.Random) -> Any:
    """A copy of some JSON with one of its values deleted, retyped or doubled."""
    copy = json.loads(json.dumps(value))
    places: list[tuple[Any, Any]] = [(copy, key) for key in copy]
    at = 0
    while at < len(places):
        holder, key = places[at]
        inner = holder[key]
        if isinstance(inner, dict):
            places += [(inner, name) for name in inner]
        elif isinstance(inner, list):
            places += [(inner, index) for index in range(len(inner))]
        at += 1
    for holder, key in dice.sample(places, min(len(places), dice.randint(1, 2))):
        way = dice.randrange(3)
        if way == 0 and isinstance(holder, dict):
            holder.pop(key, None)
        elif way == 1 and isinstance(holder, list) and key < len(holder):
            holder.insert(key, holder[key])
        elif isinstance(holder, dict) or key < len(holder):
            holder[key] = dice.choice(ODD)
    return copy


def cut(raw: bytes, dice: random.Random) -> bytes:
    """A copy of some bytes with a piece missing or overwritten."""
    at = dice.randrange(len(raw))
    until = min(len(raw), at + dice.randint(1, 40))
    return raw[:at] + dice.choice((b"", b"\xff\xfe", b"\\ud800", b"[" * 2000, b"}\n\n")) + raw[until:]


@pytest.mark.parametrize("body", EVERYTHING, ids=range(len(EVERYTHING)))
def test_damaged_requests(body: dict[str, Any]) -> None:
    """A client's mistake is named; what can be read can be written."""
    dice = random.Random(1)
    for turn in range(ROUNDS):
        raw = json.dumps(damaged(body, dice)).encode()
        with contextlib.suppress(InvalidRequest, UnsupportedParameter):
            CODEC.write_request(CODEC.read_request(raw if turn % 4 else cut(raw, dice)), to(), losses())


@pytest.mark.parametrize("recording", recordings(streaming=False), ids=lambda one: one.id)
def test_damaged_answers(recording: Any) -> None:
    """A provider's mistake is said; what can be read can be written."""
    dice = random.Random(2)
    for turn in range(ROUNDS):
        raw = json.dumps(damaged(recording.response["body"], dice)).encode()
        raw = raw if turn % 4 else cut(raw, dice)
        CODEC.read_error(500, raw)
        with contextlib.suppress(UpstreamFailed):
            CODEC.write_answer(CODEC.read_answer(raw), ASKED, STAMP, losses())


@pytest.mark.parametrize("recording", recordings(streaming=True), ids=lambda one: one.id)
def test_damaged_streams(recording: Any) -> None:
    """An event of a stream is damaged, doubled, moved or missing, or bytes of it are."""
    dice = random.Random(3)
    raw = recording.answer().body
    blocks = [block for block in raw.split(b"\n\n") if block]
    for turn in range(ROUNDS):
        some = list(blocks)
        at = dice.randrange(len(some))
        name, _, data = some[at].partition(b"data: ")
        some[at] = name + b"data: " + json.dumps(damaged(json.loads(data), dice)).encode()
        if turn % 3 == 0:
            some.insert(dice.randrange(len(some)), some.pop(dice.randrange(len(some))))
        broken = b"\n\n".join(some) + b"\n\n"
        with contextlib.suppress(UpstreamFailed):
            streamed(read_stream(broken if turn % 4 else cut(broken, dice)))
