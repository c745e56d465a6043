"""Several nodes are one gateway: what one learns all know, and what is counted is counted once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.gateway import Gateway
from tests.nodes.conftest import MODELS, Site, providers, ready
from tests.provider import Provider, wait_until

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}


def ask(gateway: Gateway, key: str, **headers: str) -> httpx.Response:
    return httpx.post(
        gateway.url + "/v1/chat/completions",
        headers={"authorization": f"Bearer {key}", **headers},
        json=CHAT,
        timeout=20,
        trust_env=False,
    )


def test_a_key_is_known_everywhere_at_once_and_gone_everywhere_at_once(site: Site, provider: Provider) -> None:
    """Made and revoked by the command line, on every node within a second."""
    with site.serving(3, providers=providers(provider), models=MODELS) as gateways:
        key = site.key("new")
        for gateway in gateways:
            assert ask(gateway, key).status_code == 200
        site.operator.run("keys", "revoke", "--org", "acme", "new")
        for gateway in gateways:
            wait_until(lambda gateway=gateway: ask(gateway, key).status_code == 401, timeout_s=1.5)  # type: ignore[misc]
