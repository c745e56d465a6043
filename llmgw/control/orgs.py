"""Organisations: the tenants that own keys and credentials."""

from __future__ import annotations

import time
from datetime import datetime

from msgspec import Struct

from llmgw import ids
from llmgw.control import names
from llmgw.control.page import DEFAULT_LIMIT, Page, page
from llmgw.control.times import moment
from llmgw.errors import NotFound
from llmgw.ports import Org, Registry


class OrgView(Struct, frozen=True, kw_only=True):
    """An organisation as operators see it."""

    id: str
    name: str
    created_at: datetime
    suspended_at: datetime | None


def create(registry: Registry, name: str) -> OrgView:
    """A new organisation.

    Raises:
        UsageError: the name breaks a rule of `names`.
        AlreadyExists: the name is taken.
    """
    now = time.time()
    org = Org(id=ids.new("org", now), name=names.checked(name, "an organisation"), created_at=now)
    registry.insert_org(org)
    return _view(org)


def list_(registry: Registry, *, after: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[OrgView]:
    """Organisations in order of creation, from behind the cursor `after`."""
    return page(registry.orgs, _view, lambda org: org.id, after, limit)


def show(registry: Registry, org: str) -> OrgView:
    """One organisation, by id or name; NotFound."""
    return _view(find(registry, org))


def find(registry: Registry, org: str) -> Org:
    """The stored organisation, by id or name; NotFound."""
    found = registry.org(names.normal(org))
    if found is None:
        raise NotFound(f"There is no organisation {org!r}; 'llmgw orgs list' shows those that exist.")
    return found


def _view(org: Org) -> OrgView:
    return OrgView(
        id=org.id, name=org.name, created_at=moment(org.created_at), suspended_at=moment(org.suspended_at)
    )
