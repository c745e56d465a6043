"""What the types cannot say: names that must exist, settings that exclude each other, addresses that are refused.

Every check names the line of the value at fault. `NOT_YET` lists what this version reads and does not act on; a
later version deletes rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import yaml

from llmgw.config.faults import Faults, nearest
from llmgw.config.schema import Config, Provider, Target

Nodes = Mapping[str, yaml.Node]

NOT_YET: Final[Mapping[str, str]] = {
    "routes": "routes are checked but not followed",
    "breakers": "circuit breakers are not in force",
    "limits": "limits are checked but not enforced",
    "governance": "governance is not in force",
    "policies": "policies are checked but not enforced",
    "flags": "flags are checked but nothing reads them",
    "admin": "there is no control-plane listener",
    "telemetry.otlp_endpoint": "traces are not exported",
    "telemetry.sample": "traces are not exported",
    "telemetry.content": "content is never kept",
}
_PUBLIC_HOSTS: Final = frozenset({"api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com"})


def check(config: Config, nodes: Nodes, faults: Faults) -> None:
    """Note every fault of a well-typed configuration."""

    def error(path: str, message: str) -> None:
        faults.error(_node(nodes, path), path, message)

    def warning(path: str, message: str) -> None:
        faults.warning(_node(nodes, path), path, message)

    _check_store(config, error)
    for name, provider in config.providers.items():
        _check_provider(name, provider, nodes, error, warning)
    _check_models(config, nodes, error, warning)
    _check_routes(config, error)
    for path, effect in NOT_YET.items():
        if path in nodes:
            warning(path, f"{effect} in this version.")


Note = Callable[[str, str], None]


def _node(nodes: Nodes, path: str) -> yaml.Node:
    """The node at `path`, or the nearest one above it that the file has."""
    while path not in nodes:
        path = path.rpartition(".")[0]
    return nodes[path]


def _check_store(config: Config, error: Note) -> None:
    url, redis_url = config.store.url, config.store.redis_url
    if url.startswith(("postgresql://", "postgres://")):
        error("store.url", "Postgres is not available in this version; use sqlite:///llmgw.db.")
    elif not url.startswith("sqlite:///") or url == "sqlite:///":
        error("store.url", "must be sqlite:///PATH, such as sqlite:///llmgw.db.")
    elif redis_url is not None:
        error("store.redis_url", "goes with Postgres; a SQLite store keeps its counters in the one process.")
    if config.server.workers > 1 and url.startswith("sqlite:"):
        error(
            "server.workers",
            "must be 1 with a SQLite store: each process would count for itself, and limits would multiply.",
        )
    if config.kms.provider != "local":
        error("kms.provider", "only local is available in this version.")
    for field in ("key_id", "region", "endpoint_url", "address", "mount", "key"):
        if getattr(config.kms, field) is not None and config.kms.provider == "local":
            error(f"kms.{field}", "belongs to another kms provider than local.")
    same = config.admin.port in ("same", config.server.port) and config.admin.port != "same"
    if same and config.admin.enabled and config.admin.host == config.server.host and config.server.port:
        error("admin.port", "is the data plane's own; choose another, or write: same.")


def _check_provider(name: str, provider: Provider, nodes: Nodes, error: Note, warning: Note) -> None:
    path = f"providers.{name}"
    if not _is_name(name) or "/" in name:
        error(
            path, "a provider's name has letters, digits, '-', '_' and '.', for it stands in provider/model."
        )
    if provider.dialect == "gemini":
        warning(f"{path}.dialect", "gemini is not served in this version.")
    if provider.dialect == "simulator":
        for field in ("base_url", "api_key", "credential", "proxy"):
            if getattr(provider, field) is not None:
                error(f"{path}.{field}", "has no meaning for the simulator; leave it out.")
        return
    if provider.simulator is not None:
        error(f"{path}.simulator", "goes with dialect: simulator.")
    if provider.api_key is not None and provider.credential is not None:
        error(f"{path}.credential", "and api_key exclude each other; keep one.")
    if provider.proxy is not None:
        if provider.transport != "httpx":
            error(f"{path}.proxy", "needs transport: httpx.")
        elif urlsplit(provider.proxy).scheme not in ("http", "https", "socks5", "socks5h"):
            error(f"{path}.proxy", "must be an http://, https:// or socks5:// URL.")
    host = _check_base_url(path, provider, error, warning)
    public = provider.base_url is None or host in _PUBLIC_HOSTS
    if public and provider.api_key is None and provider.credential is None:
        warning(path, "has no secret; give it api_key: ${VARIABLE}, or credential: NAME.")


def _check_base_url(path: str, provider: Provider, error: Note, warning: Note) -> str | None:
    if provider.base_url is None:
        return None
    path = f"{path}.base_url"
    try:
        url = urlsplit(provider.base_url)
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, 0
        url = urlsplit("")
    if url.scheme not in ("http", "https") or not host or port == 0:
        error(path, "must be an http:// or https:// URL with a host.")
        return None
    if url.username is not None or url.password is not None:
        error(path, "must not hold a user name or password; use api_key.")
    if url.query or url.fragment:
        error(path, "must not have a query or fragment.")
    private = _is_private(host)
    if private and not provider.allow_private:
        error(path, f"{host} is a private address; if it is meant, add allow_private: true.")
    if url.scheme == "http" and not private and not provider.allow_private:
        warning(path, "sends the secret in clear text; use https://.")
    if host == "api.openai.com" and not url.path.rstrip("/").endswith("/v1"):
        warning(path, "ends without /v1; OpenAI's own SDK takes https://api.openai.com/v1.")
    return host


def _is_private(host: str) -> bool:
    """Whether the host is written as an address that is not public (names are judged when they are resolved)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False


def _check_models(config: Config, nodes: Nodes, error: Note, warning: Note) -> None:
    for name, model in config.models.items():
        path = f"models.{name}"
        if not name or len(name) > 256 or not name.isprintable() or name != name.strip():
            error(path, "a model's name has 1 to 256 printable characters.")
        for n, target in enumerate(model.targets):
            where = f"{path}.targets[{n}]" + (".use" if isinstance(target, Target) else "")
            _check_target(config, target.use if isinstance(target, Target) else target, where, error)
        if len(model.targets) > 1:
            warning(f"{path}.targets", "only the first target is used in this version.")
        for field in ("strategy", "retries"):
            if f"{path}.{field}" in nodes:
                warning(f"{path}.{field}", "has no effect in this version.")


def _check_target(config: Config, use: str, path: str, error: Note) -> None:
    provider, slash, model = use.partition("/")
    if not slash or not model or not model.isascii() or not model.isprintable():
        error(path, f"must be provider/model, such as openai/gpt-4o, not {use!r}.")
    elif provider not in config.providers:
        error(path, f"there is no provider {provider!r}{nearest(provider, config.providers)}")


def _check_routes(config: Config, error: Note) -> None:
    names: set[str] = set()
    for n, route in enumerate(config.routes):
        if route.name in names:
            error(f"routes[{n}].name", f"{route.name!r} is the name of an earlier route.")
        names.add(route.name)
        if route.to not in config.models and route.to.partition("/")[0] not in config.providers:
            error(f"routes[{n}].to", f"there is no model {route.to!r}{nearest(route.to, config.models)}")
        if route.flag is not None and route.flag not in config.flags:
            error(f"routes[{n}].flag", f"there is no flag {route.flag!r}{nearest(route.flag, config.flags)}")


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 64 and all(
        letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in name
    )
