"""The text of the schema's steps. A released step is never edited: its checksum is in every store.

Retention: rows of organisations, tokens and keys stay for good (a revoked one answers "who was that?");
a key's replaced secrets go with the rotation after they end; credentials go when they are deleted. Rows of the
ledger go after 400 days (`journal.RETENTION_S`), whole days (UTC) at a time; `call_kinds` and what was added up
of the rows (`*_rollups`) stay. Of a flag the last change stays, one row for each name that was ever set.
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

# What many calls have in common, once: sums are of a kind of calls, and stay small. `keyless` is the kind that has the
# same but no key: sums by tag are of those, or a tag of a thousand keys would be a thousand sums.
_KINDS: Final = """
    CREATE TABLE call_kinds (
        kind INTEGER PRIMARY KEY,
        keyless INTEGER REFERENCES call_kinds (kind),
        org_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        model_asked TEXT NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        status INTEGER NOT NULL,
        usage_source TEXT NOT NULL,
        UNIQUE (key_id, org_id, model_asked, model, provider, status, usage_source)
    ) STRICT
"""
# A row says all of its call by itself; `kind` is there for the sums. `number` grows as rows arrive: it tells those of
# one batch from all others, and an export that goes on behind a number misses no call that was a long one. An id begins
# with its time, so that the id's index serves look-ups by time.
_LEDGER: Final = """
    CREATE TABLE ledger (
        number INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        id TEXT NOT NULL UNIQUE,
        time REAL NOT NULL,
        request_id TEXT NOT NULL,
        trace_id TEXT NOT NULL,
        org_id TEXT NOT NULL,
        org TEXT NOT NULL,
        key_id TEXT NOT NULL,
        tags TEXT NOT NULL CHECK (json_type(tags) = 'object'),
        endpoint TEXT NOT NULL,
        model_asked TEXT NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        route TEXT,
        attempts INTEGER NOT NULL,
        streamed INTEGER NOT NULL,
        status INTEGER NOT NULL,
        error TEXT,
        input INTEGER,
        cache_read INTEGER,
        cache_write_5m INTEGER,
        cache_write_1h INTEGER,
        input_audio INTEGER,
        output INTEGER,
        reasoning INTEGER,
        output_audio INTEGER,
        usage_source TEXT NOT NULL,
        reserved_nano_usd INTEGER NOT NULL,
        cost_nano_usd INTEGER,
        asked_cost_nano_usd INTEGER,
        price_version TEXT,
        latency_ms INTEGER NOT NULL,
        first_token_ms INTEGER
    ) STRICT
"""
# How far the journal has been taken over, and the beginning of the day (Unix seconds) before which rows were deleted.
_STATE: Final = """
    CREATE TABLE ledger_state (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        journal_segment INTEGER NOT NULL,
        journal_offset INTEGER NOT NULL,
        purged_before INTEGER NOT NULL
    ) STRICT
"""
# `start` is the beginning of an hour or a day (`span`, in seconds) in Unix seconds. Sums are NULL where no row had the
# value: nothing known is not zero. `saved_nano_usd`: what the model asked for would have cost, minus the cost.
_SUMS: Final = """
        requests INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        input INTEGER,
        cache_read INTEGER,
        cache_write_5m INTEGER,
        cache_write_1h INTEGER,
        input_audio INTEGER,
        output INTEGER,
        reasoning INTEGER,
        output_audio INTEGER,
        cost_nano_usd INTEGER,
        saved_nano_usd INTEGER,
"""
_USAGE: Final = """
    CREATE TABLE usage_rollups (
        span INTEGER NOT NULL,
        start INTEGER NOT NULL,
        kind INTEGER NOT NULL REFERENCES call_kinds (kind),
        {sums}
        PRIMARY KEY (span, start, kind)
    ) STRICT, WITHOUT ROWID
"""
_TAGS: Final = """
    CREATE TABLE tag_rollups (
        span INTEGER NOT NULL,
        start INTEGER NOT NULL,
        kind INTEGER NOT NULL REFERENCES call_kinds (kind),
        tag TEXT NOT NULL,
        {sums}
        PRIMARY KEY (span, start, kind, tag)
    ) STRICT, WITHOUT ROWID
"""
# What counters begin with: one short range of the key, whatever the traffic of other scopes.
_SCOPES: Final = """
    CREATE TABLE scope_rollups (
        scope TEXT NOT NULL,
        id TEXT NOT NULL,
        start INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        cost_nano_usd INTEGER NOT NULL,
        PRIMARY KEY (scope, id, start)
    ) STRICT, WITHOUT ROWID
"""
_FLAGS: Final = """
    CREATE TABLE flag_changes (
        flag TEXT PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('on', 'off', 'cleared')),
        percentage REAL NOT NULL CHECK (percentage BETWEEN 0 AND 100),
        orgs TEXT NOT NULL CHECK (json_type(orgs) = 'array'),
        keys TEXT NOT NULL CHECK (json_type(keys) = 'array'),
        said_by TEXT NOT NULL CHECK (said_by IN ('operator', 'guard')),
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        time REAL NOT NULL
    ) STRICT, WITHOUT ROWID
"""

# A kind of calls gets their routes. What is unique in a table cannot be altered: it is made again, and so are those
# that refer to it. Calls from before are of kinds without a route. The index serves the check, as rows of
# `former_kinds` go, that none refers to them.
_ROUTED_KINDS: Final = """
    CREATE TABLE call_kinds (
        kind INTEGER PRIMARY KEY,
        keyless INTEGER REFERENCES call_kinds (kind),
        org_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        model_asked TEXT NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        status INTEGER NOT NULL,
        usage_source TEXT NOT NULL,
        route TEXT NOT NULL,
        shadow_route TEXT NOT NULL,
        UNIQUE (key_id, org_id, model_asked, model, provider, status, usage_source, route, shadow_route)
    ) STRICT
"""
# `shadow_saved_nano_usd`: the cost, minus what it would have been by the route in shadow.
_SHADOWED_SUMS: Final = _SUMS + "        shadow_saved_nano_usd INTEGER,\n"
_ROUTES: Final = (
    "ALTER TABLE ledger ADD COLUMN shadow_route TEXT",
    "ALTER TABLE ledger ADD COLUMN shadow_cost_nano_usd INTEGER",
    # A JSON array; NULL: none.
    "ALTER TABLE ledger ADD COLUMN policies TEXT",
    "ALTER TABLE call_kinds RENAME TO former_kinds",
    "ALTER TABLE usage_rollups RENAME TO former_usage",
    "ALTER TABLE tag_rollups RENAME TO former_tags",
    _ROUTED_KINDS,
    _USAGE.format(sums=_SHADOWED_SUMS),
    _TAGS.format(sums=_SHADOWED_SUMS),
    "INSERT INTO call_kinds SELECT *, '', '' FROM former_kinds",
    "INSERT INTO usage_rollups SELECT *, NULL FROM former_usage",
    "INSERT INTO tag_rollups SELECT *, NULL FROM former_tags",
    "DROP TABLE former_usage",
    "DROP TABLE former_tags",
    "CREATE INDEX former_keyless ON former_kinds (keyless)",
    "DROP TABLE former_kinds",
)

STEPS: Final = (
    Step(1, "organisations, keys and credentials", _TABLES + _TRIGGERS),
    Step(
        2,
        "the ledger",
        (
            *(_KINDS, _LEDGER, _STATE, _USAGE.format(sums=_SUMS), _TAGS.format(sums=_SUMS), _SCOPES),
            "INSERT INTO ledger_state (only_row, journal_segment, journal_offset, purged_before) VALUES (1, 0, 0, 0)",
        ),
    ),
    Step(
        3,
        "budgets of keys that roll",
        # Such a budget's period is written `total`, which the first step's check asks for.
        ("ALTER TABLE virtual_keys ADD COLUMN budget_window_s REAL CHECK (budget_window_s > 0)",),
    ),
    Step(
        4,
        "flags",
        (
            _FLAGS,
            *(_TRIGGER.format(table="flag_changes", event=event) for event in ("insert", "update", "delete")),
        ),
    ),
    Step(5, "routes in the ledger", _ROUTES),
)
"""In order, numbered from 1 without a gap."""
