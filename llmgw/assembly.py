"""The composition root: the only module that knows which adapter stands behind which port.

An `Installation` is what outlives a reload: the store, the keyring, the telemetry. A `Gateway` is assembled
from it and one version of the configuration, as often as that changes. Commands use the same openers.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from llmgw.config import accounts, schema
from llmgw.config.read import load
from llmgw.config.schema import Config, Timeouts
from llmgw.dialects import hosts
from llmgw.dialects.anthropic.dialect import VERSION
from llmgw.dialects.auth import credential
from llmgw.dialects.codec import Codec
from llmgw.dialects.dialect import ModelCard
from llmgw.dialects.hosts import Host
from llmgw.dialects.known import CODECS, OF_PROVIDERS
from llmgw.errors import CallError, ConfigInvalid
from llmgw.flow.alarm import Alarm
from llmgw.flow.gateway import MODEL_CREATED, Gateway, Provider, Target, target_of
from llmgw.flow.watch import Watch
from llmgw.kms import local
from llmgw.kms.local import LocalKms
from llmgw.ports import Header, Signer, Upstream, UpstreamRequest
from llmgw.rules import catalogue, limits
from llmgw.rules.price_book import PriceBook
from llmgw.standalone import migrations, store
from llmgw.standalone.directory import SqliteDirectory
from llmgw.standalone.journal import SpoolJournal
from llmgw.standalone.ledger import SqliteLedger
from llmgw.standalone.lock import StoreLock
from llmgw.standalone.meter import MemoryMeter
from llmgw.standalone.registry import SqliteRegistry
from llmgw.standalone.reports import SqliteReports
from llmgw.standalone.request_log import RequestLog, path_beside
from llmgw.telemetry import Telemetry
from llmgw.upstream.http1 import Http1Client
from llmgw.upstream.httpx_transport import HttpxTransport
from llmgw.upstream.signing.google import GoogleTokens
from llmgw.upstream.signing.sigv4 import SigV4
from llmgw.upstream.simulator import Simulator

REACH_S: Final = 5.0
"""How long `reach` waits for a provider's answer."""


def store_path(config: Config, base: Path) -> Path:
    """The SQLite file; a relative path is relative to the configuration file's folder."""
    return base / config.store.url.removeprefix("sqlite:///")


def keyring_path(config: Config, base: Path) -> Path:
    """The keyring file, likewise."""
    return base / config.kms.keyring


def open_kms(config: Config, base: Path) -> LocalKms:
    """The keys that open stored secrets; StoreUnavailable or OperatorError where they cannot be had."""
    return LocalKms.load(keyring_path(config, base))


def create_kms(config: Config, base: Path) -> bool:
    """Make a keyring where there is none; False where there is."""
    path = keyring_path(config, base)
    if path.exists() or path.is_symlink():
        return False
    local.create(path)
    return True


def open_registry(config: Config, base: Path) -> SqliteRegistry:
    """What operators manage; StoreUnavailable where there is no store, or its schema is another."""
    return SqliteRegistry(store_path(config, base))


def open_reports(config: Config, base: Path) -> SqliteReports:
    """The ledger for operators; StoreUnavailable likewise."""
    return SqliteReports(store_path(config, base))


def create_store(config: Config, base: Path) -> bool:
    """Make the store where there is none and bring its schema up to date; whether it was made."""
    path = store_path(config, base)
    made = store.create(path)
    migrations.up(path)
    return made


def migrate(config: Config, base: Path) -> list[migrations.Applied]:
    """Take the pending steps of the store's schema, making the store where there is none."""
    path = store_path(config, base)
    store.create(path)
    return migrations.up(path)


def migration_status(config: Config, base: Path) -> migrations.Status:
    """Which steps of the schema the store has taken."""
    return migrations.status(store_path(config, base))


class Reach(Struct, frozen=True, kw_only=True):
    """What came of asking a provider for its list of models. `clock_skew_s`: ours minus the provider's; `proven`:
    whether a secret of the configuration went along."""

    proven: bool = False
    status: int | None = None
    wait_s: float = 0.0
    clock_skew_s: float | None = None
    problem: str | None = None


def reach(config: Config) -> dict[str, Reach]:
    """Ask every provider, by the way that calls take: guard, transport, secret.

    Where requests are signed, listing models takes other rights than calling them, so `/` is asked for: that tries the
    address, and with Google also whether the secret gets a token.
    """

    async def ask_all() -> dict[str, Reach]:
        return {name: await _ask(name, settings) for name, settings in config.providers.items()}

    return asyncio.run(ask_all())


async def _ask(name: str, settings: schema.Provider) -> Reach:
    if settings.dialect == "simulator":
        return Reach()
    provider = _provider(name, settings, None)
    path = provider.base_path + (_LISTS[settings.dialect] if provider.signer is None else b"/")
    headers = (*provider.headers, (b"accept-encoding", b"identity"))
    if settings.dialect == "anthropic":
        headers += ((b"anthropic-version", VERSION),)
    answer = _Answer()
    began = time.monotonic()
    try:
        async with asyncio.timeout(settings.timeouts.connect_s + REACH_S):
            request = UpstreamRequest(method=b"GET", target=path, headers=headers, body=b"")
            if provider.signer is not None and provider.secret is not None:
                signed = await provider.signer.headers(provider.secret, request, time.time())
                request = msgspec.structs.replace(request, headers=(*headers, *signed))
            transfer = await provider.upstream.send(
                request, answer, connect_timeout_s=settings.timeouts.connect_s
            )
            status, date = await answer.came
            transfer.abort()
    except CallError as error:
        return Reach(problem=error.detail or error.message)
    except TimeoutError:
        return Reach(problem=f"did not answer within {REACH_S:g} s")
    finally:
        await provider.aclose()
    skew = None if date is None else time.time() - parsedate_to_datetime(date).timestamp()
    return Reach(
        proven=settings.api_key is not None, status=status, wait_s=time.monotonic() - began, clock_skew_s=skew
    )


_LISTS: Final = {"openai": b"/models", "anthropic": b"/v1/models", "gemini": b"/v1beta/models"}


class _Answer:
    """A receiver that waits for the head alone."""

    def __init__(self) -> None:
        self.came: asyncio.Future[tuple[int, str | None]] = asyncio.get_running_loop().create_future()

    def head(self, status: int, headers: list[Header]) -> None:
        date = dict(headers).get(b"date")
        self.came.set_result((status, date.decode("latin-1") if date is not None else None))

    def data(self, data: bytes) -> None:
        """The body is of no interest."""

    def end(self) -> None:
        """Nor is its end."""

    def failed(self, error: CallError) -> None:
        if not self.came.done():
            self.came.set_exception(error)


class Installation:
    """One gateway process's long-lived parts; a context manager around its whole run.

    Raises, on entering:
        OperatorError: another process serves this store, or a part cannot be opened.
    """

    telemetry: Telemetry
    directory: SqliteDirectory
    journal: SpoolJournal
    meter: MemoryMeter
    alarm: Alarm

    def __init__(self, path: Path, config: Config) -> None:
        self.path = path
        self.config = config
        self._version = _version(path)
        self._parts = ExitStack()

    def __enter__(self) -> Self:
        base = self.path.parent
        with ExitStack() as parts:
            requests = parts.enter_context(
                RequestLog(path_beside(store_path(self.config, base)), self.config.telemetry.queue)
            )
            self.telemetry = parts.enter_context(
                Telemetry(self.config.telemetry, webhook=self.config.limits.webhook, keeper=requests)
            )
            kms = open_kms(self.config, base)
            parts.enter_context(StoreLock(store_path(self.config, base)))
            path = store_path(self.config, base)
            self.directory = parts.enter_context(SqliteDirectory(path, kms))
            self.journal = parts.enter_context(SpoolJournal(path))
            self.telemetry.follow(self.journal)
            self.meter = MemoryMeter(parts.enter_context(SqliteLedger(path, self.journal)))
            self.alarm = Alarm(self.meter, self.telemetry)
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
        providers = {name: _provider(name, settings, previous) for name, settings in config.providers.items()}
        prices = PriceBook(config.prices)
        targets = {name: _target(name, model, providers, prices) for name, model in config.models.items()}
        cards = {
            name: ModelCard(id=name, owned_by=target.provider.name, created=MODEL_CREATED)
            for name, target in targets.items()
        }
        return Gateway(
            config=config,
            version=self._version,
            directory=self.directory,
            meter=self.meter,
            journal=self.journal,
            sink=self.telemetry,
            alarm=self.alarm,
            watch=previous.watch if previous is not None else Watch(),
            providers=providers,
            targets=targets,
            cards=cards,
            prices=prices,
            direct={},
            limits=limits.read(config.limits),
            applied={},
        )


def _version(path: Path) -> str:
    """A short name of the file's content."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise ConfigInvalid(f"Cannot read {path}: {error.strerror}.") from error


def _provider(name: str, settings: schema.Provider, previous: Gateway | None) -> Provider:
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
    headers: tuple[Header, ...] = ()
    signer = kept.signer if kept is not None and upstream is kept.upstream else _signer(settings, host)
    if settings.api_key is not None and signer is None:
        headers = credential(host.auth, settings.api_key.reveal())
    return Provider(
        name=name,
        dialects=_SIMULATED if simulated else frozenset({settings.dialect}),
        host=host,
        query=f"?{query}".encode() if query else b"",
        upstream=upstream,
        base_path=b"" if simulated else urlsplit(base_url(settings)).path.rstrip("/").encode(),
        full_paths=simulated,
        timeouts=settings.timeouts,
        headers=headers,
        secret=None if signer is None else settings.api_key,
        signer=signer,
        credential=settings.credential,
        codec=_codec(settings.api) or OF_PROVIDERS[host.dialect],
        capabilities=settings.capabilities,
        drops=settings.on_unsupported == "drop",
    )


_SIMULATED: Final = frozenset({"openai", "anthropic"})
"""The dialects that the simulator answers in; others are translated for it."""


def _codec(api: schema.Api | None) -> Codec | None:
    return None if api is None else CODECS[api]


def base_url(settings: schema.Provider) -> str:
    """The provider's address, its own or its host's public one."""
    if settings.base_url is not None:
        return settings.base_url
    host = _host(settings)
    url = host.base_urls.get(settings.location or "") or host.base_url or ""
    return _filled(url, settings)


def _host(settings: schema.Provider) -> Host:
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


def _filled(template: str, settings: schema.Provider) -> str:
    for name in ("region", "project", "location"):
        template = template.replace(f"{{{name}}}", getattr(settings, name) or "")
    return template


def _signer(settings: schema.Provider, host: Host) -> Signer | None:
    if host.auth == "google":
        return GoogleTokens(partial(_connect, settings), allow_private=settings.allow_private)
    if host.auth == "sigv4":
        url = base_url(settings)
        region = settings.region or accounts.region(url) or ""
        return SigV4(urlsplit(url).netloc, region, host.signs_for)
    return None


def _same_transport(old: schema.Provider, new: schema.Provider) -> bool:
    fields = (
        "dialect", "base_url", "host", "region", "location", "transport", "proxy", "allow_private", "simulator"
    )  # fmt: skip
    return all(getattr(old, field) == getattr(new, field) for field in fields)


def _upstream(settings: schema.Provider) -> Upstream:
    if settings.dialect == "simulator":
        return Simulator(settings.simulator or schema.Simulation())
    parts = urlsplit(base_url(settings))
    return _connect(settings, f"{parts.scheme}://{parts.netloc}")


def _connect(settings: schema.Provider, origin: str) -> Upstream:
    if settings.transport == "httpx":
        return HttpxTransport(origin, allow_private=settings.allow_private, proxy=settings.proxy)
    return Http1Client(origin, allow_private=settings.allow_private)


def _target(name: str, model: schema.Model, providers: dict[str, Provider], prices: PriceBook) -> Target:
    written = model.targets[0]
    target = schema.Target(use=written) if isinstance(written, str) else written
    provider_name, _, model_id = target.use.partition("/")
    provider = providers[provider_name]
    overrides = msgspec.structs.asdict(target.timeouts)
    timeouts: Timeouts = msgspec.structs.replace(
        provider.timeouts, **{name: value for name, value in overrides.items() if value is not None}
    )
    return target_of(
        provider,
        model_id,
        timeouts=timeouts,
        codec=_codec(target.api),
        capabilities=model.capabilities,
        drops=None if model.on_unsupported is None else model.on_unsupported == "drop",
        drain_s=model.drain_s if model.on_disconnect == "drain" else 0.0,
        prices=prices.find(provider.name, model_id, name, provider.host.name),
        asked_prices=() if name == model_id else catalogue.find(name, None),
    )
