"""What the flow needs from outside, as Protocols; the guarantee is the docstring.

Adapters live in `standalone/`, `upstream/`, `kms/`, `telemetry/` and `server/`; `assembly.py` alone joins
them. Each port has a contract suite in `tests/contracts/` that every adapter passes.
"""

from __future__ import annotations

from llmgw.ports.client import Client, Source
from llmgw.ports.directory import Directory
from llmgw.ports.kms import Kms
from llmgw.ports.record import CallRecord, Sink
from llmgw.ports.registry import Org, Registry, Role, Token, VirtualKey
from llmgw.ports.upstream import Header, Receiver, Transfer, Upstream, UpstreamRequest

__all__ = [
    "CallRecord",
    "Client",
    "Directory",
    "Header",
    "Kms",
    "Org",
    "Receiver",
    "Registry",
    "Role",
    "Sink",
    "Source",
    "Token",
    "Transfer",
    "Upstream",
    "UpstreamRequest",
    "VirtualKey",
]
