"""What decides where calls go, without a server: for explanations."""

from __future__ import annotations

import contextlib
from pathlib import Path

from llmgw.assembly.providers import provider
from llmgw.assembly.stores import store_path
from llmgw.assembly.targets import pool
from llmgw.config.schema import Config
from llmgw.errors import StoreUnavailable
from llmgw.flow.gateway import Routing
from llmgw.flow.hedging import Hedging
from llmgw.rules import limits
from llmgw.rules.affinity import Pins
from llmgw.rules.governance import Policies
from llmgw.rules.pace import Pace
from llmgw.rules.price_book import PriceBook
from llmgw.rules.route import Routes
from llmgw.standalone import panic
from llmgw.standalone.breakers import MemoryBreakers
from llmgw.standalone.flags import SqliteFlags
from llmgw.standalone.panic import PanicWatch


def routing(config: Config, base: Path) -> Routing:
    """As a server begins: nothing is known of speeds and failures, and of budgets nothing is used."""
    providers = {name: provider(name, settings, None) for name, settings in config.providers.items()}
    prices = PriceBook(config.prices)
    return Routing(
        config=config,
        version="",
        standing=lambda found, now: [],
        breakers=MemoryBreakers(config.breakers),
        panic=PanicWatch(panic.path_beside(store_path(config, base))),
        flags=_flags(config, base),
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


def _flags(config: Config, base: Path) -> SqliteFlags:
    """As operators and guards have left them; as the file has them where no store says anything."""
    flags = SqliteFlags(store_path(config, base), config.flags)
    with contextlib.suppress(StoreUnavailable):
        flags.load()
    return flags
