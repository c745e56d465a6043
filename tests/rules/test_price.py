"""What tokens cost, to the nano-dollar."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmgw.canonical import Usage
from llmgw.rules import price as prices
from llmgw.rules.price import MILLION, Price, Rates, Tariff, rates
from llmgw.rules.price_book import PriceBook
from tests.config.support import HEAD, config_of, faults

BUCKETS = Rates.__struct_fields__
counts = st.none() | st.integers(0, 10**12)
usages = st.builds(Usage, **dict.fromkeys(BUCKETS, counts))
all_rates = st.builds(Rates, **dict.fromkeys(BUCKETS, st.integers(0, 10**15)))


def flat(at: Rates) -> Price:
    return Price(tariff=Tariff(at), version="test")


@given(usages, all_rates)
def test_cost_is_the_sum_of_buckets_times_rates_rounded_once(usage: Usage, at: Rates) -> None:
    """Exactly, whatever the amounts; a bucket that is not known adds nothing; less than a nano-dollar is added."""
    exact = sum(Fraction((getattr(usage, bucket) or 0) * getattr(at, bucket), MILLION) for bucket in BUCKETS)
    assert 0 <= prices.cost(flat(at), usage) - exact < 1


def test_a_known_call() -> None:
    """gpt-4o: 2.50 in, 10.00 out, 1.25 cached per million; 1,000 in of which 400 cached, 200 out."""
    at = rates(input=2_500_000_000, output=10_000_000_000, cache_read=1_250_000_000)
    usage = Usage(input=600, cache_read=400, output=200)
    assert prices.cost(flat(at), usage) == 4_000_000  # 0.0015 + 0.0005 + 0.002 USD


def test_a_bucket_without_a_rate_costs_what_it_is_part_of() -> None:
    """Reasoning is output, what is written to a cache is input, an hour's is what five minutes' is."""
    at = rates(input=1, output=2, cache_write_5m=3)
    assert at == Rates(
        input=1, output=2, cache_read=1, cache_write_5m=3, cache_write_1h=3, input_audio=1, reasoning=2, output_audio=2
    )  # fmt: skip


def test_a_long_input_is_dearer_as_a_whole() -> None:
    """Above the step every token of the call has the step's rate, cached ones counted as input."""
    low, high = rates(input=MILLION, output=MILLION), rates(input=2 * MILLION, output=3 * MILLION)
    price = Price(tariff=Tariff(low, ((100, high),)), version="test")
    assert prices.cost(price, Usage(input=60, cache_read=40, output=10)) == 110
    assert prices.cost(price, Usage(input=60, cache_read=41, output=10)) == 202 + 30


def test_a_service_tier_has_its_own_price() -> None:
    """The tier that served; one that is not known costs what the default does."""
    price = Price(
        tariff=Tariff(rates(input=2 * MILLION, output=0)),
        tiers={"flex": Tariff(rates(input=MILLION, output=0))},
        version="test",
    )
    assert [prices.cost(price, Usage(input=5), tier) for tier in (None, "default", "flex")] == [10, 10, 5]


@given(usages.filter(lambda usage: (usage.input or 0) < 10**9), all_rates)
def test_no_call_costs_more_than_its_bound(usage: Usage, at: Rates) -> None:
    """The bound over the totals of input and output covers every way they can be made up."""
    inputs = sum(getattr(usage, b) or 0 for b in BUCKETS if b.startswith(("input", "cache")))
    outputs = sum(getattr(usage, b) or 0 for b in BUCKETS if b in ("output", "reasoning", "output_audio"))
    if at.cache_read > max(at.input, at.cache_write_1h):
        return  # no provider charges more for reading what it has
    most = prices.bound(flat(at), inputs, outputs, writes_cache=True, hears=True)
    assert prices.cost(flat(at), usage) <= most


def test_prices_hold_from_a_day_on() -> None:
    """The price in force is that of the call's time; before the first day of a list there is the first price."""
    text = {
        "prices": {
            "m": {"input": "1", "output": "0", "later": [{"from": "2026-07-01", "input": "2", "output": "0"}]}
        }
    }
    book = PriceBook(config_of(HEAD + yaml.safe_dump(text)).prices)
    july = 1_782_864_000.0
    found = book.find("p", "m", "m", None)
    before, after = prices.in_force(found, july - 1), prices.in_force(found, july)
    assert before is not None and after is not None
    assert [prices.cost(one, Usage(input=MILLION)) for one in (before, after)] == [10**9, 2 * 10**9]


def test_the_files_own_prices_go_before_the_catalogue() -> None:
    """By provider and model, by model, by glob (the longer first), then the catalogue, then the name asked for."""
    settings = {
        "gpt-4o": {"input": 1, "output": 1},
        "mine/gpt-4o": {"input": 2, "output": 2},
        "gpt-*": {"input": 3, "output": 3},
        "gpt-5*": {"input": 4, "output": 4},
        "alias": {"input": 0, "output": 0},
    }
    book = PriceBook(config_of(HEAD + yaml.safe_dump({"prices": settings})).prices)

    def input_of(provider: str, model: str, asked: str = "", host: str | None = "openai") -> int | None:
        found = book.find(provider, model, asked, host)
        return found[0].tariff.base.input // 10**9 if found else None

    assert input_of("mine", "gpt-4o") == 2
    assert input_of("other", "gpt-4o") == 1
    assert input_of("other", "gpt-4.1") == 3
    assert input_of("other", "gpt-5-nano") == 4
    assert input_of("other", "claude-opus-4-1") == 15
    assert input_of("other", "made-up", "alias") == 0, "zero is a price"
    assert input_of("other", "made-up", "other") is None, "missing is none"


AMOUNTS = ["-1", ".5", "1e3", "nan", "inf", "1.0000000001", "1000000", "1,5", "free", "$2"]


@pytest.mark.parametrize("amount", AMOUNTS)
def test_an_amount_that_is_none_is_an_error_at_its_line(amount: str) -> None:
    """No float, no exponent, no more places than a nano-dollar has."""
    found = faults(HEAD + "prices:\n  m:\n    output: 1\n    input: " + repr(amount))
    assert [(fault.line, fault.path) for fault in found] == [(5, "prices.m.input")]


OVERLAPS: list[dict[str, Any]] = [
    {"later": [{"from": "2026-13-01", "input": 1, "output": 1}]},
    {
        "later": [
            {"from": "2026-07-01", "input": 1, "output": 1},
            {"from": "2026-07-01", "input": 1, "output": 1},
        ]
    },
    {"above": [{"tokens": 9, "input": 1, "output": 1}, {"tokens": 9, "input": 1, "output": 1}]},
]


@pytest.mark.parametrize("more", OVERLAPS)
def test_overlapping_prices_are_errors(more: dict[str, Any]) -> None:
    """Two prices never hold at the same moment, nor two steps for the same input."""
    assert len(faults(HEAD + yaml.safe_dump({"prices": {"m": {"input": 1, "output": 1, **more}}}))) == 1


def test_amounts_never_pass_through_a_float() -> None:
    """Nine places as they are written."""
    text = HEAD + "prices: {m: {input: 0.000000001, output: 123456.123456789}}"
    base = PriceBook(config_of(text).prices).find("p", "m", "m", None)[0].tariff.base
    assert (base.input, base.output) == (1, int(Decimal("123456.123456789") * 10**9))
