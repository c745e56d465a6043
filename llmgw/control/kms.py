"""The state of encryption: which KEK terms are in use, and whether everything sealed still opens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Literal

from msgspec import Struct

from llmgw.errors import IntegrityError
from llmgw.keyring import envelope
from llmgw.keyring.envelope import DataKey, SealedSecret
from llmgw.ports import Kms, Registry

_BATCH: Final = 500


class TermState(Struct, frozen=True, kw_only=True):
    """One KEK term: what hangs on it. `available` is false where the KMS has lost it."""

    term: str
    current: bool
    available: bool
    data_keys: int
    secrets: int


class KmsStatus(Struct, frozen=True, kw_only=True):
    """The KEK terms, oldest first; those that the store needs and the KMS lacks stand at the end."""

    current: str
    terms: list[TermState]


class Fault(Struct, frozen=True, kw_only=True):
    """A stored row that does not open. `name` is the credential's name, or the data key's term."""

    kind: Literal["data_key", "credential"]
    id: str | None
    org: str
    org_id: str
    name: str
    problem: str


class Verification(Struct, frozen=True, kw_only=True):
    """How many rows were tried, and each that failed."""

    data_keys: int
    secrets: int
    faults: list[Fault]

    @property
    def ok(self) -> bool:
        return not self.faults


def status(registry: Registry, kms: Kms) -> KmsStatus:
    """What hangs on each KEK term."""
    keys = {(key.org_id, key.term): key.kek_term for key in registry.data_keys()}
    data_keys = Counter(keys.values())
    homes = (keys.get((row.org_id, row.data_key_term)) for row in _credentials(registry))
    secrets = Counter(home for home in homes if home is not None)
    available = list(kms.terms())
    lost = sorted(set(data_keys) - set(available))
    return KmsStatus(
        current=kms.current,
        terms=[
            TermState(
                term=term,
                current=term == kms.current,
                available=term not in lost,
                data_keys=data_keys[term],
                secrets=secrets[term],
            )
            for term in [*available, *lost]
        ],
    )


def verify(registry: Registry, kms: Kms) -> Verification:
    """Unwrap every data key and open every secret; one that fails is listed and does not stop the rest."""
    keys = {(key.org_id, key.term): key for key in registry.data_keys()}
    faults = [
        _fault(registry, key, problem)
        for key in keys.values()
        if (problem := problem_of(partial(envelope.unwrap_data_key, kms.unwrap, key))) is not None
    ]
    secrets = 0
    for row in _credentials(registry):
        secrets += 1
        # A data key that was made since the keys were read is no fault.
        place = row.org_id, row.data_key_term
        key = keys.get(place) or registry.data_key(*place)
        problem = problem_of(partial(envelope.open_secret, kms.unwrap, key, row))
        if problem is not None:
            faults.append(_fault(registry, row, problem))
    return Verification(data_keys=len(keys), secrets=secrets, faults=faults)


def problem_of(opening: Callable[[], object]) -> str | None:
    """Why `opening` a row fails; None where it does not."""
    try:
        opening()
    except IntegrityError as error:
        return str(error)
    return None


def _fault(registry: Registry, row: DataKey | SealedSecret, problem: str) -> Fault:
    org = registry.org(row.org_id)
    name = row.org_id if org is None else org.name
    if isinstance(row, DataKey):
        return Fault(
            kind="data_key", id=None, org=name, org_id=row.org_id, name=str(row.term), problem=problem
        )
    return Fault(kind="credential", id=row.id, org=name, org_id=row.org_id, name=row.name, problem=problem)


def _credentials(registry: Registry) -> Iterator[SealedSecret]:
    """All of them, a batch at a time."""
    after: str | None = None
    while batch := registry.credentials(None, after, _BATCH):
        yield from batch
        after = batch[-1].id
