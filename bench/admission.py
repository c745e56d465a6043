"""What money costs a call: admission and settlement with everything real (meter, journal, prices, a SQLite store).

`python -m bench.admission` prints CPU of the event loop's thread per call, with three limits and two budgets, and with
none.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from llmgw.assembly.backend import backend
from llmgw.assembly.installation import Installation
from llmgw.assembly.keys import create_kms
from llmgw.canonical import Usage
from llmgw.config.read import load
from llmgw.dialects import body as bodies
from llmgw.dialects.known import OPENAI
from llmgw.dialects.openai import CHAT_COMPLETIONS
from llmgw.flow.account import close_account, open_account
from llmgw.flow.call import Call
from llmgw.flow.choose import chosen
from llmgw.flow.gateway import Gateway
from llmgw.rules import trace
from llmgw.rules.access import KeyRecord
from llmgw.spool import SpoolJournal

BODY: Final = (
    b'{"model":"gpt-4o","messages":[{"role":"user","content":"Say hello to the people who read this benchmark, in one '
    b'sentence."}],"temperature":0.7,"max_tokens":64}'
)
CONFIG: Final = """
version: 1
providers: {{sim: {{dialect: simulator}}}}
models: {{gpt-4o: {{targets: [sim/gpt-4o]}}}}
limits: {limits}
"""
LIMITS: Final = (
    "{default_key: {rpm: 1000000000, tpm: 1000000000000, max_parallel: 100000, budget: 100000000/month}, "
    "default_org: {budget: 100000000/day}}"
)
USAGE: Final = Usage(input=21, output=40)


def measure(rounds: int = 5, calls: int = 5_000) -> dict[str, float]:
    """Microseconds per call; medians over rounds."""
    return {
        "admission_us_limits_and_budgets": round(_median(LIMITS, rounds, calls), 1),
        "admission_us_ledger_alone": round(_median("{}", rounds, calls), 1),
    }


def _median(limits: str, rounds: int, calls: int) -> float:
    with tempfile.TemporaryDirectory(prefix="llmgw-bench-") as folder:
        path = Path(folder) / "llmgw.yaml"
        path.write_text(CONFIG.format(limits=limits))
        config, _ = load(path)
        create_kms(config, path.parent)
        backend(config, path.parent).create()
        with Installation(path, config) as installation:
            return median(uvloop.run(_round(installation, calls)) for _ in range(rounds))


async def _round(installation: Installation, calls: int) -> float:
    gateway = installation.assemble(installation.config, previous=None)
    key = KeyRecord(id="key_bench", public_id="p", org_id="org_bench", org="acme", name="bench", terms=())
    await _call(gateway, key)  # the first one reads what the ledger has
    spent = 0.0
    for first in range(0, calls, 50):
        before = time.thread_time()
        for _ in range(first, min(first + 50, calls)):
            await _call(gateway, key)
        spent += time.thread_time() - before
        await asyncio.sleep(0.001)
        # What the journal's thread tells the loop is part of the price: it settles here, 50 calls at a time.
    before = time.thread_time()
    journal = installation.shared.journal
    assert isinstance(journal, SpoolJournal)
    while journal.unsettled:
        await asyncio.sleep(0.001)
    return (spent + time.thread_time() - before) / calls * 1e6


async def _call(gateway: Gateway, key: KeyRecord) -> None:
    context = trace.begin(None, None)
    call = Call(
        time=time.time(),
        request_id="req_bench",
        trace_id=context.trace_id,
        span_id=context.span_id,
        trace=context,
        method="POST",
        dialect=OPENAI,
        endpoint=CHAT_COMPLETIONS.name,
        operation=CHAT_COMPLETIONS,
        received_at=time.monotonic(),
        delivered=True,
        upstream_status=200,
        usage=USAGE,
        status=200,
        attempts=1,
    )
    body = bodies.read(BODY, CHAT_COMPLETIONS.types)
    plan = chosen(gateway, call, key, gateway.pool(body.model), key.metadata, {}, body)
    await open_account(gateway, call, key, key.metadata, plan, body)
    close_account(gateway, call)


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:40} {value:8.2f}")
