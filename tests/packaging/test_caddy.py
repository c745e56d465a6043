"""deploy/Caddyfile in front of two gateways, with the real Caddy."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateway import Gateway, House, installed
from tests.provider import wait_until

FILE = Path(__file__).resolve().parents[2] / "deploy" / "Caddyfile"
BODY = {"model": "sim", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="session")
def caddy() -> str:
    """The program, of the environment or of the system."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("caddy", path=os.pathsep.join((beside, os.environ.get("PATH", ""))))
    if found is None:
        pytest.skip("caddy has no wheel for this platform")
    return found


def environment(folder: Path, address: str, gateways: str) -> dict[str, str]:
    return {"HOME": str(folder), "SITE_ADDRESS": address, "GATEWAYS": gateways}


def test_it_is_valid_and_formatted(caddy: str, tmp_path: Path) -> None:
    """As it stands in the image."""
    env = environment(tmp_path, ":80", "gateway-1:8080 gateway-2:8080")
    for command in (("validate", "--adapter", "caddyfile", "--config"), ("fmt", "--diff")):
        done = subprocess.run(
            [caddy, *command, str(FILE)], capture_output=True, text=True, timeout=60, check=False, env=env
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def running(caddy: str, folder: Path, *gateways: Gateway) -> Iterator[str]:
    """Caddy in front of these; its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    upstreams = " ".join("{}:{}".format(*gateway.address) for gateway in gateways)
    with (folder / "caddy.log").open("wb") as log:
        process = subprocess.Popen(
            [caddy, "run", "--adapter", "caddyfile", "--config", str(FILE)],
            env=environment(folder, f":{port}", upstreams),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(url + "/v1/models", trust_env=False).status_code == 401
        return False

    try:
        wait_until(answers, timeout_s=20)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def two(folder: Path) -> Iterator[tuple[House, Gateway, Gateway]]:
    """Two gateways on copies of one installation."""
    (folder / "one").mkdir()
    simulator = {"dialect": "simulator", "simulator": {"first_token": "20ms", "tokens_per_second": 50}}
    with installed(
        folder / "one", providers={"simulator": simulator}, models={"sim": {"targets": ["simulator/demo"]}}
    ) as house:
        shutil.copytree(folder / "one", folder / "two")
        with house.serve() as first, House(folder / "two").serve() as second:
            yield house, first, second


def test_a_gateway_may_stop_and_no_request_fails(caddy: str, tmp_path: Path) -> None:
    """New requests go to the other one while it drains, and again to both when it is back."""
    with two(tmp_path) as (house, first, second), running(caddy, tmp_path, first, second) as url:
        failures: list[str] = []
        asked: list[str] = []
        stop = threading.Event()

        def hammer() -> None:
            with httpx.Client(headers=house.auth, timeout=10, trust_env=False) as client:
                while not stop.is_set():
                    try:
                        response = client.post(url + "/v1/chat/completions", json=BODY)
                    except httpx.HTTPError as error:
                        failures.append(repr(error))
                        continue
                    asked.append(response.headers["x-request-id"])
                    if response.status_code != 200:
                        failures.append(f"{response.status_code} {response.text}")

        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: first.calls() and second.calls())
            first.process.send_signal(signal.SIGTERM)
            assert first.process.wait(20) == 0
            before = len(asked)
            wait_until(lambda: len(asked) > before + 40)
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)
        assert failures == []


def test_tokens_pass_as_they_come_and_the_inside_stays_inside(caddy: str, tmp_path: Path) -> None:
    """A stream is not gathered up; metrics and health are not for everybody."""
    with two(tmp_path) as (house, first, second), running(caddy, tmp_path, first, second) as url:
        arrivals = []
        with httpx.stream(
            "POST",
            url + "/v1/chat/completions",
            headers=house.auth,
            json={**BODY, "stream": True},
            timeout=20,
            trust_env=False,
        ) as response:
            for line in response.iter_lines():
                if line.startswith("data: {") and json.loads(line[6:])["choices"]:
                    arrivals.append(time.monotonic())
        assert len(arrivals) > 5
        assert arrivals[-1] - arrivals[0] > 0.1
        for path in ("/metrics", "/health/readiness", "/health/liveness", "/healthz", "/readyz"):
            assert httpx.get(url + path, trust_env=False).status_code == 404
