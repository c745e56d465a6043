"""What an API can express comes back from it: requests, answers and streams, for any content.

The strategies make what each API has words for, and nothing else. Two requests are the same when they ask the same:
how turns are grouped into messages, and how JSON is spelled, is no part of it.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmgw.canonical import Answer, Chat, Event, Part, Thought, ToolCall, ToolResult
from tests.translation.corpus import (
    CLIENTS,
    STAMP,
    asked_by,
    codec,
    losses,
    recipient,
    write_stream,
)
from tests.translation.strategies import APIS, chats, streams
from tests.translation.whole import answer_of

pytestmark = pytest.mark.slow

FEW: Final = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
IN_URL: Final[dict[str, dict[str, Any]]] = {"gemini": {"model": "m", "stream": False}}


def asks(chat: Chat) -> dict[str, Any]:
    """Everything a request asks, without what is only grouping or spelling."""
    turns = []
    for message in chat.messages:
        for part in message.parts:
            role = "user" if message.role == "tool" else message.role
            turns.append((role, message.name, said(part)))
    fields = {
        name: getattr(chat, name)
        for name in chat.__struct_fields__
        if name not in ("messages", "system", "native", "framing")
    }
    return {**fields, "system": [said(part) for part in chat.system], "turns": turns}


def said(part: Part) -> Any:
    """A part without the words that its dialect keeps beside it."""
    if isinstance(part, ToolCall):
        return ("call", part.id, part.name, json.loads(part.arguments))
    if isinstance(part, ToolResult):
        return ("result", part.call_id, part.name, [said(one) for one in part.parts], part.is_error)
    return msgspec.structs.replace(part, native={}) if hasattr(part, "native") else part


@pytest.mark.parametrize("dialect", CLIENTS)
def test_requests_come_back(dialect: str) -> None:
    """canonical -> dialect -> canonical is the identity on requests, and nothing is lost on the way."""
    there = codec(dialect)

    @FEW
    @given(chats(dialect))
    def holds(chat: Chat) -> None:
        lost = losses(dialect, dialect, drop=False)
        body = there.write_request(chat, recipient(dialect, model="m"), lost)
        back = there.read_request(body, **IN_URL.get(dialect, {}))
        assert asks(back) == asks(chat)
        assert lost.dropped == []

    holds()


@pytest.mark.parametrize("dialect", CLIENTS)
def test_streams_come_back(dialect: str) -> None:
    """Events written as a client's stream and read as a provider's are the same answer."""

    @FEW
    @given(streams(dialect), st.integers(1, 40))
    def holds(events: list[Event], size: int) -> None:
        body = write_stream(dialect, asked_by(dialect), events)
        reader = codec(dialect).stream_reader()
        back: list[Event] = []
        for at in range(0, len(body), size):
            back += reader.feed(body[at : at + size])
        back += reader.end()
        assert tells(answer_of(back), dialect) == tells(answer_of(events), dialect)

    holds()


@pytest.mark.parametrize("dialect", CLIENTS)
def test_answers_come_back(dialect: str) -> None:
    """An answer written for a client and read as a provider's is the same answer."""

    @FEW
    @given(streams(dialect))
    def holds(events: list[Event]) -> None:
        answer = answer_of(events)
        lost = losses(dialect, dialect, drop=True)
        body = codec(dialect).write_answer(answer, asked_by(dialect), STAMP, lost)
        assert tells(codec(dialect).read_answer(body), dialect) == tells(answer, dialect)
        assert lost.dropped == []

    holds()


@pytest.mark.parametrize(
    ("source", "client"),
    [
        (source, client)
        for source in CLIENTS
        for client in CLIENTS
        if APIS[source].choices <= APIS[client].choices  # several choices are no answer to the others
    ],
)
def test_streams_of_one_api_can_be_told_in_another(source: str, client: str) -> None:
    """What one API streams and another tells has the same texts, calls and sum of tokens."""

    @FEW
    @given(streams(source))
    def holds(events: list[Event]) -> None:
        body = write_stream(client, asked_by(client), events)
        reader = codec(client).stream_reader()
        back = answer_of(reader.feed(body) + reader.end())
        assert words(back.choices[0].parts) == words(answer_of(events).choices[0].parts)

    holds()


def words(parts: tuple[Part, ...]) -> tuple[str, str, list[Any]]:
    """The text, the thoughts and the calls of an answer."""
    texts = "".join(part.text for part in parts if type(part).__name__ == "Text")  # type: ignore[union-attr]
    thoughts = "".join(part.text for part in parts if isinstance(part, Thought))
    calls = [(part.name, json.loads(part.arguments)) for part in parts if isinstance(part, ToolCall)]
    return texts, thoughts, calls


def tells(answer: Answer, dialect: str) -> Any:
    """Everything an answer says in words of the neutral model."""
    usage = answer.usage
    counts = None if usage is None else {name: getattr(usage, name) or 0 for name in APIS[dialect].buckets}
    return [
        (
            choice.index,
            [told(part, dialect) for part in choice.parts],
            choice.finish and (choice.finish.reason, choice.finish.sequence),
        )
        for choice in answer.choices
    ], counts


def told(part: Part, dialect: str) -> Any:
    """A part without ids that an API makes up."""
    if isinstance(part, Thought):
        return ("thought", part.text, part.signature)
    if isinstance(part, ToolCall) and not APIS[dialect].ids:
        return ("call", part.name, json.loads(part.arguments))
    return said(part)
