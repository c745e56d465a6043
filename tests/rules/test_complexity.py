"""The classifier does what it did when it was measured, and says why."""

from __future__ import annotations

from timeit import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.canonical.traits import Prompt, Shape
from llmgw.config.routing import SIMPLE_BELOW
from llmgw.rules.complexity import classify
from tests.rules import prompts

ALONE = Shape()


def is_simple(text: str) -> bool:
    return classify(Prompt(text, 1, 200), ALONE).score < SIMPLE_BELOW


@pytest.mark.parametrize(
    ("texts", "simple", "least"),
    [
        (prompts.TUNED_SIMPLE, True, 25),
        (prompts.TUNED_COMPLEX, False, 25),
        (prompts.HELD_OUT_SIMPLE, True, 30),
        (prompts.HELD_OUT_COMPLEX, False, 28),
    ],
    ids=["tuned-simple", "tuned-complex", "held-out-simple", "held-out-complex"],
)
def test_the_lists_are_told_as_well_as_documented(texts: tuple[str, ...], simple: bool, least: int) -> None:
    """So many of each list, and no fewer, are told as their writer judged them (docs/routing.md)."""
    assert sum(is_simple(text) is simple for text in texts) >= least


@given(st.text(max_size=4000), st.integers(0, 10**7), st.booleans(), st.booleans(), st.booleans())
def test_a_score_is_explained_by_its_features(
    text: str, context: int, tools: bool, images: bool, schema: bool
) -> None:
    """Any text has a score from 0 to 1: the sum of what the features added, and no feature that added nothing."""
    found = classify(Prompt(text, 1, context), Shape(tools, images, schema))
    assert 0 <= found.score <= 1
    assert found.score == min(max(sum(found.features.values()), 0.0), 1.0)
    assert all(found.features.values())
    assert str(found).startswith(f"{found.score:.2f} (")


@given(st.sampled_from(prompts.HELD_OUT_SIMPLE), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_that_comes_along_is_never_simpler(text: str, context: int, more: int) -> None:
    """A longer conversation, tools and images add to a score."""
    score = classify(Prompt(text, 1, context), ALONE).score
    assert classify(Prompt(text, 1, context + more), ALONE).score >= score
    assert classify(Prompt(text, 1, context), Shape(tools=True, images=True)).score >= score


def test_the_end_of_a_long_text_counts() -> None:
    """The task may stand behind what it is about; what is in the middle of a long text is not looked at."""
    filler = "lorem ipsum dolor sit amet " * 400
    for text, seen in (
        (f"{filler} Prove the theorem.", True),
        (f"Prove the theorem. {filler}", True),
        (f"{filler} Prove the theorem. {filler}", False),
    ):
        assert ("thinking" in classify(Prompt(text, 1, 0), ALONE).features) is seen


def test_nothing_is_simple() -> None:
    """No text has no features."""
    assert str(classify(Prompt(), ALONE)) == "0.00 (nothing of note)"


@pytest.mark.slow
def test_a_prompt_of_two_kilobytes_takes_microseconds() -> None:
    """Some 20 of them; ten times as many would be another way of doing it."""
    text = (" ".join(prompts.HELD_OUT_COMPLEX) * 2)[:2048]
    prompt = Prompt(text, 1, 500)
    assert min(repeat(lambda: classify(prompt, ALONE), number=500, repeat=5)) / 500 < 600e-6
