"""What is wrong with the `prices:` section beyond its types: amounts, days, the order of steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from llmgw.config.budget import day
from llmgw.config.faults import Place
from llmgw.config.prices import LaterPrices, ModelPrices, TokenPrices, is_amount

Fault = tuple[Place, str]


def find(prices: Mapping[str, ModelPrices]) -> Iterator[Fault]:
    """Every fault: where it stands, and what to say of it."""
    for name, price in prices.items():
        place: Place = ("prices", name)
        yield from _tariff(place, price)
        days: list[float] = []
        for n, later in enumerate(price.later):
            there = (*place, "later", n)
            yield from _tariff(there, later)
            since = day(later.since)
            if since is None:
                yield (*there, "from"), "must be a day, such as 2026-07-01."
            elif days and since <= days[-1]:
                yield (*there, "from"), "must be later than the one before it."
            else:
                days.append(since)


def _tariff(place: Place, price: ModelPrices | LaterPrices) -> Iterator[Fault]:
    yield from _amounts(place, price)
    for n, step in enumerate(price.above):
        yield from _amounts((*place, "above", n), step)
    for n, (one, other) in enumerate(pairwise(price.above), start=1):
        if other.tokens <= one.tokens:
            yield (*place, "above", n, "tokens"), "must be more than the one before it."
    for tier, prices in price.tiers.items():
        yield from _amounts((*place, "tiers", tier), prices)


def _amounts(place: Place, prices: TokenPrices) -> Iterator[Fault]:
    for name in TokenPrices.__struct_fields__:
        text = getattr(prices, name)
        if text is not None and not is_amount(text):
            yield (
                (*place, name),
                "must be US dollars per million tokens, such as 2.50 or 0, below a million and with at most nine "
                "decimal places.",
            )
