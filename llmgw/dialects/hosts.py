"""Hosts that speak a known wire format in their own way: rows of data, no code.

A row says where the host is, how it takes its secret, which endpoints it has and in which details its wire
differs. A new compatible host needs a row here and a recording among the fixtures. A provider's row is found by
the `host` of its configuration, or else by its base URL; what is not known is taken to be like the dialect's
own provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from llmgw.dialects.anthropic.dialect import COUNT_TOKENS, MESSAGES
from llmgw.dialects.bedrock.endpoints import CONVERSE, CONVERSE_STREAM
from llmgw.dialects.dialect import Endpoint
from llmgw.dialects.gemini import dialect as gemini
from llmgw.dialects.openai import CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS, RESPONSES

Auth = Literal["bearer", "api-key", "x-api-key", "x-goog-api-key", "sigv4", "google", "none"]


class Edit(Struct, frozen=True, kw_only=True):
    """How the body of an endpoint's request differs from the dialect's own."""

    removes: str | None = None
    """The member that it does not have."""
    adds: Mapping[str, str] = {}
    """Members that it has besides, where the client does not write them itself."""


class Host(Struct, frozen=True, kw_only=True):
    """One host's peculiarities."""

    name: str
    dialect: str
    base_url: str | None = None
    """The default; None where every account has its own. `{region}` and `{location}` are the configuration's."""
    base_urls: Mapping[str, str] = {}
    """Defaults of single locations that are elsewhere."""
    domains: tuple[str, ...] = ()
    """Host names that it is recognised by; one that begins with a dot stands for every name that ends so."""
    auth: Auth = "bearer"
    """Which header carries the secret: `Authorization: Bearer`, or the one named. With `sigv4` and `google` it is not
    sent, but signs each request or fetches a token for it."""
    signs_for: str = ""
    """`sigv4`: the name of the service in the signature."""
    endpoints: frozenset[str] = frozenset()
    """The endpoints it has, by name; empty: all of its dialect's."""
    paths: Mapping[str, str] = {}
    """Where an endpoint is, by its name, behind the base URL's path; `{model}` is the model's id, `{project}` and
    `{location}` are the configuration's."""
    stream_paths: Mapping[str, str] = {}
    """The same for streams, where they are elsewhere."""
    query: str = ""
    """Goes with every request, where the client sends none of its own."""
    takes_query: bool = True
    """Whether the client's own query goes on."""
    edits: Mapping[str, Edit] | None = None
    """Of requests, by the endpoint's name."""
    withholds: frozenset[bytes] = frozenset()
    """Header fields that do not go there; only where requests are signed."""
    renamed: Mapping[str, str] = {}
    """Request fields that have another name there; one renamed to itself is the host's own extension."""
    unsupported: frozenset[str] = frozenset()
    """Fields of the dialect's request that it refuses or ignores, so that they are losses. `developer` stands for
    the role of that name, which is then written as `system`."""
    asks_for_usage: bool = True
    """Whether streams report usage only when asked with `stream_options.include_usage`."""


def _names(*endpoints: Endpoint) -> frozenset[str]:
    return frozenset(endpoint.name for endpoint in endpoints)


_OLD_LIMIT: Final = {"max_completion_tokens": "max_tokens"}
"""Hosts that know OpenAI's older name of the limit alone."""
_OPENAI_ONLY: Final = frozenset(
    {"store", "metadata", "prompt_cache_key", "safety_identifier", "service_tier"}
)
"""Fields that steer OpenAI's own platform; compatible hosts have nothing behind them."""
_CHAT: Final = _names(CHAT_COMPLETIONS)
_AZURE_VERSION: Final = "2024-10-21"
"""The newest version that is generally available with deployment URLs (learn.microsoft.com, "API version
lifecycle"); `api_version` of the configuration goes before it."""

OPENAI: Final = Host(
    name="openai", dialect="openai", base_url="https://api.openai.com/v1", domains=("api.openai.com",)
)
ANTHROPIC: Final = Host(
    name="anthropic",
    dialect="anthropic",
    base_url="https://api.anthropic.com",
    domains=("api.anthropic.com",),
    auth="x-api-key",
)
GEMINI: Final = Host(
    name="gemini",
    dialect="gemini",
    base_url="https://generativelanguage.googleapis.com",
    domains=("generativelanguage.googleapis.com",),
    auth="x-goog-api-key",
)

_VERTEX: Final = "/v1/projects/{project}/locations/{location}/publishers"
_VERTEX_URLS: Final = {
    "global": "https://aiplatform.googleapis.com",
    "us": "https://aiplatform.us.rep.googleapis.com",
    "eu": "https://aiplatform.eu.rep.googleapis.com",
}
_VERTEX_GEMINI: Final = (
    gemini.GENERATE_CONTENT,
    gemini.STREAM_EVENTS,
    gemini.STREAM_ARRAY,
    gemini.COUNT_TOKENS,
)
_CLAUDE_VERSION: Final = {"anthropic_version": "vertex-2023-10-16"}
# cloud.google.com, "Vertex AI API", projects.locations.publishers.models: embeddings have bodies of their own.
VERTEX: Final = Host(
    name="vertex",
    dialect="gemini",
    base_url="https://{location}-aiplatform.googleapis.com",
    base_urls=_VERTEX_URLS,
    auth="google",
    endpoints=_names(*_VERTEX_GEMINI),
    paths={
        endpoint.name: _VERTEX + "/google/models/{model}" + endpoint.suffix.decode()
        for endpoint in _VERTEX_GEMINI
    },
)

_ROWS: Final = (
    OPENAI,
    ANTHROPIC,
    GEMINI,
    # docs.aws.amazon.com, "Amazon Bedrock Runtime": Converse and ConverseStream.
    Host(
        name="bedrock",
        dialect="bedrock",
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        auth="sigv4",
        signs_for="bedrock",
        paths={
            CONVERSE.name: "/model/{model}/converse",
            CONVERSE_STREAM.name: "/model/{model}/converse-stream",
        },
    ),
    VERTEX,
    # docs.claude.com, "Claude on Vertex AI": the model stands in the path, the version in the body.
    Host(
        name="vertex-anthropic",
        dialect="anthropic",
        base_url="https://{location}-aiplatform.googleapis.com",
        base_urls=_VERTEX_URLS,
        auth="google",
        endpoints=_names(MESSAGES, COUNT_TOKENS),
        paths={
            MESSAGES.name: _VERTEX + "/anthropic/models/{model}:rawPredict",
            COUNT_TOKENS.name: _VERTEX + "/anthropic/models/count-tokens:rawPredict",
        },
        stream_paths={MESSAGES.name: _VERTEX + "/anthropic/models/{model}:streamRawPredict"},
        takes_query=False,  # the SDK's ?beta=true is an unknown parameter there
        edits={
            MESSAGES.name: Edit(removes="model", adds=_CLAUDE_VERSION),
            COUNT_TOKENS.name: Edit(adds=_CLAUDE_VERSION),
        },
        withholds=frozenset({b"anthropic-version"}),
    ),
    # learn.microsoft.com, "Azure OpenAI REST API reference": the deployment stands in the path.
    Host(
        name="azure",
        dialect="openai",
        domains=(".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
        auth="api-key",
        endpoints=_names(CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS),
        paths={
            CHAT_COMPLETIONS.name: "/openai/deployments/{model}/chat/completions",
            COMPLETIONS.name: "/openai/deployments/{model}/completions",
            EMBEDDINGS.name: "/openai/deployments/{model}/embeddings",
        },
        query=f"api-version={_AZURE_VERSION}",
    ),
    # The same, "v1 API": with a base URL that ends with /openai/v1 it is like OpenAI's.
    Host(name="azure-v1", dialect="openai", auth="api-key"),
    # console.groq.com/docs/openai, "Currently unsupported": logprobs, logit_bias, top_logprobs, message names, n > 1.
    Host(
        name="groq",
        dialect="openai",
        base_url="https://api.groq.com/openai/v1",
        domains=("api.groq.com",),
        endpoints=_names(CHAT_COMPLETIONS, RESPONSES),
        unsupported=frozenset({"n", "logprobs", "top_logprobs", "logit_bias", "name", "store", "metadata"}),
        asks_for_usage=False,  # recorded: usage comes in x_groq unasked
    ),
    # docs.mistral.ai/api: unknown fields are refused with 422; the seed has another name.
    Host(
        name="mistral",
        dialect="openai",
        base_url="https://api.mistral.ai/v1",
        domains=("api.mistral.ai", "codestral.mistral.ai"),
        endpoints=_names(CHAT_COMPLETIONS, EMBEDDINGS),
        renamed={**_OLD_LIMIT, "seed": "random_seed"},
        unsupported=frozenset(
            {"logprobs", "top_logprobs", "logit_bias", "user", "developer", "verbosity", "allowed_tools"}
        )
        | (_OPENAI_ONLY - {"metadata"}),
        asks_for_usage=False,  # recorded: usage rides on the finish chunk
    ),
    # api-docs.deepseek.com, "Create chat completion".
    Host(
        name="deepseek",
        dialect="openai",
        base_url="https://api.deepseek.com/v1",
        domains=("api.deepseek.com",),
        endpoints=_names(CHAT_COMPLETIONS, COMPLETIONS),
        renamed=_OLD_LIMIT,
        unsupported=frozenset({"n", "seed", "logit_bias", "developer", "verbosity", "parallel_tool_calls"})
        | _OPENAI_ONLY,
    ),
    # docs.x.ai, "REST API reference".
    Host(
        name="xai",
        dialect="openai",
        base_url="https://api.x.ai/v1",
        domains=("api.x.ai",),
        endpoints=_names(CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS, RESPONSES),
        unsupported=frozenset({"logit_bias", "verbosity", "store", "metadata"}),
    ),
    # docs.together.ai, "Create chat completion": top_k is its own.
    Host(
        name="together",
        dialect="openai",
        base_url="https://api.together.xyz/v1",
        domains=("api.together.xyz", "api.together.ai"),
        endpoints=_names(CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS),
        renamed={**_OLD_LIMIT, "top_k": "top_k"},
        unsupported=frozenset({"developer", "verbosity", "user", "top_logprobs"}) | _OPENAI_ONLY,
        asks_for_usage=False,  # recorded: the last chunk has it
    ),
    # docs.fireworks.ai, "Create chat completion".
    Host(
        name="fireworks",
        dialect="openai",
        base_url="https://api.fireworks.ai/inference/v1",
        domains=("api.fireworks.ai",),
        endpoints=_names(CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS, RESPONSES),
        renamed={**_OLD_LIMIT, "top_k": "top_k"},
        unsupported=frozenset({"developer", "verbosity"}) | (_OPENAI_ONLY - {"metadata"}),
    ),
    # openrouter.ai/docs/api-reference: reasoning_details, cache_control and top_k are its own.
    Host(
        name="openrouter",
        dialect="openai",
        base_url="https://openrouter.ai/api/v1",
        domains=("openrouter.ai",),
        endpoints=_names(CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS, RESPONSES),
        renamed={
            **_OLD_LIMIT,
            "top_k": "top_k",
            "cache_control": "cache_control",
            "reasoning_details": "reasoning_details",
        },
        unsupported=frozenset({"store"}),
    ),
    # docs.perplexity.ai, "Chat completions": no tools; recorded: cumulative usage on several chunks.
    Host(
        name="perplexity",
        dialect="openai",
        base_url="https://api.perplexity.ai",
        domains=("api.perplexity.ai",),
        endpoints=_CHAT,
        renamed={**_OLD_LIMIT, "top_k": "top_k"},
        unsupported=frozenset(
            {
                "n",
                "seed",
                "stop",
                "logprobs",
                "top_logprobs",
                "logit_bias",
                "tools",
                "tool_choice",
                "parallel_tool_calls",
                "developer",
                "user",
                "verbosity",
            }
        )
        | _OPENAI_ONLY,
        asks_for_usage=False,
    ),
    # inference-docs.cerebras.ai, "OpenAI compatibility": the penalties and logit_bias are refused.
    Host(
        name="cerebras",
        dialect="openai",
        base_url="https://api.cerebras.ai/v1",
        domains=("api.cerebras.ai",),
        endpoints=_names(CHAT_COMPLETIONS, COMPLETIONS),
        unsupported=frozenset({"frequency_penalty", "presence_penalty", "logit_bias", "n", "verbosity"})
        | _OPENAI_ONLY,
    ),
    # docs.ollama.com/api/openai-compatibility, "Supported request fields"; Responses without stored state.
    Host(
        name="ollama",
        dialect="openai",
        base_url="http://localhost:11434/v1",
        endpoints=_names(CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS, RESPONSES),
        renamed=_OLD_LIMIT,
        unsupported=frozenset(
            {"n", "logit_bias", "user", "tool_choice", "parallel_tool_calls", "developer", "verbosity"}
        )
        | _OPENAI_ONLY,
    ),
    # docs.vllm.ai, "OpenAI-compatible server": top_k is its own.
    Host(
        name="vllm",
        dialect="openai",
        base_url="http://localhost:8000/v1",
        renamed={"top_k": "top_k"},
        unsupported=frozenset({"verbosity", "store", "safety_identifier"}),
    ),
    # lmstudio.ai/docs/app/api/endpoints/openai, "Supported payload parameters".
    Host(
        name="lmstudio",
        dialect="openai",
        base_url="http://localhost:1234/v1",
        endpoints=_names(CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS, RESPONSES),
        renamed={**_OLD_LIMIT, "top_k": "top_k"},
        unsupported=frozenset({"n", "logprobs", "top_logprobs", "user", "developer", "verbosity"})
        | _OPENAI_ONLY,
    ),
)

HOSTS: Final[Mapping[str, Host]] = {row.name: row for row in _ROWS}
"""By name, as `host` in the configuration has it."""


def of(dialect: str, base_url: str | None) -> Host:
    """The row of a provider that does not name its host: the one of its base URL's domain, or its dialect's own."""
    own = HOSTS[dialect]
    if base_url is None:
        return own
    parts = urlsplit(base_url)
    name = (parts.hostname or "").rstrip(".").lower()
    for row in _ROWS:
        if row.dialect == dialect and any(_within(name, domain) for domain in row.domains):
            if row.name == "azure" and parts.path.rstrip("/").endswith("/openai/v1"):
                return HOSTS["azure-v1"]
            return row
    return own


def _within(name: str, domain: str) -> bool:
    return name.endswith(domain) if domain.startswith(".") else name == domain
