"""Provider credentials: an organisation's own secrets, kept sealed and opened only to be sent.

Nothing of a secret is ever shown again, not even its last characters: a hint that helps its owner helps a
guesser as well.
"""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial
from typing import Final

from msgspec import Struct

from llmgw import ids
from llmgw.config import accounts
from llmgw.control import names, orgs
from llmgw.control.kms import problem_of
from llmgw.control.page import DEFAULT_LIMIT, Page, page
from llmgw.control.times import moment
from llmgw.errors import NotFound, UsageError
from llmgw.keyring import envelope
from llmgw.keyring.envelope import SealedSecret
from llmgw.ports import Kms, Registry
from llmgw.secret import Secret

SIZE_LIMIT: Final = 64 * 1024


class CredentialView(Struct, frozen=True, kw_only=True):
    """A credential as operators see it; `data_key_term` is the generation of the data key that seals it."""

    id: str
    name: str
    org_id: str
    data_key_term: int
    created_at: datetime
    updated_at: datetime


class CredentialState(Struct, frozen=True, kw_only=True):
    """Whether a credential opens; `problem` says why not."""

    id: str
    name: str
    org_id: str
    ok: bool
    problem: str | None


def set_(registry: Registry, kms: Kms, *, org: str, name: str, secret: Secret) -> CredentialView:
    """Store `secret` as the credential `name` of the organisation, in place of one that is there.

    One newline at the end, which files and pipes add, is taken off.

    Raises:
        UsageError: the name or the secret cannot be used.
        NotFound: no such organisation.
        IntegrityError: the organisation's data key does not unwrap.
    """
    secret = _checked(secret)
    name = names.checked(name, "a credential")
    owner = orgs.find(registry, org)
    with registry.transaction():
        now = time.time()
        data_key = registry.data_key(owner.id)
        if data_key is None:
            data_key = envelope.new_data_key(kms.wrap, owner.id, 1, now)
            registry.insert_data_key(data_key)
        old = registry.credential(name, owner.id)
        row = SealedSecret(
            id=ids.new("cred", now) if old is None else old.id,
            org_id=owner.id,
            name=name,
            data_key_term=data_key.term,
            sealed=envelope.seal_secret(kms.unwrap, data_key, name, secret),
            created_at=now if old is None else old.created_at,
            updated_at=now,
        )
        registry.put_credential(row)
    return _view(row)


def list_(
    registry: Registry, *, org: str | None = None, after: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[CredentialView]:
    """Credentials of one organisation or of all, in order of creation; never a secret."""
    org_id = None if org is None else orgs.find(registry, org).id
    return page(
        lambda after, limit: registry.credentials(org_id, after, limit),
        _view,
        lambda row: row.id,
        after,
        limit,
    )


def verify(registry: Registry, kms: Kms, credential: str, *, org: str | None = None) -> CredentialState:
    """Open one credential, by id or by name within `org`, and say whether that worked."""
    row = find(registry, credential, org)
    data_key = registry.data_key(row.org_id, row.data_key_term)
    problem = problem_of(partial(envelope.open_secret, kms.unwrap, data_key, row))
    return CredentialState(id=row.id, name=row.name, org_id=row.org_id, ok=problem is None, problem=problem)


def delete(registry: Registry, credential: str, *, org: str | None = None) -> CredentialView:
    """Remove a credential for good; NotFound."""
    with registry.transaction():
        row = find(registry, credential, org)
        registry.delete_credential(row.id)
    return _view(row)


def find(registry: Registry, credential: str, org: str | None) -> SealedSecret:
    """The stored credential, by id or by name within `org`; NotFound."""
    org_id = None if org is None else orgs.find(registry, org).id
    found = registry.credential(names.normal(credential), org_id)
    if found is None:
        where = (
            "; a name needs its organisation beside it" if org is None else f" in the organisation {org!r}"
        )
        raise NotFound(
            f"There is no credential {credential!r}{where}. 'llmgw credentials list' shows those that exist."
        )
    return found


def _checked(secret: Secret) -> Secret:
    """The secret as it can stand in a header field (RFC 9110 section 5.5), or UsageError; a JSON document, which a
    cloud's account is, on one line."""
    given = secret.reveal()
    text = accounts.one_line(given.removesuffix("\r\n" if given.endswith("\r\n") else "\n"))
    if not text:
        raise UsageError("The secret is empty; pipe it to the command or name a variable with --from-env.")
    if len(text) > SIZE_LIMIT:
        raise UsageError(f"The secret has {len(text)} characters; the limit is {SIZE_LIMIT}.")
    if text != text.strip(" "):
        raise UsageError("The secret begins or ends with a space, which HTTP takes away; give it without.")
    if any(not " " <= character <= "\xff" or "\x7f" <= character < "\xa0" for character in text):
        raise UsageError(
            "The secret contains a line break, a control character or one outside Latin-1, which no HTTP "
            "header can carry; check that only the secret itself was given."
        )
    return Secret(text)


def _view(row: SealedSecret) -> CredentialView:
    return CredentialView(
        id=row.id,
        name=row.name,
        org_id=row.org_id,
        data_key_term=row.data_key_term,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )
