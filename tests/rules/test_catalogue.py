"""Published prices, as the bundled package has them."""

from __future__ import annotations

import itertools

import pytest

from llmgw.rules import catalogue
from llmgw.rules.catalogue import find, nano

PUBLISHED = [
    # OpenAI's, Anthropic's and Google's price lists, US dollars per million: in, out, cached.
    ("gpt-4o", "openai", 2.50, 10.00, 1.25),
    ("gpt-4o-2024-08-06", "openai", 2.50, 10.00, 1.25),
    ("gpt-4o-mini", None, 0.15, 0.60, 0.075),
    ("claude-sonnet-4-5-20250929", "anthropic", 3.00, 15.00, 0.30),
    ("claude-sonnet-4-5@20250929", "vertex-anthropic", 3.00, 15.00, 0.30),
    ("gemini-2.5-flash", "gemini", 0.30, 2.50, 0.03),
    ("openai/gpt-4o", None, 2.50, 10.00, 1.25),
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", 3.30, 16.50, 0.33),
    ("text-embedding-3-small", "openai", 0.02, 0, 0.02),
]


@pytest.mark.parametrize(("model", "host", "into", "out", "cached"), PUBLISHED)
def test_published_prices(model: str, host: str | None, into: float, out: float, cached: float) -> None:
    """Models are found by name, dated and prefixed ones too, whatever the provider is called."""
    base = find(model, host)[0].tariff.base
    assert [base.input, base.output, base.cache_read] == [round(usd * 10**9) for usd in (into, out, cached)]


@pytest.mark.parametrize(
    ("model", "host"),
    [
        ("nobody-knows-this", "openai"),
        ("", None),
        ("llama3.3", "ollama"),
        ("gpt-4o", "lmstudio"),
        ("demo", None),
    ],
)
def test_what_is_not_published_has_no_price(model: str, host: str | None) -> None:
    """Unknown is not free; what runs on one's own machine is in no catalogue."""
    assert find(model, host) == ()


def test_claude_writes_to_its_cache_at_their_own_prices() -> None:
    """Five minutes and an hour are two prices, and a long prompt is dearer."""
    tariff = find("claude-sonnet-4-5", "anthropic")[0].tariff
    assert (tariff.base.cache_write_5m, tariff.base.cache_write_1h) == (3_750_000_000, 6_000_000_000)
    assert tariff.steps[0][0] == 200_000 and tariff.steps[0][1].input == 6_000_000_000


def test_every_price_of_the_catalogue_can_be_read() -> None:
    """No model of any provider breaks the reading, and prices follow each other without gaps."""
    read = 0
    for provider in catalogue._providers().values():
        for model in provider.models:
            prices = catalogue._prices(model)
            read += len(prices)
            assert all(one.until <= other.since for one, other in itertools.pairwise(prices))
    assert read > 1000


def test_a_catalogues_noise_is_cut_off() -> None:
    """A twelfth of a dollar that came from a float is a whole number of nano-dollars."""
    from decimal import Decimal

    assert nano(Decimal("0.0833333333333333")) == 83_333_333
