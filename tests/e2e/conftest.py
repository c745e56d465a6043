"""One gateway process in front of the upstream test server, shared by the tests that do not change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway, House, installed
from tests.provider import Provider

QUICK = {"connect": "1s", "first_token": "1s", "idle": "1s", "total": "20s"}


def providers(provider: Provider) -> dict[str, Any]:
    """Both dialects in front of the test server."""
    common = {"allow_private": True, "timeouts": {"first_token": "10s", "idle": "10s"}}
    return {
        "openai": {
            "dialect": "openai",
            "base_url": provider.url + "/v1",
            "api_key": "${UPSTREAM_KEY}",
            **common,
        },
        "anthropic": {
            "dialect": "anthropic",
            "base_url": provider.url,
            "api_key": "${UPSTREAM_KEY}",
            **common,
        },
        "simulator": {"dialect": "simulator"},
    }


ONCE = {"retries": {"attempts": 1}}
"""Of models whose failures are to be seen as they are; retries have tests of their own (test_failover.py)."""
MODELS: dict[str, dict[str, Any]] = {
    "gpt-4o": {"targets": ["openai/gpt-4o-2024-08-06"], **ONCE},
    "claude": {"targets": ["anthropic/claude-sonnet-4-5"], **ONCE},
    "sim": {"targets": ["simulator/demo"]},
}


@pytest.fixture(scope="session")
def house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An installation whose server is `gateway`."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "env").write_text("")
    with installed(
        folder,
        env={"UPSTREAM_KEY": UPSTREAM_KEY},
        providers=providers(provider_process),
        models=MODELS,
        telemetry={"log_level": "debug"},
    ) as made:
        yield made


UPSTREAM_KEY = "sk-upstream-5e9d1c7a40f2"
"""The provider's secret: it must reach the provider and nobody else."""


@pytest.fixture(scope="session")
def gateway(house: House) -> Iterator[Gateway]:
    """A running server; tests leave it as they found it."""
    with house.serve() as running:
        yield running


@pytest.fixture
def own_house(provider: Provider, tmp_path: Path) -> Iterator[House]:
    """An installation of the test's own."""
    with installed(
        tmp_path, env={"UPSTREAM_KEY": UPSTREAM_KEY}, providers=providers(provider), models=MODELS
    ) as made:
        yield made
