"""A coroutine stepped without a task: resumed by its futures, cancelled through them."""

from __future__ import annotations

import asyncio

import pytest

from llmgw.server.steps import Steps

pytestmark = pytest.mark.anyio


async def test_it_runs_up_to_the_first_wait_at_once_and_on_when_that_is_done() -> None:
    """Nothing is scheduled before there is something to wait for."""
    seen: list[str] = []
    gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        seen.append("begun")
        seen.append(await gate)

    Steps(work())()
    assert seen == ["begun"]
    gate.set_result("ended")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen == ["begun", "ended"]


async def test_cancelling_reaches_the_coroutine_and_nobody_else() -> None:
    """The coroutine cleans up; the loop's exception handler hears nothing."""
    loop = asyncio.get_running_loop()
    heard: list[object] = []
    loop.set_exception_handler(lambda loop, context: heard.append(context))
    cleaned = loop.create_future()

    async def work() -> None:
        try:
            await loop.create_future()
        finally:
            cleaned.set_result(True)

    steps = Steps(work())
    steps()
    steps.cancel()
    assert await asyncio.wait_for(cleaned, 1)
    await asyncio.sleep(0)
    assert heard == []
    steps.cancel()  # after the end: nothing to cancel
