"""The composition root: the only part that knows which adapter stands behind which port."""

from __future__ import annotations

from llmgw.assembly.installation import Installation
from llmgw.assembly.keys import create_kms, keyring_path, open_kms
from llmgw.assembly.offline import routing
from llmgw.assembly.reach import Reach, reach
from llmgw.assembly.running import readiness
from llmgw.assembly.standalone import (
    create_store,
    migrate,
    migration_status,
    open_flags,
    open_panic,
    open_registry,
    open_reports,
    store_path,
)
from llmgw.telemetry import supervisor_log
from llmgw.telemetry.board import Board

__all__ = [
    "Board",
    "Installation",
    "Reach",
    "create_kms",
    "create_store",
    "keyring_path",
    "migrate",
    "migration_status",
    "open_flags",
    "open_kms",
    "open_panic",
    "open_registry",
    "open_reports",
    "reach",
    "readiness",
    "routing",
    "store_path",
    "supervisor_log",
]
