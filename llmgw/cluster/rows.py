"""Virtual keys, read from Postgres: a key, its terms and its organisation in one statement, so of one moment."""

from __future__ import annotations

from typing import Final

import asyncpg

from llmgw.ports import VirtualKey
from llmgw.rules.access import KeyTerm
from llmgw.stock import rows

COLUMNS: Final = """
    k.id, k.public_id, k.org_id, k.name, k.rpm, k.tpm, k.max_parallel, k.budget_nano_usd, k.budget_period,
    k.budget_window_s, k.models, k.metadata, k.created_at, k.updated_at, k.expires_at, k.revoked_at,
    o.name AS org, o.suspended_at AS org_suspended_at,
    ARRAY(SELECT digest FROM virtual_key_terms t WHERE t.key_id = k.id ORDER BY position) AS digests,
    ARRAY(SELECT t.expires_at FROM virtual_key_terms t WHERE t.key_id = k.id ORDER BY position) AS ends
"""
"""Of `virtual_keys k JOIN orgs o ON o.id = k.org_id`. By their names: a newer release may have added others."""


def key(row: asyncpg.Record) -> VirtualKey:
    """Raises msgspec.MsgspecError or ValueError where the row is damaged."""
    terms = tuple(KeyTerm(digest, ends) for digest, ends in zip(row["digests"], row["ends"], strict=True))
    return rows.key(dict(row), terms)
