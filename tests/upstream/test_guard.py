"""The SSRF guard: judged by address, whatever its spelling, and once per connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.errors import CallError, UpstreamFailed
from llmgw.ports import Header, Upstream, UpstreamRequest
from llmgw.upstream.guard import Address, check_literal, refusal, resolve
from llmgw.upstream.http1 import Http1Client
from llmgw.upstream.httpx_transport import HttpxTransport
from tests.provider import Provider

METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "fd00:ec2::254",
    "fd20:ce::254",
    "168.63.129.16",
    "100.100.100.200",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("fc00::1", "private"),
        ("fdff::1", "private"),
        ("fec0::1", "private"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("100.127.255.255", "carrier-grade NAT"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("192.0.0.8", "reserved"),
        ("2001::1", "reserved"),
        ("64:ff9b:1::1", "reserved"),
        ("100::1", "reserved"),
        ("::127.0.0.1", "reserved"),
        ("198.18.0.1", "benchmarking"),
        ("203.0.113.9", "documentation"),
        ("2001:db8::1", "documentation"),
        ("169.254.169.254", "cloud metadata"),
        ("fd00:ec2::254%1", "cloud metadata"),
    ],
)
def test_refused_with_its_reason(address: str, reason: str) -> None:
    """Every kind of address that is not public is refused and called by its name."""
    assert refusal(address) == reason


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.1.1",
     "2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)  # fmt: skip
def test_public_addresses_pass(address: str) -> None:
    """Public addresses pass, their neighbours of private ranges and translated ones included."""
    assert refusal(address) is None


@pytest.mark.parametrize("address", METADATA)
def test_metadata_is_refused_whatever_is_allowed(address: str) -> None:
    """`allow_private` does not open the addresses that hand out the machine's credentials."""
    assert "cloud metadata" in (refusal(address, allow_private=True) or "")


@given(st.ip_addresses(v=4))
def test_embedding_hides_nothing(ip: IPv4Address) -> None:
    """An IPv4 address inside IPv6 (mapped, 6to4, NAT64) is refused exactly when it is refused bare."""
    number = int(ip)
    for inside in (
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x2002 << 112) | (number << 80) | 1),
        IPv6Address((0x64_FF9B << 96) | number),
    ):
        for allow_private in (False, True):
            bare = refusal(str(ip), allow_private=allow_private)
            embedded = refusal(str(inside), allow_private=allow_private)
            assert (embedded is None) == (bare is None)


@given(st.ip_addresses())
def test_what_passes_is_global(ip: IPv4Address | IPv6Address) -> None:
    """Whatever passes is no address that the standard library knows as private, local or reserved."""
    embeds = isinstance(ip, IPv6Address) and (ip.ipv4_mapped or ip.sixtofour)
    if refusal(str(ip)) is None and not embeds:
        assert not (ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast)
        assert not ip.is_unspecified


@given(st.ip_addresses())
def test_allowing_private_refuses_no_more(ip: IPv4Address | IPv6Address) -> None:
    """`allow_private` only ever lifts refusals."""
    if refusal(str(ip), allow_private=True) is not None:
        assert refusal(str(ip)) is not None


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "1.2.3.4.5", "::g", "[::1]"])
def test_not_an_address(text: str) -> None:
    """Judging is for IP literals; anything else is the caller's mistake."""
    with pytest.raises(ValueError, match="address"):
        refusal(text)


def test_literals_alone_are_judged_for_a_proxy() -> None:
    """Where a proxy resolves the name, a name passes and a private literal does not."""
    check_literal("localhost", allow_private=False)
    check_literal("10.0.0.1", allow_private=True)
    with pytest.raises(UpstreamFailed, match="not allowed"):
        check_literal("10.0.0.1", allow_private=False)


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1"])
async def test_names_are_judged_by_what_they_resolve_to(host: str) -> None:
    """Each spelling of the loopback address is refused; the operator is told the host, the reason, the setting."""
    with pytest.raises(UpstreamFailed) as raised:
        await resolve(host, 80, allow_private=False)
    detail = raised.value.detail or ""
    assert host in detail and "loopback" in detail and "allow_private: true" in detail
    assert host not in raised.value.message
    assert (await resolve(host, 80, allow_private=True))[0] == Address("127.0.0.1", 80)


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".com", "bad host", "."])
async def test_unresolvable_names(host: str) -> None:
    """A name that cannot be looked up is a failure of the provider, whatever the resolver makes of it."""
    with pytest.raises(UpstreamFailed) as raised:
        await resolve(host, 80, allow_private=True)
    assert host in (raised.value.detail or "")


class ScriptedResolver(asyncio.SelectorEventLoop):
    """An event loop whose resolver gives the answers of a script, one list per look-up."""

    def __init__(self, *answers: list[str]) -> None:
        super().__init__()
        self.answers = list(answers)

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        return [
            (
                socket.AF_INET6 if ":" in ip else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (ip, port, 0, 3) if ip.startswith("fe80") else (ip, port),
            )
            for ip in self.answers.pop(0)
        ]


def test_one_private_answer_refuses_all() -> None:
    """A name that resolves to a public and a private address is refused: nobody gets to pick."""
    with (
        asyncio.Runner(loop_factory=lambda: ScriptedResolver(["8.8.8.8", "10.0.0.7"])) as runner,
        pytest.raises(UpstreamFailed) as raised,
    ):
        runner.run(resolve("provider.test", 443, allow_private=False))
    assert "10.0.0.7" in (raised.value.detail or "")


def test_order_and_zones_are_kept() -> None:
    """Addresses come back in the resolver's order, a link-local one with its zone."""
    with asyncio.Runner(
        loop_factory=lambda: ScriptedResolver(["2606:4700::1", "fe80::1", "8.8.8.8"])
    ) as runner:
        addresses = runner.run(resolve("provider.test", 443, allow_private=True))
    assert addresses == [Address("2606:4700::1", 443), Address("fe80::1%3", 443), Address("8.8.8.8", 443)]


class Status:
    """A Receiver that wants the status alone."""

    def __init__(self) -> None:
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.status = 0

    def head(self, status: int, headers: list[Header]) -> None:
        self.status = status

    def data(self, data: bytes) -> None:
        pass

    def end(self) -> None:
        self.done.set_result(self.status)

    def failed(self, error: CallError) -> None:
        self.done.set_exception(error)


@pytest.mark.parametrize("make", [Http1Client, HttpxTransport], ids=["http1", "httpx"])
def test_a_connection_resolves_once(provider: Provider, make: Callable[..., Upstream]) -> None:
    """The address that was judged is the one connected to: no second look-up that could answer otherwise."""

    async def call() -> int:
        upstream = make(f"http://provider.test:{provider.ports.http}", allow_private=True)
        receiver = Status()
        request = UpstreamRequest(method=b"POST", target=b"/v1/embeddings", headers=(), body=b"{}")
        await upstream.send(request, receiver, connect_timeout_s=5)
        try:
            return await receiver.done
        finally:
            await upstream.aclose()

    loops: list[ScriptedResolver] = []

    def make_loop() -> ScriptedResolver:
        loops.append(ScriptedResolver(["127.0.0.1"]))  # a second look-up would find the script empty
        return loops[0]

    with asyncio.Runner(loop_factory=make_loop) as runner:
        assert runner.run(call()) == 200
    assert loops[0].answers == []
    assert provider.last().header("host") == f"provider.test:{provider.ports.http}".encode()
