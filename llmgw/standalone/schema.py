"""The text of the schema's steps. A released step is never edited: its checksum is in every store.

Retention: rows of organisations, tokens and keys stay for good (a revoked one answers "who was that?");
a key's replaced secrets go with the rotation after they end; credentials go when they are deleted.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Step(NamedTuple):
    """One step: its number, what it does, its statements."""

    number: int
    name: str
    statements: tuple[str, ...]


_TABLES: Final = (
    """
    CREATE TABLE orgs (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_at REAL NOT NULL,
        suspended_at REAL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        public_id TEXT NOT NULL UNIQUE,
        org_id TEXT NOT NULL REFERENCES orgs (id),
        role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
        name TEXT NOT NULL,
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        created_at REAL NOT NULL,
        revoked_at REAL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX tokens_of_org ON tokens (org_id)",
    """
    CREATE TABLE data_keys (
        org_id TEXT NOT NULL REFERENCES orgs (id),
        term INTEGER NOT NULL CHECK (term >= 1),
        kek_term TEXT NOT NULL,
        wrapped BLOB NOT NULL,
        created_at REAL NOT NULL,
        PRIMARY KEY (org_id, term)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE credentials (
        id TEXT PRIMARY KEY,
        org_id TEXT NOT NULL REFERENCES orgs (id),
        name TEXT NOT NULL,
        data_key_term INTEGER NOT NULL,
        sealed BLOB NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        UNIQUE (org_id, name),
        FOREIGN KEY (org_id, data_key_term) REFERENCES data_keys (org_id, term)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE virtual_keys (
        id TEXT PRIMARY KEY,
        public_id TEXT NOT NULL UNIQUE,
        org_id TEXT NOT NULL REFERENCES orgs (id),
        name TEXT NOT NULL,
        rpm INTEGER CHECK (rpm >= 1),
        tpm INTEGER CHECK (tpm >= 1),
        max_parallel INTEGER CHECK (max_parallel >= 1),
        budget_nano_usd INTEGER CHECK (budget_nano_usd >= 1),
        budget_period TEXT CHECK (budget_period IN ('hour', 'day', 'week', 'month', 'total')),
        models TEXT NOT NULL CHECK (json_type(models) = 'array'),
        metadata TEXT NOT NULL CHECK (json_type(metadata) = 'object'),
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        expires_at REAL,
        revoked_at REAL,
        CHECK ((budget_nano_usd IS NULL) = (budget_period IS NULL))
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX virtual_keys_in_force ON virtual_keys (org_id, name) WHERE revoked_at IS NULL",
    "CREATE INDEX virtual_keys_of_org ON virtual_keys (org_id, id)",
    """
    CREATE TABLE virtual_key_terms (
        key_id TEXT NOT NULL REFERENCES virtual_keys (id),
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        position INTEGER NOT NULL,
        expires_at REAL,
        PRIMARY KEY (key_id, position)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE revision (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        value INTEGER NOT NULL
    ) STRICT
    """,
    "INSERT INTO revision (only_row, value) VALUES (1, 1)",
)

# Triggers and not code: whoever writes, be it an operator with the sqlite3 shell, a running server notices.
_NOTICED: Final = ("orgs", "data_keys", "credentials", "virtual_keys", "virtual_key_terms")
_TRIGGER: Final = """
    CREATE TRIGGER {table}_{event} AFTER {event} ON {table}
    BEGIN UPDATE revision SET value = value + 1; END
"""
_TRIGGERS: Final = tuple(
    _TRIGGER.format(table=table, event=event)
    for table in _NOTICED
    for event in ("insert", "update", "delete")
)

STEPS: Final = (Step(1, "organisations, keys and credentials", _TABLES + _TRIGGERS),)
"""In order, numbered from 1 without a gap."""
