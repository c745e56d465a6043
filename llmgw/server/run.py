"""Runs one gateway process: socket, uvicorn with the lane, signals, drain.

SIGTERM and SIGINT stop accepting, let running answers finish within `server.drain`, cut what is left with an
in-band error, and exit 0; a second signal cuts at once. SIGHUP reloads the configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from math import ceil
from types import FrameType
from typing import Final

import uvicorn
import uvloop

from llmgw.assembly import Installation
from llmgw.config.schema import Server
from llmgw.errors import GatewayStopping, OperatorError
from llmgw.server.health import application
from llmgw.server.lane import Lane, lane_for
from llmgw.server.reload import Running

_log = logging.getLogger("llmgw.server")

BACKLOG: Final = 2048
CUT_S: Final = 2.0
"""Seconds left to the last error events to reach their clients after the drain's time is up."""


_STOPPING: Final = GatewayStopping("The gateway is stopping; send the request again.")


class _Server(uvicorn.Server):
    """uvicorn's server with the lane's sweep and drain."""

    def __init__(self, config: uvicorn.Config, running: Running, drain_s: float) -> None:
        super().__init__(config)
        self._running = running
        self._drain_s = drain_s

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours instead of uvicorn's, which raises the signal again at the end: a drained stop is a success."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self._running.request_reload)
        yield
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self._cut()
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for lane in self._lanes():
                lane.sweep(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._running.draining = True
        _log.info("draining %d connections", len(self.server_state.connections))
        cut = asyncio.get_running_loop().call_later(self._drain_s, self._cut)
        await super().shutdown(sockets)
        cut.cancel()

    def _cut(self) -> None:
        for lane in self._lanes():
            lane.cut(_STOPPING)

    def _lanes(self) -> list[Lane]:
        return [lane for lane in self.server_state.connections if isinstance(lane, Lane)]


def bind(server: Server) -> socket.socket:
    """The listening socket; OperatorError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        return socket.create_server((server.host, server.port), family=family, backlog=BACKLOG)
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
        uvloop.run(_serve(installation, sock, listening))


async def _serve(installation: Installation, sock: socket.socket, listening: Callable[[str], None]) -> None:
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
    server = _Server(config, running, settings.drain_s)
    host, port = sock.getsockname()[:2]
    # What lives until the end need not be looked at by every collection (about 1 ms of latency each).
    gc.collect()
    gc.freeze()
    async with asyncio.TaskGroup() as tasks:
        owned = [
            tasks.create_task(running.reload_on_request()),
            *(tasks.create_task(run()) for run in installation.shared.tasks),
        ]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        _log.info("listening on %s", url)
        listening(url)
        await server.serve([sock])
        running.gateway.watch.fail(_STOPPING)
        for task in owned:
            task.cancel()
    for provider in running.gateway.providers.values():
        await provider.aclose()
