"""Virtual keys, read from SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlite_utils import Database

from llmgw.ports import VirtualKey
from llmgw.rules.access import KeyTerm
from llmgw.stock import rows

_SELECT: Final = """
    SELECT *,
        (SELECT name FROM orgs WHERE orgs.id = org_id) AS org,
        (SELECT suspended_at FROM orgs WHERE orgs.id = org_id) AS org_suspended_at
    FROM virtual_keys
"""


def read_keys(database: Database, where: str, parameters: Mapping[str, object]) -> list[VirtualKey]:
    """The keys that `where` (a clause of SQL) finds.

    Raises:
        msgspec.MsgspecError, ValueError: a row is damaged.
    """
    with database.atomic():  # a key and its terms from the same moment
        found = list(database.query(_SELECT + where, dict(parameters)))
        return [rows.key(row, _terms(database, row["id"])) for row in found]


def _terms(database: Database, key_id: str) -> tuple[KeyTerm, ...]:
    found = database.execute(
        "SELECT digest, expires_at FROM virtual_key_terms WHERE key_id = ? ORDER BY position", [key_id]
    )
    return tuple(KeyTerm(digest, expires_at) for digest, expires_at in found)
