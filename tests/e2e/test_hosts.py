"""Every host of the OpenAI dialect through a real gateway: where a request goes, how it is proved, what its wire lacks.

The expectations are written down here from each host's own documentation, not taken from the table that is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx
import pytest

from llmgw.dialects import hosts
from tests.e2e.conftest import ONCE, UPSTREAM_KEY
from tests.gateway import Gateway, House, installed
from tests.provider import Provider

BEARER: Final = ("authorization", f"Bearer {UPSTREAM_KEY}")
KEY: Final = ("api-key", UPSTREAM_KEY)
OLD: Final = "max_tokens"
NEW: Final = "max_completion_tokens"


class Wire(NamedTuple):
    """What a host's documentation says."""

    base: str
    """The path of its base URL."""
    chat: str
    proof: tuple[str, str] = BEARER
    limit: str = NEW
    """How the limit of an answer is called."""
    asks: bool = True
    """Whether usage of a stream comes only when asked for."""
    refuses: tuple[str, ...] = ()
    """Of an Anthropic client's request."""


WIRES: Final = {
    "azure": Wire("", "/openai/deployments/m/chat/completions?api-version=2024-10-21", KEY),
    "azure-v1": Wire("/openai/v1", "/openai/v1/chat/completions", KEY),
    "groq": Wire("/openai/v1", "/openai/v1/chat/completions", asks=False),
    "mistral": Wire("/v1", "/v1/chat/completions", limit=OLD, asks=False),
    "deepseek": Wire("/v1", "/v1/chat/completions", limit=OLD),
    "xai": Wire("/v1", "/v1/chat/completions"),
    "together": Wire("/v1", "/v1/chat/completions", limit=OLD, asks=False),
    "fireworks": Wire("/inference/v1", "/inference/v1/chat/completions", limit=OLD),
    "openrouter": Wire("/api/v1", "/api/v1/chat/completions", limit=OLD),
    "perplexity": Wire("", "/chat/completions", limit=OLD, asks=False, refuses=("tools", "stop_sequences")),
    "cerebras": Wire("/v1", "/v1/chat/completions"),
    "ollama": Wire("/v1", "/v1/chat/completions", limit=OLD),
    "vllm": Wire("/v1", "/v1/chat/completions"),
    "lmstudio": Wire("/v1", "/v1/chat/completions", limit=OLD),
}
TOOL: Final = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
ASKED: Final[dict[str, dict[str, Any]]] = {
    "tools": {"tools": [TOOL]},
    "stop_sequences": {"stop_sequences": ["x"]},
}


def test_every_host_is_here() -> None:
    """Of those that speak OpenAI's dialect in their own way."""
    assert set(WIRES) == {row.name for row in hosts.HOSTS.values() if row.dialect == "openai"} - {"openai"}


@pytest.fixture(scope="module")
def house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with installed(
        tmp_path_factory.mktemp("hosts"),
        env={"UPSTREAM_KEY": UPSTREAM_KEY},
        providers={
            name: {
                "dialect": "openai",
                "host": name,
                "base_url": provider_process.url + wire.base,
                "api_key": "${UPSTREAM_KEY}",
                "allow_private": True,
            }
            for name, wire in WIRES.items()
        },
        models={name: {"targets": [f"{name}/m"], **ONCE} for name in WIRES},
    ) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(house: House) -> Iterator[Gateway]:
    with house.serve() as running:
        yield running


def ask(gateway: Gateway, house: House, name: str, **fields: Any) -> httpx.Response:
    body = {"model": name, "max_tokens": 8, "messages": [{"role": "user", "content": "x"}], **fields}
    return httpx.post(
        gateway.url + "/v1/messages", json=body, headers={"x-api-key": house.key}, timeout=20, trust_env=False
    )


@pytest.mark.parametrize("name", WIRES)
def test_a_translated_call_is_as_the_host_wants_it(
    name: str, gateway: Gateway, house: House, provider: Provider
) -> None:
    """The path, the header with the secret, the name of the limit, and how a stream is asked for its usage."""
    wire = WIRES[name]
    assert ask(gateway, house, name, stream=True).status_code in (200, 404)
    seen = provider.last()
    assert seen.target == wire.chat
    field, value = wire.proof
    assert seen.header(field) == value.encode()
    assert seen.header("x-api-key") is None
    sent = seen.json()
    assert sent[wire.limit] == 8 and not {OLD, NEW} - {wire.limit} & set(sent)
    assert ("stream_options" in sent) == wire.asks
    assert sent["stream"] is True and sent["model"] == "m"


@pytest.mark.parametrize("name", WIRES)
def test_what_a_host_lacks_is_refused_by_name(
    name: str, gateway: Gateway, house: House, provider: Provider
) -> None:
    """Before anything is sent; what it has goes there."""
    for field, asked in ASKED.items():
        before = len(provider.seen())
        answer = ask(gateway, house, name, **asked)
        if field in WIRES[name].refuses:
            assert answer.status_code == 400 and answer.json()["error"]["code"] == "unsupported_parameter"
            assert field in answer.json()["error"]["message"] and len(provider.seen()) == before
        else:
            assert len(provider.seen()) == before + 1
