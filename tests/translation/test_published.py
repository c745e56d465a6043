"""Every member of every published request, in each of its forms, read and written for every API.

The recordings show a part of each API. These requests are made from its description: none may be misread, none may
come back changed from its own API, and to another API each is carried, refused by name, or named as left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from llmgw.canonical import Chat
from llmgw.errors import InvalidRequest, UnsupportedParameter
from tests.translation import normalise, samples, schemas, targets
from tests.translation.accounts import Ledger, stands_in
from tests.translation.corpus import CLIENTS, MODELS, PROVIDERS, codec, losses, recipient

IN_URL: Final[dict[str, dict[str, Any]]] = {"gemini": {"model": "m", "stream": False}}
MEMBERS: Final = [
    pytest.param(dialect, member, id=f"{dialect}-{member}")
    for dialect in CLIENTS
    if (schemas.SCHEMAS / schemas.FILES[schemas.REQUESTS[dialect].document]).exists()
    for member in samples.members(dialect)
    if member != "model"
]

PAIRS: Final = [
    pytest.param(*member.values, target, id=f"{target}-{member.id}")
    for member in MEMBERS
    for target in PROVIDERS
    if member.values[0] != target
]


def valid(dialect: str, member: str) -> Iterator[tuple[Any, Chat]]:
    """The samples of one member that pass the description, as they are and as they are read."""
    for sample in samples.samples(dialect, member):
        described = {"model": "models/m", **sample} if dialect == "gemini" else sample
        if not schemas.complaints(schemas.REQUESTS[dialect], described, dialect):
            yield sample, read(dialect, sample)


def read(dialect: str, body: Any) -> Chat:
    text = json.dumps(body).encode()
    try:
        return codec(dialect).read_request(text, **IN_URL.get(dialect, {}))
    except InvalidRequest as error:
        pytest.fail(f"refused as invalid: {error}: {text!r}")


@pytest.mark.parametrize(("dialect", "member"), MEMBERS)
def test_to_its_own_api_nothing_changes(dialect: str, member: str) -> None:
    """Each form comes back as it was, with nothing reported as lost."""
    wrong = []
    for sample, chat in valid(dialect, member):
        lost = losses(dialect, dialect, drop=False)
        try:
            written = codec(dialect).write_request(chat, recipient(dialect, model="m"), lost)
        except (InvalidRequest, UnsupportedParameter) as error:
            wrong.append(f"{type(error).__name__} {error}: {json.dumps(sample)}")
            continue
        before = normalise.request(dialect, json.loads(json.dumps(sample)))
        found = normalise.differences(before, normalise.request(dialect, json.loads(written)))
        if found or lost.dropped:
            wrong.append(f"{found} {lost.dropped}: {json.dumps(sample)}")
    assert not wrong, f"{len(wrong)} forms:\n" + "\n".join(wrong[:8])


@pytest.mark.slow
@pytest.mark.parametrize(("dialect", "member", "target"), PAIRS)
def test_to_another_api_each_form_is_accounted_for(dialect: str, member: str, target: str) -> None:
    """Each form is carried in a valid body, refused by a name that stands in it, or named as left out."""
    wrong = []
    for sample, chat in valid(dialect, member):
        for drop in (False, True):
            wrong += [
                f"{one} (drop={drop}): {json.dumps(sample)}"
                for one in faults(sample, chat, target, drop=drop)
            ]
    assert not wrong, f"{len(wrong)} faults:\n" + "\n".join(wrong[:8])


def faults(sample: Any, chat: Chat, target: str, *, drop: bool) -> list[str]:
    lost = losses(chat.dialect, target, drop=drop)
    names = codec(chat.dialect).names
    try:
        written = codec(target).write_request(chat, recipient(target), lost)
    except InvalidRequest as error:
        return [f"InvalidRequest {error}"]
    except UnsupportedParameter as error:
        if drop:
            return [f"refused in spite of drop: {error}"]
        return (
            []
            if stands_in(str(error.param), sample, chat, names)
            else [f"names {error.param!r}, which is not in it"]
        )
    body = json.loads(written)
    back = None
    if target in CLIENTS:
        in_url: dict[str, Any] = {"model": MODELS["gemini"], "stream": False} if target == "gemini" else {}
        back = codec(target).read_request(written, **in_url)
    return targets.faults(target, body) + [
        f"lost: {one}" for one in Ledger(chat, body, back, names, lost.dropped).open
    ]
