"""Who may call what: pure decisions over a key's record and `now`.

The order is fixed and tells an attacker nothing: a wrong secret, a revoked and an expired key are all
401 `invalid_api_key`; only a caller who proved the secret learns that its organisation is suspended (403)
or that a model is not for it (403).
"""

from __future__ import annotations

import hmac
from fnmatch import fnmatchcase

from msgspec import Struct

from llmgw.config.budget import Budget
from llmgw.config.limits import KeyLimits
from llmgw.errors import InvalidApiKey, ModelNotAllowed, OrgSuspended


class KeyTerm(Struct, frozen=True):
    """One generation of a key's secret. `expires_at` (Unix seconds) is set when a rotation replaced it."""

    digest: bytes
    expires_at: float | None = None


class KeyRecord(Struct, frozen=True, kw_only=True):
    """What the directory knows of a virtual key; holds digests, never the secret.

    `models` are shell globs over the names a client asks for; empty means every model.
    `expires_at`, `revoked_at` are Unix seconds, UTC. `limits`, `budget` are the key's own; what is
    absent is taken from `default_key`.
    """

    id: str
    public_id: str
    org_id: str
    org: str
    name: str
    terms: tuple[KeyTerm, ...]
    models: tuple[str, ...] = ()
    expires_at: float | None = None
    revoked_at: float | None = None
    org_suspended: bool = False
    limits: KeyLimits = KeyLimits()
    budget: Budget | None = None
    metadata: dict[str, str] = {}


def authenticate(record: KeyRecord, digest: bytes, now: float) -> None:
    """Accept `digest` (SHA-256 of the presented key) for `record`, or raise.

    Every live term is compared in constant time and none is skipped early, so the time taken tells
    neither which term matched nor how far a guess was right.

    Raises:
        InvalidApiKey: wrong secret, revoked or expired.
        OrgSuspended: the key is right and its organisation is suspended.
    """
    matched = False
    for term in record.terms:
        same = hmac.compare_digest(term.digest, digest)
        matched |= same and (term.expires_at is None or now < term.expires_at)
    if not matched or record.revoked_at is not None:
        raise InvalidApiKey("The API key is not valid; it may have been revoked or replaced.")
    if record.expires_at is not None and now >= record.expires_at:
        raise InvalidApiKey("The API key has expired; ask for a new one.")
    if record.org_suspended:
        raise OrgSuspended(f"The organisation {record.org!r} is suspended; its administrator can resume it.")


def may_use(record: KeyRecord, model: str) -> bool:
    """Whether the key may call `model`, the name as the client asks for it."""
    return not record.models or any(fnmatchcase(model, glob) for glob in record.models)


def require_model(record: KeyRecord, model: str) -> None:
    """Raise ModelNotAllowed unless the key may call `model`."""
    if not may_use(record, model):
        raise ModelNotAllowed(
            f"The key {record.name!r} may not use the model {model!r}; it allows {', '.join(record.models)}.",
            param="model",
        )
