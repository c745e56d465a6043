"""Fixtures every suite shares."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.provider import Provider, running

# How long an example takes says how busy the machine is, and nothing else.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if (
    "CI" not in os.environ
):  # where hypothesis has a profile of its own, untimed and with the same examples each time
    settings.load_profile("untimed")


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Async tests run as the product does: asyncio on uvloop."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def provider_process() -> Iterator[Provider]:
    """One upstream test server for the session."""
    with running() as provider:
        yield provider


@pytest.fixture
def provider(provider_process: Provider) -> Provider:
    """The upstream test server, with nothing seen and nothing scripted."""
    provider_process.reset()
    return provider_process
