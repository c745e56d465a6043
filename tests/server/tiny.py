"""A supervisor whose workers answer each connection with a line and do little else, as a program:
`python -m tests.server.tiny FOLDER`.

`FOLDER/plan.json` says what the plan is, at the start and at each SIGHUP:
    {"name": "a", "workers": 2, "does": "serve"}
`does`: `serve`; `late` (ready after a second); `refuse` (an OperatorError of exit code 4), `raise`, `exit` at once; `hang` (never ready). The address
is written to `FOLDER/port`, what happens is appended to `FOLDER/events`.

A worker answers `name number pid`, and goes on where the connection brings a word: `crash`, `stop` (SIGTERM to
itself), `stick` (stops turning).
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path

from llmgw.config.schema import Server
from llmgw.errors import ConfigInvalid, OperatorError, StoreUnavailable
from llmgw.server.process import Plan
from llmgw.server.run import bind
from llmgw.server.supervisor import Supervisor
from llmgw.server.worker import CUT, Worker


class Events:
    """A board that writes down what it is told."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "events"

    def _tell(self, *what: object) -> None:
        with self._file.open("a") as file:
            file.write(" ".join(map(str, what)) + "\n")

    def retire(self, number: int) -> None:
        self._tell("retired", number)

    def crashed(self) -> None:
        self._tell("crashed")

    def reloaded(self, ok: bool, refusal: str | None) -> None:
        self._tell("reloaded", ok, refusal)

    def refresh(self, workers: int) -> None:
        pass


def read(folder: Path) -> Plan:
    """The plan of the file."""
    try:
        wanted = json.loads((folder / "plan.json").read_text())
    except ValueError as error:
        raise ConfigInvalid("plan.json is no JSON.") from error
    return Plan(wanted["workers"], 1.0, partial(work, wanted["name"], wanted["does"]))


def work(name: str, does: str, worker: Worker) -> None:
    """What one worker does."""
    if does == "refuse":
        raise StoreUnavailable("The store is not there.")
    if does == "raise":
        raise RuntimeError("nobody foresaw this")
    if does == "exit":
        os._exit(7)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, CUT):
        signal.signal(number, lambda number, frame: stopping.append(number))
    worker.sock.setblocking(False)
    worker.alive()
    if does == "late":
        time.sleep(1)
    if does != "hang":
        worker.ready()
    while not stopping and not worker.orphaned:
        worker.alive()
        select.select([worker.sock], [], [], 0.05)
        try:
            client, _ = worker.sock.accept()
        except BlockingIOError:  # a worker that shares the socket, old or new, was faster
            continue
        with client:
            client.settimeout(1)
            client.sendall(f"{name} {worker.number} {os.getpid()}\n".encode())
            obey(client.recv(100))
    worker.draining()
    worker.sock.close()
    if (Path(sys.argv[1]) / "slow").exists():
        until = time.monotonic() + 30
        while CUT not in stopping and time.monotonic() < until:
            time.sleep(0.01)


def obey(word: bytes) -> None:
    """Do what a client asks for."""
    if word == b"crash":
        os._exit(9)
    if word == b"stop":
        os.kill(os.getpid(), signal.SIGTERM)
    if word == b"stick":
        time.sleep(600)


def main(folder: Path) -> None:
    """Run until a signal."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    with bind(Server(port=0)) as probe:
        address = Server(port=probe.getsockname()[1])
    supervisor = Supervisor(
        partial(bind, address, shared=True), read(folder), partial(read, folder), Events(folder)
    )
    (folder / "port").write_text(str(address.port))
    supervisor.run()


def ask(port: int, word: bytes = b"") -> tuple[str, int, int]:
    """Who answers: plan, number, process id."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        name, number, pid = connection.makefile().readline().split()
        connection.sendall(word or b"-")
        return name, int(number), int(pid)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except OperatorError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
