"""The gateway as the flow sees it: ports and configuration, assembled and immutable.

A reload assembles a new Gateway and swaps one reference; a call keeps the one it began with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import asdict, replace

from llmgw.canonical import Usage
from llmgw.config import models, providers
from llmgw.config.models import Strategy
from llmgw.config.providers import Timeouts
from llmgw.config.schema import Config
from llmgw.dialects.capabilities import Capabilities, of
from llmgw.dialects.codec import ProviderCodec
from llmgw.dialects.dialect import Endpoint, ModelCard
from llmgw.dialects.hosts import Host
from llmgw.dialects.known import CODECS
from llmgw.dialects.openai import CHAT_COMPLETIONS
from llmgw.errors import ModelNotFound
from llmgw.flow.alarm import Alarm
from llmgw.flow.hedging import Hedging
from llmgw.flow.watch import Watch
from llmgw.ports import (
    Breakers,
    Directory,
    Flags,
    Header,
    Journal,
    Meter,
    Panic,
    Signer,
    Sink,
    Standing,
    Upstream,
)
from llmgw.rules import affinity, limits
from llmgw.rules import price as price_rules
from llmgw.rules import region as regions
from llmgw.rules.access import KeyRecord
from llmgw.rules.affinity import Pins
from llmgw.rules.demand import Limit
from llmgw.rules.governance import Policies
from llmgw.rules.limits import Applicable, LimitRules
from llmgw.rules.pace import Pace
from llmgw.rules.pool import Leaf, Tree
from llmgw.rules.price import PriceList, in_force
from llmgw.rules.price_book import PriceBook
from llmgw.rules.route import Routes
from llmgw.secret import Secret


class ProviderKey(Struct, frozen=True, kw_only=True):
    """One secret of a provider, or the lack of one."""

    breaker: str
    """The name of its breaker; of a stored one, the organisation's id goes behind it. It says nothing of the secret."""
    headers: tuple[Header, ...] = ()
    """The secret from the configuration as header fields."""
    secret: Secret | None = None
    """The same, where a signer proves requests with it."""
    stored: str | None = None
    """Where the secret is in the store: by this name, each organisation's own."""


class Provider(Struct, frozen=True, kw_only=True):
    """One configured upstream account, ready to use."""

    name: str
    dialects: frozenset[str]
    """Wire formats it takes: its own; the simulator takes every one."""
    upstream: Upstream
    host: Host
    query: bytes
    """`?` and what goes with every request; empty where nothing does."""
    base_path: bytes
    full_paths: bool
    """Whether the base URL ends before the endpoint's whole path (the simulator)."""
    timeouts: Timeouts
    keys: tuple[ProviderKey, ...]
    """At least one; the first is used until it is refused."""
    signer: Signer | None
    """Proves requests of hosts that take no secret as it is."""
    codec: ProviderCodec
    """How it is written to when a call is translated."""
    capabilities: providers.Capabilities
    """What the configuration says of all its models."""
    drops: bool
    """Whether a parameter that a model cannot honour is dropped and not refused."""

    def path(self, endpoint: Endpoint, model: str, stream: bool = False) -> bytes:
        """The request path at the provider, with the query that belongs to it."""
        template = self.host.paths.get(endpoint.name)
        if template is not None:
            if stream:
                template = self.host.stream_paths.get(endpoint.name, template)
            # A version of Vertex's models stands behind an @, which a path may hold as it is.
            return self.base_path + template.replace("{model}", quote(model, safe="@")).encode() + self.query
        if endpoint.names_model:
            return b"".join((self.base_path, endpoint.path, quote(model).encode(), endpoint.suffix))
        return endpoint.path if self.full_paths else self.base_path + endpoint.suffix

    async def aclose(self) -> None:
        """Close idle connections; running calls end in their own time."""
        await self.upstream.aclose()
        if self.signer is not None:
            await self.signer.aclose()


class Target(Struct, frozen=True, kw_only=True):
    """A provider and a model id there."""

    name: str
    """`provider/model`."""
    provider: Provider
    model: str
    region: str | None
    """Where it runs, if that is known."""
    timeouts: Timeouts
    headers: tuple[Header, ...]
    """What an answer says of its origin: x-llmgw-provider, x-llmgw-model."""
    codec: ProviderCodec
    capabilities: Capabilities
    drops: bool
    drain_s: float
    """Seconds for which an answer is read on when its client has left."""
    prices: PriceList
    asked_prices: PriceList
    """Of the model by the name that clients ask for, where that is another model's and has a price."""

    def cost(self, usage: Usage, service_tier: str | None, now: float) -> int | None:
        """What the usage costs here, in nano-dollars; None where the price is not known."""
        return cost_by(self.prices, usage, service_tier, now)

    def serves(self, endpoint: Endpoint) -> bool:
        """Whether the provider has the endpoint of its own dialect, and calls may go to it unchanged."""
        offered = self.provider.host.endpoints
        return (not offered or endpoint.name in offered) and not (
            endpoint is CHAT_COMPLETIONS and self.codec is not CODECS[CHAT_COMPLETIONS.name]
        )


class Pool(Struct, frozen=True, kw_only=True):
    """What clients ask for by one name: the targets that serve it."""

    name: str
    targets: tuple[Target, ...]
    """In the order of the file, those of pools within it in their place; none twice."""
    tree: Tree
    """How they are put in order."""
    asks: frozenset[Strategy]
    """The strategies in it that ask what is known of its targets."""
    sticky: bool
    """Whether a conversation stays with its target."""
    settings: models.Model
    """As the file has them; the defaults for a `provider/model` of the client's own."""
    keeps: frozenset[int]
    """Statuses that are worth another try and would otherwise be the client's."""


class Routing(Struct, frozen=True, kw_only=True):
    """What decides where a call goes; enough to explain a decision without serving anything."""

    config: Config
    version: str
    """Digest of the configuration's text, for readiness and logs."""
    standing: Callable[[Sequence[Limit], float], Sequence[Standing]]
    """How far limits are used up, as the meter has it."""
    breakers: Breakers
    panic: Panic
    flags: Flags
    hedging: Hedging
    pace: Pace
    pins: Pins
    providers: Mapping[str, Provider]
    pools: Mapping[str, Pool]
    """By the name that clients ask for: the configured models."""
    cards: Mapping[str, ModelCard]
    """What the list of models shows, by id."""
    prices: PriceBook
    direct: dict[str, Pool]
    """Targets asked for as `provider/model`, made once; at most DIRECT_LIMIT."""
    routes: Routes
    policies: Policies
    limits: LimitRules
    applied: dict[tuple[str, str, str], tuple[KeyRecord, Applicable]]
    """The limits of a key's calls without tags of their own, by key id, model and provider; at most APPLIED_LIMIT."""

    def pool(self, asked: str) -> Pool:
        """What serves a model as a client names it: a configured name or `provider/model`.

        Raises:
            ModelNotFound: neither.
        """
        pool = self.pools.get(asked) or self.direct.get(asked)
        if pool is not None:
            return pool
        provider_name, _, model = asked.partition("/")
        provider = self.providers.get(provider_name)
        if provider is None or self.config.models_only or not _is_model_id(model):
            raise ModelNotFound(
                f"The model {asked[:200]!r} does not exist here; GET /v1/models lists the names you can use.",
                param="model",
            )
        prices = self.prices.find(provider.name, model, asked, provider.host.name)
        where = regions.region(self.config.providers[provider.name], model)
        target = target_of(provider, model, region=where, prices=prices)
        pool = pool_of(asked, (target,), Tree("fallback", (Leaf(asked),)), models.Model(targets=(asked,)))
        if len(self.direct) < DIRECT_LIMIT:
            self.direct[asked] = pool
        return pool

    def flag_is_on(self, name: str, key: KeyRecord) -> bool:
        """Whether a flag is on for a key's calls."""
        return self.flags.is_on(name, key)

    def limits_of(
        self, key: KeyRecord, tags: Mapping[str, str], model: str, provider: str, now: float
    ) -> tuple[Limit, ...]:
        """Every limit that a call stands under."""
        if tags is not key.metadata:
            return limits.applicable(self.limits, key, tags, model, provider, now).limits
        place = (key.id, model, provider)
        known = self.applied.get(place)
        if known is not None and known[0] is key and now < known[1].until:
            return known[1].limits
        found = limits.applicable(self.limits, key, tags, model, provider, now)
        if len(self.applied) >= APPLIED_LIMIT:
            self.applied.clear()
        self.applied[place] = (key, found)
        return found.limits

    def card(self, asked: str) -> ModelCard:
        """What is shown of one model; ModelNotFound where `pool` would raise it."""
        card = self.cards.get(asked)
        if card is not None:
            return card
        provider = self.pool(asked).targets[0].provider
        return ModelCard(id=asked, owned_by=provider.name, created=MODEL_CREATED)


class Gateway(Routing, frozen=True, kw_only=True):
    """Everything a call needs."""

    directory: Directory
    meter: Meter
    journal: Journal
    sink: Sink
    alarm: Alarm
    watch: Watch

    @property
    def degraded(self) -> str | None:
        """What is unavailable just now, as it stands in `x-llmgw-degraded`; None when nothing is."""
        directory, journal, meter = self.directory.degraded, self.journal.degraded, self.meter.degraded
        flags = self.flags.degraded
        if directory is journal is meter is flags is None:
            return None
        return ", ".join([one for one in (directory, meter, journal, flags) if one is not None])


DIRECT_LIMIT: Final = 1000
"""Names a client makes up must not fill the memory; behind so many they are made anew each time."""
APPLIED_LIMIT: Final = 10_000
"""So many keys, models and providers are remembered together; then it begins anew."""
_NOTHING_SAID: Final = providers.Capabilities()
MODEL_CREATED: Final = 1_735_689_600
"""2025-01-01: the API wants a date of creation, and the gateway knows none."""


def _is_model_id(model: str) -> bool:
    """Whether a model id that a client made up can stand in a header and a log line as it is."""
    return 0 < len(model) <= 256 and model.isascii() and model.isprintable()


def cost_by(price_list: PriceList, usage: Usage, service_tier: str | None, now: float) -> int | None:
    """What the usage costs by that list at that time; None where it has no price then."""
    price = in_force(price_list, now)
    return None if price is None else price_rules.cost(price, usage, service_tier)


def pool_of(name: str, targets: tuple[Target, ...], tree: Tree, settings: models.Model) -> Pool:
    """A pool by its settings."""
    retryable = [status for status in settings.retries.retry_on if isinstance(status, int) and status < 500]
    sticky = settings.affinity == "on" or (
        settings.affinity == "auto" and affinity.is_one_family(target.model for target in targets)
    )
    return Pool(
        name=name,
        targets=targets,
        tree=tree,
        asks=_asking(tree),
        sticky=sticky and len(targets) > 1,
        settings=settings,
        keeps=frozenset(retryable),
    )


def _asking(tree: Tree) -> frozenset[Strategy]:
    found = {tree.strategy} - {"fallback", "weighted"}
    for member in tree.members:
        if isinstance(member, Tree):
            found |= _asking(member)
    return frozenset(found)


def target_of(
    provider: Provider,
    model: str,
    *,
    timeouts: Timeouts | None = None,
    codec: ProviderCodec | None = None,
    region: str | None = None,
    capabilities: providers.Capabilities = _NOTHING_SAID,
    drops: bool | None = None,
    drain_s: float = 0.0,
    prices: PriceList = (),
    asked_prices: PriceList = (),
) -> Target:
    """A target; what is not given is the provider's. `capabilities` go before those of the provider, and those
    before the built-in table."""
    return Target(
        name=f"{provider.name}/{model}",
        provider=provider,
        model=model,
        region=region,
        timeouts=timeouts or provider.timeouts,
        headers=(
            (b"x-llmgw-provider", provider.name.encode()),
            (b"x-llmgw-model", model.encode()),
        ),
        codec=codec or provider.codec,
        capabilities=_overridden(_overridden(of(model), provider.capabilities), capabilities),
        drops=provider.drops if drops is None else drops,
        drain_s=drain_s,
        prices=prices,
        asked_prices=asked_prices,
    )


def _overridden(known: Capabilities, said: providers.Capabilities) -> Capabilities:
    given = {name: value for name, value in asdict(said).items() if value is not None}
    return replace(known, **given) if given else known
