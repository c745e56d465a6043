"""Every recorded plain answer of every provider, as each client's SDK sees it.

Text, tool calls and the reason for the end are those of the provider's answer, the body is what the client's API
describes, and to a client of the provider's own API nothing is changed at all.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from llmgw.canonical import Answer, NativePart
from tests.translation import normalise, schemas, sdk, views
from tests.translation.corpus import (
    CLIENTS,
    STAMP,
    answers,
    asked_by,
    body_of,
    codec,
    dialect_of,
    losses,
    recording,
)
from tests.translation.views.said import Spoken, View

PLAIN: Final = answers(streamed=False)
PAIRS: Final = [
    pytest.param(recording_id, client, id=f"{client}-{recording_id}")
    for client in CLIENTS
    for recording_id in PLAIN
]
OWN: Final = [one for one in PLAIN if dialect_of(recording(one)) in CLIENTS]

ONE_CHOICE: Final = frozenset({"openai_responses", "anthropic"})
"""APIs whose answer is one choice, so that their clients cannot ask for more."""


def read(recording_id: str) -> tuple[str, Answer]:
    """The provider's dialect and its answer as its codec reads it."""
    recorded = recording(recording_id)
    dialect = dialect_of(recorded)
    assert dialect is not None
    return dialect, codec(dialect).read_answer(body_of(recorded))


def write(answer: Answer, client: str, recording_id: str) -> tuple[bytes, list[str]]:
    """The body for the client and what could not be shown to it."""
    lost = losses(client, answer.dialect, drop=True)
    body = codec(client).write_answer(answer, asked_by(client, recording(recording_id)), STAMP, lost)
    return body, lost.dropped


@pytest.mark.parametrize(("recording_id", "client"), PAIRS)
def test_the_client_gets_a_valid_answer(recording_id: str, client: str) -> None:
    """The body passes the published description and the strict types of the SDK."""
    dialect, answer = read(recording_id)
    body = json.loads(write(answer, client, recording_id)[0])
    assert [one for one in sdk.answer_faults(client, body) if dialect != client] == []
    if dialect != client:
        assert schemas.complaints(schemas.ANSWERS[client], body, client) == []


@pytest.mark.parametrize(("recording_id", "client"), PAIRS)
def test_the_client_is_told_what_the_provider_said(recording_id: str, client: str) -> None:
    """The client's SDK and the provider's answer agree in text, thoughts, calls, reason and tokens."""
    _, answer = read(recording_id)
    said = views.of_provider(recording(recording_id))
    told = views.of_client(client, write(answer, client, recording_id)[0], streamed=False)
    assert_agree(said, told, client)


def assert_agree(said: View, told: View, client: str) -> None:
    """The client was told what the provider said, as far as its API has words for it."""
    choices = said.choices[:1] if client in ONE_CHOICE else said.choices
    assert len(told.choices) == len(choices)
    for one, other in zip(choices, told.choices, strict=True):
        assert_same_choice(one, other, client)


def assert_same_choice(said: Spoken, told: Spoken, client: str) -> None:
    assert told.text + told.refusal in (said.text + said.refusal, said.text + said.explanation)
    assert "".join(told.thoughts.split()) == "".join(said.thoughts.split())
    assert len(told.calls) == len(said.calls)
    for (name, arguments), call in zip(said.calls, told.calls, strict=True):
        # The input of a free-form tool is text: where arguments are JSON, it is their one member.
        assert call in ((name, arguments), (name, {"input": arguments}))
    reason = said.finish
    if reason is not None:
        if reason == "stop" and said.calls:
            reason = "tool_calls"  # OpenAI says `stop` where the call was forced; others have no such case
        allowed = views.EXPRESSED[client].get(reason, frozenset({reason}))
        if said.refusal and not said.text:
            allowed |= {"refusal"}  # OpenAI says `stop` of a refusal too
        assert told.finish in allowed | {said.finish}


@pytest.mark.parametrize(("recording_id", "client"), PAIRS)
def test_what_the_client_cannot_be_shown_is_named(recording_id: str, client: str) -> None:
    """Parts that only the provider's API has are reported when they are left out."""
    dialect, answer = read(recording_id)
    _, dropped = write(answer, client, recording_id)
    if dialect == client:
        assert dropped == []
        return
    names = codec(client).names
    for choice in answer.choices:
        for part in choice.parts:
            if isinstance(part, NativePart):
                field = f"part.{part.kind}"
                assert names.get(field, field) in dropped


@pytest.mark.parametrize("recording_id", OWN)
def test_to_its_own_api_an_answer_is_unchanged(recording_id: str) -> None:
    """Read and written back, the answer says the same, with every member that only its API has."""
    dialect, answer = read(recording_id)
    before = normalise.answer(dialect, recording(recording_id).response["body"])
    after = normalise.answer(dialect, json.loads(write(answer, dialect, recording_id)[0]))
    assert normalise.differences(before, after) == []


@pytest.mark.parametrize("client", CLIENTS)
def test_an_empty_answer_is_still_an_answer(client: str) -> None:
    """A choice without parts gives a body that the SDK takes, for a provider may say nothing at all."""
    empty: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    answer = codec("anthropic").read_answer(json.dumps(empty).encode())
    lost = losses(client, "anthropic", drop=True)
    body = codec(client).write_answer(answer, asked_by(client), STAMP, lost)
    told = views.of_client(client, body, streamed=False)
    assert [choice.text for choice in told.choices] == [""]
    assert sdk.answer_faults(client, json.loads(body)) == []
