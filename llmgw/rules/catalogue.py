"""Published prices, from the package `genai-prices`: a model's own maker's, or those of the host that serves it.

The package is data and is read as such; its updater, which asks the network, is never started. What it has no rate
for is not free but unknown. Imported late, for it takes some 0.4 s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from llmgw.rules.price import Price, PriceList, Rates, Tariff, rates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

_NANO: Final = 10**9
_SELLERS: Final[Mapping[str, str]] = {
    "openai": "openai",
    "azure": "azure",
    "azure-v1": "azure",
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex": "google",
    "vertex-anthropic": "google",
    "bedrock": "aws",
    "groq": "groq",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "together": "together",
    "fireworks": "fireworks",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "cerebras": "cerebras",
}
"""The catalogue's names of hosts."""
_LOCAL: Final = frozenset({"ollama", "vllm", "lmstudio"})
"""Hosts on one's own machine, which no catalogue knows the cost of."""
_MAKERS: Final = (
    "openai",
    "anthropic",
    "google",
    "mistral",
    "deepseek",
    "x-ai",
    "cohere",
    "perplexity",
    "moonshotai",
    "zai",
)
"""Who makes the models that others serve; asked in this order where the host has no price of its own."""
_KEYS: Final[Mapping[str, str]] = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "reasoning": "output_reasoning_mtok",
    "output_audio": "output_audio_mtok",
}
_TIERS: Final = ("flex", "priority", "fast")
"""The service tiers that are told by an answer; what else the catalogue distinguishes is not known of a call."""


@lru_cache(maxsize=4096)
def find(model: str, host: str | None) -> PriceList:
    """The prices of a model over time; empty where none is known.

    Args:
        model: its id at the provider.
        host: the name of its host's row (`dialects/hosts.py`).
    """
    if host in _LOCAL:
        return ()
    seller = _SELLERS.get(host or "")
    for name in dict.fromkeys((seller, *_MAKERS)):
        provider = _providers().get(name or "")
        found = None if provider is None else _model(provider, model)
        if found is not None and (prices := _prices(found)):
            return prices
    return ()


@cache
def _providers() -> Mapping[str, Provider]:
    from genai_prices.data import providers

    return {provider.id: provider for provider in providers}


def load() -> None:
    """Read the catalogue now, so that nothing later waits for it."""
    _providers()


@cache
def version() -> str:
    """As it stands in ledger rows."""
    from importlib.metadata import version as installed

    return f"genai-prices {installed('genai-prices')}"


def _model(provider: Provider, model: str) -> ModelInfo | None:
    return provider.find_model(model) or (
        provider.find_model(model.rpartition("/")[2]) if "/" in model else None
    )


def _prices(model: ModelInfo) -> PriceList:
    from genai_prices.types import ModelPrice, StartDateConstraint

    if isinstance(model.prices, ModelPrice):
        dated: list[tuple[float, ModelPrice]] = [(0.0, model.prices)]
    else:
        dated = [(0.0, model.prices[0].prices)]
        for conditional in model.prices[1:]:
            if isinstance(conditional.constraint, StartDateConstraint):
                dated.append((_moment(conditional.constraint.start_date), conditional.prices))
    dated.sort(key=lambda one: one[0])
    ends = [since for since, _ in dated[1:]] + [float("inf")]
    made = (_price(model, since, until, at) for (since, at), until in zip(dated, ends, strict=True))
    return tuple(price for price in made if price is not None)


def _moment(day: Any) -> float:
    return datetime.combine(day, time(), UTC).timestamp()


def _price(model: ModelInfo, since: float, until: float, at: ModelPrice) -> Price | None:
    tariff = _tariff(at, {})
    if tariff is None:
        return None
    tiers = {}
    for variant in model.price_variants or ():
        tier = variant.when.get("service_tier")
        if tier not in _TIERS or len(variant.when) != 1 or tier in tiers:
            continue
        special = _tariff(
            at, {key: value for key, value in variant.prices.__dict__.items() if value is not None}
        )
        if special is not None:
            tiers[tier] = special
    return Price(tariff=tariff, tiers=tiers, since=since, until=until, version=version())


def _tariff(at: ModelPrice, instead: Mapping[str, Any]) -> Tariff | None:
    """The rates of a set of prices, some of them replaced; None where there are none for tokens."""
    given = {bucket: instead.get(key, getattr(at, key)) for bucket, key in _KEYS.items()}
    if given["input"] is None:
        return None
    if given["output"] is None:
        given["output"] = Decimal(0)  # embeddings: nothing comes out that would be billed
    starts = sorted({start for price in given.values() for start, _ in _steps(price)})
    base = _rates(given, None)
    return Tariff(base, tuple((start, _rates(given, start)) for start in starts))


def _steps(price: Any) -> Iterator[tuple[int, Decimal]]:
    for tier in getattr(price, "tiers", ()):
        yield tier.start, tier.price


def _rates(given: Mapping[str, Any], start: int | None) -> Rates:
    """The rates of the step that begins above `start`; of the base where that is None."""
    found: dict[str, int | None] = {}
    for bucket, price in given.items():
        at = getattr(price, "base", price)
        for above, stepped in _steps(price):
            if start is not None and above <= start:
                at = stepped
        found[bucket] = None if at is None else nano(at)
    return rates(**found)  # type: ignore[arg-type]  # input and output are there


def nano(dollars: Decimal) -> int:
    """Nano-dollars of a price per million tokens. A few of the catalogue's come from floats (0.0833333333333333 for a
    twelfth); what is beyond nine places is noise."""
    return int((dollars * _NANO).to_integral_value())
