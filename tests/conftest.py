"""Fixtures every suite shares."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.provider import Provider, running
from tests.servers import Postgres, Redis

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


@pytest.fixture(scope="session")
def postgres_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The Postgres of this test process; the workers of xdist share what `initdb` makes."""
    base = tmp_path_factory.getbasetemp()
    with Postgres.running(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as postgres:
        yield postgres


@pytest.fixture
def postgres(postgres_process: Postgres) -> Postgres:
    """Postgres, running and answering, with the settings of the start."""
    postgres_process.reset()
    return postgres_process


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The name of a new, empty database; it goes before the next test begins."""
    return postgres.database()


@pytest.fixture(scope="session")
def redis_process() -> Iterator[Redis]:
    """The Redis of this test process."""
    with Redis.running() as redis:
        yield redis


@pytest.fixture
def redis(redis_process: Redis) -> Redis:
    """Redis, running, answering and empty."""
    redis_process.reset()
    return redis_process
