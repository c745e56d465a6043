"""Runs the gateway: one process by itself, or a supervisor and its workers; sockets, signals, drain.

SIGTERM and SIGINT stop accepting, let running answers finish within `server.drain`, cut what is left with an
in-band error, and exit 0; a second signal cuts at once. SIGHUP reloads the configuration: in place where one
process serves, by replacing the workers where several do.

A client may write its next request in the moment in which its idle connection is closed, and cannot know then
whether it was served. So connections that are idle when the drain begins are left open a little longer, and what
still comes on them is answered, with `connection: close`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from math import ceil
from types import FrameType
from typing import Final

import msgspec
import uvicorn
import uvloop

from llmgw.assembly.installation import Board, Installation, supervisor_log
from llmgw.config.schema import Server
from llmgw.control.panic import refuse_changes
from llmgw.errors import GatewayStopping, OperatorError
from llmgw.server.health import application, readiness_of
from llmgw.server.lane import Lane, lane_for
from llmgw.server.process import Plan
from llmgw.server.reload import Running
from llmgw.server.supervisor import Supervisor
from llmgw.server.worker import CUT, Worker

_log = logging.getLogger("llmgw.server")

BACKLOG: Final = 2048
CUT_S: Final = 2.0
"""Seconds left to the last error events to reach their clients after the drain's time is up."""
LAST_CALL_S: Final = 1.0
"""Seconds in which an idle connection may bring one more request when the drain begins."""
ASK_S: Final = 0.25
"""Between two looks of a worker at whether it is ready."""


_STOPPING: Final = GatewayStopping("The gateway is stopping; send the request again.")


class _Server(uvicorn.Server):
    """uvicorn's server with the lane's sweep and drain."""

    def __init__(
        self, config: uvicorn.Config, running: Running, drain_s: float, worker: Worker | None
    ) -> None:
        super().__init__(config)
        self._running = running
        self._drain_s = drain_s
        self._worker = worker

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours instead of uvicorn's, which raises the signal again at the end: a drained stop is a success."""
        loop = asyncio.get_running_loop()
        handlers: dict[int, Callable[[], object]] = {
            number: partial(self.handle_exit, number, None) for number in (signal.SIGTERM, signal.SIGINT)
        }
        if self._worker is None:
            handlers[signal.SIGHUP] = self._running.request_reload
        else:
            handlers[CUT] = self._cut_now
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        yield
        for number in handlers:
            loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and self._worker is None:
            self._cut()
        self.should_exit = True

    def _cut_now(self) -> None:
        self.should_exit = True
        self._cut()

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for lane in self._lanes():
                lane.sweep(now)
            if self._worker is not None:
                self._worker.alive()
                if self._worker.orphaned:
                    _log.warning("the supervisor is gone")
                    self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._running.draining = True
        if self._worker is not None:
            self._worker.draining()
        _log.info("draining %d connections", len(self.server_state.connections))
        loop = asyncio.get_running_loop()
        timers = [
            loop.call_later(min(LAST_CALL_S, self._drain_s), self._close_idle),
            loop.call_later(self._drain_s, self._cut),
        ]
        await super().shutdown(sockets)
        for timer in timers:
            timer.cancel()

    def _close_idle(self) -> None:
        for lane in self._lanes():
            lane.close_idle()

    def _cut(self) -> None:
        for lane in self._lanes():
            lane.cut(_STOPPING)

    def _lanes(self) -> list[Lane]:
        return [lane for lane in self.server_state.connections if isinstance(lane, Lane)]


def bind(server: Server, *, shared: bool = False) -> socket.socket:
    """A listening socket, one of several of the address where that is `shared`.

    Raises:
        OperatorError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        return socket.create_server(
            (server.host, server.port), family=family, backlog=BACKLOG, reuse_port=shared
        )
    except OSError as error:
        raise OperatorError(
            f"Cannot listen on {server.host}:{server.port}: {error.strerror}. "
            "Choose another address with --host and --port, or stop what is using it."
        ) from error


def run(installation: Installation, listening: Callable[[str], None]) -> None:
    """Serve until a signal; `listening` is called with the base URL once requests are accepted.

    Raises:
        OperatorError: it cannot start.
    """
    sock = bind(installation.config.server)
    with installation, sock:
        uvloop.run(_serve(installation, sock, listening, None))


def run_workers(first: Installation, read: Callable[[], Installation]) -> None:
    """Serve `first` with several processes until a signal; `read` makes the installation that SIGHUP brings.

    Raises:
        OperatorError: none of them can start.
    """
    server = first.config.server
    # Sockets that share an address would share it with those of another server too, so it must be free first.
    with bind(server) as probe:
        server = msgspec.structs.replace(server, port=probe.getsockname()[1])
    with supervisor_log(first.config.telemetry), Board() as board:

        def again() -> Plan:
            installation = read()
            wanted = installation.config.server
            if (wanted.host, wanted.port) not in ((server.host, server.port), (server.host, 0)):
                _log.warning("server.host and server.port take effect at the next start")
            return _plan(installation, board)

        supervisor = Supervisor(partial(bind, server, shared=True), _plan(first, board), again, board)
        url = _url(server.host, server.port)
        _log.info("listening on %s with %d workers", url, server.workers)
        supervisor.run()


def _plan(installation: Installation, board: Board) -> Plan:
    server = installation.config.server

    def work(worker: Worker) -> None:
        installation.join(board, worker.number)
        with installation, worker.sock:
            if worker.introduces:
                refuse_changes(installation.shared.panic.entries)
            uvloop.run(_serve(installation, worker.sock, lambda url: None, worker))

    return Plan(server.workers, server.drain_s + CUT_S, work)


async def _serve(
    installation: Installation, sock: socket.socket, listening: Callable[[str], None], worker: Worker | None
) -> None:
    running = Running(installation, installation.assemble(installation.config, previous=None))
    settings = installation.config.server
    config = uvicorn.Config(
        application(running),
        http=lane_for(running),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=ceil(settings.drain_s + CUT_S),
    )
    server = _Server(config, running, settings.drain_s, worker)
    host, port = sock.getsockname()[:2]
    # What lives until the end need not be looked at by every collection (about 1 ms of latency each).
    gc.collect()
    gc.freeze()
    async with asyncio.TaskGroup() as tasks:
        owned = [
            tasks.create_task(running.reload_on_request()),
            *(tasks.create_task(run()) for run in installation.shared.tasks),
        ]
        if worker is None:
            url = _url(host, port)
            _log.info("listening on %s", url)
            listening(url)
        else:
            owned.append(tasks.create_task(_say_when_ready(running, worker)))
        await server.serve([sock])
        running.gateway.watch.fail(_STOPPING)
        for task in owned:
            task.cancel()
    for provider in running.gateway.providers.values():
        await provider.aclose()


async def _say_when_ready(running: Running, worker: Worker) -> None:
    while (await readiness_of(running))["status"] == "failing":  # noqa: ASYNC110 - secrets open or not, untold
        await asyncio.sleep(ASK_S)
    _log.info("worker %d serves configuration %s", worker.number, running.gateway.version)
    worker.ready()


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
