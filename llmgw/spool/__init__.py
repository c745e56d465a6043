"""The journal: rows of the ledger in local files before they are in a store, whichever store that is."""

from __future__ import annotations

from llmgw.spool.journal import SpoolJournal
from llmgw.spool.segments import Position
from llmgw.spool.shelf import Shelf

__all__ = ["Position", "Shelf", "SpoolJournal"]
