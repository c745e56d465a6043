"""Starts what is measured, pinned to a core, and reads what the kernel says of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from bench.provider import INTERVAL_S

LOAD_CORE: Final = 1
GATEWAY_CORE: Final = 0
ANSWER: Final = json.dumps(
    {
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1760000000, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "An answer about as long as a short real one. " * 6}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 42, "completion_tokens": 60, "total_tokens": 102},
    }
)  # fmt: skip
BODY: Final = json.dumps(
    {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Say hello to the people who read this benchmark, in one sentence."},
        ],
        "temperature": 0.7,
        "max_tokens": 64,
    },
    separators=(",", ":"),
)


@dataclass
class Process:
    """A running program under test."""

    name: str
    pid: int
    port: int
    key: str = "none"

    def request(self, path: str = "/v1/chat/completions", body: str = BODY, *, stream: bool = False) -> bytes:
        """One request's bytes."""
        body = body[:-1] + ',"stream":true}' if stream else body
        return (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {self.key}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def cpu_s(self) -> float:
        """CPU seconds of the process and of its children so far."""
        return sum(_cpu_s(pid) for pid in _tree(self.pid))

    def rss_mib(self) -> float:
        """Resident memory of both."""
        return sum(_rss_kib(pid) for pid in _tree(self.pid)) / 1024


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _tree(int(child)))]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_s(core: int) -> float:
    """Seconds the core has worked so far, for whomever: all of its time but idle and iowait (proc(5))."""
    line = re.search(rf"^cpu{core} (.*)", Path("/proc/stat").read_text(), re.MULTILINE)
    times = [int(field) for field in line[1].split()[:8]] if line else [0] * 8
    return (sum(times) - times[3] - times[4]) / os.sysconf("SC_CLK_TCK")


def _rss_kib(pid: int) -> int:
    match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) if match else 0


@contextlib.contextmanager
def _running(
    command: Sequence[str], core: int, *, cwd: Path | None = None, output: int | IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """A pinned process; `output` takes what it prints, and is a pipe only where somebody reads it.

    A program that logs each request to a pipe nobody reads stands still once 64 KiB are in it.
    """
    pinned = ["taskset", "-c", str(core), *command]
    errors = None if output == subprocess.PIPE else subprocess.STDOUT
    process = subprocess.Popen(pinned, stdout=output, stderr=errors, cwd=cwd)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextlib.contextmanager
def nginx(
    folder: Path, name: str, location: str, core: int, upstream: int | None = None
) -> Iterator[Process]:
    """nginx with one worker; `location` is the body of `location /`."""
    port = free_port()
    pool = (
        f"upstream provider {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}"
    )
    folder = folder / name
    folder.mkdir()
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body;\n"
        f" proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f" {pool if upstream else ''}\n"
        f" server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {location} }} }} }}\n"
    )
    with (
        (folder / "output").open("wb") as output,
        _running(
            [shutil.which("nginx") or "nginx", "-c", str(folder / "nginx.conf")], core, output=output
        ) as process,
    ):
        _wait(port)
        yield Process(name, process.pid, port)


@contextlib.contextmanager
def plain_provider(folder: Path) -> Iterator[Process]:
    """nginx answering every request with ANSWER: cheaper than any mock in Python."""
    location = f"default_type application/json; return 200 '{ANSWER}';"
    with nginx(folder, "provider", location, LOAD_CORE) as process:
        yield process


@contextlib.contextmanager
def stream_provider(interval_s: float = INTERVAL_S) -> Iterator[Process]:
    """The paced mock of `bench/provider.py`."""
    command = [sys.executable, "-m", "bench.provider", str(interval_s)]
    with _running(command, LOAD_CORE, output=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield Process("provider", process.pid, int(process.stdout.readline()))


@contextlib.contextmanager
def nginx_proxy(folder: Path, name: str, upstream: int, *, access_log: bool = False) -> Iterator[Process]:
    """nginx as a reverse proxy with kept-alive connections, unbuffered."""
    location = 'proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;'
    if access_log:
        location += f" access_log {folder}/{name}.log;"
    with nginx(folder, name, location, GATEWAY_CORE, upstream) as process:
        yield process


@contextlib.contextmanager
def llmgw(folder: Path, name: str, upstream: int) -> Iterator[Process]:
    """The gateway as a user runs it: one key, authentication, metrics and log on."""
    folder = folder / name
    folder.mkdir()
    (folder / "llmgw.yaml").write_text(
        "version: 1\nproviders:\n"
        f"  openai: {{dialect: openai, base_url: 'http://127.0.0.1:{upstream}/v1', api_key: '${{KEY:-sk-bench}}', allow_private: true}}\n"
        "models: {gpt-4o: {targets: [openai/gpt-4o-2024-08-06]}}\n"
    )
    with serving(folder, name) as process:
        yield process


@contextlib.contextmanager
def serving(folder: Path, name: str) -> Iterator[Process]:
    """The gateway of the configuration in `folder`, with one key."""
    command = str(Path(sys.executable).with_name("llmgw"))

    def run(*arguments: str) -> dict[str, str]:
        done = subprocess.run(
            [command, *arguments, "--json"], cwd=folder, capture_output=True, text=True, check=True
        )
        found: dict[str, str] = json.loads(done.stdout)
        return found

    run("init", "--org", "bench")
    key = run("keys", "create", "--org", "bench", "--name", "bench")["key"]
    port = free_port()
    with (
        (folder / "log").open("wb") as log,
        _running([command, "serve", "--port", str(port)], GATEWAY_CORE, cwd=folder, output=log) as process,
    ):
        _wait(port)
        yield Process(name, process.pid, port, key)


@contextlib.contextmanager
def litellm(folder: Path, name: str, upstream: int) -> Iterator[Process | None]:
    """LiteLLM proxy with one worker and a master key; None where `make bench-peers` has not been run."""
    command = Path(".venv-bench/bin/litellm").absolute()
    if not command.exists():
        yield None
        return
    folder = folder / name
    folder.mkdir()
    (folder / "config.yaml").write_text(
        "model_list:\n  - model_name: gpt-4o\n    litellm_params:\n"
        f"      model: openai/gpt-4o-2024-08-06\n      api_base: http://127.0.0.1:{upstream}/v1\n      api_key: sk-bench\n"
        "general_settings: {master_key: sk-master}\n"
    )
    port = free_port()
    with (folder / "log").open("wb") as log:
        arguments = [
            "--config",
            "config.yaml",
            "--port",
            str(port),
            "--host",
            "127.0.0.1",
            "--num_workers",
            "1",
        ]
        with _running([str(command), *arguments], GATEWAY_CORE, cwd=folder, output=log) as process:
            _wait(port)
            yield Process(name, process.pid, port, "sk-master")
