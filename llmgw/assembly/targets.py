"""The pools and targets of the configured models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from llmgw.assembly.providers import codec
from llmgw.config import models
from llmgw.config.pool_faults import is_pool
from llmgw.config.providers import Timeouts
from llmgw.config.schema import Config
from llmgw.flow.gateway import Pool, Provider, Target, pool_of, target_of
from llmgw.rules import catalogue
from llmgw.rules.pool import Leaf, Tree
from llmgw.rules.price_book import PriceBook
from llmgw.rules.region import region


def pool(name: str, config: Config, providers: Mapping[str, Provider], prices: PriceBook) -> Pool:
    """What serves the model that clients call `name`."""
    found: dict[str, Target] = {}
    for target in _targets(name, config, providers, prices):
        found.setdefault(target.name, target)
    return pool_of(name, tuple(found.values()), _tree(name, config), config.models[name])


def _tree(name: str, config: Config, weight: float = 1.0) -> Tree:
    model = config.models[name]
    members: list[Leaf | Tree] = []
    for written in model.targets:
        one = models.Target(use=written) if isinstance(written, str) else written
        inner = is_pool(one.use, config.models, config.providers)
        members.append(_tree(one.use, config, one.weight) if inner else Leaf(one.use, one.weight))
    return Tree(model.strategy, tuple(members), weight)


def _targets(
    name: str, config: Config, providers: Mapping[str, Provider], prices: PriceBook
) -> Iterator[Target]:
    """Those of the model, and of the pools in it in their place; what a pool says of its targets is its own."""
    for written in config.models[name].targets:
        one = models.Target(use=written) if isinstance(written, str) else written
        if is_pool(one.use, config.models, config.providers):
            yield from _targets(one.use, config, providers, prices)
        else:
            yield _target(name, one, config, providers, prices)


def _target(
    name: str,
    settings: models.Target,
    config: Config,
    providers: Mapping[str, Provider],
    prices: PriceBook,
) -> Target:
    model = config.models[name]
    provider_name, _, model_id = settings.use.partition("/")
    provider = providers[provider_name]
    overrides = msgspec.structs.asdict(settings.timeouts)
    timeouts: Timeouts = msgspec.structs.replace(
        provider.timeouts, **{name: value for name, value in overrides.items() if value is not None}
    )
    return target_of(
        provider,
        model_id,
        timeouts=timeouts,
        codec=codec(settings.api),
        region=region(config.providers[provider_name], model_id),
        capabilities=model.capabilities,
        drops=None if model.on_unsupported is None else model.on_unsupported == "drop",
        drain_s=model.drain_s if model.on_disconnect == "drain" else 0.0,
        prices=prices.find(provider.name, model_id, name, provider.host.name),
        asked_prices=() if name == model_id else catalogue.find(name, None),
    )
