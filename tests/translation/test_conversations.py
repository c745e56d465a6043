"""Sequences of turns that no recording has, written for every provider's API and back to their own."""

from __future__ import annotations

import json
from typing import Final

import pytest

from tests.translation import normalise
from tests.translation.conversations import CONVERSATIONS
from tests.translation.corpus import PROVIDERS, codec, losses, recipient
from tests.translation.test_published import faults, read

ALL: Final = [pytest.param(dialect, name, id=f"{dialect}-{name}") for dialect, name in CONVERSATIONS]
PAIRS: Final = [
    pytest.param(dialect, name, target, id=f"{target}-{dialect}-{name}")
    for dialect, name in CONVERSATIONS
    for target in PROVIDERS
    if target != dialect
]


@pytest.mark.parametrize(("dialect", "name"), ALL)
def test_to_its_own_api_a_conversation_is_unchanged(dialect: str, name: str) -> None:
    """Turns are neither joined nor moved nor mended on the way to the API they are written for."""
    body = CONVERSATIONS[dialect, name]
    lost = losses(dialect, dialect, drop=False)
    written = codec(dialect).write_request(read(dialect, body), recipient(dialect, model="m"), lost)
    before = normalise.request(dialect, json.loads(json.dumps(body)))
    assert normalise.differences(before, normalise.request(dialect, json.loads(written))) == []
    assert lost.dropped == []


@pytest.mark.parametrize(("dialect", "name", "target"), PAIRS)
def test_to_another_api_every_word_is_accounted_for(dialect: str, name: str, target: str) -> None:
    """Carried in a valid body, refused by name, or named as left out."""
    body = CONVERSATIONS[dialect, name]
    found = [one for drop in (False, True) for one in faults(body, read(dialect, body), target, drop=drop)]
    assert found == []
