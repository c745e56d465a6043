"""Every member of every published answer, in each of its forms, read and told to every client.

What an API may answer goes beyond what was recorded. No form may fail to be read, none may come back changed to a
client of the API itself, and each gives a valid answer to the clients of the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from llmgw.canonical import Answer, NativePart
from llmgw.errors import UpstreamFailed
from tests.translation import normalise, samples, schemas, sdk
from tests.translation.corpus import CLIENTS, STAMP, asked_by, codec, losses

MEMBERS: Final = [
    pytest.param(dialect, member, id=f"{dialect}-{member}")
    for dialect in CLIENTS
    if (schemas.SCHEMAS / schemas.FILES[schemas.ANSWERS[dialect].document]).exists()
    for member in samples.answer_members(dialect)
]

PAIRS: Final = [
    pytest.param(*member.values, client, id=f"{client}-{member.id}")
    for member in MEMBERS
    for client in CLIENTS
    if member.values[0] != client
]


def valid(dialect: str, member: str) -> Iterator[tuple[Any, Answer]]:
    """The samples of one member that pass the description, as they are and as they are read."""
    for sample in samples.answer_samples(dialect, member):
        if schemas.complaints(schemas.ANSWERS[dialect], sample, dialect):
            continue
        text = json.dumps(sample).encode()
        try:
            answer = codec(dialect).read_answer(text)
        except UpstreamFailed as error:
            pytest.fail(f"refused as no answer: {error}: {text!r}")
        yield sample, answer


@pytest.mark.parametrize(("dialect", "member"), MEMBERS)
def test_to_its_own_client_nothing_changes(dialect: str, member: str) -> None:
    """Each form comes back as it was, with nothing reported as lost."""
    wrong = []
    for sample, answer in valid(dialect, member):
        lost = losses(dialect, dialect, drop=True)
        written = codec(dialect).write_answer(answer, asked_by(dialect), STAMP, lost)
        before = normalise.answer(dialect, json.loads(json.dumps(sample)))
        found = normalise.differences(before, normalise.answer(dialect, json.loads(written)))
        if found or lost.dropped:
            wrong.append(f"{found} {lost.dropped}: {json.dumps(sample)}")
    assert not wrong, f"{len(wrong)} forms:\n" + "\n".join(wrong[:8])


@pytest.mark.slow
@pytest.mark.parametrize(("dialect", "member", "client"), PAIRS)
def test_each_form_is_told_to_every_client(dialect: str, member: str, client: str) -> None:
    """The client gets a valid answer, and what it cannot be shown is named."""
    wrong = []
    for sample, answer in valid(dialect, member):
        lost = losses(client, dialect, drop=True)
        try:
            body = json.loads(codec(client).write_answer(answer, asked_by(client), STAMP, lost))
        except UpstreamFailed as error:
            wrong.append(f"{error}: {json.dumps(sample)}")
            continue
        found = sdk.answer_faults(client, body) + schemas.complaints(schemas.ANSWERS[client], body, client)
        names = codec(client).names
        for choice in answer.choices:
            fields = [f"part.{part.kind}" for part in choice.parts if isinstance(part, NativePart)]
            found += [f"{one} is not named" for one in fields if names.get(one, one) not in lost.dropped]
        wrong += [f"{one}: {json.dumps(sample)}" for one in found]
    assert not wrong, f"{len(wrong)} faults:\n" + "\n".join(wrong[:8])
