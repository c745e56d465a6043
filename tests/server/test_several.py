"""The real gateway with several workers: under load while it is renewed, and what its metrics say."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway import Gateway, House, installed
from tests.provider import wait_until

ROOT = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, Any] = {
    "providers": {"simulator": {"dialect": "simulator", "simulator": {"first_token": "10ms"}}},
    "models": {"sim": {"targets": ["simulator/demo"]}},
}
BODY = json.dumps({"model": "sim", "messages": [{"role": "user", "content": "hi"}]})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An installation whose provider answers from inside."""
    with installed(tmp_path, **SETTINGS) as made:
        yield made


@contextlib.contextmanager
def serving(house: House, workers: int = 2) -> Iterator[Gateway]:
    """The gateway with so many workers, once all of them serve."""
    output = house.folder / "several.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.several", str(house.config), str(workers)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    gateway = Gateway(process, output)
    try:
        gateway.wait_until_listening()
        wait_until(lambda: gateway.text().count("serves configuration") == workers, timeout_s=30)
        yield gateway
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def post(gateway: Gateway, house: House) -> httpx.Response:
    """One call on a connection of its own."""
    return httpx.post(
        gateway.url + "/v1/chat/completions", headers=house.auth, content=BODY, timeout=10, trust_env=False
    )


def metric(gateway: Gateway, name: str, **labels: str) -> float:
    """The sum of the samples of that name with these labels, as whichever worker answers tells them."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(gateway.metrics())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def workers(gateway: Gateway) -> list[int]:
    pid = gateway.process.pid
    return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def shared(pid: int) -> list[Path]:
    """The folders that the workers of that supervisor share."""
    return list(Path("/dev/shm").glob(f"llmgw-*-{pid}-*"))  # noqa: S108 - it is looked at, not used


class Load:
    """Clients that each keep their connection and take every failure down."""

    def __init__(self, gateway: Gateway, house: House, clients: int = 4) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(*gateway.address, house.auth, number % 2 == 1))
            for number in range(clients)
        ]

    def _run(self, host: str, port: int, auth: dict[str, str], streamed: bool) -> None:
        body = json.dumps({**json.loads(BODY), "stream": streamed})
        connection = http.client.HTTPConnection(host, port, timeout=10)
        while not self._stop.is_set():
            # The client opens another connection where an answer has said `connection: close`, and only there.
            try:
                connection.request("POST", "/v1/chat/completions", body, auth)
                response = connection.getresponse()
                text = response.read()
                sound = response.status == 200 and (not streamed or text.endswith(b"data: [DONE]\n\n"))
                problem = "" if sound else f"{response.status} {text[-200:]!r}"
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
                connection.close()
            with self._lock:
                self.answered += 1
                if problem:
                    self.failures.append(problem)
        connection.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)


def test_a_rolling_restart_fails_no_request(house: House) -> None:
    """New connections and kept ones, plain and streamed: every request is answered while all workers are replaced,
    and the new configuration is in force."""
    with serving(house, 2) as gateway, Load(gateway, house) as load:
        before = workers(gateway)
        assert post(gateway, house).status_code == 200
        house.configure(
            {
                **yaml.safe_load(house.config.read_text()),
                "models": {**SETTINGS["models"], "new": SETTINGS["models"]["sim"]},
            }
        )
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "every worker has been replaced" in gateway.text(), timeout_s=30)
        wait_until(lambda: len(workers(gateway)) == 2, timeout_s=20)
        assert not set(before) & set(workers(gateway))
        listed = httpx.get(gateway.url + "/v1/models", headers=house.auth, trust_env=False).json()
        assert "new" in {model["id"] for model in listed["data"]}
        answered = load.answered
        wait_until(lambda: load.answered > answered + 20)
    assert load.failures == []


def test_a_refused_configuration_is_told_by_every_worker(house: House) -> None:
    """In readiness, which stays 200, and in the metric; the next valid file clears both."""
    with serving(house) as gateway:
        before = workers(gateway)
        text = house.config.read_text()
        house.config.write_text(text.replace("models:", "modelz:"))
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: metric(gateway, "llmgw_config_last_reload_successful") == 0)
        for _ in range(10):
            ready = httpx.get(gateway.url + "/readyz", trust_env=False)
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            assert "modelz" in ready.json()["config"]["reload"]
        assert workers(gateway) == before
        house.config.write_text(text)
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: metric(gateway, "llmgw_config_last_reload_successful") == 1)
        assert metric(gateway, "llmgw_config_reloads_total", outcome="refused") == 1
        wait_until(lambda: "every worker has been replaced" in gateway.text())
        assert httpx.get(gateway.url + "/readyz", trust_env=False).json()["status"] == "ready"


def test_a_configuration_whose_first_worker_is_not_ready_leaves_the_old_ones(house: House) -> None:
    """It is valid, and only entering it shows that its keyring is not there: nothing changes, and why is told."""
    with serving(house) as gateway:
        before = workers(gateway)
        house.config.with_name("llmgw.keyring").rename(house.folder / "elsewhere")
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the old workers stay" in gateway.text())
        assert workers(gateway) == before
        assert post(gateway, house).status_code == 200


def test_a_scrape_tells_of_all_workers_and_counts_never_go_down(house: House) -> None:
    """Whoever answers, through a crash and a rolling restart: the sum is of the node, and gauges are of who lives."""
    with serving(house, 2) as gateway:
        seen: list[float] = []
        stop = threading.Event()

        def scrape() -> None:
            while not stop.is_set():
                seen.append(metric(gateway, "llmgw_requests_total"))

        for _ in range(30):
            assert post(gateway, house).status_code == 200
        wait_until(lambda: metric(gateway, "llmgw_requests_total", status="200") == 30)
        scraper = threading.Thread(target=scrape)
        scraper.start()
        try:
            victim = workers(gateway)[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: metric(gateway, "llmgw_worker_crashes_total") == 1)
            for _ in range(10):
                assert post(gateway, house).status_code == 200
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "every worker has been replaced" in gateway.text())
            for _ in range(10):
                assert post(gateway, house).status_code == 200
            wait_until(lambda: metric(gateway, "llmgw_requests_total", status="200") == 50)
        finally:
            stop.set()
            scraper.join(10)
        assert seen == sorted(seen)
        assert metric(gateway, "llmgw_overhead_seconds_count") >= 50
        wait_until(lambda: metric(gateway, "llmgw_workers") == 2)
        assert metric(gateway, "llmgw_requests_in_flight") == 0
        assert metric(gateway, "llmgw_build_info") == 1
        assert " worker=" not in gateway.metrics()


def test_workers_draw_ids_of_their_own(house: House) -> None:
    """Forked processes begin with the same memory; the ids of their calls must not be the same."""
    with serving(house, 4) as gateway:
        ids = [post(gateway, house).headers["x-request-id"] for _ in range(60)]
        assert len(set(ids)) == len(ids)
        rows = {row.stem for row in house.folder.glob("worker-*")}
        assert len(rows) == 4


def test_what_was_drawn_ahead_is_not_inherited() -> None:
    """Ids and traces come from stocks of random numbers, and a fork copies the stock."""
    code = (
        "import os; from llmgw import ids; from llmgw.rules import trace\n"
        "ids.new('call', 0); trace.begin(None, None); os.fork()\n"
        "os.write(1, f\"{ids.new('call', 0)} {trace.begin(None, None).span_id}\\n\".encode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    words = done.stdout.split()
    assert len(words) == len(set(words)) == 4


def test_sigterm_finishes_what_runs_and_leaves_nothing_behind(house: House) -> None:
    """Streams end whole, the exit code is 0, and the folder that the workers shared is gone."""
    settings = yaml.safe_load(house.config.read_text())
    settings["providers"]["simulator"]["simulator"] = {"first_token": "1500ms"}
    house.configure(settings)
    with serving(house) as gateway:
        pid = gateway.process.pid
        answers: list[httpx.Response] = []
        threads = [threading.Thread(target=lambda: answers.append(post(gateway, house))) for _ in range(6)]
        for thread in threads:
            thread.start()
        wait_until(lambda: metric(gateway, "llmgw_requests_in_flight") == 6)
        assert shared(pid)
        assert gateway.terminate() == 0
        for thread in threads:
            thread.join(10)
        assert [answer.status_code for answer in answers] == [200] * 6
        assert not shared(pid)


def test_log_lines_of_several_processes_are_whole(house: House) -> None:
    """They share one descriptor, here a file: each line is one JSON object, and each call has one."""
    with serving(house, 3) as gateway:
        with Load(gateway, house, clients=6) as load:
            wait_until(lambda: load.answered > 200)
        assert gateway.terminate() == 0
        lines = [json.loads(line) for line in gateway.text().splitlines()]
        assert sum(line["event"] == "call" for line in lines) == load.answered


def test_an_idle_connection_may_bring_one_more_request_when_the_drain_begins(house: House) -> None:
    """A client that writes in that moment gets its answer, which says that it is the last; readiness says 503."""
    with house.serve() as gateway, contextlib.ExitStack() as ends:
        host, port = gateway.address
        connections = [http.client.HTTPConnection(host, port, timeout=10) for _ in range(3)]
        for connection in connections:
            ends.callback(connection.close)
        for connection in connections:
            connection.request("GET", "/readyz")
            assert connection.getresponse().read()
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining 3 connections" in gateway.text())
        connections[0].request("POST", "/v1/chat/completions", BODY, house.auth)
        connections[1].request("GET", "/readyz")
        answer, readiness = connections[0].getresponse(), connections[1].getresponse()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert (readiness.status, readiness.headers["connection"]) == (503, "close")
        assert json.loads(readiness.read())["status"] == "draining"
        began = time.monotonic()
        assert gateway.process.wait(10) == 0
        assert (
            time.monotonic() - began < 4
        )  # the third connection does not hold the end up for the drain's 5 s
