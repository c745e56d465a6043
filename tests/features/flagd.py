"""Servers to put a flag provider before: a flagd that answers over gRPC, and one that hangs.

The first speaks flagd's protocol (flagd.evaluation.v2) with the client's own stubs; what it says is set by the test.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import grpc  # type: ignore[import-untyped]  # it has no types
from openfeature.schemas.protobuf.flagd.evaluation.v2 import evaluation_pb2, evaluation_pb2_grpc


class Flagd(evaluation_pb2_grpc.ServiceServicer):
    """What it says of each flag; a flag that it does not have is not found."""

    def __init__(self) -> None:
        self.flags: dict[str, bool] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.port = 0
        self._listeners: list[SimpleQueue[Any]] = []

    def change(self, **flags: bool) -> None:
        """Say this from now on, and tell all who listen."""
        self.flags = {name.replace("_", "-"): value for name, value in flags.items()}
        for queue in tuple(self._listeners):
            queue.put(evaluation_pb2.EventStreamResponse(type="configuration_change"))

    def ResolveBoolean(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        self.asked.append((request.flag_key, dict(request.context)))
        value = self.flags.get(request.flag_key)
        if value is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such flag")
        return evaluation_pb2.ResolveBooleanResponse(
            value=value, reason="TARGETING_MATCH", variant=str(value)
        )

    def _unasked(self, request: Any, context: Any) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "flags are booleans here")

    ResolveString = ResolveInt = ResolveFloat = ResolveObject = _unasked

    def EventStream(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802 - the protocol's name
        queue: SimpleQueue[Any] = SimpleQueue()
        self._listeners.append(queue)
        context.add_callback(lambda: queue.put(None))
        yield evaluation_pb2.EventStreamResponse(type="provider_ready")
        while (event := queue.get()) is not None:
            yield event

    @contextlib.contextmanager
    def serve(self) -> Iterator[None]:
        """Answer on a port of its own; the same one when it serves again."""
        server = grpc.server(ThreadPoolExecutor(16))
        evaluation_pb2_grpc.add_ServiceServicer_to_server(self, server)
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        server.start()
        try:
            yield
        finally:
            server.stop(0).wait(10)


@contextlib.contextmanager
def hanging() -> Iterator[int]:
    """The port of a TCP server that takes every connection and says nothing."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])

        threading.Thread(target=take, daemon=True).start()
        port: int = listener.getsockname()[1]
        yield port
        listener.shutdown(socket.SHUT_RDWR)
    for one in taken:
        one.close()


def dead() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
