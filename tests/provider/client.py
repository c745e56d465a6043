"""The tests' side: starts the server as a process and talks to its control API.

Calls block for about a millisecond, which a test in an event loop may afford: the server is another process.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar
from urllib.parse import quote

import msgspec

from tests.provider.records import Ports, Script, Seen
from tests.provider.steps import Step

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]


class Provider:
    """A running test server."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.url = f"http://127.0.0.1:{ports.http}"
        self.ca_file = ports.ca_file
        self._control = http.client.HTTPConnection("127.0.0.1", ports.control, timeout=10)

    def tls_url(self, certificate: str = "good") -> str:
        """`https://localhost:PORT` whose certificate is `good`, `self-signed`, `wrong-host` or `expired`."""
        return f"https://localhost:{self.ports.tls[certificate]}"

    @staticmethod
    def prefix(behaviour: str, **options: object) -> str:
        """The path that selects a behaviour for every request below it: `/b/drip;gap_s=0.01`."""
        return "/b/" + ";".join(
            [
                behaviour,
                *(f"{key}={quote(str(value))}" for key, value in options.items()),
            ]
        )

    def base_url(self, behaviour: str = "answer", **options: object) -> str:
        """A base URL under which every request is answered by `behaviour`; add `/v1` for OpenAI's."""
        return self.url + self.prefix(behaviour, **options)

    def script(
        self,
        behaviour: str = "answer",
        *,
        times: int = 1,
        path: str = "",
        steps: list[Step] | None = None,
        **options: object,
    ) -> None:
        """Answer the next `times` requests (0: all) whose target contains `path` so; scripts queue up."""
        text = {key: str(value) for key, value in options.items()}
        script = Script(behaviour, text, steps, times, path)
        self._call("/script", msgspec.json.encode(script))

    def seen(self) -> list[Seen]:
        """Every request since the last reset, in order of arrival."""
        return msgspec.json.decode(self._call("/seen"), type=list[Seen])

    def last(self) -> Seen:
        """The newest request; there must be one (`await eventually(provider.seen)` waits for it)."""
        return self.seen()[-1]

    def connections(self) -> int:
        """Connections open just now."""
        return int(self._call("/connections"))

    def release(self, gate: str = "gate") -> None:
        """Let answers that wait at `gate` go on."""
        self._call("/release", gate.encode())

    def drop(self) -> None:
        """Close every connection that waits for a request."""
        self._call("/drop")

    def reset(self) -> None:
        """Forget requests and scripts, open all gates. Connections stay."""
        self._call("/reset")

    def close(self) -> None:
        self._control.close()

    def _call(self, path: str, body: bytes = b"") -> bytes:
        self._control.request("POST", path, body)
        response = self._control.getresponse()
        answer = response.read()
        if response.status != 200:
            raise ValueError(msgspec.json.decode(answer))
        return answer


@contextlib.contextmanager
def running() -> Iterator[Provider]:
    """A server process of one's own; it ends with the block, and with its parent whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.provider"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        provider = Provider(msgspec.json.decode(process.stdout.readline(), type=Ports))
        try:
            yield provider
        finally:
            provider.close()
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(10)


def wait_until(condition: Callable[[], T], timeout_s: float = 5.0) -> T:
    """Poll `condition()` until it is true and return its value; for tests outside an event loop."""
    deadline = monotonic() + timeout_s
    while not (value := condition()):
        assert monotonic() < deadline, f"not true within {timeout_s} s"
        sleep(0.005)
    return value


async def eventually(condition: Callable[[], T], timeout_s: float = 5.0) -> T:
    """The same inside an event loop."""
    deadline = monotonic() + timeout_s
    while not (value := condition()):
        assert monotonic() < deadline, f"not true within {timeout_s} s"
        await asyncio.sleep(0.005)
    return value
