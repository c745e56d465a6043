"""The guard against SSRF: which addresses a provider may have.

Strategy: a name is resolved once, every answer is judged, and the caller connects to exactly the addresses it
gets back. So a resolver that gives a public answer first and a private one later (DNS rebinding) wins
nothing, and one private answer among public ones refuses them all. What counts is the address, never the
spelling of the host: `127.1`, `0x7f000001` and `localhost` all end as 127.0.0.1 here.

`allow_private: true` on a provider admits everything except the cloud metadata addresses: those hand out the
machine's credentials, and no model is served there.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple

from llmgw.errors import UpstreamFailed


class Address(NamedTuple):
    """Where to connect: an IP literal (an IPv6 zone appended as `%1`) and a port."""

    ip: str
    port: int


# The vendors' pages on instance metadata. 168.63.129.16 and 192.0.0.192 are not in any private range.
_METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google Cloud, Azure, Oracle, DigitalOcean, OpenStack
        "169.254.170.2",  # AWS: credentials of an ECS task
        "169.254.170.23",  # AWS: credentials of an EKS pod
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",  # AWS: credentials of an EKS pod over IPv6
        "fd20:ce::254",  # Google Cloud over IPv6
        "168.63.129.16",  # Azure: the host's wire server
        "100.100.100.200",  # Alibaba Cloud
        "192.0.0.192",  # Oracle Cloud, classic
    )
)

# The IANA special-purpose registries (RFC 6890). Written out because what `ipaddress` calls private has
# changed between patch releases of Python.
_IPV4: Final = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_IPV6: Final = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),  # with Teredo, which can reach any IPv4 address behind its relay
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052; a network's translator sends on to the IPv4 inside


def refusal(address: str, *, allow_private: bool = False) -> str | None:
    """Why no provider may be at this IP literal, such as `loopback`; None where one may.

    Raises:
        ValueError: not an IP address.
    """
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        inner = _embedded(ip)
        if inner is not None:
            reason = refusal(str(inner), allow_private=allow_private)
            return None if reason is None else f"{reason}, as {inner} inside IPv6"
        ip = IPv6Address(int(ip))  # without its zone, which would make it equal to nothing
    if ip in _METADATA:
        return "cloud metadata"
    if allow_private:
        return None
    if isinstance(ip, IPv4Address):
        return next((reason for network, reason in _IPV4 if ip in network), None)
    for network, reason in _IPV6:
        if ip in network:
            return reason
    return None if ip in _GLOBAL_UNICAST else "reserved"


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address a packet to `ip` ends at: IPv4-mapped, 6to4 or NAT64."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def check_literal(host: str, *, allow_private: bool) -> None:
    """Judge `host` if it is an IP literal; a name passes. For hosts that something else will resolve.

    Raises:
        UpstreamFailed: the address is refused.
    """
    try:
        reason = refusal(host, allow_private=allow_private)
    except ValueError:
        return
    if reason is not None:
        raise _refused(host, host, reason)


async def resolve(host: str, port: int, *, allow_private: bool) -> list[Address]:
    """The addresses of `host` to connect to, best first; the caller's time-out bounds the wait.

    Raises:
        UpstreamFailed: the name does not resolve, or one of its addresses is refused.
    """
    try:
        ip_address(host)
    except ValueError:
        addresses = await _look_up(host, port)
    else:
        addresses = [Address(host, port)]
    for address in addresses:
        reason = refusal(address.ip, allow_private=allow_private)
        if reason is not None:
            raise _refused(host, address.ip, reason)
    return addresses


async def _look_up(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that IDNA cannot encode
        raise UpstreamFailed(
            "The provider's host name does not resolve.", detail=f"cannot resolve {host!r}: {error}"
        ) from error
    addresses = []
    for *_, sockaddr in answers:
        zone = f"%{sockaddr[3]}" if len(sockaddr) == 4 and sockaddr[3] else ""
        addresses.append(Address(f"{sockaddr[0]}{zone}", port))
    return addresses


def _refused(host: str, ip: str, reason: str) -> UpstreamFailed:
    at = f"{host} is" if host == ip else f"{host} resolves to {ip},"
    remedy = "if it is meant, set allow_private: true on the provider"
    if refusal(ip, allow_private=True) is not None:
        remedy = "no setting allows it"
    return UpstreamFailed(
        "The provider's address is not allowed by the gateway's configuration.",
        detail=f"{at} a refused address ({reason}); {remedy}",
    )
