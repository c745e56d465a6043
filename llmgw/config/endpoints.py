"""What can be said of a URL without asking the network.

The addresses that calls may go to are judged when they are connected to, by `upstream/guard.py`; here the author
of a file learns early what that will refuse, where the host is written as an address.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

# RFC 3986 without percent-encoding in hosts; names with _ exist in container networks.
_host: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]+)?\]").fullmatch

# Names and a public-looking address behind which clouds hand out a machine's credentials (vendors' pages).
_METADATA: Final = frozenset({"metadata", "metadata.google.internal", "instance-data", "168.63.129.16"})


def parse(url: str, schemes: Collection[str]) -> SplitResult | str:
    """The parts of a URL with a host; what is wrong with it, as the end of a sentence, where it is none."""
    if not url.isascii() or not url.isprintable() or any(letter in url for letter in ' "<>\\^`{|}'):
        return "has a space or another character that a URL cannot hold; percent-encode it."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a valid URL; look at its host and port."
    authority = parts.netloc.rpartition("@")[2]
    host = authority if authority.endswith("]") else re.sub(r":\d*$", "", authority)
    if parts.scheme not in schemes or not _host(host) or port == 0:
        return f"must be a URL such as {next(iter(schemes))}://host."
    return parts


def is_private(host: str) -> bool:
    """Whether the host is an address that is not public, in any spelling, or a name that means one."""
    host = host.lower().rstrip(".")
    if host in _METADATA or host == "localhost" or host.endswith(".localhost"):
        return True
    address = literal(host)
    return address is not None and (not ip_address(address).is_global or ip_address(address).is_multicast)


def literal(host: str) -> str | None:
    """The address that the host is a spelling of (`127.1`, `0x7f000001`), None where it is a name."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))  # what the resolver makes of it; asks nobody
    except OSError:
        return None
