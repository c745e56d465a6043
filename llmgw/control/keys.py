"""Virtual keys: what an organisation's programs call the gateway with.

A key keeps its id, name and public id for life; its secret has generations (`KeyTerm`). Only digests are
stored, so a secret can be shown once, when it is made, and never again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from llmgw import ids
from llmgw.config.budget import Budget
from llmgw.config.limits import KeyLimits
from llmgw.control import names, orgs
from llmgw.control.page import DEFAULT_LIMIT, Page, page
from llmgw.control.times import expiry, moment, span_s
from llmgw.errors import NotFound, OperatorError, UsageError
from llmgw.keyring import virtual_key
from llmgw.ports import Registry, VirtualKey
from llmgw.rules.access import KeyTerm
from llmgw.secret import Secret

COUNT_LIMIT: Final = 10**12
GLOBS_LIMIT: Final = 100
GLOB_LENGTH: Final = 256
METADATA_LIMIT: Final = 32
METADATA_KEY_LENGTH: Final = 64
METADATA_VALUE_LENGTH: Final = 256


class KeyView(Struct, frozen=True, kw_only=True):
    """A key as operators see it. `budget` is text such as `25/month`; null limits are no limits."""

    id: str
    name: str
    org: str
    org_id: str
    public_id: str
    rpm: int | None
    tpm: int | None
    max_parallel: int | None
    budget: str | None
    models: tuple[str, ...]
    metadata: dict[str, str]
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    revoked_at: datetime | None


class NewKey(KeyView, frozen=True, kw_only=True):
    """A key with its new secret, which is shown now or never."""

    key: Secret


def create(
    registry: Registry,
    *,
    org: str,
    name: str,
    rpm: int | None = None,
    tpm: int | None = None,
    max_parallel: int | None = None,
    budget: str | None = None,
    models: Sequence[str] = (),
    expires: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> NewKey:
    """A new key of the organisation `org` (id or name).

    Args:
        rpm, tpm, max_parallel: requests a minute, tokens a minute, calls at a time; None is no limit.
        budget: dollars per period, `25/month`.
        models: shell globs over the names that clients ask for; none means every model.
        expires: a span (`90d`) or an ISO 8601 date or time, UTC.

    Raises:
        UsageError: an argument breaks its rule.
        NotFound: no such organisation.
        AlreadyExists: the organisation has an unrevoked key of that name.
    """
    now = time.time()
    owner = orgs.find(registry, org)
    minted = virtual_key.mint()
    key = VirtualKey(
        id=ids.new("key", now),
        public_id=minted.public_id,
        org_id=owner.id,
        org=owner.name,
        name=names.checked(name, "a key"),
        terms=(KeyTerm(minted.digest),),
        models=_globs(models),
        expires_at=None if expires is None else expiry(expires, now),
        org_suspended=owner.suspended_at is not None,
        limits=KeyLimits(
            rpm=_count(rpm, "rpm"), tpm=_count(tpm, "tpm"), max_parallel=_count(max_parallel, "max-parallel")
        ),
        budget=None if budget is None else Budget.parse(budget),
        metadata=_metadata(metadata or {}),
        created_at=now,
        updated_at=now,
    )
    registry.insert_key(key)
    return _with_secret(key, minted.key)


def list_(
    registry: Registry, *, org: str | None = None, after: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[KeyView]:
    """Keys of one organisation or of all, revoked ones too, in order of creation."""
    org_id = None if org is None else orgs.find(registry, org).id
    return page(
        lambda after, limit: registry.keys(org_id, after, limit), _view, lambda key: key.id, after, limit
    )


def show(registry: Registry, key: str, *, org: str | None = None) -> KeyView:
    """One key by id, or by name within `org`; NotFound."""
    return _view(find(registry, key, org))


def update(
    registry: Registry,
    key: str,
    *,
    org: str | None = None,
    name: str | UnsetType = UNSET,
    rpm: int | UnsetType | None = UNSET,
    tpm: int | UnsetType | None = UNSET,
    max_parallel: int | UnsetType | None = UNSET,
    budget: str | UnsetType | None = UNSET,
    models: Sequence[str] | UnsetType = UNSET,
    expires: str | UnsetType | None = UNSET,
    metadata: Mapping[str, str] | UnsetType = UNSET,
) -> KeyView:
    """Change what is given and keep what is UNSET; None, or nothing in a list or mapping, clears.

    Raises: as `create`, and OperatorError for a revoked key.
    """
    with registry.transaction():
        old = _unrevoked(find(registry, key, org))
        now = time.time()
        limits = old.limits
        new = msgspec.structs.replace(
            old,
            name=old.name if name is UNSET else names.checked(name, "a key"),
            limits=KeyLimits(
                rpm=limits.rpm if rpm is UNSET else _count(rpm, "rpm"),
                tpm=limits.tpm if tpm is UNSET else _count(tpm, "tpm"),
                max_parallel=(
                    limits.max_parallel if max_parallel is UNSET else _count(max_parallel, "max-parallel")
                ),
            ),
            budget=old.budget if budget is UNSET else None if budget is None else Budget.parse(budget),
            models=old.models if models is UNSET else _globs(models),
            expires_at=old.expires_at
            if expires is UNSET
            else None
            if expires is None
            else expiry(expires, now),
            metadata=old.metadata if metadata is UNSET else _metadata(metadata),
            updated_at=now,
        )
        registry.update_key(new)
    return _view(new)


def rotate(registry: Registry, key: str, *, org: str | None = None, grace: str | None = None) -> NewKey:
    """A new secret for the key; the old one works for `grace` more (`24h`), or stops at once.

    Raises:
        UsageError: `grace` is not a span.
        NotFound, OperatorError: no such key, or it is revoked.
    """
    grace_s = None if grace is None else span_s(grace, "The grace")
    with registry.transaction():
        old = _unrevoked(find(registry, key, org))
        now = time.time()
        minted = virtual_key.mint(old.public_id)
        kept = () if grace_s is None else tuple(_ending(old.terms, now, now + grace_s))
        new = msgspec.structs.replace(old, terms=(KeyTerm(minted.digest), *kept), updated_at=now)
        registry.update_key(new)
    return _with_secret(new, minted.key)


def revoke(registry: Registry, key: str, *, org: str | None = None) -> KeyView:
    """End the key for good. A second time changes nothing."""
    with registry.transaction():
        found = find(registry, key, org)
        if found.revoked_at is None:
            now = time.time()
            found = msgspec.structs.replace(found, revoked_at=now, updated_at=now)
            registry.update_key(found)
    return _view(found)


def find(registry: Registry, key: str, org: str | None) -> VirtualKey:
    """The stored key, by id or by name within `org`; NotFound."""
    org_id = None if org is None else orgs.find(registry, org).id
    found = registry.key(names.normal(key), org_id)
    if found is None:
        where = (
            "; a name needs its organisation beside it" if org is None else f" in the organisation {org!r}"
        )
        raise NotFound(f"There is no key {key!r}{where}. 'llmgw keys list' shows those that exist.")
    return found


def _unrevoked(key: VirtualKey) -> VirtualKey:
    if key.revoked_at is not None:
        raise OperatorError(
            f"The key {key.name!r} ({key.id}) has been revoked, which is final; create another."
        )
    return key


def _ending(terms: Sequence[KeyTerm], now: float, latest: float) -> list[KeyTerm]:
    """The terms still alive, each ending at `latest` or when an earlier rotation said."""
    ends = (
        (term.digest, latest if term.expires_at is None else min(term.expires_at, latest)) for term in terms
    )
    return [KeyTerm(digest, end) for digest, end in ends if end > now]


def _count(value: int | None, what: str) -> int | None:
    if value is not None and not 1 <= value <= COUNT_LIMIT:
        raise UsageError(
            f"{what} is a number from 1 to {COUNT_LIMIT}, not {value}; leave it out for no limit."
        )
    return value


def _globs(globs: Sequence[str]) -> tuple[str, ...]:
    if len(globs) > GLOBS_LIMIT:
        raise UsageError(f"A key names at most {GLOBS_LIMIT} model globs, not {len(globs)}.")
    for glob in globs:
        if not 1 <= len(glob) <= GLOB_LENGTH or not glob.isprintable() or " " in glob:
            raise UsageError(
                f"The model glob {glob!a} is not understood; write one such as gpt-4o or 'claude-*'."
            )
    return tuple(dict.fromkeys(globs))


def _metadata(pairs: Mapping[str, str]) -> dict[str, str]:
    if len(pairs) > METADATA_LIMIT:
        raise UsageError(f"A key carries at most {METADATA_LIMIT} metadata pairs, not {len(pairs)}.")
    for key, value in pairs.items():
        if not 1 <= len(key) <= METADATA_KEY_LENGTH or not key.isprintable():
            raise UsageError(
                f"The metadata key {key!a} is not 1 to {METADATA_KEY_LENGTH} printable characters."
            )
        if len(value) > METADATA_VALUE_LENGTH or not value.isprintable():
            raise UsageError(
                f"The metadata value of {key!r} is not at most {METADATA_VALUE_LENGTH} printable characters."
            )
    return dict(pairs)


def _view(key: VirtualKey) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        org=key.org,
        org_id=key.org_id,
        public_id=key.public_id,
        rpm=key.limits.rpm,
        tpm=key.limits.tpm,
        max_parallel=key.limits.max_parallel,
        budget=None if key.budget is None else str(key.budget),
        models=key.models,
        metadata=key.metadata,
        expires_at=moment(key.expires_at),
        created_at=moment(key.created_at),
        updated_at=moment(key.updated_at),
        revoked_at=moment(key.revoked_at),
    )


def _with_secret(key: VirtualKey, secret: Secret) -> NewKey:
    return NewKey(key=secret, **msgspec.structs.asdict(_view(key)))
