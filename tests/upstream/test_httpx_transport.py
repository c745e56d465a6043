"""What only the httpx transport can: HTTP/2, HTTP proxies, SOCKS; the rest is in the contract suite."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from llmgw.errors import CallError, UpstreamFailed
from llmgw.ports import Header, Transfer, UpstreamRequest
from llmgw.upstream.httpx_transport import HttpxTransport
from tests.provider import Provider, closed_port, eventually
from tests.upstream.peers import Http2Server, http2_server, http_proxy, socks_proxy

pytestmark = pytest.mark.anyio


class Recorder:
    """A Receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.error: CallError | None = None
        self.finished = asyncio.Event()
        self.transfer: Transfer | None = None

    def head(self, status: int, headers: list[Header]) -> None:
        self.status, self.headers = status, dict(headers)

    def data(self, data: bytes) -> None:
        self.body += data

    def end(self) -> None:
        self.finished.set()

    def failed(self, error: CallError) -> None:
        self.error = error
        self.finished.set()


async def begin(transport: HttpxTransport, body: bytes = b"{}", path: bytes = b"/v1/embeddings") -> Recorder:
    recorder = Recorder()
    headers = ((b"x-b", b"2"), (b"authorization", b"Bearer secret"), (b"x-a", b"1"))
    request = UpstreamRequest(method=b"POST", target=path, headers=headers, body=body)
    recorder.transfer = await transport.send(request, recorder, connect_timeout_s=5)
    return recorder


async def call(transport: HttpxTransport, body: bytes = b"{}") -> Recorder:
    recorder = await begin(transport, body)
    await asyncio.wait_for(recorder.finished.wait(), 5)
    return recorder


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Http2Server]:
    """An HTTP/2 server whose authority this process trusts."""
    async with http2_server(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.ca_file))
        yield running


@pytest.fixture
async def transport(server: Http2Server) -> AsyncIterator[HttpxTransport]:
    made = HttpxTransport(server.url, allow_private=True)
    yield made
    await made.aclose()
    await eventually(lambda: all(connection.closed_at for connection in server.connections))


async def test_http2_is_spoken_and_kept(transport: HttpxTransport, server: Http2Server) -> None:
    """Where the provider offers HTTP/2 it is used, and one connection serves call after call."""
    for number in range(5):
        body = b"%d" % number * 200_000
        recorder = await call(transport, body)
        assert (recorder.status, recorder.error) == (200, None)
        assert recorder.body == body
    assert len(server.connections) == 1
    _, fields, _ = server.requests[0]
    assert fields[b":path"] == b"/v1/embeddings"
    assert fields[b":authority"] == server.url.removeprefix("https://").encode()
    assert [name for name in fields if not name.startswith(b":")] == [
        b"x-b", b"authorization", b"x-a", b"content-length",
    ]  # fmt: skip


async def test_http2_calls_do_not_share_a_connection(transport: HttpxTransport, server: Http2Server) -> None:
    """Calls at the same time get connections of their own, so that one can be aborted and the other lives."""
    server.behaviours += ["hang", "hang"]
    first, second = await begin(transport), await begin(transport)
    await eventually(lambda: first.body and second.body)
    assert {number for number, _, _ in server.requests} == {0, 1}
    assert first.transfer is not None and second.transfer is not None
    at = monotonic()
    first.transfer.abort()
    closed_at = await eventually(lambda: server.connections[0].closed_at)
    assert closed_at is not None and closed_at - at < 0.1
    assert server.connections[1].closed_at is None
    assert (await call(transport, b"third")).body == b"third"
    second.transfer.abort()


async def test_http2_stale_connection_is_repeated_once(
    transport: HttpxTransport, server: Http2Server
) -> None:
    """A kept connection that closes as the request arrives is replaced once; a fresh one is not."""
    await call(transport)
    server.behaviours += ["close"]
    assert (await call(transport, b"again")).body == b"again"
    assert [body for _, _, body in server.requests] == [b"{}", b"again", b"again"]
    server.behaviours += ["close", "close"]
    assert type((await call(transport, b"twice")).error) is UpstreamFailed
    assert [body for _, _, body in server.requests[3:]] == [b"twice", b"twice"]
    server.behaviours += ["close"]
    assert type((await call(transport, b"fresh")).error) is UpstreamFailed
    assert len(server.requests) == 6


async def test_http2_goaway(transport: HttpxTransport, server: Http2Server) -> None:
    """A connection whose end the provider has announced is left for a new one."""
    server.behaviours += ["goaway"]
    assert (await call(transport, b"one")).body == b"one"
    assert (await call(transport, b"two")).body == b"two"
    assert [number for number, _, _ in server.requests] == [0, 1]


async def test_http2_cut(transport: HttpxTransport, server: Http2Server) -> None:
    """A connection that breaks in mid-answer is the provider's failure."""
    server.behaviours += ["hang"]
    recorder = await begin(transport)
    await eventually(lambda: recorder.body)
    server.connections[0].transport.abort()
    await asyncio.wait_for(recorder.finished.wait(), 5)
    assert type(recorder.error) is UpstreamFailed


async def test_libraries_do_not_log_secrets(
    transport: HttpxTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """At debug level nothing below the transport writes header fields out."""
    with caplog.at_level(logging.DEBUG):
        assert (await call(transport)).status == 200
    assert "secret" not in caplog.text and "Bearer" not in caplog.text


async def test_tunnel_through_an_http_proxy(server: Http2Server) -> None:
    """https goes through CONNECT, by name, with the proxy's credentials; verification and HTTP/2 hold inside."""
    async with http_proxy() as proxy:
        transport = HttpxTransport(
            server.url, allow_private=False, proxy=f"http://us%40er:p%3Aw@127.0.0.1:{proxy.port}"
        )
        assert (await call(transport, b"through")).body == b"through"
        assert (await call(transport, b"again")).body == b"again"
        await transport.aclose()
    assert proxy.asked == [f"CONNECT {server.url.removeprefix('https://')}"]
    assert proxy.credentials == [b"Basic " + base64.b64encode(b"us@er:p:w")]
    assert all(b"proxy-authorization" not in fields for _, fields, _ in server.requests)


async def test_forward_through_an_http_proxy(provider: Provider) -> None:
    """http is forwarded by the proxy; the provider gets the header list as it was given."""
    async with http_proxy() as proxy:
        url = provider.url.replace("127.0.0.1", "localhost")
        transport = HttpxTransport(url, allow_private=False, proxy=f"http://127.0.0.1:{proxy.port}")
        assert (await call(transport)).status == 200
        await transport.aclose()
    assert proxy.asked == [f"POST {url}/v1/embeddings"]
    names = [name.lower() for name, _ in provider.last().headers]
    assert [name for name in names if name.startswith(b"x-")] == [b"x-b", b"x-a"]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_socks(server: Http2Server, scheme: str) -> None:
    """SOCKS5 gets the name, not an address, and the user's credentials."""
    async with socks_proxy() as proxy:
        transport = HttpxTransport(
            server.url, allow_private=False, proxy=f"{scheme}://user:pw@127.0.0.1:{proxy.port}"
        )
        assert (await call(transport, b"through")).body == b"through"
        await transport.aclose()
    assert proxy.asked == [f"SOCKS {server.url.removeprefix('https://')}"]
    assert proxy.credentials == [b"user:pw"]


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_proxy_that_refuses(server: Http2Server, scheme: str) -> None:
    """A proxy that says no is a failure to connect; its URL, which holds a password, is told to nobody."""
    async with (http_proxy if scheme == "http" else socks_proxy)(refuses=True) as proxy:
        transport = HttpxTransport(
            server.url, allow_private=False, proxy=f"{scheme}://user:hunter2@127.0.0.1:{proxy.port}"
        )
        with pytest.raises(UpstreamFailed) as raised:
            await begin(transport)
        await transport.aclose()
    assert "ProxyError" in (raised.value.detail or "")
    assert "hunter2" not in repr(raised.value) + (raised.value.detail or "")


async def test_private_literal_through_a_proxy(provider: Provider) -> None:
    """A proxy is no way around the guard for an address that stands in the configuration."""
    async with http_proxy() as proxy:
        transport = HttpxTransport(provider.url, allow_private=False, proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(UpstreamFailed) as raised:
            await begin(transport)
        await transport.aclose()
    assert "loopback" in (raised.value.detail or "")
    assert proxy.asked == []


async def test_proxy_that_is_gone() -> None:
    """An unreachable proxy is a failure to connect."""
    with closed_port() as port:
        transport = HttpxTransport(
            "https://localhost:1", allow_private=False, proxy=f"http://127.0.0.1:{port}"
        )
        with pytest.raises(UpstreamFailed):
            await begin(transport)
        await transport.aclose()
