"""A gateway to test through its front door: the installed `llmgw` command, as processes.

    with installed(tmp_path, providers={...}, models={...}) as house:      # init, org, one key
        with house.serve() as gateway:                                     # llmgw serve, on a free port
            httpx.post(gateway.url + "/v1/chat/completions", headers=house.auth, json={...})

`house.run("keys", "list")` runs any command. The server's output is in `gateway.log()`, a dict a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.provider import wait_until

COMMAND = (str(Path(sys.executable).with_name("llmgw")),)
START_S = 30.0
UNFELT = {"failures": 1_000_000, "cooldown": "0.001ms"}
"""Breakers of tests that make a provider fail: one test's failures are not for the next."""


@dataclass
class Result:
    """What a command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass
class House:
    """One installation in a folder of its own."""

    folder: Path
    key: str = ""
    env: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "llmgw.yaml"

    @property
    def auth(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def run(self, *arguments: str, stdin: str = "", expect: int | None = 0) -> Result:
        """Run a command in the folder; fails unless it exits with `expect` (None: any code)."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=_environment(self.env),
            check=False,
        )
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write the configuration file."""
        self.config.write_text(yaml.safe_dump(dict(settings), sort_keys=False), encoding="utf-8")

    @contextlib.contextmanager
    def serve(self, *arguments: str) -> Iterator[Gateway]:
        """Run the server on a free port; ends it by SIGTERM (SIGKILL after 20 s) if it still runs."""
        output = self.folder / f"serve-{len(list(self.folder.glob('serve-*')))}.log"
        with output.open("wb") as stderr:
            process = subprocess.Popen(
                [*COMMAND, "serve", "--port", "0", *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                env=_environment(self.env),
            )
        gateway = Gateway(process, output)
        try:
            gateway.wait_until_listening()
            yield gateway
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@dataclass
class Gateway:
    """A running server."""

    process: subprocess.Popen[bytes]
    output: Path
    url: str = ""

    @property
    def address(self) -> tuple[str, int]:
        parts = httpx.URL(self.url)
        assert parts.port is not None
        return parts.host, parts.port

    def wait_until_listening(self) -> None:
        """Wait for the first request to be possible; fails with the output where the server ends instead."""

        def found() -> str | None:
            assert self.process.poll() is None, self.text()
            match = re.search(r"listening on (http://[^\s\"]+)", self.text())
            return match[1] if match else None

        self.url = str(wait_until(found, timeout_s=START_S))

    def text(self) -> str:
        """Everything it has printed."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def log(self) -> list[dict[str, Any]]:
        """Its log lines."""
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    def calls(self) -> list[dict[str, Any]]:
        """The log lines of calls that have ended."""
        return [line for line in self.log() if line.get("event") == "call"]

    def wait_for_call(self, request_id: str, timeout_s: float = 5) -> dict[str, Any]:
        """The log line of one call, once it is there."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.calls() if line["request_id"] == request_id]

        return wait_until(found, timeout_s=timeout_s)[0]

    def metrics(self) -> str:
        return httpx.get(self.url + "/metrics", timeout=10, trust_env=False).text

    def terminate(self, timeout_s: float = 20) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


@contextlib.contextmanager
def installed(folder: Path, env: Mapping[str, str] | None = None, **settings: Any) -> Iterator[House]:
    """An initialised installation with one organisation `acme` and one key.

    `settings` are sections of the configuration beside `version`, `store` and `kms`. Without `breakers` among them, none
    is felt.
    """
    house = House(folder, env=dict(env or {}))
    house.configure({"version": 1, "server": {"drain": "5s"}, "breakers": UNFELT, **settings})
    house.run("init", "--org", "acme", "--json")
    house.key = house.run("keys", "create", "--org", "acme", "--name", "test", "--json").json["key"]
    yield house


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LLMGW_", "OPENAI_"))}
    return {**kept, "NO_COLOR": "1", **extra}
