"""Fixtures every suite shares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.provider import Provider, running


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
