"""A connection to Redis: what `cluster.breakers` needs of one, over redis-py."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import sha1
from typing import Any, Self

from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from llmgw.cluster.breakers import Argument, Lost

_Item = tuple[str, Sequence[str], Sequence[Argument], "asyncio.Future[Any] | None"]


class Link:
    """Commands of one turn of the loop go out together; a deadline on every exchange."""

    def __init__(self, port: int, deadline_s: float) -> None:
        self.on_return: list[Callable[[], None]] = []
        self.available = True
        self.sent = 0
        self._deadline_s = deadline_s
        self._client = Client(port=port, socket_timeout=deadline_s, retry=Retry(NoBackoff(), 0))
        self._hearing = Client(port=port, retry=Retry(NoBackoff(), 0))
        self._queue: asyncio.Queue[_Item] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port: int, deadline_s: float = 0.05) -> AsyncIterator[Self]:
        link = cls(port, deadline_s)
        link._tasks += [asyncio.create_task(link._write()), asyncio.create_task(link._probe())]
        try:
            yield link
            assert not any(task.done() for task in link._tasks)
        finally:
            for task in link._tasks:
                task.cancel()
            await asyncio.gather(*link._tasks, return_exceptions=True)
            await link._client.aclose()
            await link._hearing.aclose()

    async def call(self, script: str, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        if not self.available:
            raise Lost
        done = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((script, keys, args, done))
        return await done

    def send(self, script: str, keys: Sequence[str], args: Sequence[Argument]) -> None:
        self.sent += 1
        if self.available:
            self._queue.put_nowait((script, keys, args, None))

    def subscribe(self, channel: str, callback: Callable[[bytes], None]) -> None:
        self._tasks.append(asyncio.create_task(self._hear(channel, callback)))

    async def _write(self) -> None:
        while True:
            items = [await self._queue.get()]
            while not self._queue.empty() and len(items) < 1000:
                items.append(self._queue.get_nowait())
            try:
                answers = await self._exchange(items)
                if any(isinstance(answer, NoScriptError) for answer in answers):
                    await self._client.script_load(items[0][0])
                    answers = await self._exchange(items)
            except (RedisError, OSError) as error:
                self.available = False
                answers = [error] * len(items)
            for (_, _, _, done), answer in zip(items, answers, strict=True):
                if done is None or done.done():
                    continue
                if isinstance(answer, Exception):
                    done.set_exception(Lost(str(answer)))
                else:
                    done.set_result(answer)

    async def _exchange(self, items: Sequence[_Item]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for script, keys, args, _ in items:
            name = sha1(script.encode(), usedforsecurity=False).hexdigest()
            pipeline.execute_command("EVALSHA", name, len(keys), *keys, *args)
        return await pipeline.execute(raise_on_error=False)

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if not self.available:
                with contextlib.suppress(RedisError, OSError):
                    await self._client.ping()
                    self.available = True
                    for callback in self.on_return:
                        callback()

    async def _hear(self, channel: str, callback: Callable[[bytes], None]) -> None:
        while True:
            with contextlib.suppress(RedisError, OSError):
                async with self._hearing.pubsub(ignore_subscribe_messages=True) as hearing:
                    await hearing.subscribe(channel)
                    async for message in hearing.listen():
                        callback(message["data"])
            await asyncio.sleep(0.1)
