"""Which price a model has: the configuration's own first, then the catalogue's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from llmgw.config.budget import day, dollars
from llmgw.config.prices import LaterPrices, LongInput, ModelPrices, TokenPrices
from llmgw.rules import catalogue
from llmgw.rules.price import Price, PriceList, Rates, Tariff, rates

FROM_CONFIG: Final = "config"


class PriceBook:
    """Looks prices up; what it finds is the same for its whole life."""

    def __init__(self, settings: Mapping[str, ModelPrices]) -> None:
        catalogue.load()
        self._exact = {name: _read(prices) for name, prices in settings.items()}
        # The longer of two globs says more.
        self._globs = sorted((name for name in settings if "*" in name), key=len, reverse=True)

    def find(self, provider: str, model: str, asked: str, host: str | None) -> PriceList:
        """The prices of `model` at `provider`, both as they are configured; empty where none is known.

        Args:
            asked: the name that clients ask for, by which a price may be given too.
            host: the name of the provider's host row; None leaves the catalogue out.
        """
        names = (f"{provider}/{model}", model)
        for name in names:
            own = self._own(name)
            if own is not None:
                return own
        published = catalogue.find(model, host)
        return published or self._own(asked) or ()

    def _own(self, name: str) -> PriceList | None:
        found = self._exact.get(name)
        if found is not None:
            return found
        for glob in self._globs:
            if fnmatchcase(name, glob):
                return self._exact[glob]
        return None


def _read(prices: ModelPrices) -> PriceList:
    """Prices from settings without faults."""
    dated: list[ModelPrices | LaterPrices] = [prices, *prices.later]
    starts = [0.0, *(day(later.since) or 0.0 for later in prices.later)]
    ends = [*starts[1:], float("inf")]
    return tuple(
        Price(
            tariff=_tariff(one, one.above),
            tiers={tier: _tariff(special, ()) for tier, special in one.tiers.items()},
            since=since,
            until=until,
            version=FROM_CONFIG,
        )
        for one, since, until in zip(dated, starts, ends, strict=True)
    )


def _tariff(base: ModelPrices | LaterPrices | TokenPrices, above: tuple[LongInput, ...]) -> Tariff:
    return Tariff(_rates(base), tuple((step.tokens, _rates(step)) for step in above))


def _rates(prices: TokenPrices) -> Rates:
    given = {name: getattr(prices, name) for name in TokenPrices.__struct_fields__}
    return rates(**{name: None if text is None else dollars(text) for name, text in given.items()})  # type: ignore[arg-type]  # input and output are there
