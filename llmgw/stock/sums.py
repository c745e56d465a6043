"""What is added up of calls, in SQL that SQLite and Postgres both understand."""

from __future__ import annotations

from typing import Final

from llmgw.spool.lines import BUCKETS

SUMS: Final = ("requests", "unpriced", *BUCKETS, "cost_nano_usd", "saved_nano_usd", "shadow_saved_nano_usd")
"""What the rollups hold of calls."""
SUMS_OF_ROWS: Final = ", ".join(
    (
        "count(*) AS requests",
        "count(*) FILTER (WHERE cost_nano_usd IS NULL) AS unpriced",
        *(f"sum({name}) AS {name}" for name in BUCKETS),
        "sum(cost_nano_usd) AS cost_nano_usd",
        "sum(asked_cost_nano_usd - cost_nano_usd) AS saved_nano_usd",
        "sum(cost_nano_usd - shadow_cost_nano_usd) AS shadow_saved_nano_usd",
    )
)
"""The same of rows of the ledger."""
SUMS_OF_SUMS: Final = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
KIND: Final = (
    "key_id", "org_id", "model_asked", "model", "provider", "status", "usage_source", "route", "shadow_route",
)  # fmt: skip
"""What the calls of a kind have in common. No route is empty text: a key has no NULL."""
TOKENS: Final = " + ".join(f"coalesce({name}, 0)" for name in BUCKETS)
"""Of all buckets."""
