"""The gateway as the flow sees it: ports and configuration, assembled and immutable.

A reload assembles a new Gateway and swaps one reference; a call keeps the one it began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from llmgw.config.schema import Config, Timeouts
from llmgw.dialects.dialect import Endpoint, ModelCard
from llmgw.errors import ModelNotFound
from llmgw.flow.watch import Watch
from llmgw.ports import Directory, Header, Sink, Upstream


class Provider(Struct, frozen=True, kw_only=True):
    """One configured upstream account, ready to use."""

    name: str
    dialects: frozenset[str]
    """Wire formats it takes: its own; the simulator takes every one."""
    upstream: Upstream
    base_path: bytes
    full_paths: bool
    """Whether the base URL ends before the endpoint's whole path (the simulator)."""
    timeouts: Timeouts
    headers: tuple[Header, ...]
    """The secret from the configuration as header fields; empty where `credential` names a stored one."""
    credential: str | None

    def path(self, endpoint: Endpoint) -> bytes:
        """The request path at the provider."""
        return endpoint.path if self.full_paths else self.base_path + endpoint.suffix


class Target(Struct, frozen=True, kw_only=True):
    """A provider and a model id there."""

    provider: Provider
    model: str
    timeouts: Timeouts
    headers: tuple[Header, ...]
    """What an answer says of its origin: x-llmgw-provider, x-llmgw-model."""


class Gateway(Struct, frozen=True, kw_only=True):
    """Everything a call needs."""

    config: Config
    version: str
    """Digest of the configuration's text, for readiness and logs."""
    directory: Directory
    sink: Sink
    watch: Watch
    providers: Mapping[str, Provider]
    targets: Mapping[str, Target]
    """By the name that clients ask for: the configured models."""
    cards: Mapping[str, ModelCard]
    """What the list of models shows, by id."""

    def target(self, asked: str) -> Target:
        """The target for a model as a client names it: a configured name or `provider/model`.

        Raises:
            ModelNotFound: neither.
        """
        target = self.targets.get(asked)
        if target is not None:
            return target
        provider_name, _, model = asked.partition("/")
        provider = self.providers.get(provider_name)
        if provider is None or self.config.models_only or not _is_model_id(model):
            raise ModelNotFound(
                f"The model {asked[:200]!r} does not exist here; GET /v1/models lists the names you can use.",
                param="model",
            )
        return target_of(provider, model, provider.timeouts)

    def card(self, asked: str) -> ModelCard:
        """What is shown of one model; ModelNotFound where `target` would raise it."""
        card = self.cards.get(asked)
        if card is not None:
            return card
        provider = self.target(asked).provider
        return ModelCard(id=asked, owned_by=provider.name, created=MODEL_CREATED)


MODEL_CREATED: Final = 1_735_689_600
"""2025-01-01: the API wants a date of creation, and the gateway knows none."""


def _is_model_id(model: str) -> bool:
    """Whether a model id that a client made up can stand in a header and a log line as it is."""
    return 0 < len(model) <= 256 and model.isascii() and model.isprintable()


def target_of(provider: Provider, model: str, timeouts: Timeouts) -> Target:
    """A target with its answer headers made once."""
    return Target(
        provider=provider,
        model=model,
        timeouts=timeouts,
        headers=(
            (b"x-llmgw-provider", provider.name.encode()),
            (b"x-llmgw-model", model.encode()),
        ),
    )
