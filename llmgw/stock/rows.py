"""Virtual keys between their rows and their records, whatever engine keeps them: one reading for the running server
and for operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from llmgw.config.budget import Budget
from llmgw.config.limits import KeyLimits
from llmgw.ports import VirtualKey
from llmgw.rules.access import KeyTerm

_models: Final = msgspec.json.Decoder(tuple[str, ...])
_metadata: Final = msgspec.json.Decoder(dict[str, str])


def key_row(key: VirtualKey) -> dict[str, object]:
    """The row of `virtual_keys`."""
    return {
        "id": key.id,
        "public_id": key.public_id,
        "org_id": key.org_id,
        "name": key.name,
        "rpm": key.limits.rpm,
        "tpm": key.limits.tpm,
        "max_parallel": key.limits.max_parallel,
        "budget_nano_usd": None if key.budget is None else key.budget.amount_nano_usd,
        "budget_period": None if key.budget is None else key.budget.period or "total",
        "budget_window_s": None if key.budget is None else key.budget.window_s,
        "models": msgspec.json.encode(key.models).decode(),
        "metadata": msgspec.json.encode(key.metadata).decode(),
        "created_at": key.created_at,
        "updated_at": key.updated_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def term_rows(key: VirtualKey) -> list[dict[str, object]]:
    """The rows of `virtual_key_terms`, newest secret first."""
    return [
        {"key_id": key.id, "position": position, "digest": term.digest, "expires_at": term.expires_at}
        for position, term in enumerate(key.terms)
    ]


def key(row: Mapping[str, Any], terms: tuple[KeyTerm, ...]) -> VirtualKey:
    """The record of a row of `virtual_keys` that has its organisation's `org` (the name) and `org_suspended_at` beside.

    Raises:
        msgspec.MsgspecError, ValueError: the row is damaged.
    """
    amount, window_s = row["budget_nano_usd"], row["budget_window_s"]
    period = row["budget_period"] if window_s is None else None
    return VirtualKey(
        id=row["id"],
        public_id=row["public_id"],
        org_id=row["org_id"],
        org=row["org"],
        name=row["name"],
        terms=terms,
        models=_models.decode(row["models"]),
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        org_suspended=row["org_suspended_at"] is not None,
        limits=KeyLimits(rpm=row["rpm"], tpm=row["tpm"], max_parallel=row["max_parallel"]),
        budget=None if amount is None else Budget(amount, period, window_s),
        metadata=_metadata.decode(row["metadata"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
