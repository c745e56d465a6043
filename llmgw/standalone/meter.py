"""The meter of a server that is alone: its process' own counters, which begin with what the ledger has."""

from __future__ import annotations

from llmgw.stock.meter import MemoryMeter

__all__ = ["MemoryMeter"]
