"""The configuration as frozen, typed values; the single source of its names, defaults and JSON Schema.

The YAML names are the contract with users; the Python names carry the unit (`drain` in the file is
`drain_s` here). `config/read.py` turns text into these values and reports every fault with its line;
nothing here reads a file. Descriptions are the user documentation: `llmgw config schema` prints them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from llmgw.config.limits import Limits
from llmgw.config.prices import ModelPrices
from llmgw.config.section import Bytes, Count, Fraction, Patience, Port, Seconds, Section, Text
from llmgw.secret import Secret

Dialect = Literal["openai", "anthropic", "gemini", "bedrock", "simulator"]
HostName = Literal[
    "openai", "anthropic", "gemini", "azure", "azure-v1", "groq", "mistral", "deepseek", "xai", "together", "fireworks",
    "openrouter", "perplexity", "cerebras", "ollama", "vllm", "lmstudio", "bedrock", "vertex", "vertex-anthropic",
]  # fmt: skip
"""The rows of `dialects/hosts.py`, which stand a layer above; a test compares the two."""
Strategy = Literal["fallback", "weighted", "cheapest", "fastest", "least_busy"]


class Server(Section):
    """Where the data plane listens and how it stops."""

    host: Annotated[
        Text, Meta(description="Address to listen on; 0.0.0.0 or :: to be reachable from elsewhere.")
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port to listen on; 0 takes a free one.")] = 8080
    workers: Annotated[Count, Meta(description="Processes; more than one needs the cluster store.")] = 1
    max_body_bytes: Annotated[
        Bytes, Meta(description="Largest request body; a larger one is answered 413.")
    ] = field(default=32 * 1024 * 1024, name="max_body")
    drain_s: Annotated[
        Seconds, Meta(description="How long SIGTERM lets running calls finish before they are broken off.")
    ] = field(default=30.0, name="drain")


class Store(Section):
    """Standalone: a SQLite file. Cluster: Postgres and Redis together."""

    url: Annotated[
        Text,
        Meta(description="sqlite:///PATH, a relative path being relative to this file; or postgresql://."),
    ] = "sqlite:///llmgw.db"
    redis_url: Annotated[Text | None, Meta(description="redis:// URL; goes with a Postgres store.")] = None


class Kms(Section):
    """Who wraps the data keys that stored secrets are encrypted with."""

    provider: Annotated[
        Literal["local", "aws", "vault"],
        Meta(description="The local keyring file, AWS KMS or Vault transit."),
    ] = "local"
    keyring: Annotated[
        Text, Meta(description="local: path of the keyring file; a relative one is relative to this file.")
    ] = "./llmgw.keyring"
    key_id: Annotated[Text | None, Meta(description="aws: id, ARN or alias of the key.")] = None
    region: Annotated[Text | None, Meta(description="aws: region of the key.")] = None
    endpoint_url: Annotated[Text | None, Meta(description="aws: another endpoint than the region's.")] = None
    address: Annotated[Text | None, Meta(description="vault: URL of the server.")] = None
    mount: Annotated[Text | None, Meta(description="vault: where the transit engine is mounted.")] = None
    key: Annotated[Text | None, Meta(description="vault: name of the transit key.")] = None


class Timeouts(Section):
    """Four limits on the wait for a provider; each that passes answers 504."""

    connect_s: Annotated[Patience, Meta(description="For a connection, TLS included.")] = field(
        default=5.0, name="connect"
    )
    first_token_s: Annotated[
        Patience, Meta(description="For the first content of a stream, or the head of a plain answer.")
    ] = field(default=60.0, name="first_token")
    idle_s: Annotated[Patience, Meta(description="Between two pieces of an answer.")] = field(
        default=60.0, name="idle"
    )
    total_s: Annotated[Patience, Meta(description="For the whole call, over all its attempts.")] = field(
        default=600.0, name="total"
    )


class TimeoutOverrides(Section):
    """The same four for one target; what is absent is taken from the provider."""

    connect_s: Annotated[Patience | None, Meta(description="For a connection, TLS included.")] = field(
        default=None, name="connect"
    )
    first_token_s: Annotated[
        Patience | None, Meta(description="For the first content of a stream, or the head of a plain answer.")
    ] = field(default=None, name="first_token")
    idle_s: Annotated[Patience | None, Meta(description="Between two pieces of an answer.")] = field(
        default=None, name="idle"
    )
    total_s: Annotated[Patience | None, Meta(description="For the whole call, over all its attempts.")] = (
        field(default=None, name="total")
    )


class Simulation(Section):
    """How the built-in simulated provider behaves; the defaults answer at once and never fail."""

    first_token_s: Annotated[Seconds, Meta(description="Wait before the first token.")] = field(
        default=0.0, name="first_token"
    )
    tokens_per_second: Annotated[
        float, Meta(ge=0, description="Pace of a stream; 0 is as fast as the client reads.")
    ] = 0.0
    output_tokens: Annotated[int, Meta(ge=1, le=100_000, description="Length of an answer.")] = 16
    error_rate: Annotated[Fraction, Meta(description="Share of calls answered with error_status.")] = 0.0
    error_status: Annotated[int, Meta(ge=400, le=599, description="HTTP status of those answers.")] = 500
    cut_rate: Annotated[Fraction, Meta(description="Share of calls broken off halfway.")] = 0.0


class Capabilities(Section):
    """What a model can do, where the built-in table does not know it or is wrong; null leaves it to the table."""

    vision: Annotated[bool | None, Meta(description="Takes images.")] = None
    audio: Annotated[bool | None, Meta(description="Takes sound.")] = None
    documents: Annotated[bool | None, Meta(description="Takes documents such as PDF.")] = None
    tools: Annotated[bool | None, Meta(description="Calls functions.")] = None
    json_schema: Annotated[bool | None, Meta(description="Keeps to a JSON Schema.")] = None
    reasoning: Annotated[
        Literal["none", "effort", "budget", "adaptive", "level"] | None,
        Meta(
            description="How it is told to think: not at all, by effort, token budget, adaptively, by level."
        ),
    ] = None
    sampling: Annotated[bool | None, Meta(description="Takes temperature and top_p.")] = None
    max_output: Annotated[Count | None, Meta(description="Tokens of its longest answer.")] = None


OnUnsupported = Literal["refuse", "drop"]
Api = Literal["chat_completions", "responses"]


class Provider(Section):
    """One upstream account: its wire format, address, secret and patience."""

    dialect: Annotated[
        Dialect, Meta(description="The API it speaks; simulator answers from inside the process.")
    ]
    base_url: Annotated[
        Text | None,
        Meta(
            description="As the provider's own SDK takes it: OpenAI with /v1, Anthropic and Gemini without. "
            "Default: the provider's public API."
        ),
    ] = None
    host: Annotated[
        HostName | None,
        Meta(
            description="Whose peculiarities the wire format has; default: what base_url's domain says, or "
            "the dialect's own provider. Gives the default of base_url."
        ),
    ] = None
    api_version: Annotated[
        Text | None, Meta(description="azure: the api-version of deployment URLs, instead of our default.")
    ] = None
    region: Annotated[
        Text | None, Meta(description="bedrock: the AWS region, unless base_url names it: us-east-1.")
    ] = None
    project: Annotated[
        Text | None, Meta(description="vertex, vertex-anthropic: the Google Cloud project.")
    ] = None
    location: Annotated[
        Text | None,
        Meta(description="vertex, vertex-anthropic: where the models run: us-central1, or global."),
    ] = None
    api_key: Annotated[
        Secret | None,
        Meta(
            description="The provider's secret, from the environment: ${OPENAI_API_KEY}. bedrock: an API key, "
            "ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN], or the JSON of aws configure export-credentials; vertex, "
            "vertex-anthropic: the JSON of a service account or of gcloud auth application-default login."
        ),
    ] = None
    credential: Annotated[
        Text | None, Meta(description="Name of a stored, encrypted secret (llmgw credentials set).")
    ] = None
    timeouts: Timeouts = Timeouts()
    transport: Annotated[
        Literal["http1", "httpx"],
        Meta(description="http1 is our own client; httpx adds HTTP/2, proxies and SOCKS."),
    ] = "http1"
    proxy: Annotated[
        Text | None, Meta(description="http://, https:// or socks5:// URL; needs transport: httpx.")
    ] = None
    allow_private: Annotated[
        bool, Meta(description="Allow private, loopback and link-local addresses: local models.")
    ] = False
    simulator: Simulation | None = None
    api: Annotated[
        Api | None,
        Meta(
            description="openai: the API that translated calls are sent through; default chat_completions. "
            "With responses, chat completions are translated too."
        ),
    ] = None
    on_unsupported: Annotated[
        OnUnsupported,
        Meta(
            description="A parameter that a target cannot honour: refuse the call with 400, or drop the "
            "parameter and say so in x-llmgw-dropped."
        ),
    ] = "refuse"
    capabilities: Capabilities = Capabilities()


class Target(Section):
    """A provider and a model id, with its own share and patience."""

    use: Annotated[Text, Meta(description="provider/model, such as openai/gpt-4o.")]
    weight: Annotated[float, Meta(ge=0, description="Share of the calls, with strategy: weighted.")] = 1.0
    timeouts: TimeoutOverrides = TimeoutOverrides()
    api: Annotated[Api | None, Meta(description="As the provider's api, for this target alone.")] = None


RetryClass = Annotated[int, Meta(ge=400, le=599)] | Literal["connect", "timeout"]


class Retries(Section):
    """Tries per target and what is worth another try."""

    attempts: Annotated[int, Meta(ge=1, le=10, description="Tries per target, the first included.")] = 2
    retry_on: Annotated[
        tuple[RetryClass, ...],
        Meta(description="HTTP statuses, connect (no connection) and timeout that are worth another try."),
    ] = (408, 429, 500, 502, 503, 504, 529, "connect", "timeout")


class Model(Section):
    """A name that clients ask for, and the targets behind it."""

    targets: Annotated[
        tuple[Text | Target, ...],
        Meta(min_length=1, description="What serves it, in order; provider/model is short for {use: ...}."),
    ]
    strategy: Annotated[Strategy, Meta(description="How a target is chosen.")] = "fallback"
    retries: Retries = Retries()
    on_unsupported: Annotated[
        OnUnsupported | None, Meta(description="As the provider's, for this name alone.")
    ] = None
    capabilities: Capabilities = Capabilities()
    on_disconnect: Annotated[
        Literal["cancel", "drain"],
        Meta(
            description="When a client leaves: break the provider's answer off, or read it to its end so that "
            "the provider's own count is billed."
        ),
    ] = "cancel"
    drain_s: Annotated[
        Seconds, Meta(description="How long an answer is read on for nobody, with on_disconnect: drain.")
    ] = field(default=30.0, name="drain")


class Telemetry(Section):
    """What is told to the outside, and how much of it is kept waiting."""

    queue: Annotated[
        Count, Meta(description="Records waiting to be written; more are dropped and counted.")
    ] = 10_000
    otlp_endpoint: Annotated[
        str, Meta(description="Base URL for traces, OTLP over HTTP; empty exports none.")
    ] = ""
    sample: Annotated[Fraction, Meta(description="Share of calls that are traced.")] = 0.01
    content: Annotated[
        Literal["none", "metadata", "full"], Meta(description="What is kept of prompts and answers.")
    ] = "none"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least severe line that is logged."),
    ] = "info"


class Admin(Section):
    """The control plane's listener."""

    enabled: Annotated[bool, Meta(description="Whether there is one.")] = True
    host: Annotated[Text, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[
        Port | Literal["same"], Meta(description="Port to listen on; same is beside the data plane.")
    ] = 8081


class Governance(Section):
    """What becomes of a call that violates a policy."""

    mode: Annotated[
        Literal["strict", "audit"], Meta(description="strict refuses it; audit allows and records it.")
    ] = "strict"


class Breakers(Section):
    """When a failing target is left alone, and for how long."""

    failures: Annotated[Count, Meta(description="Failures within the window that open the breaker.")] = 5
    window_s: Annotated[Patience, Meta(description="The time in which failures are counted.")] = field(
        default=30.0, name="window"
    )
    cooldown_s: Annotated[Patience, Meta(description="How long an open breaker keeps calls away.")] = field(
        default=15.0, name="cooldown"
    )
    half_open: Annotated[Count, Meta(description="Calls let through to try it after that.")] = 1


class RouteCondition(Section):
    """What a call must be for a route or a policy to apply; what is absent matches everything."""

    model: Annotated[Text | None, Meta(description="The model asked for; * stands for any text.")] = None
    org: Annotated[tuple[Text, ...], Meta(description="Any of these organisations.")] = ()
    key: Annotated[tuple[Text, ...], Meta(description="Any of these virtual keys.")] = ()
    tags: Annotated[dict[str, str], Meta(description="All of these tags, each with this value.")] = field(
        default_factory=dict
    )
    max_input_tokens: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="At most this long an input.")
    ] = None
    min_input_tokens: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="At least this long an input.")
    ] = None


class Route(Section):
    """Sends matching calls to another model; the first match wins."""

    name: Annotated[Text, Meta(description="What decisions and metrics call it.")]
    to: Annotated[Text, Meta(description="A model of this file, or provider/model.")]
    when: RouteCondition = RouteCondition()
    mode: Annotated[
        Literal["enforce", "shadow"], Meta(description="shadow decides and records, and sends as asked.")
    ] = "enforce"
    flag: Annotated[Text | None, Meta(description="Only while this flag is on.")] = None


class Policy(Section):
    """Refuses matching calls, with the reason that the client is told."""

    name: Annotated[Text, Meta(description="What the audit calls it.")]
    deny: Annotated[Text, Meta(description="The reason, as the client is told it.")]
    when: RouteCondition = RouteCondition()


class Flag(Section):
    """A switch that routes can hang on."""

    default: Annotated[bool, Meta(description="Its state until somebody sets it.")] = False


class Config(Section):
    """The whole file."""

    version: Annotated[Literal[1], Meta(description="Version of this format.")]
    server: Server = Server()
    store: Store = Store()
    kms: Kms = Kms()
    providers: Annotated[
        dict[str, Provider], Meta(description="Upstream accounts, by the name that stands in provider/model.")
    ] = field(default_factory=dict)
    models: Annotated[dict[str, Model], Meta(description="The names that clients ask for.")] = field(
        default_factory=dict
    )
    models_only: Annotated[
        bool, Meta(description="Refuse a provider/model id in a request: only the names above are served.")
    ] = False
    routes: Annotated[
        tuple[Route, ...], Meta(description="The first that matches wins; none: the model as asked.")
    ] = ()
    breakers: Breakers = Breakers()
    limits: Limits = Limits()
    prices: Annotated[
        dict[str, ModelPrices],
        Meta(
            description="What models cost, before the bundled catalogue: by provider/model or model, * stands for any "
            "text; or by the name that clients ask for, where nothing else is known."
        ),
    ] = field(default_factory=dict)
    governance: Governance = Governance()
    policies: Annotated[tuple[Policy, ...], Meta(description="Every one that matches refuses the call.")] = ()
    flags: Annotated[dict[str, Flag], Meta(description="Switches, by name.")] = field(default_factory=dict)
    telemetry: Telemetry = Telemetry()
    admin: Admin = Admin()
