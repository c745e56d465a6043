"""What decides where calls go, without a server: for explanations."""

from __future__ import annotations

from pathlib import Path

from llmgw.assembly.providers import provider
from llmgw.assembly.shared import kind
from llmgw.assembly.targets import pool
from llmgw.config.schema import Config
from llmgw.flow.gateway import Routing
from llmgw.flow.hedging import Hedging
from llmgw.rules import limits
from llmgw.rules.affinity import Pins
from llmgw.rules.governance import Policies
from llmgw.rules.pace import Pace
from llmgw.rules.price_book import PriceBook
from llmgw.rules.route import Routes


def routing(config: Config, base: Path) -> Routing:
    """As a server begins: nothing is known of speeds and failures, and of budgets nothing is used."""
    providers = {name: provider(name, settings, None) for name, settings in config.providers.items()}
    prices = PriceBook(config.prices)
    breakers, panic, flags = kind(config).offline(config, base)
    return Routing(
        config=config,
        version="",
        standing=lambda found, now: [],
        breakers=breakers,
        panic=panic,
        flags=flags,
        hedging=Hedging(),
        pace=Pace(),
        pins=Pins(),
        providers=providers,
        pools={name: pool(name, config, providers, prices) for name in config.models},
        cards={},
        prices=prices,
        direct={},
        routes=Routes(config.routes),
        policies=Policies(config.policies, config.governance),
        limits=limits.read(config.limits),
        applied={},
    )
