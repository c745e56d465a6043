"""The reading thread: in order, in time, and nothing behind a job that hangs."""

from __future__ import annotations

import asyncio
import threading

import pytest

from llmgw.standalone.reader import Opened, Reader
from tests.provider import eventually
from tests.standalone.conftest import Stored

pytestmark = pytest.mark.anyio


async def test_jobs_run_in_order_in_one_other_thread(stored: Stored) -> None:
    """All on one connection, none in the event loop's thread."""
    reader = Reader(stored.path, deadline_s=5)
    seen: list[int] = []

    def job(number: int, opened: Opened) -> tuple[int, int]:
        seen.append(number)
        return threading.get_ident(), opened.epoch

    places = await asyncio.gather(*(reader.submit(lambda opened, n=n: job(n, opened)) for n in range(20)))  # type: ignore[misc]  # a lambda with a default
    assert seen == list(range(20))
    assert len(set(places)) == 1
    assert places[0][0] != threading.get_ident()
    reader.close()


async def test_a_job_that_hangs_fails_those_after_it_at_once(stored: Stored) -> None:
    """Once the deadline has passed, `submit` raises until the job ends; then all is well again."""
    reader = Reader(stored.path, deadline_s=0.1)
    release = threading.Event()
    stuck = reader.submit(lambda _: release.wait(10))

    def refused() -> bool:
        try:
            reader.submit(lambda _: None).cancel()
        except TimeoutError:
            return True
        return False

    await eventually(refused)
    release.set()
    assert await stuck is True
    assert await reader.submit(lambda _: "well") == "well"
    reader.close()


async def test_a_job_that_no_one_waits_for_is_skipped(stored: Stored) -> None:
    """What was cancelled while it waited is not run."""
    reader = Reader(stored.path, deadline_s=5)
    release = threading.Event()
    ran: list[str] = []
    first = reader.submit(lambda _: release.wait(10))
    given_up = reader.submit(lambda _: ran.append("given up"))
    given_up.cancel()
    release.set()
    await first
    await reader.submit(lambda _: ran.append("kept"))
    assert ran == ["kept"]
    reader.close()


async def test_close_ends_the_thread(stored: Stored) -> None:
    """And does not wait for one that hangs."""
    reader = Reader(stored.path, deadline_s=0.1)
    thread = await reader.submit(lambda _: threading.current_thread())
    reader.close()
    assert not thread.is_alive()
    hung = Reader(stored.path, deadline_s=0.1)
    release = threading.Event()
    job = hung.submit(lambda _: release.wait(10))
    hung.close()
    release.set()
    await job
