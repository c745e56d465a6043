"""`python -m tests.provider`: prints the ports as one line of JSON, serves until its standard input ends."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.provider.server import Server


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Server.listening(Path(folder)) as (_, ports):
            print(msgspec.json.encode(ports).decode(), flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)


asyncio.run(main())
