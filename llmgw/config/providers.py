"""Providers: the upstream accounts, and how patient the gateway is with them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from llmgw.config.section import Count, Fraction, Pace, Patience, Seconds, Section, Text
from llmgw.secret import Secret

Dialect = Literal["openai", "anthropic", "gemini", "bedrock", "simulator"]
HostName = Literal[
    "openai", "anthropic", "gemini", "azure", "azure-v1", "groq", "mistral", "deepseek", "xai", "together", "fireworks",
    "openrouter", "perplexity", "cerebras", "ollama", "vllm", "lmstudio", "bedrock", "vertex", "vertex-anthropic",
]  # fmt: skip
"""The rows of `dialects/hosts.py`, which stand a layer above; a test compares the two."""


class Timeouts(Section):
    """Limits on the wait for a provider; each that passes answers 504."""

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
    min_tokens_per_s: Annotated[
        Pace, Meta(description="A stream that writes fewer in any `idle` is broken off; 0: none is.")
    ] = 0.0


class TimeoutOverrides(Section):
    """The same for one target; what is absent is taken from the provider."""

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
    min_tokens_per_s: Annotated[
        Pace | None, Meta(description="A stream that writes fewer in any `idle` is broken off; 0: none is.")
    ] = None


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
    api_keys: Annotated[
        tuple[Secret, ...],
        Meta(
            description="Several instead of api_key. One that the provider refuses (401, 402, 403) is left alone for a "
            "while, and the next is used."
        ),
    ] = ()
    credential: Annotated[
        Text | None, Meta(description="Name of a stored, encrypted secret (llmgw credentials set).")
    ] = None
    credentials: Annotated[
        tuple[Text, ...], Meta(description="Several instead of credential, used as api_keys are.")
    ] = ()
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

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets in the file, in the order of their use."""
        return self.api_keys if self.api_key is None else (self.api_key,)

    @property
    def stored(self) -> tuple[str, ...]:
        """The names of stored secrets, in the order of their use."""
        return self.credentials if self.credential is None else (self.credential,)
