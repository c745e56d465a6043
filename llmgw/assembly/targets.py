"""The targets of the configured models."""

from __future__ import annotations

import msgspec

from llmgw.assembly.providers import codec
from llmgw.config import models
from llmgw.config.providers import Timeouts
from llmgw.flow.gateway import Provider, Target, target_of
from llmgw.rules import catalogue
from llmgw.rules.price_book import PriceBook


def target(name: str, model: models.Model, providers: dict[str, Provider], prices: PriceBook) -> Target:
    """The target of the model that clients call `name`."""
    written = model.targets[0]
    settings = models.Target(use=written) if isinstance(written, str) else written
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
        capabilities=model.capabilities,
        drops=None if model.on_unsupported is None else model.on_unsupported == "drop",
        drain_s=model.drain_s if model.on_disconnect == "drain" else 0.0,
        prices=prices.find(provider.name, model_id, name, provider.host.name),
        asked_prices=() if name == model_id else catalogue.find(name, None),
    )
