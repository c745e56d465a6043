"""The contract of `ports.Upstream`, against a provider that misbehaves; every adapter passes all of it.

Besides what a test says for itself, `upstreams` asserts after each one: the callbacks came in the promised
order and none after the end or the abort, nothing reached the loop's exception handler, and `aclose()` left
neither a task nor a socket behind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import pytest

from llmgw.errors import CallError, UpstreamFailed, UpstreamTimeout
from llmgw.ports import Header, Transfer, Upstream, UpstreamRequest
from llmgw.server.steps import Steps
from llmgw.upstream.http1 import Http1Client
from llmgw.upstream.httpx_transport import HttpxTransport
from tests.provider import (
    Gate,
    Hang,
    Provider,
    Rst,
    Send,
    blackhole_port,
    canned,
    closed_port,
    eventually,
    load,
    recordings,
)

pytestmark = pytest.mark.anyio

PATH = "/v1/chat/completions"
STREAM = b'{"model":"m","stream":true,"messages":[]}'
PLAIN = b'{"model":"m","messages":[]}'
STREAM_BODY = canned.answer(PATH, {"model": "m", "stream": True}).body
PLAIN_BODY = canned.answer(PATH, {"model": "m"}).body
HEADERS = ((b"content-type", b"application/json"), (b"x-b", b"2"), (b"x-a", b"1"), (b"x-b", b"3"))


@dataclass
class Recorder:
    """A Receiver that keeps what it is told, and every breach of the port's order."""

    status: int = 0
    headers: list[Header] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    pieces: int = 0
    error: CallError | None = None
    ended: bool = False
    breaches: list[str] = field(default_factory=list)
    transfer: Transfer | None = None
    aborted: bool = False
    on_data: Callable[[], None] | None = None
    on_end: Callable[[], None] | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    def _check(self, call: str, after_head: bool | None) -> None:
        if self.finished.is_set() or self.aborted:
            self.breaches.append(f"{call} after the end")
        if after_head is not None and after_head is not bool(self.status):
            self.breaches.append(f"{call} in the wrong order")

    def head(self, status: int, headers: list[Header]) -> None:
        self._check("head", after_head=False)
        self.status = status
        self.headers = headers

    def data(self, data: bytes) -> None:
        self._check("data", after_head=True)
        self.body += data
        self.pieces += 1
        if self.on_data is not None:
            self.on_data()

    def end(self) -> None:
        self._check("end", after_head=True)
        self.ended = True
        self.finished.set()
        if self.on_end is not None:
            self.on_end()

    def failed(self, error: CallError) -> None:
        self._check("failed", after_head=None)
        self.error = error
        self.finished.set()

    def abort(self) -> None:
        assert self.transfer is not None
        self.aborted = True
        self.transfer.abort()


@dataclass
class Upstreams:
    """Makes adapters of one kind and sends through them."""

    kind: str
    provider: Provider
    made: list[Upstream] = field(default_factory=list)
    recorders: list[Recorder] = field(default_factory=list)

    def to(self, origin: str, *, allow_private: bool = True) -> Upstream:
        if self.kind == "http1":
            upstream: Upstream = Http1Client(origin, allow_private=allow_private)
        else:
            upstream = HttpxTransport(origin, allow_private=allow_private, proxy=None)
        self.made.append(upstream)
        return upstream

    async def send(
        self,
        upstream: Upstream,
        behaviour: str | None = None,
        *,
        body: bytes = STREAM,
        path: str = PATH,
        connect_timeout_s: float = 5.0,
        **options: object,
    ) -> Recorder:
        """Send, and return when the request is under way; without `behaviour` a script decides."""
        recorder = Recorder()
        self.recorders.append(recorder)
        prefix = "" if behaviour is None else self.provider.prefix(behaviour, **options)
        request = UpstreamRequest(method=b"POST", target=(prefix + path).encode(), headers=HEADERS, body=body)
        recorder.transfer = await upstream.send(request, recorder, connect_timeout_s=connect_timeout_s)
        return recorder

    async def call(self, upstream: Upstream, behaviour: str | None = None, **options: Any) -> Recorder:
        """Send and wait until the answer has ended or failed."""
        recorder = await self.send(upstream, behaviour, **options)
        await asyncio.wait_for(recorder.finished.wait(), 10)
        return recorder


@pytest.fixture(params=["http1", "httpx"])
async def upstreams(request: pytest.FixtureRequest, provider: Provider) -> AsyncIterator[Upstreams]:
    """One adapter's factory; see the module's docstring for what is asserted when it closes."""
    loop = asyncio.get_running_loop()
    strays: list[dict[str, Any]] = []
    previous = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: strays.append(context))
    made = Upstreams(str(request.param), provider)
    try:
        yield made
        for recorder in made.recorders:
            if recorder.transfer is not None and not recorder.finished.is_set():
                recorder.abort()
        for upstream in made.made:
            await upstream.aclose()
        await eventually(lambda: provider.connections() == 0)
        await eventually(lambda: not _tasks_of_adapters())
        assert [breach for recorder in made.recorders for breach in recorder.breaches] == []
        assert strays == []
    finally:
        loop.set_exception_handler(previous)


def _tasks_of_adapters() -> list[str]:
    """What runs beside the test itself."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if "TestRunner" not in name]


@pytest.fixture
def upstream(upstreams: Upstreams, provider: Provider) -> Upstream:
    """An adapter that talks to the provider."""
    return upstreams.to(provider.url)


# The request as the provider gets it


async def test_request_goes_out_as_given(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """Request line, header list (order, repeats) and body arrive as given; only host and length are added."""
    body = b'{"model" : "m",\t"n": 1.0E0, "x": "\xc3\xa9"}'
    await upstreams.call(upstream, body=body, path=PATH + "?api-version=1&x=%2F")
    seen = provider.last()
    assert seen.head.split(b"\r\n")[0] == b"POST /v1/chat/completions?api-version=1&x=%2F HTTP/1.1"
    added = {b"host": f"127.0.0.1:{provider.ports.http}".encode(), b"content-length": b"%d" % len(body)}
    own = [(name.lower(), value) for name, value in seen.headers]
    assert [item for item in own if item[0] not in added] == list(HEADERS)
    assert {name: value for name, value in own if name in added} == added
    assert len(own) == len(HEADERS) + len(added)
    assert seen.body == body


async def test_large_request(upstreams: Upstreams, upstream: Upstream, provider: Provider) -> None:
    """A body far beyond any socket buffer arrives whole."""
    body = b'{"model":"m","x":"' + b"y" * 12_000_000 + b'"}'
    recorder = await upstreams.call(upstream, body=body)
    assert recorder.ended and provider.last().body == body


# The answer as the receiver gets it


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("chunking", ["whole", "event", "byte", "random"])
@pytest.mark.parametrize("body", [STREAM, PLAIN], ids=["stream", "plain"])
async def test_body_is_byte_exact(
    upstreams: Upstreams, upstream: Upstream, framing: str, chunking: str, body: bytes
) -> None:
    """However the provider frames and cuts the body, the receiver gets its bytes and one end."""
    recorder = await upstreams.call(upstream, "answer", body=body, framing=framing, chunking=chunking, seed=7)
    assert (recorder.status, recorder.error, recorder.ended) == (200, None, True)
    assert recorder.body == (STREAM_BODY if body is STREAM else PLAIN_BODY)


async def test_one_byte_at_a_time(upstreams: Upstreams, upstream: Upstream) -> None:
    """Head and chunk framing survive being torn at every byte."""
    recorder = await upstreams.call(upstream, "drip")
    assert recorder.ended and recorder.body == STREAM_BODY


@pytest.mark.skipif(not recordings.index(), reason="the recorded exchanges are not in this checkout")
async def test_recordings_are_byte_exact(upstreams: Upstreams, upstream: Upstream) -> None:
    """Every recorded answer arrives with its status, its header fields and its bytes."""
    for name in recordings.index():
        answer = load(name).answer()
        recorder = await upstreams.call(upstream, "answer", recording=name, chunking="random", seed=len(name))
        assert (recorder.status, bytes(recorder.body)) == (answer.status, answer.body), name
        got = [item for item in recorder.headers if item[0] not in (b"transfer-encoding", b"content-length")]
        assert got == [(key.lower().encode(), value.encode("latin-1")) for key, value in answer.headers], name


async def test_head_is_a_list(upstreams: Upstreams, upstream: Upstream, provider: Provider) -> None:
    """Response header fields keep their order and repeats; names come in lower case."""
    fields = b"X-B: 1\r\nSet-Cookie: a\r\nx-b:   2  \r\nset-cookie: b\r\nContent-Length: 0\r\n"
    provider.script(steps=[Send(b"HTTP/1.1 418 Odd\r\n" + fields + b"\r\n")])
    recorder = await upstreams.call(upstream)
    assert recorder.status == 418
    assert recorder.headers == [
        (b"x-b", b"1"),
        (b"set-cookie", b"a"),
        (b"x-b", b"2"),
        (b"set-cookie", b"b"),
        (b"content-length", b"0"),
    ]


@pytest.mark.parametrize(
    ("behaviour", "status", "body"),
    [
        ("interim", 200, STREAM_BODY),
        ("no-reason", 200, STREAM_BODY),
        ("chunk-extensions", 200, STREAM_BODY),
        ("trailers", 200, STREAM_BODY),
        ("http10-close", 200, STREAM_BODY),
        ("close-after", 200, STREAM_BODY),
        ("reset-after", 200, STREAM_BODY),
        ("slow-head", 200, STREAM_BODY),
        ("slow-first-byte", 200, STREAM_BODY),
        ("empty", 200, b""),
        ("204", 204, b""),
        ("304", 304, b""),
        ("redirect", 302, b"moved"),
        ("html", 502, b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"),
    ],
)
async def test_unusual_but_sound_answers(
    upstreams: Upstreams, upstream: Upstream, provider: Provider, behaviour: str, status: int, body: bytes
) -> None:
    """Interim heads, trailers, bodiless statuses are answers; a redirect is passed on, not followed."""
    recorder = await upstreams.call(upstream, behaviour)
    assert (recorder.status, bytes(recorder.body), recorder.ended) == (status, body, True)
    assert len(provider.seen()) == 1


async def test_trailers_are_no_headers(upstreams: Upstreams, upstream: Upstream) -> None:
    """Trailer fields are dropped: the head that was handed over does not change behind its owner's back."""
    recorder = await upstreams.call(upstream, "trailers")
    assert recorder.ended and b"x-checksum" not in dict(recorder.headers)


async def test_content_coding_is_left_alone(upstreams: Upstreams, upstream: Upstream) -> None:
    """A compressed body stays compressed: only the transfer coding is removed."""
    recorder = await upstreams.call(upstream, "gzip")
    assert (b"content-encoding", b"gzip") in recorder.headers
    assert recorder.body.startswith(b"\x1f\x8b")


async def test_giant_event(upstreams: Upstreams, upstream: Upstream) -> None:
    """One event of many megabytes passes in pieces."""
    recorder = await upstreams.call(upstream, "giant-event", size=5_000_000)
    assert recorder.ended and len(recorder.body) == 5_000_000 + len(b"data: \n\n")
    assert recorder.pieces > 1


async def test_content_arrives_before_the_end(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """What the provider has sent is handed on while the rest is still to come."""
    recorder = await upstreams.send(upstream, "gate")
    await eventually(lambda: b"One" in recorder.body)
    assert not recorder.finished.is_set()
    provider.release()
    await asyncio.wait_for(recorder.finished.wait(), 5)
    assert recorder.body == STREAM_BODY


async def test_answer_before_the_request_is_sent(upstreams: Upstreams, upstream: Upstream) -> None:
    """A provider that answers before it has read a large body (413, 401) is heard."""
    recorder = await upstreams.call(upstream, "early-answer", body=b"x" * 8_000_000, status=413)
    assert recorder.status == 413 and recorder.ended
    assert recorder.body == canned.failure(PATH, 413, "scripted 413").body


# Failures


@pytest.mark.parametrize(
    "behaviour",
    [
        "cut-before-head-fin",
        "cut-before-head-rst",
        "cut-in-head",
        "cut-after-head",
        "cut-mid-event-fin",
        "cut-mid-event-rst",
        "cut-before-last-chunk",
        "early-rst",
        "garbage",
        "banner",
        "switch",
        "endless-headers",
        "endless-line",
        "bad-header",
        "nul-in-header",
        "length-long",
        "length-conflict",
        "length-bad",
        "length-negative",
        "length-and-chunked",
        "bad-chunk-size",
        "endless-trailers",
    ],
)
async def test_hostile_answers_fail(
    upstreams: Upstreams, upstream: Upstream, provider: Provider, behaviour: str
) -> None:
    """Whatever is cut off or is not HTTP fails exactly once as the provider's fault, and is not repeated."""
    recorder = await upstreams.call(upstream, behaviour)
    assert type(recorder.error) is UpstreamFailed and not recorder.ended
    assert "127.0.0.1" not in recorder.error.message
    assert len(provider.seen()) == 1


async def test_cut_hands_on_what_came(upstreams: Upstreams, upstream: Upstream) -> None:
    """Everything before the cut reaches the receiver, and nothing else."""
    recorder = await upstreams.call(upstream, "cut-mid-event-fin")
    assert recorder.status == 200
    assert len(recorder.body) > len(STREAM_BODY) // 3
    assert STREAM_BODY.startswith(recorder.body)


async def test_endless_interim_answers_can_be_aborted(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """Interim heads without end never become an answer, and do not keep an abort from working."""
    recorder = await upstreams.send(upstream, "endless-interim")
    await eventually(provider.seen)
    await eventually(lambda: provider.last().written > 1_000_000 or recorder.finished.is_set())
    if not recorder.finished.is_set():
        recorder.abort()
    await eventually(lambda: provider.last().closed_at)
    assert recorder.status == 0


# Back-pressure


async def test_pause_holds_the_provider_back(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """While paused the provider cannot get rid of its bytes; after resume all of them arrive."""
    recorder = await upstreams.send(upstream, "endless", times=40_000)
    await eventually(lambda: recorder.status)
    assert recorder.transfer is not None
    recorder.transfer.pause()
    received, written, since = len(recorder.body), -1, monotonic()

    def stuck() -> bool:
        nonlocal written, since
        now = provider.last().written
        if now != written:
            written, since = now, monotonic()
        return monotonic() - since > 0.3

    await eventually(stuck, 10)
    total = 40_000 * 960
    assert written < total // 2
    assert len(recorder.body) - received <= 1024 * 1024
    recorder.transfer.resume()
    await asyncio.wait_for(recorder.finished.wait(), 20)
    event = canned.event({"choices": [{"index": 0, "delta": {"content": "x" * 900}, "finish_reason": None}]})
    assert recorder.ended and recorder.body == event * 40_000


async def test_pause_from_within_data(upstreams: Upstreams, upstream: Upstream) -> None:
    """A receiver may pause on every piece it gets and be resumed later."""
    recorder = await upstreams.send(upstream, "answer", chunking="byte")
    loop = asyncio.get_running_loop()

    def stutter() -> None:
        assert recorder.transfer is not None
        recorder.transfer.pause()
        loop.call_soon(recorder.transfer.resume)

    recorder.on_data = stutter
    await asyncio.wait_for(recorder.finished.wait(), 10)
    assert recorder.body == STREAM_BODY


async def test_pause_outlives_no_call(upstreams: Upstreams, upstream: Upstream) -> None:
    """A call that is paused while its last byte arrives does not hold up the next one on its connection."""
    recorder = await upstreams.send(upstream, "answer", body=PLAIN)
    assert recorder.transfer is not None
    recorder.on_data = recorder.transfer.pause
    await eventually(lambda: recorder.body == PLAIN_BODY)
    recorder.transfer.resume()
    await asyncio.wait_for(recorder.finished.wait(), 5)
    recorder.transfer.pause()
    assert (await upstreams.call(upstream, "answer")).body == STREAM_BODY


# Abort


@pytest.mark.parametrize("behaviour", ["endless", "stall", "hang-before-head", "hang-after-head"])
async def test_abort_reaches_the_provider(
    upstreams: Upstreams, upstream: Upstream, provider: Provider, behaviour: str
) -> None:
    """The provider sees the connection break within 100 ms, and the receiver hears nothing more."""
    recorder = await upstreams.send(upstream, behaviour)
    await eventually(lambda: behaviour == "hang-before-head" or recorder.status)
    await eventually(provider.seen)
    at = monotonic()
    recorder.abort()
    closed_at = await eventually(lambda: provider.last().closed_at)
    assert closed_at is not None and closed_at - at < 0.1
    assert provider.last().closed_by == "client"
    assert not recorder.finished.is_set()


async def test_abort_while_paused(upstreams: Upstreams, upstream: Upstream, provider: Provider) -> None:
    """A paused call can be aborted."""
    recorder = await upstreams.send(upstream, "endless")
    await eventually(lambda: recorder.body)
    assert recorder.transfer is not None
    recorder.transfer.pause()
    recorder.abort()
    await eventually(lambda: provider.last().closed_at)


async def test_abort_from_within_data(upstreams: Upstreams, upstream: Upstream, provider: Provider) -> None:
    """A receiver may abort on a piece it gets; it gets no other."""
    recorder = await upstreams.send(upstream, "endless")
    recorder.on_data = recorder.abort
    await eventually(lambda: recorder.aborted)
    await eventually(lambda: provider.last().closed_at)
    assert recorder.breaches == []


async def test_abort_is_idempotent(upstreams: Upstreams, upstream: Upstream) -> None:
    """Aborting twice, and after the end, does nothing; the next call is not harmed."""
    recorder = await upstreams.call(upstream, "answer")
    assert recorder.transfer is not None
    following = await upstreams.send(upstream, "gate")
    recorder.transfer.abort()
    recorder.transfer.abort()
    recorder.transfer.pause()
    upstreams.provider.release()
    await asyncio.wait_for(following.finished.wait(), 5)
    assert following.body == STREAM_BODY


async def test_abort_before_the_body_is_sent(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """`send` does not wait for a provider that reads nothing, and such a call can be aborted."""
    recorder = await asyncio.wait_for(upstreams.send(upstream, "deaf", body=b"x" * 12_000_000), 5)
    await eventually(provider.seen)
    recorder.abort()
    provider.release("deaf")
    await eventually(lambda: provider.last().closed_at)


# Connections


async def test_connect_times_out(upstreams: Upstreams) -> None:
    """An address that swallows SYNs is given up in time."""
    with blackhole_port() as port:
        at = monotonic()
        with pytest.raises(UpstreamTimeout) as raised:
            await upstreams.send(upstreams.to(f"http://127.0.0.1:{port}"), connect_timeout_s=0.3)
    assert 0.25 < monotonic() - at < 2
    assert str(port) not in raised.value.message


async def test_connect_refused(upstreams: Upstreams) -> None:
    """A closed port is a failure at once; the client is not told the address."""
    with closed_port() as port, pytest.raises(UpstreamFailed) as raised:
        await upstreams.send(upstreams.to(f"http://127.0.0.1:{port}"))
    assert str(port) not in raised.value.message
    assert raised.value.detail


async def test_cancelled_while_connecting(upstreams: Upstreams) -> None:
    """A caller who gives up during the connect leaves nothing behind."""
    with blackhole_port() as port:
        call = asyncio.create_task(
            upstreams.send(upstreams.to(f"http://127.0.0.1:{port}"), connect_timeout_s=0.2)
        )
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_unknown_host(upstreams: Upstreams) -> None:
    """A name that does not resolve is a failure whose detail names it."""
    with pytest.raises(UpstreamFailed) as raised:
        await upstreams.send(upstreams.to("http://nowhere.invalid"))
    assert "nowhere.invalid" in (raised.value.detail or "")


async def test_caller_is_no_task(upstreams: Upstreams, upstream: Upstream) -> None:
    """`send` works for a caller that is no asyncio task, on a new connection and on a kept one."""
    for expected in (1, 2):
        Steps(_send_only(upstreams, upstream))()
        await eventually(lambda: len(upstreams.recorders) >= expected)  # noqa: B023, it is awaited here
        await asyncio.wait_for(upstreams.recorders[-1].finished.wait(), 5)
        assert upstreams.recorders[-1].body == STREAM_BODY


async def _send_only(upstreams: Upstreams, upstream: Upstream) -> None:
    await upstreams.send(upstream, "answer")


async def test_calls_do_not_mix(upstreams: Upstreams, upstream: Upstream) -> None:
    """Many calls at once each get their own answer."""
    bodies = [
        f'{{"model":"m{number}","stream":{str(number % 2 == 0).lower()}}}'.encode() for number in range(40)
    ]
    calls = [upstreams.call(upstream, "answer", body=body, chunking="random", seed=1) for body in bodies]
    for number, recorder in enumerate(await asyncio.gather(*calls)):
        want = canned.answer(PATH, {"model": f"m{number}", "stream": number % 2 == 0}).body
        assert recorder.body == want


async def test_stale_connection_is_repeated(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """A kept connection that the provider closes as the request arrives costs the caller nothing."""
    provider.script("stale", times=0)
    assert (await upstreams.call(upstream)).ended
    again = await upstreams.call(upstream, body=PLAIN)
    assert again.ended and again.body == PLAIN_BODY
    assert sum(seen.body == PLAIN for seen in provider.seen()) <= 2


async def test_stale_connection_is_repeated_once(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """If the repetition breaks off too, the call has failed: the provider sees a request twice at most."""
    provider.script("answer")
    provider.script("cut-before-head-fin", times=0)
    await upstreams.call(upstream)
    recorder = await upstreams.call(upstream, body=PLAIN)
    assert type(recorder.error) is UpstreamFailed
    assert sum(seen.body == PLAIN for seen in provider.seen()) <= 2


async def test_reset_connection_is_repeated(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """The same where the provider resets instead of closing."""
    provider.script("answer")
    provider.script(steps=[Rst()])
    await upstreams.call(upstream)
    recorder = await upstreams.call(upstream, body=PLAIN)
    if recorder.error is not None:  # a new connection, which must not be repeated
        assert upstreams.kind == "httpx" and len(provider.seen()) == 2
    else:
        assert recorder.body == PLAIN_BODY


async def test_begun_answer_is_not_repeated(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """One byte of an answer on a kept connection, and the request is not sent again."""
    provider.script("answer")
    provider.script(steps=[Send(b"H"), Rst()], times=0)
    await upstreams.call(upstream)
    recorder = await upstreams.call(upstream, body=PLAIN)
    assert type(recorder.error) is UpstreamFailed
    assert sum(seen.body == PLAIN for seen in provider.seen()) == 1


async def test_dropped_connection_is_replaced(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """A connection closed while idle is not used again."""
    await upstreams.call(upstream)
    provider.drop()
    await eventually(lambda: provider.connections() == 0)
    assert (await upstreams.call(upstream)).ended


async def test_surplus_bytes_answer_nobody(upstreams: Upstreams, upstream: Upstream) -> None:
    """What a provider sends beyond its answer is never taken for the answer to the next request."""
    first = await upstreams.call(upstream, "surplus", body=PLAIN)
    second = await upstreams.call(upstream, "answer", body=STREAM)
    assert (bytes(first.body), bytes(second.body)) == (PLAIN_BODY, STREAM_BODY)


async def test_surplus_bytes_and_a_call_from_within_end(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """The same where the next request is sent while the surplus is still being read."""
    recorder = await upstreams.send(upstream, "surplus", body=PLAIN)
    recorder.on_end = Steps(_send_only(upstreams, upstream))
    await asyncio.wait_for(recorder.finished.wait(), 5)
    await eventually(lambda: len(upstreams.recorders) == 2)
    following = upstreams.recorders[1]
    await asyncio.wait_for(following.finished.wait(), 5)
    assert b"poison" not in following.body
    assert following.body == STREAM_BODY or type(following.error) is UpstreamFailed


async def test_unread_surplus_answers_nobody(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """The same where the surplus comes later, in a packet that the event loop has not read yet when the
    connection is wanted again."""
    provider.script(steps=[Send(_whole(PLAIN_BODY)), Gate("later"), Send(_whole(b"poison")), Hang()])
    first = await upstreams.call(upstream, body=PLAIN)
    provider.release("later")
    time.sleep(0.2)  # noqa: ASYNC251  # the loop must not run while the packet arrives
    second = await upstreams.call(upstream, "answer", body=STREAM)
    assert (bytes(first.body), bytes(second.body)) == (PLAIN_BODY, STREAM_BODY)


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def test_short_length_answers_nobody(upstreams: Upstreams, upstream: Upstream) -> None:
    """Likewise where the provider's content-length is too small for its body."""
    first = await upstreams.call(upstream, "length-short", body=PLAIN)
    second = await upstreams.call(upstream, "answer", body=STREAM)
    assert first.ended and PLAIN_BODY.startswith(first.body)
    assert second.body == STREAM_BODY


async def test_close_lets_calls_finish(upstreams: Upstreams, upstream: Upstream, provider: Provider) -> None:
    """`aclose` waits for nobody and cuts nobody off; the connection closes when its call has ended."""
    recorder = await upstreams.send(upstream, "gate")
    await eventually(lambda: recorder.body)
    await upstream.aclose()
    provider.release()
    await asyncio.wait_for(recorder.finished.wait(), 5)
    assert recorder.body == STREAM_BODY
    await eventually(lambda: provider.connections() == 0)


async def test_close_lets_calls_connect(upstreams: Upstreams, upstream: Upstream) -> None:
    """A call that is just connecting when its transport is replaced still gets its answer."""
    call = asyncio.create_task(upstreams.call(upstream, "answer"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await upstream.aclose()
    assert (await call).body == STREAM_BODY


async def test_a_cancelled_send_leaves_nothing(
    upstreams: Upstreams, upstream: Upstream, provider: Provider
) -> None:
    """A caller that leaves while it is connected sends no request, and the next call is answered."""
    leaving = asyncio.create_task(upstreams.send(upstream, "answer"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (await upstreams.call(upstream, "answer")).body == STREAM_BODY
    assert len(provider.seen()) == 1


# The guard and TLS


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_refused(upstreams: Upstreams, provider: Provider, host: str) -> None:
    """Without `allow_private` no spelling of a private address is connected to; the operator reads why."""
    upstream = upstreams.to(f"http://{host}:{provider.ports.http}", allow_private=False)
    with pytest.raises(UpstreamFailed) as raised:
        await upstreams.send(upstream)
    assert "allow_private" in (raised.value.detail or "") and "loopback" in (raised.value.detail or "")
    assert "127" not in raised.value.message and "localhost" not in raised.value.message
    assert provider.seen() == [] and provider.connections() == 0


@pytest.fixture
def trusted(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider's authority is one that this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", provider.ca_file)


@pytest.mark.usefixtures("trusted")
async def test_tls(upstreams: Upstreams, provider: Provider) -> None:
    """A certificate of a trusted authority for the right host is accepted; streams and repeats work on it."""
    upstream = upstreams.to(provider.tls_url())
    for _ in range(3):
        assert (await upstreams.call(upstream, "answer", chunking="byte")).body == STREAM_BODY
    recorder = await upstreams.send(upstream, "endless")
    await eventually(lambda: recorder.body)
    at = monotonic()
    recorder.abort()
    closed_at = await eventually(lambda: provider.last().closed_at)
    assert closed_at is not None and closed_at - at < 0.1


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("certificate", ["self-signed", "wrong-host", "expired"])
async def test_bad_certificates_are_refused(
    upstreams: Upstreams, provider: Provider, certificate: str
) -> None:
    """A certificate that does not hold is a failure before anything is sent."""
    with pytest.raises(UpstreamFailed) as raised:
        await upstreams.send(upstreams.to(provider.tls_url(certificate)))
    assert "certificate" in (raised.value.detail or "").lower()
    assert provider.seen() == []


async def test_unknown_authority_is_refused(upstreams: Upstreams, provider: Provider) -> None:
    """So is a good certificate of an authority nobody here trusts."""
    with pytest.raises(UpstreamFailed):
        await upstreams.send(upstreams.to(provider.tls_url()))
    assert provider.seen() == []


async def test_plain_text_where_tls_is_expected(upstreams: Upstreams, provider: Provider) -> None:
    """An http:// port asked for https:// fails; it does not hang."""
    upstream = upstreams.to(f"https://localhost:{provider.ports.http}")
    with pytest.raises((UpstreamFailed, UpstreamTimeout)):
        await upstreams.send(upstream, connect_timeout_s=0.3)
