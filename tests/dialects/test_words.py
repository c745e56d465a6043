"""What a dialect keeps of its own words beside the neutral model."""

from __future__ import annotations

from llmgw.dialects.words import Words

MINE, OTHERS = Words("mine"), Words("others")


def test_words_are_kept_beside_a_mapping() -> None:
    """The mapping itself has only what the neutral model cannot hold."""
    kept = MINE.keep({"a": 1}, {"b": 2})
    assert kept == {"a": 1}
    assert MINE.of(kept) == {"b": 2}


def test_words_are_added_up() -> None:
    """What was kept before stays, and the newer word counts; no words change nothing."""
    kept = MINE.keep(MINE.keep({"a": 1}, {"b": 2, "c": 3}), {"c": 4})
    assert MINE.of(kept) == {"b": 2, "c": 4}
    native = {"a": 1}
    assert MINE.keep(native, {}) is native


def test_words_of_another_dialect_are_no_ones_else() -> None:
    """A writer finds its own dialect's words and no others."""
    assert OTHERS.of(MINE.keep({}, {"b": 2})) == {}
    assert OTHERS.of({"b": 2}) == {}
