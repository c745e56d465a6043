"""Redis for the event loop: what is asked in one turn goes out in one write; nobody waits for a server that is gone.

Commands gather while those before them are under way; then all of them go out as one pipeline, in the order in which
they were given. So a busy process writes and reads a few hundred commands at a time, and order needs no lock. Every
command has its own deadline, counted from when it was given. The first that passes it, and the first connection that
breaks, make the server *lost*: everything under way and everything asked from then on fails at once with `Lost`, and
one probe, four times a second on a new connection, tells when it is back. The probe writes: a server that answers but
takes nothing (out of memory, a replica, still loading) is as lost as a silent one.

Over redis-py, which knows how to connect (TLS, users, Sentinel) and where things are in a Redis Cluster. There a
pipeline goes to all of its servers at once, and one server lost is all lost: limits that are half known are not known.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

from redis.exceptions import NoScriptError

from llmgw.cluster.lines import FAULTS, Command, Line, listener, open_line
from llmgw.cluster.lines import Arg as Arg
from llmgw.cluster.lines import Script as Script

_log = logging.getLogger("llmgw.store")

DEADLINE_S: Final = 0.05
PROBE_S: Final = 0.25
CONNECT_S: Final = 1.0
"""A connection takes several round trips, and TLS takes time: it is made in the background."""
BATCH: Final = 256
"""Commands in one pipeline; more would make the first wait for the last."""
WAITING: Final = 20_000
"""Commands that wait for their turn; one more fails at once."""
PROBE_KEY: Final = "llmgw:{probe}:write"
_UNFIT: Final = (
    "OOM",
    "READONLY",
    "LOADING",
    "MISCONF",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "NOREPLICAS",
    "TRYAGAIN",
)
"""Answers of a server that cannot be used just now, whatever is asked."""


class Lost(Exception):
    """Redis cannot be asked just now, or did not answer in time: what was asked may or may not have been done."""


class Redis:
    """One for each process; everything belongs to the event loop that `run` runs in.

    Args:
        url: redis://, rediss://, unix://, redis+sentinel://host:port,host:port/service[/db] (rediss+sentinel://),
            redis+cluster://host:port (rediss+cluster://). User, password and redis-py's TLS options as in its URLs.
    """

    def __init__(self, url: str, *, deadline_s: float = DEADLINE_S) -> None:
        self.url = url
        """With the password."""
        self._deadline_s = deadline_s
        self._line: Line | None = None
        self._waiting: deque[Command] = deque()
        self._under_way: Sequence[Command] = ()
        self._pump: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self._subscribed: dict[str, list[Callable[[bytes], None]]] = {}
        self._hear = asyncio.Event()
        self._why = "it has not been connected to yet"
        self._said = False
        self.lost_since: float | None = monotonic()
        """Of `time.monotonic`; None while it can be used."""
        self.on_loss: list[Callable[[], None]] = []
        """Called when it is lost; they neither wait nor raise."""
        self.on_return: list[Callable[[], None]] = []
        """Called when it can be used again, also for the first time."""

    @property
    def available(self) -> bool:
        return self.lost_since is None

    @property
    def cluster(self) -> bool:
        """Keys of one script must share a hash slot."""
        return "+cluster" in urlsplit(self.url).scheme

    @property
    def problem(self) -> str:
        """Why it was lost last, in words for an operator."""
        return self._why

    # -- what is asked

    async def call(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> Any:
        """What the script answers.

        Raises:
            Lost: within the deadline, or at once where it is lost already.
            ResponseError: the script is wrong.
        """
        return await self.submit(script, keys, args)

    def submit(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> asyncio.Future[Any]:
        """As `call`, without a coroutine: the answer to come. `Lost` is raised at once where it is lost already."""
        return self._give(("EVALSHA", script.digest, len(keys), *keys, *args), script)

    def send(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> None:
        """Run the script and forget it: in order, and dropped while it is lost."""
        with contextlib.suppress(Lost):
            self._give(("EVALSHA", script.digest, len(keys), *keys, *args), script, wanted=False)

    async def get(self, key: str) -> bytes | None:
        answer: bytes | None = await self._give(("GET", key))
        return answer

    async def set(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        expiry = () if ttl_s is None else ("PX", max(1, round(ttl_s * 1000)))
        await self._give(("SET", key, value, *expiry))

    async def publish(self, channel: str, message: bytes) -> None:
        """To everybody who hears `channel` just now, in every process."""
        await self._give(("PUBLISH", channel, message))

    def subscribe(self, channel: str, callback: Callable[[bytes], None]) -> None:
        """Hear `channel` from now on. What is said while the connection is broken is not heard: callers poll too."""
        self._subscribed.setdefault(channel, []).append(callback)
        self._hear.set()

    # -- life

    async def run(self) -> None:
        """Connect, watch, hear; until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep())
                group.create_task(self._listen())
        finally:
            self._lose("the process is ending", quiet=True)
            if self._line is not None:
                await _closed(self._line)

    async def _keep(self) -> None:
        while True:
            if self.available:
                await self._gone.wait()
            line = self._line
            self._line = None
            if line is not None:
                await _closed(line)
            began = monotonic()
            try:
                async with asyncio.timeout(CONNECT_S):
                    line = await open_line(self.url, CONNECT_S)
                    try:
                        await self._probe(line)
                    except BaseException:
                        await _closed(line)
                        raise
            except FAULTS as error:
                self._why = _words(error)
                self._say_lost()
                await asyncio.sleep(max(0.0, began + PROBE_S - monotonic()))
                continue
            self._line = line
            self._gone.clear()
            self.lost_since = None
            if self._said:
                _log.info("Redis can be used again.")
            self._said = False
            for callback in self.on_return:
                callback()

    async def _probe(self, line: Line) -> None:
        """It takes a write, within the deadline that commands have."""
        command = Command(("SET", PROBE_KEY, b"1", "PX", 10_000), None, monotonic(), None)
        async with asyncio.timeout(max(self._deadline_s, PROBE_S)):
            await line.run([command])  # what a new connection costs once
        async with asyncio.timeout(self._deadline_s):
            for answer in await line.run([command]):
                if isinstance(answer, Exception):
                    raise answer

    def _say_lost(self) -> None:
        if not self._said:
            self._said = True
            _log.warning("Redis cannot be used: %s", self._why)

    def _lose(self, why: str, *, quiet: bool = False) -> None:
        """Everything that waits fails now; the watch goes on to find it again."""
        if self.available:
            self.lost_since = monotonic()
            self._why = why
            if not quiet:
                self._say_lost()
            self._gone.set()
            for callback in self.on_loss:
                callback()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        pump, self._pump = self._pump, None
        if pump is not None and pump is not asyncio.current_task():
            pump.cancel()
        failed = (*self._under_way, *self._waiting)
        self._under_way = ()
        self._waiting.clear()
        for command in failed:
            if command.answer is not None and not command.answer.done():
                command.answer.set_exception(Lost(why))

    # -- the pipeline

    def _give(
        self, args: tuple[Arg, ...], script: Script | None = None, *, wanted: bool = True
    ) -> asyncio.Future[Any]:
        if self.lost_since is not None:
            raise Lost(self._why)
        if len(self._waiting) >= WAITING:
            raise Lost("more is asked of it than it answers")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if not wanted:
            answer.add_done_callback(_unheard)
        self._waiting.append(Command(args, script, loop.time(), answer))
        if self._pump is None:
            self._pump = loop.create_task(self._run_pump(loop))
        return answer

    async def _run_pump(self, loop: asyncio.AbstractEventLoop) -> None:
        """One pipeline after another, until nothing waits."""
        line = self._line
        assert line is not None
        waiting = self._waiting
        self._watch = loop.call_at(waiting[0].given + self._deadline_s, self._check, loop)
        while waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), BATCH))]
            self._under_way = batch
            try:
                answers = await line.run(batch)
                await self._load_missing(line, batch, answers)
            except FAULTS as error:
                return self._lose(_words(error))
            self._under_way = ()
            unfit = None
            for command, answer in zip(batch, answers, strict=True):
                unfit = self._answered(command, answer) or unfit
            if unfit is not None:
                return self._lose(unfit)
        self._pump = None
        self._watch.cancel()
        self._watch = None

    def _answered(self, command: Command, answer: Any) -> str | None:
        """Gives what is wrong with the server, if the answer says so."""
        future = command.answer
        if not isinstance(answer, Exception):
            if future is not None and not future.done():
                future.set_result(answer)
            return None
        words = _words(answer)
        unfit = words if words.startswith(_UNFIT) or "command not allowed when used memory" in words else None
        if future is not None and not future.done():
            future.set_exception(answer if unfit is None else Lost(words))
        return unfit

    async def _load_missing(self, line: Line, batch: Sequence[Command], answers: list[Any]) -> None:
        """Scripts that the server does not know, after a restart, go again with their text."""
        missing = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if missing:
            again = []
            for n in missing:
                command = batch[n]
                assert command.script is not None
                again.append(
                    Command(("EVAL", command.script.text, *command.args[2:]), None, command.given, None)
                )
            for n, answer in zip(missing, await line.run(again), strict=True):
                answers[n] = answer

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        """Is the oldest command past its deadline?"""
        oldest = self._under_way[0] if self._under_way else next((c for c in self._waiting), None)
        if oldest is None:
            self._watch = None
            return
        due = oldest.given + self._deadline_s
        late_s = loop.time() - due
        if late_s < 0:
            self._watch = loop.call_at(due, self._check, loop)
        elif late_s < self._deadline_s:
            # Where this process itself was late, the answer may be there and only unread: one look at the sockets.
            self._watch = loop.call_later(max(0.001, 0.02 * self._deadline_s), self._missed, oldest, loop)
        else:
            self._watch = loop.call_later(0.005, self._missed, oldest, loop)

    def _missed(self, oldest: Command, loop: asyncio.AbstractEventLoop) -> None:
        if oldest.answer is not None and not oldest.answer.done():
            self._lose(f"it did not answer within {self._deadline_s * 1000:g} ms")
        else:
            self._check(loop)

    # -- messages

    async def _listen(self) -> None:
        """Hear every channel that was asked for, over a connection of its own, made anew when it breaks."""
        while True:
            await self._hear.wait()
            if not self.available:
                await asyncio.sleep(PROBE_S)
                continue
            try:
                async with contextlib.AsyncExitStack() as stack:
                    await self._hear_with(stack)
            except FAULTS:
                await asyncio.sleep(PROBE_S)

    async def _hear_with(self, stack: contextlib.AsyncExitStack) -> None:
        async with asyncio.timeout(CONNECT_S):
            client = await listener(self.url, CONNECT_S)
            stack.push_async_callback(client.aclose)
            heard = client.pubsub(ignore_subscribe_messages=True)
            stack.push_async_callback(heard.aclose)
            self._hear.clear()
            await heard.subscribe(*self._subscribed)
            self._hear.set()
        known = len(self._subscribed)
        while self.available and known == len(self._subscribed):
            message = await heard.get_message(timeout=PROBE_S)
            if message is not None and message["type"] == "message":
                for callback in self._subscribed.get(message["channel"].decode(), ()):
                    callback(message["data"])


def _unheard(answer: asyncio.Future[Any]) -> None:
    """An answer that nobody waits for; an error in it is not one of the event loop."""
    if not answer.cancelled():
        answer.exception()


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return str(error) or type(error).__name__


async def _closed(line: Line) -> None:
    with contextlib.suppress(*FAULTS):
        await line.close()
