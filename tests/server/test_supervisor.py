"""The supervisor with workers that do little: who runs, who takes whose place, and how it all ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.provider import wait_until
from tests.server.tiny import ask

ROOT = Path(__file__).resolve().parents[2]


class Node:
    """A running supervisor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.server.tiny", str(folder)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def port(self) -> int:
        # It is written anew by each plan: for a moment it is empty.
        return int(wait_until(lambda: (self.folder / "port").read_text()))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def children(self) -> set[int]:
        """The processes of its workers."""
        pid = self.process.pid
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def answering(self) -> set[tuple[str, int, int]]:
        """Who answers forty connections."""
        return {ask(self.port) for _ in range(40)}

    def serves(self, plan: str, workers: int) -> bool:
        """Whether so many workers answer, all of that plan, and no connection fails."""
        try:
            answering = self.answering()
        except (OSError, ValueError):
            return False
        return len(answering) == workers and {name for name, _, _ in answering} == {plan}

    def events(self) -> list[str]:
        file = self.folder / "events"
        return file.read_text().splitlines() if file.exists() else []


Start = Callable[..., Node]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a node whose plan is given; ends it."""
    nodes = []

    def started(does: str = "serve", workers: int = 2, *, up: bool = True) -> Node:
        plan(tmp_path, "a", does, workers)
        node = Node(tmp_path)
        nodes.append(node)
        if up:
            wait_until(lambda: (tmp_path / "port").exists())
            wait_until(lambda: len({number for _, number, _ in node.answering()}) == workers)
        return node

    yield started
    for node in nodes:
        if node.process.poll() is None:
            node.process.kill()
        node.process.wait()


def plan(folder: Path, name: str, does: str = "serve", workers: int = 2) -> None:
    (folder / "plan.json").write_text(json.dumps({"name": name, "workers": workers, "does": does}))


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_connections_are_spread_over_the_workers(start: Start) -> None:
    """Opened one after another, as a proxy fills its pool, they come to every worker: the kernel chooses by a
    hash, so with four workers none gets less than an eighth of 400."""
    node = start(workers=4)
    spread = Counter(ask(node.port)[1] for _ in range(400))
    assert len(spread) == 4
    assert min(spread.values()) > 50


def test_the_supervisor_has_one_thread(start: Start) -> None:
    """It may fork: no lock can be held by a thread that the worker does not have."""
    node = start()
    assert len(list(Path(f"/proc/{node.process.pid}/task").iterdir())) == 1


def test_sigterm_stops_every_worker_and_exits_0(start: Start) -> None:
    """Nothing answers and nothing is left."""
    node = start()
    children = node.children()
    node.signal(signal.SIGTERM)
    assert node.process.wait(10) == 0
    assert len(children) == 2
    assert all(gone(pid) for pid in children)
    with pytest.raises(ConnectionRefusedError):
        ask(node.port)


def test_a_second_signal_cuts(start: Start, tmp_path: Path) -> None:
    """Workers that take long to drain end at once, well before they would be killed (4 s), and the exit code is 0."""
    (tmp_path / "slow").touch()
    node = start()
    node.signal(signal.SIGTERM)
    wait_until(lambda: "draining 2 workers" in node.log.read_text())
    node.signal(signal.SIGTERM)
    assert node.process.wait(3) == 0


def test_a_worker_that_does_not_stop_in_time_is_killed(start: Start, tmp_path: Path) -> None:
    """Its time is that of its plan and a little more; the stop as a whole still is a success."""
    (tmp_path / "slow").touch()
    node = start()
    node.signal(signal.SIGTERM)
    assert node.process.wait(10) == 0
    assert "is killed" not in node.log.read_text()


def test_the_supervisor_sleeps_while_workers_drain(start: Start, tmp_path: Path) -> None:
    """In three seconds of waiting it takes next to no CPU time."""
    (tmp_path / "slow").touch()
    node = start()

    def cpu_s() -> float:
        fields = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    node.signal(signal.SIGTERM)
    wait_until(lambda: "draining 2 workers" in node.log.read_text())
    before = cpu_s()
    with pytest.raises(subprocess.TimeoutExpired):
        node.process.wait(3)
    assert cpu_s() - before < 1


def test_ctrl_c_drains_once(start: Start, tmp_path: Path) -> None:
    """A terminal sends SIGINT to workers too, and the supervisor's SIGTERM on top is not a second wish."""
    (tmp_path / "slow").touch()
    node = start()
    children = node.children()
    for pid in children:
        os.kill(pid, signal.SIGINT)
    node.signal(signal.SIGINT)
    wait_until(lambda: "draining" in node.log.read_text())
    assert not any(gone(pid) for pid in children)


def test_a_crashed_worker_is_replaced_and_counted(start: Start) -> None:
    """The first time at once, with the same socket: connections that come meanwhile wait for the new worker."""
    node = start()
    _, number, _ = ask(node.port, b"crash")
    for _ in range(40):
        ask(node.port)
    numbers = {number for _, number, _ in node.answering()}
    assert number not in numbers
    assert len(numbers) == 2
    assert node.events().count("crashed") == 1
    assert f"retired {number}" in node.events()


def test_a_worker_that_keeps_crashing_gets_longer_pauses_and_the_others_serve(start: Start) -> None:
    """In a pause its place is closed: what waited there is told at once, and new connections go to who lives."""
    node = start()

    def crash() -> bool:
        with contextlib.suppress(OSError, ValueError):  # it may find a place in the moment of its closing
            ask(node.port, b"crash")
        return "another one starts in 0.5 s" in node.log.read_text()

    wait_until(crash)
    wait_until(lambda: node.serves("a", 2))
    assert node.events().count("crashed") >= 2


def test_a_worker_that_stops_by_itself_is_replaced_at_once(start: Start) -> None:
    """Somebody sent it a SIGTERM: its successor starts while it drains, and that is no crash."""
    node = start()
    _, number, _ = ask(node.port, b"stop")
    wait_until(
        lambda: number not in (numbers := {number for _, number, _ in node.answering()}) and len(numbers) == 2
    )
    assert "crashed" not in node.events()


@pytest.mark.slow
def test_a_stuck_worker_is_killed_and_replaced(start: Start) -> None:
    """Its event loop gives no sign of life any more; no probe from outside would find it among the others."""
    node = start()
    _, number, pid = ask(node.port, b"stick")
    wait_until(lambda: gone(pid), timeout_s=40)
    wait_until(lambda: f"worker {number} is stuck" in node.log.read_text())
    wait_until(lambda: node.serves("a", 2))
    assert "crashed" in node.events()


@pytest.mark.parametrize(
    ("does", "code", "reason"),
    [
        ("refuse", 4, "The store is not there."),
        ("raise", 1, "A worker ended with exit code 1"),
        ("exit", 7, "A worker ended with exit code 7"),
    ],
)
def test_it_gives_up_when_no_worker_can_start(start: Start, does: str, code: int, reason: str) -> None:
    """The exit code and the sentence are the worker's own."""
    node = start(does, up=False)
    assert node.process.wait(20) == code
    assert f"error: {reason}" in node.log.read_text()


def test_sighup_replaces_every_worker_without_a_refused_connection(start: Start, tmp_path: Path) -> None:
    """While connections come all the time, each gets its answer; afterwards all workers are of the new plan."""
    node = start(workers=3)
    stop = threading.Event()
    failures: list[OSError | ValueError] = []
    asked = Counter[str]()

    def hammer() -> None:
        while not stop.is_set():
            try:
                asked[ask(node.port)[0]] += 1
            except (OSError, ValueError) as error:
                failures.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for name in ("b", "c"):
            plan(tmp_path, name, workers=3)
            node.signal(signal.SIGHUP)
            wait_until(lambda name=name: {one for one, _, _ in node.answering()} == {name})  # type: ignore[misc]
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert failures == []
    assert set(asked) == {"a", "b", "c"}
    wait_until(lambda: len(node.children()) == 3)
    assert node.events().count("reloaded True None") == 2
    assert "crashed" not in node.events()


def test_workers_are_replaced_one_at_a_time(start: Start, tmp_path: Path) -> None:
    """A new worker that is not ready holds the others' replacement up: the old ones serve."""
    node = start()
    old = node.children()
    plan(tmp_path, "b", "hang")
    node.signal(signal.SIGHUP)
    wait_until(lambda: len(node.children()) == 3)
    assert all(name == "a" for name, _, _ in node.answering() if _ in old)
    assert old < node.children()


def test_an_invalid_file_changes_nothing(start: Start, tmp_path: Path) -> None:
    """The refusal is told, and the same processes serve."""
    node = start()
    before = node.answering()
    (tmp_path / "plan.json").write_text("{")
    node.signal(signal.SIGHUP)
    wait_until(lambda: node.events() == ["reloaded False plan.json is no JSON."])
    assert node.answering() == before


@pytest.mark.parametrize("does", ["refuse", "exit"])
def test_a_plan_whose_first_worker_does_not_start_is_given_up(
    start: Start, tmp_path: Path, does: str
) -> None:
    """The same processes serve, and what crashes later starts again with the old plan."""
    node = start()
    before = node.answering()
    plan(tmp_path, "b", does)
    node.signal(signal.SIGHUP)
    wait_until(lambda: any(line.startswith("reloaded False") for line in node.events()))
    assert node.answering() == before
    ask(node.port, b"crash")
    wait_until(lambda: len({one for _, one, _ in node.answering()}) == 2)
    assert {name for name, _, _ in node.answering()} == {"a"}


def test_an_old_worker_that_crashes_while_its_successor_starts_is_followed_by_it(
    start: Start, tmp_path: Path
) -> None:
    """The successor serves in its place and the new plan goes on to the others."""
    node = start()
    plan(tmp_path, "b", "late")
    node.signal(signal.SIGHUP)
    wait_until(lambda: len(node.children()) == 3)
    (successor,) = node.children() - {pid for _, _, pid in node.answering()}
    for pid in node.children() - {successor}:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: node.serves("b", 2), timeout_s=15)
    assert node.events().count("reloaded True None") == 1
    assert not gone(successor)


def test_nothing_is_started_again_before_one_has_come_up(start: Start, tmp_path: Path) -> None:
    """Each worker of the first start fails once, and no more."""
    node = start("refuse", workers=4, up=False)
    assert node.process.wait(20) == 4
    assert sorted(node.events()) == ["crashed"] * 3 + [f"retired {number}" for number in range(1, 5)]


@pytest.mark.parametrize("workers", [1, 4])
def test_the_number_of_workers_may_change(start: Start, tmp_path: Path, workers: int) -> None:
    """More are started, fewer are drained."""
    node = start()
    plan(tmp_path, "b", workers=workers)
    node.signal(signal.SIGHUP)
    wait_until(lambda: node.serves("b", workers))
    wait_until(lambda: len(node.children()) == workers)


def test_workers_end_when_the_supervisor_is_killed(start: Start) -> None:
    """None is left to serve on with a configuration that nobody can change."""
    node = start()
    children = node.children()
    node.process.kill()
    node.process.wait()
    wait_until(lambda: all(gone(pid) for pid in children))


def test_an_address_that_a_supervisor_has_is_refused_to_others(start: Start) -> None:
    """Although its sockets share it: another server must not get half of its connections."""
    node = start()
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", node.port))
