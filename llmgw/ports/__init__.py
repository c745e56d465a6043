"""What the flow needs from outside, as Protocols; the guarantee is the docstring.

Adapters live in `standalone/`, `upstream/`, `kms/`, `telemetry/` and `server/`; `assembly/` alone joins
them. Each port has a contract suite in `tests/contracts/` that every adapter passes.
"""

from __future__ import annotations

from llmgw.ports.breakers import Breakers
from llmgw.ports.client import Client, Source
from llmgw.ports.directory import Directory
from llmgw.ports.flags import Flags, FlagSource, FlagSwitch
from llmgw.ports.journal import Journal, LedgerRow, UsageSource
from llmgw.ports.kms import Kms
from llmgw.ports.ledger import Dimension, Ledger, Report, ReportQuery, Reports, Total
from llmgw.ports.meter import Hold, Meter, Standing
from llmgw.ports.migrations import Applied, Fault, Status
from llmgw.ports.panic import Panic, PanicSwitch
from llmgw.ports.record import BudgetWarning, CallRecord, FailedTry, Sink
from llmgw.ports.registry import Org, Registry, Role, Token, VirtualKey
from llmgw.ports.signer import Signer
from llmgw.ports.upstream import Header, Receiver, Transfer, Upstream, UpstreamRequest

__all__ = [
    "Applied",
    "Breakers",
    "BudgetWarning",
    "CallRecord",
    "Client",
    "Dimension",
    "Directory",
    "FailedTry",
    "Fault",
    "FlagSource",
    "FlagSwitch",
    "Flags",
    "Header",
    "Hold",
    "Journal",
    "Kms",
    "Ledger",
    "LedgerRow",
    "Meter",
    "Org",
    "Panic",
    "PanicSwitch",
    "Receiver",
    "Registry",
    "Report",
    "ReportQuery",
    "Reports",
    "Role",
    "Signer",
    "Sink",
    "Source",
    "Standing",
    "Status",
    "Token",
    "Total",
    "Transfer",
    "Upstream",
    "UpstreamRequest",
    "UsageSource",
    "VirtualKey",
]
