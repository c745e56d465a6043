"""The first organisation and its owner: what a store needs before anyone can use it.

Safe to run again: what is there is kept, and a token is made only where no owner has one, for a token that
was made before cannot be shown again.
"""

from __future__ import annotations

import time
from typing import Final

from msgspec import Struct

from llmgw import ids
from llmgw.control import names, orgs
from llmgw.errors import OperatorError
from llmgw.keyring import token
from llmgw.ports import Org, Registry, Token
from llmgw.secret import Secret

DEFAULT_ORG: Final = "default"


class Installed(Struct, frozen=True, kw_only=True):
    """What the installation has; `token` is None where the organisation's owner had one before."""

    org: orgs.OrgView
    token: Secret | None


def init(registry: Registry, *, org: str | None = None) -> Installed:
    """Make the organisation `org` and its owner token where they are missing.

    Without a name: the first organisation there is, or else one named `default`.

    Raises:
        UsageError: the name breaks a rule of `names`.
    """
    with registry.transaction():
        owner = _existing(registry, org)
        if owner is None:
            owner = registry.org(orgs.create(registry, DEFAULT_ORG if org is None else org).id)
            assert owner is not None  # made within this transaction
        has_token = any(it.role == "owner" and it.revoked_at is None for it in registry.tokens(owner.id))
        secret = None if has_token else _owner_token(registry, owner)
    return Installed(org=orgs.show(registry, owner.id), token=secret)


def require_nothing_sealed(registry: Registry) -> None:
    """Raise OperatorError where a new keyring would leave stored secrets closed for ever."""
    data_keys = registry.data_keys()
    if data_keys:
        terms = ", ".join(sorted({key.kek_term for key in data_keys}))
        raise OperatorError(
            f"The store holds secrets sealed under {terms}, and the keyring that opens them is not there; "
            "bring the keyring back from your backup. A new one could not open them."
        )


def _existing(registry: Registry, org: str | None) -> Org | None:
    if org is not None:
        return registry.org(names.normal(org))
    first = registry.orgs(None, 1)
    return first[0] if first else None


def _owner_token(registry: Registry, org: Org) -> Secret:
    now = time.time()
    minted = token.mint()
    registry.insert_token(
        Token(
            id=ids.new("tok", now),
            public_id=minted.public_id,
            org_id=org.id,
            role="owner",
            name="owner",
            digest=minted.digest,
            created_at=now,
        )
    )
    return minted.key
