"""`python -m bench.brownout`: a provider that half fails, and what each mechanism makes of it for the clients.

The primary fails 3 of 10 calls and is slow for 1 of 20; the backup answers every call, and costs three times as much.
A real gateway with real sockets; each row is a configuration, and sends the same number of calls.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import uvloop
import yaml

from bench.servers import free_port

FAILS, SLOW = 0.3, 0.05
QUICK_S, SLOW_S, BACKUP_S = 0.02, 1.0, 0.03
CLIENTS = 16
ANSWER = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200},
    }
).encode()
ONCE = {"attempts": 1}
PRIMARY, BACKUP = "primary/m", "backup/m"
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({"targets": [PRIMARY], "retries": ONCE}, {"failures": 1_000_000}),
    "retries": ({"targets": [PRIMARY], "retries": {"attempts": 3}}, {"failures": 1_000_000}),
    "fallback": ({"targets": [PRIMARY, BACKUP], "retries": ONCE}, {"failures": 1_000_000}),
    "fallback and hedges": (
        {"targets": [PRIMARY, BACKUP], "retries": ONCE, "hedge": {"after": "100ms", "max_share": 0.1}},
        {"failures": 1_000_000},
    ),
    "fallback and breaker": (
        {"targets": [PRIMARY, BACKUP], "retries": ONCE},
        {"failures": 1_000_000, "ratio": 0.2, "min_calls": 50, "window": "5s", "cooldown": "5s"},
    ),
    "all": (
        {
            "targets": [PRIMARY, BACKUP],
            "retries": {"attempts": 2},
            "hedge": {"after": "100ms", "max_share": 0.1},
        },
        {"failures": 1_000_000, "ratio": 0.2, "min_calls": 50, "window": "5s", "cooldown": "5s"},
    ),
}
"""By name: the model, and the breakers; where those are not meant they never open."""


def main() -> None:
    """Run every row and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.brownout", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    options = parser.parse_args()
    print(f"{'':24} {'success':>8} {'p50 ms':>8} {'p99 ms':>8} {'tries':>6} {'cost':>6}")
    for name, (model, breakers) in ROWS.items():
        found = _run(model, breakers, options.calls)
        print(
            f"{name:24} {found['success']:8.2%} {found['p50']:8.0f} {found['p99']:8.0f} "
            f"{found['tries']:6.2f} {found['cost']:6.2f}"
        )


def _run(model: dict[str, Any], breakers: dict[str, Any], calls: int) -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory(prefix="llmgw-brownout-") as folder,
        _providers() as port,
        _gateway(Path(folder), port, model, breakers) as (url, key),
    ):
        return uvloop.run(_measure(url, key, calls))


@contextmanager
def _providers() -> Iterator[int]:
    """Both, in a process of their own."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_provide, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join(10)


def _provide(pipe: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


def _head(raw: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = raw.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines if line)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of either provider; the path says which."""
    dice = random.Random()
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            status, body = b"200 OK", ANSWER
            if b"/backup/" in head:
                await asyncio.sleep(BACKUP_S)
            else:
                await asyncio.sleep(SLOW_S if dice.random() < SLOW else QUICK_S)
                if dice.random() < FAILS:
                    status, body = b"500 Internal Server Error", b"{}"
            fields = b"content-type: application/json\r\ncontent-length: %d" % len(body)
            writer.write(b"HTTP/1.1 %s\r\n%s\r\n\r\n%s" % (status, fields, body))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@contextmanager
def _gateway(
    folder: Path, upstream: int, model: dict[str, Any], breakers: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    def provider(name: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{upstream}/{name}/v1"
        return {"dialect": "openai", "base_url": url, "api_key": "${KEY:-sk-bench}", "allow_private": True}

    settings = {
        "version": 1,
        "providers": {name: provider(name) for name in ("primary", "backup")},
        "models": {"m": {"affinity": "off", **model}},
        "prices": {"primary/m": {"input": 1, "output": 1}, "backup/m": {"input": 3, "output": 3}},
        "breakers": breakers,
    }
    (folder / "llmgw.yaml").write_text(yaml.safe_dump(settings))
    command = str(Path(sys.executable).with_name("llmgw"))

    def run(*arguments: str) -> Any:
        done = subprocess.run([command, *arguments, "--json"], cwd=folder, capture_output=True, check=True)
        return json.loads(done.stdout)

    run("init", "--org", "bench")
    key = run("keys", "create", "--org", "bench", "--name", "bench")["key"]
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [command, "serve", "--port", str(port)], cwd=folder, stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 30
            while time.monotonic() < until:
                try:
                    httpx.get(url + "/healthz", trust_env=False)
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield url, key
        finally:
            process.terminate()
            process.wait(30)


async def _measure(url: str, key: str, calls: int) -> dict[str, float]:
    """The same few clients all the time, each with a connection of its own: fewer than would keep this machine busy, so
    that what they wait for are the providers."""
    waits: list[float] = []
    good = tries = 0
    cost = 0.0
    left = iter(range(calls))
    body = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
    ).encode()
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: llmgw\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s" % (key.encode(), len(body), body)
    )

    async def work() -> None:
        nonlocal good, tries, cost
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        for _ in left:
            began = time.monotonic()
            writer.write(request)
            status, fields = _head(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(int(fields["content-length"]))
            waits.append(time.monotonic() - began)
            good += status == 200
            tries += int(fields.get("x-llmgw-attempts", "1"))
            cost += float(fields.get("x-llmgw-cost-usd", "0"))
        writer.close()

    await asyncio.gather(*(work() for _ in range(CLIENTS)))
    waits.sort()
    return {
        "success": good / calls,
        "p50": waits[calls // 2] * 1000,
        "p99": waits[int(calls * 0.99)] * 1000,
        "tries": tries / calls,
        # Of a call that the primary answers: 200 tokens at a dollar a million.
        "cost": cost / calls / 0.0002,
    }


if __name__ == "__main__":
    main()
