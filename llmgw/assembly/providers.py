"""A configured provider, ready to be called: its host's row, its transport, its proof of identity."""

from __future__ import annotations

from functools import partial
from typing import Final
from urllib.parse import urlsplit

import msgspec

from llmgw.config import accounts, providers
from llmgw.dialects import hosts
from llmgw.dialects.auth import credential
from llmgw.dialects.codec import Codec
from llmgw.dialects.hosts import Host
from llmgw.dialects.known import CODECS, OF_PROVIDERS
from llmgw.flow.gateway import Gateway, Provider, ProviderKey
from llmgw.ports import Signer, Upstream
from llmgw.upstream.http1 import Http1Client
from llmgw.upstream.httpx_transport import HttpxTransport
from llmgw.upstream.signing.google import GoogleTokens
from llmgw.upstream.signing.sigv4 import SigV4
from llmgw.upstream.simulator import Simulator


def provider(name: str, settings: providers.Provider, previous: Gateway | None) -> Provider:
    """The provider; its transport is taken from `previous` where nothing of it has changed."""
    kept = previous.providers.get(name) if previous is not None else None
    if (
        kept is not None
        and previous is not None
        and _same_transport(previous.config.providers[name], settings)
    ):
        upstream = kept.upstream
    else:
        upstream = _upstream(settings)
    simulated = settings.dialect == "simulator"
    host = _host(settings)
    query = host.query if settings.api_version is None else f"api-version={settings.api_version}"
    signer = kept.signer if kept is not None and upstream is kept.upstream else _signer(settings, host)
    return Provider(
        name=name,
        dialects=_SIMULATED if simulated else frozenset({settings.dialect}),
        host=host,
        query=f"?{query}".encode() if query else b"",
        upstream=upstream,
        base_path=b"" if simulated else urlsplit(base_url(settings)).path.rstrip("/").encode(),
        full_paths=simulated,
        timeouts=settings.timeouts,
        keys=_keys(name, settings, host, signer is not None),
        signer=signer,
        codec=codec(settings.api) or OF_PROVIDERS[host.dialect],
        capabilities=settings.capabilities,
        drops=settings.on_unsupported == "drop",
    )


def _keys(name: str, settings: providers.Provider, host: Host, signs: bool) -> tuple[ProviderKey, ...]:
    if settings.stored:
        return tuple(
            ProviderKey(breaker=f"credential:{name}:{stored}", stored=stored) for stored in settings.stored
        )
    return tuple(
        ProviderKey(
            breaker=f"credential:{name}:{number}",
            headers=() if signs else credential(host.auth, secret.reveal()),
            secret=secret if signs else None,
        )
        for number, secret in enumerate(settings.secrets, 1)
    ) or (ProviderKey(breaker=f"credential:{name}:none"),)


_SIMULATED: Final = frozenset({"openai", "anthropic"})
"""The dialects that the simulator answers in; others are translated for it."""


def codec(api: providers.Api | None) -> Codec | None:
    """The codec of an API that the configuration names; None where it names none."""
    return None if api is None else CODECS[api]


def base_url(settings: providers.Provider) -> str:
    """The provider's address, its own or its host's public one."""
    if settings.base_url is not None:
        return settings.base_url
    host = _host(settings)
    url = host.base_urls.get(settings.location or "") or host.base_url or ""
    return _filled(url, settings)


def _host(settings: providers.Provider) -> Host:
    """The provider's row, with its own project and location in the paths."""
    if settings.host is not None:
        row = hosts.HOSTS[settings.host]
    else:
        # The simulator takes translated calls through OpenAI's API.
        row = hosts.of("openai" if settings.dialect == "simulator" else settings.dialect, settings.base_url)
    if settings.project is None:
        return row
    return msgspec.structs.replace(
        row,
        paths={name: _filled(path, settings) for name, path in row.paths.items()},
        stream_paths={name: _filled(path, settings) for name, path in row.stream_paths.items()},
    )


def _filled(template: str, settings: providers.Provider) -> str:
    for name in ("region", "project", "location"):
        template = template.replace(f"{{{name}}}", getattr(settings, name) or "")
    return template


def _signer(settings: providers.Provider, host: Host) -> Signer | None:
    if host.auth == "google":
        return GoogleTokens(partial(_connect, settings), allow_private=settings.allow_private)
    if host.auth == "sigv4":
        url = base_url(settings)
        region = settings.region or accounts.region(url) or ""
        return SigV4(urlsplit(url).netloc, region, host.signs_for)
    return None


def _same_transport(old: providers.Provider, new: providers.Provider) -> bool:
    fields = (
        "dialect", "base_url", "host", "region", "location", "transport", "proxy", "allow_private", "simulator"
    )  # fmt: skip
    return all(getattr(old, field) == getattr(new, field) for field in fields)


def _upstream(settings: providers.Provider) -> Upstream:
    if settings.dialect == "simulator":
        return Simulator(settings.simulator or providers.Simulation())
    parts = urlsplit(base_url(settings))
    return _connect(settings, f"{parts.scheme}://{parts.netloc}")


def _connect(settings: providers.Provider, origin: str) -> Upstream:
    if settings.transport == "httpx":
        return HttpxTransport(origin, allow_private=settings.allow_private, proxy=settings.proxy)
    return Http1Client(origin, allow_private=settings.allow_private)
