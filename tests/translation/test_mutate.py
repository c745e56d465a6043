"""The damage itself: what makes broken copies must not break."""

from __future__ import annotations

import json

import pytest

from tests.translation import mutate

ARRAY = b'[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n,\r\n{"candidates":[]}\n]'


@pytest.mark.parametrize("pieces", [[ARRAY], [ARRAY[:40], ARRAY[40:]]], ids=["whole", "cut"])
def test_every_seed_damages_an_array(pieces: list[bytes]) -> None:
    """A stream that is one JSON array is damaged whatever the seed, also where a piece holds only part of it."""
    for seed in range(300):
        damaged = list(mutate.streams(pieces, "gemini", str(seed), 8))
        assert len(damaged) == 6 + 8


def test_damage_is_repeatable() -> None:
    """One seed makes the same copies each time, so that a defect can be found again."""
    body = json.loads(ARRAY)
    assert list(mutate.texts(body, "7", 20)) == list(mutate.texts(body, "7", 20))
