"""What the types cannot say: names that must exist, settings that exclude each other, addresses that are refused.

Every check names the line of the value at fault. A check is left out where a setting that it looks at is at fault
already, so that one slip is one message.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

import yaml

from llmgw.config import (
    cloud_faults,
    endpoints,
    flag_faults,
    limit_faults,
    not_yet,
    pool_faults,
    price_faults,
    routing_faults,
    store_faults,
)
from llmgw.config.faults import Faults, Place, nearest
from llmgw.config.models import Model, Target
from llmgw.config.nodes import Builder
from llmgw.config.providers import Provider
from llmgw.config.schema import Admin, Config

_PUBLIC_HOSTS: Final = frozenset({"api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com"})
_KMS_FIELDS: Final[Mapping[str, str]] = {
    "keyring": "local",
    "key_id": "aws",
    "region": "aws",
    "endpoint_url": "aws",
    "address": "vault",
    "mount": "vault",
    "key": "vault",
}
_DIALECTS: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock": "bedrock",
    "vertex": "gemini",
    "vertex-anthropic": "anthropic",
}
"""Of hosts whose dialect is not openai."""
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to
_LOCAL: Final = frozenset({"ollama", "vllm", "lmstudio"})
"""Hosts that run on one's own machine, without a secret unless told to."""
_SECRETS: Final = ("api_key", "api_keys", "credential", "credentials")
_OF_UPSTREAMS: Final = ("base_url", *_SECRETS, "proxy", "region", "project", "location")
"""Settings that the simulator has no use for."""
_MODEL_ID_LIMIT: Final = 256


def check(config: Config, built: Builder, faults: Faults) -> None:
    """Note every fault of what was built."""
    _Checks(config, built, faults).run()


class _Checks:
    def __init__(self, config: Config, built: Builder, faults: Faults) -> None:
        self._config = config
        self._built = built
        self._faults = faults
        self._providers = self._names("providers")
        self._models = self._names("models")

    def run(self) -> None:
        self._store()
        self._kms()
        self._listeners()
        for name, provider in self._config.providers.items():
            self._provider(("providers", name), name, provider)
        for name, model in self._config.models.items():
            self._model(("models", name), name, model)
        for place, message in pool_faults.cycles(self._config.models, self._config.providers):
            self._fail(place, message)
        for place, message in pool_faults.repeated(self._config.models):
            self._warn(place, message)
        self._routes()
        self._flags()
        self._limits()
        for place in self._built.nodes:
            instead = not_yet.effect(place, self._config)
            if instead is not None:
                self._warn(place, f"is checked, but has no effect in this version: {instead}.")

    def _flags(self) -> None:
        for place, message in flag_faults.find(self._config):
            if self._sound(place):
                self._fail(place, message)

    def _limits(self) -> None:
        for place, message in limit_faults.find(self._config.limits):
            self._fail(place, message)
        for place, message in price_faults.find(self._config.prices):
            self._fail(place, message)
        for kind, names in (("models", self._models), ("providers", self._providers)):
            for name in getattr(self._config.limits, kind):
                if kind == "providers" or "/" not in name:
                    self._known(("limits", kind, name), kind[:-1], name, names)

    def _names(self, section: str) -> frozenset[str] | None:
        """The names in a section, those of values at fault among them; None where it is no mapping."""
        node = self._built.nodes.get((section,))
        if not isinstance(node, yaml.MappingNode) and not self._sound((section,)):
            return None
        return frozenset(
            str(place[1]) for place in self._built.nodes if len(place) == 2 and place[0] == section
        )

    def _known(self, place: Place, what: str, name: str, names: frozenset[str] | None) -> None:
        if names is not None and name not in names:
            self._fail(place, f"names a {what} that does not exist" + nearest(name, names))

    def _sound(self, *places: Place) -> bool:
        return all(self._built.sound(place) for place in places)

    def _written(self, place: Place) -> bool:
        return place in self._built.nodes

    def _mark(self, place: Place) -> yaml.Mark:
        """Where it stands, or else the nearest place around it that does."""
        while place not in self._built.marks:
            place = place[:-1]
        return self._built.marks[place]

    def _fail(self, place: Place, message: str) -> None:
        self._faults.error(self._mark(place), place, message)

    def _warn(self, place: Place, message: str) -> None:
        self._faults.warning(self._mark(place), place, message)

    def _store(self) -> None:
        if self._sound(("store", "url")):
            for place, message in store_faults.find(self._config.store, self._config.server.workers):
                self._fail(place, message)

    def _kms(self) -> None:
        if not self._sound(("kms", "provider")):
            return
        provider = self._config.kms.provider
        if provider != "local":
            self._fail(("kms", "provider"), f"{provider} is not available in this version; use local.")
        for field, owner in _KMS_FIELDS.items():
            given = self._written(("kms", field)) and getattr(self._config.kms, field) is not None
            if given and owner != provider:
                self._fail(("kms", field), f"belongs to provider: {owner}; leave it out.")

    def _listeners(self) -> None:
        server, admin = self._config.server, self._config.admin
        self._host(("server", "host"), server.host)
        self._host(("admin", "host"), admin.host)
        places: tuple[Place, ...] = (("server", "host"), ("server", "port"), ("admin",))
        # The default listener of a later version is no reason to refuse a port today.
        if self._written(("admin",)) and self._sound(*places) and self._same_listener(admin):
            self._fail(("admin", "port"), "is the data plane's own; choose another, or write: same.")

    def _same_listener(self, admin: Admin) -> bool:
        server = self._config.server
        hosts = {server.host, admin.host}
        return (
            admin.enabled
            and admin.port == server.port != 0
            and (len(hosts) == 1 or not hosts.isdisjoint(_WILDCARDS))
        )

    def _host(self, place: Place, host: str) -> None:
        try:
            ip_address(host)
        except ValueError:
            if not all(letter.isalnum() or letter in ".-_" for letter in host):
                self._fail(place, "must be an address or a name alone; the port has a setting of its own.")

    def _provider(self, place: Place, name: str, provider: Provider) -> None:
        if not _is_provider_name(name):
            self._fail(
                place,
                "a provider's name has 1 to 64 letters, digits, '-', '_' and '.': it stands in provider/model.",
            )
        if not self._sound((*place, "dialect")):
            return
        if provider.dialect == "simulator":
            for field in _OF_UPSTREAMS:
                if getattr(provider, field):
                    self._fail((*place, field), "has no meaning for the simulator; leave it out.")
            return
        if provider.simulator is not None:
            self._fail((*place, "simulator"), "goes with dialect: simulator.")
        given = [field for field in _SECRETS if getattr(provider, field)]
        for field in given[1:]:
            self._fail((*place, field), f"and {given[0]} exclude each other; keep one.")
        self._proxy(place, provider)
        self._api(place, provider)
        self._cloud(place, provider)
        host = self._base_url(place, provider)
        public = (provider.base_url is None and provider.host not in _LOCAL) or host in _PUBLIC_HOSTS
        if public and not given and self._sound(place):
            self._warn(place, "has no secret; give it api_key: ${VARIABLE}, or credential: NAME.")

    def _api(self, place: Place, provider: Provider) -> None:
        """Settings that belong to one dialect or one host."""
        if provider.host in ("azure", "azure-v1") and provider.base_url is None:
            self._fail((*place, "host"), "needs base_url: https://RESOURCE.openai.azure.com.")
        if provider.api is not None and provider.dialect != "openai":
            self._fail((*place, "api"), "goes with dialect: openai.")
        dialect = _DIALECTS.get(provider.host or "", "openai")
        if provider.host is not None and dialect != provider.dialect:
            self._fail((*place, "host"), f"speaks the {dialect} dialect.")

    def _cloud(self, place: Place, provider: Provider) -> None:
        if self._sound((*place, "host"), (*place, "base_url")):
            for field, message in cloud_faults.find(provider):
                if self._sound((*place, field)):
                    self._fail((*place, field), message)

    def _proxy(self, provider_place: Place, provider: Provider) -> None:
        place = (*provider_place, "proxy")
        if provider.proxy is None:
            return
        if provider.transport != "httpx" and self._sound((*provider_place, "transport")):
            self._fail(place, "needs transport: httpx.")
        parts = endpoints.parse(provider.proxy, ("http", "https", "socks5", "socks5h"))
        if isinstance(parts, str):
            self._fail(place, parts)
        elif parts.password is not None and "${" not in str(self._built.nodes[place].value):
            self._warn(place, "has a password in the file; keep secrets out of it: write ${VARIABLE}.")

    def _base_url(self, provider_place: Place, provider: Provider) -> str | None:
        """Judge the address; the host where it is one."""
        place = (*provider_place, "base_url")
        if provider.base_url is None:
            return None
        parts = endpoints.parse(provider.base_url, ("https", "http"))
        if isinstance(parts, str):
            self._fail(place, parts)
            return None
        if parts.username is not None or parts.password is not None:
            self._fail(place, "must not hold a user name or password; use api_key or credential.")
        if "?" in provider.base_url or "#" in provider.base_url:
            self._fail(
                place, "must not have a query or a fragment; the path of the call is added to its end."
            )
        host = (parts.hostname or "").rstrip(".")
        private = endpoints.is_private(host)
        if private and not provider.allow_private and self._sound((*provider_place, "allow_private")):
            self._fail(
                place, "is a private, loopback or metadata address; if it is meant, add allow_private: true."
            )
        named_and_local = provider.allow_private and endpoints.literal(host) is None
        if parts.scheme == "http" and not private and not named_and_local:
            self._warn(place, "sends secrets and prompts in clear text; use https://.")
        ends_with_v1 = parts.path.rstrip("/").endswith("/v1")
        if host == "api.openai.com" and not ends_with_v1:
            self._warn(place, "should end with /v1, as OpenAI's own SDK takes it: https://api.openai.com/v1.")
        if host == "api.anthropic.com" and ends_with_v1:
            self._warn(
                place, "should end before /v1, as Anthropic's own SDK takes it: https://api.anthropic.com."
            )
        return host

    def _model(self, place: Place, name: str, model: Model) -> None:
        if any(letter.isspace() for letter in name):
            self._fail(place, "a model's name has no spaces.")
        for n, target in enumerate(model.targets):
            whole = isinstance(target, Target)
            where: Place = (*place, "targets", n, "use") if whole else (*place, "targets", n)
            if self._sound(where):
                self._target(where, target.use if isinstance(target, Target) else target)
        if model.hedge is not None and model.hedge.flag is not None:
            self._known((*place, "hedge", "flag"), "flag", model.hedge.flag, self._names("flags"))
        weights = [target.weight if isinstance(target, Target) else 1.0 for target in model.targets]
        if model.strategy == "weighted" and not any(weights):
            self._fail((*place, "targets"), "have no weight above 0; weighted needs one.")

    def _target(self, place: Place, use: str) -> None:
        provider, _, model = use.partition("/")
        if pool_faults.is_pool(use, self._config.models, self._config.providers):
            return
        if not provider or not _is_model_id(model):
            self._fail(place, "must be provider/model, such as openai/gpt-4o.")
        else:
            self._known(place, "provider", provider, self._providers)

    def _routes(self) -> None:
        names = routing_faults.Names(self._models, self._providers, self._names("flags"))
        for finding in routing_faults.find(self._config, names, self._sound):
            if finding.severity == "error":
                self._fail(finding.place, finding.message)
            else:
                self._warn(finding.place, finding.message)


def _is_provider_name(name: str) -> bool:
    return len(name) <= 64 and all(
        letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in name
    )


def _is_model_id(model: str) -> bool:
    return 0 < len(model) <= _MODEL_ID_LIMIT and model.isascii() and model.isprintable() and " " not in model
