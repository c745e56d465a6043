"""The configuration as frozen, typed values; the single source of its names, defaults and JSON Schema.

The YAML names are the contract with users; the Python names carry the unit (`drain` in the file is
`drain_s` here). `config/read.py` turns text into these values and reports every fault with its line;
nothing here reads a file. Descriptions are the user documentation: `llmgw config schema` prints them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from llmgw.secret import Secret

# `extra["unit"]` tells the reader how to parse the text form of a value.
Seconds = Annotated[
    float, Meta(ge=0, extra={"unit": "duration"}, description="duration: 500ms 30s 5m 24h 30d")
]
Bytes = Annotated[int, Meta(ge=0, extra={"unit": "size"}, description="size: 512B 64KiB 32MiB 1GiB")]
Port = Annotated[int, Meta(ge=0, le=65535)]
Fraction = Annotated[float, Meta(ge=0, le=1)]

Dialect = Literal["openai", "anthropic", "gemini", "simulator"]
Strategy = Literal["fallback", "weighted", "cheapest", "fastest", "least_busy"]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One mapping of the file; unknown keys are errors."""


class Server(Section):
    """Where the data plane listens and how it stops."""

    host: str = "127.0.0.1"
    port: Port = 8080
    workers: Annotated[int, Meta(ge=1, description="processes; more than one needs the cluster store")] = 1
    max_body_bytes: Bytes = field(default=32 * 1024 * 1024, name="max_body")
    drain_s: Seconds = field(default=30.0, name="drain")


class Store(Section):
    """Standalone: a SQLite file. Cluster: Postgres and Redis together."""

    url: str = "sqlite:///llmgw.db"
    redis_url: str | None = None


class Kms(Section):
    """Who wraps the data keys: the local keyring file, AWS KMS or Vault transit."""

    provider: Literal["local", "aws", "vault"] = "local"
    keyring: Annotated[str, Meta(description="local: path of the keyring file, relative to this file")] = (
        "./llmgw.keyring"
    )
    key_id: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    address: str | None = None
    mount: str | None = None
    key: str | None = None


class Timeouts(Section):
    """Four limits on the wait for a provider; each that passes answers 504."""

    connect_s: Seconds = field(default=5.0, name="connect")
    first_token_s: Annotated[
        Seconds, Meta(description="until the first content of a stream, or the head of a plain answer")
    ] = field(default=60.0, name="first_token")
    idle_s: Annotated[Seconds, Meta(description="between two pieces of an answer")] = field(
        default=60.0, name="idle"
    )
    total_s: Annotated[Seconds, Meta(description="of the call, over all its attempts")] = field(
        default=600.0, name="total"
    )


class TimeoutOverrides(Section):
    """The same four for one target; what is absent is taken from the provider."""

    connect_s: Seconds | None = field(default=None, name="connect")
    first_token_s: Seconds | None = field(default=None, name="first_token")
    idle_s: Seconds | None = field(default=None, name="idle")
    total_s: Seconds | None = field(default=None, name="total")


class Simulation(Section):
    """How the built-in simulated provider behaves; the defaults answer at once and never fail."""

    first_token_s: Seconds = field(default=0.0, name="first_token")
    tokens_per_second: Annotated[float, Meta(ge=0, description="0: as fast as the client reads")] = 0.0
    output_tokens: Annotated[int, Meta(ge=1, le=100_000)] = 16
    error_rate: Annotated[Fraction, Meta(description="share of calls answered with error_status")] = 0.0
    error_status: Annotated[int, Meta(ge=400, le=599)] = 500
    cut_rate: Annotated[Fraction, Meta(description="share of calls broken off halfway")] = 0.0


class Provider(Section):
    """One upstream account: its wire format, address, secret and patience."""

    dialect: Dialect
    base_url: Annotated[
        str | None, Meta(description="as the provider's own SDK takes it; default: the provider's public API")
    ] = None
    api_key: Annotated[Secret | None, Meta(description="from the environment: ${OPENAI_API_KEY}")] = None
    credential: Annotated[str | None, Meta(description="name of a stored, encrypted credential")] = None
    timeouts: Timeouts = Timeouts()
    transport: Literal["http1", "httpx"] = "http1"
    proxy: Annotated[str | None, Meta(description="http:// or socks5:// URL; needs transport: httpx")] = None
    allow_private: Annotated[
        bool, Meta(description="allow private, loopback and link-local addresses (local models)")
    ] = False
    simulator: Annotated[Simulation | None, Meta(description="dialect simulator only")] = None


class Target(Section):
    """A provider and a model id, `provider/model`, with its own share and patience."""

    use: str
    weight: Annotated[float, Meta(ge=0)] = 1.0
    timeouts: TimeoutOverrides = TimeoutOverrides()


RetryClass = int | Literal["connect", "timeout"]


class Retries(Section):
    """Tries per target and what is worth another try."""

    attempts: Annotated[int, Meta(ge=1, le=10)] = 2
    retry_on: tuple[RetryClass, ...] = (408, 429, 500, 502, 503, 504, 529, "connect", "timeout")


class Model(Section):
    """A name that clients ask for, and the targets behind it (a bare `provider/model` is short for `use`)."""

    targets: Annotated[tuple[str | Target, ...], Meta(min_length=1)]
    strategy: Strategy = "fallback"
    retries: Retries = Retries()


class Telemetry(Section):
    """What is told to the outside, and how much of it is kept waiting."""

    queue: Annotated[
        int, Meta(ge=1, description="records waiting to be written; more are dropped and counted")
    ] = 10_000
    otlp_endpoint: str = ""
    sample: Fraction = 0.01
    content: Literal["none", "metadata", "full"] = "none"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Admin(Section):
    """The control plane's listener."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Annotated[Port | Literal["same"], Meta(description="same: beside the data plane")] = 8081


class KeyLimits(Section):
    """Limits of one virtual key; null is no limit."""

    rpm: Annotated[int, Meta(ge=1)] | None = None
    tpm: Annotated[int, Meta(ge=1)] | None = None
    max_parallel: Annotated[int, Meta(ge=1)] | None = None


class Limits(Section):
    """What keys may use unless they say otherwise."""

    default_key: KeyLimits = KeyLimits()
    on_shared_loss: Literal["local", "open", "closed"] = "local"


class Governance(Section):
    """Whether violations of policies are refused (strict) or recorded (audit)."""

    mode: Literal["strict", "audit"] = "strict"


class Breakers(Section):
    """When a failing target is left alone, and for how long."""

    failures: Annotated[int, Meta(ge=1)] = 5
    window_s: Seconds = field(default=30.0, name="window")
    cooldown_s: Seconds = field(default=15.0, name="cooldown")
    half_open: Annotated[int, Meta(ge=1)] = 1


class RouteCondition(Section):
    """What a call must be for a route or a policy to apply; what is absent matches everything."""

    model: str | None = None
    org: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    max_input_tokens: Annotated[int, Meta(ge=0)] | None = None
    min_input_tokens: Annotated[int, Meta(ge=0)] | None = None


class Route(Section):
    """Sends matching calls to another model; the first match wins."""

    name: str
    to: str
    when: RouteCondition = RouteCondition()
    mode: Literal["enforce", "shadow"] = "enforce"
    flag: str | None = None


class Policy(Section):
    """Refuses matching calls, with the reason that the client is told."""

    name: str
    deny: str
    when: RouteCondition = RouteCondition()


class Flag(Section):
    """A switch that routes can hang on."""

    default: bool = False


class Config(Section):
    """The whole file."""

    version: Literal[1]
    server: Server = Server()
    store: Store = Store()
    kms: Kms = Kms()
    providers: dict[str, Provider] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    models_only: Annotated[bool, Meta(description="refuse provider/model ids that no model names")] = False
    routes: tuple[Route, ...] = ()
    breakers: Breakers = Breakers()
    limits: Limits = Limits()
    governance: Governance = Governance()
    policies: tuple[Policy, ...] = ()
    flags: dict[str, Flag] = field(default_factory=dict)
    telemetry: Telemetry = Telemetry()
    admin: Admin = Admin()
