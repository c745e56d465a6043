"""A server process, put together: the only part that knows which adapter stands behind which port.

An `Installation` is what outlives a reload: the store, the keyring, the telemetry. A `Gateway` is assembled
from it and one version of the configuration, as often as that changes.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from llmgw import features
from llmgw.assembly.keys import open_kms
from llmgw.assembly.providers import provider
from llmgw.assembly.shared import Shared, kind
from llmgw.assembly.targets import pool
from llmgw.config.read import load
from llmgw.config.schema import Config
from llmgw.dialects.dialect import ModelCard
from llmgw.errors import ConfigInvalid
from llmgw.flow.alarm import Alarm
from llmgw.flow.gateway import MODEL_CREATED, Gateway
from llmgw.flow.hedging import Hedging
from llmgw.flow.watch import Watch
from llmgw.rules import limits
from llmgw.rules.affinity import Pins
from llmgw.rules.governance import Policies
from llmgw.rules.pace import Pace
from llmgw.rules.price_book import PriceBook
from llmgw.rules.route import Routes
from llmgw.telemetry import Telemetry
from llmgw.telemetry import supervisor_log as supervisor_log
from llmgw.telemetry.board import Board as Board


class Installation:
    """One gateway process's long-lived parts; a context manager around its whole run.

    Raises, on entering:
        OperatorError: another process serves this store, or a part cannot be opened.
    """

    telemetry: Telemetry
    shared: Shared
    alarm: Alarm

    def __init__(self, path: Path, config: Config) -> None:
        self.path = path
        self.config = config
        self.worker = 0
        """The number of this process among the workers of its node; 0 where it is alone."""
        self._board: Board | None = None
        self._version = _version(path)
        self._parts = ExitStack()

    def join(self, board: Board, worker: int) -> None:
        """Be one of several workers from entering on, with a number that no other of this node has or had."""
        self._board = board
        self.worker = worker

    def __enter__(self) -> Self:
        config, base = self.config, self.path.parent
        with ExitStack() as parts:
            stores = kind(config)
            keeper = parts.enter_context(stores.keeper(config, base))
            self.telemetry = parts.enter_context(
                Telemetry(
                    config.telemetry,
                    webhook=config.limits.webhook,
                    keeper=keeper,
                    board=self._board,
                    worker=self.worker,
                )
            )
            kms = open_kms(config, base)
            remote = config.flag_provider.kind == "flagd"
            source = parts.enter_context(features.flagd(config.flag_provider)) if remote else None
            shared = self.shared = parts.enter_context(stores.shared(config, base, kms, source))
            self.telemetry.follow(shared.journal)
            self.telemetry.watch(shared.breakers, shared.panic, shared.flags)
            self.alarm = Alarm(shared.meter, self.telemetry)
            parts.enter_context(features.registered(shared.flags))
            self._parts = parts.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()

    def read_again(self) -> Config:
        """The configuration as the file has it now; what is fixed at start keeps its value of the start.

        Raises:
            ConfigInvalid: the file has errors.
        """
        version = _version(self.path)
        config, _ = load(self.path)
        self._version = version
        return config

    def assemble(self, config: Config, previous: Gateway | None) -> Gateway:
        """A gateway for `config`; transports of providers that did not change are taken from `previous`."""
        providers = {name: provider(name, settings, previous) for name, settings in config.providers.items()}
        prices = PriceBook(config.prices)
        pools = {name: pool(name, config, providers, prices) for name in config.models}
        cards = {
            name: ModelCard(id=name, owned_by=made.targets[0].provider.name, created=MODEL_CREATED)
            for name, made in pools.items()
        }
        shared = self.shared
        shared.breakers.configure(config.breakers)
        shared.flags.configure(config.flags)
        return Gateway(
            config=config,
            version=self._version,
            directory=shared.directory,
            meter=shared.meter,
            standing=shared.meter.standing,
            journal=shared.journal,
            sink=self.telemetry,
            alarm=self.alarm,
            watch=previous.watch if previous is not None else Watch(),
            breakers=shared.breakers,
            panic=shared.panic,
            flags=shared.flags,
            pace=previous.pace if previous is not None else Pace(),
            pins=previous.pins if previous is not None else Pins(),
            hedging=previous.hedging if previous is not None else Hedging(),
            providers=providers,
            pools=pools,
            cards=cards,
            prices=prices,
            direct={},
            routes=Routes(config.routes),
            policies=Policies(config.policies, config.governance),
            limits=limits.read(config.limits),
            applied={},
        )


def _version(path: Path) -> str:
    """A short name of the file's content."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise ConfigInvalid(f"Cannot read {path}: {error.strerror}.") from error
