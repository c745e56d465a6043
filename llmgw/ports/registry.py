"""What operators manage, and where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from msgspec import Struct

from llmgw.keyring.envelope import DataKey, SealedSecret
from llmgw.rules.access import KeyRecord


class Org(Struct, frozen=True, kw_only=True):
    """A tenant. Times, here and below, are Unix seconds, UTC."""

    id: str
    name: str
    created_at: float
    suspended_at: float | None = None


Role = Literal["owner", "admin", "member", "viewer"]


class Token(Struct, frozen=True, kw_only=True):
    """A control-plane token: what a store keeps of it."""

    id: str
    public_id: str
    org_id: str
    role: Role
    name: str
    digest: bytes
    created_at: float
    revoked_at: float | None = None


class VirtualKey(KeyRecord, frozen=True, kw_only=True):
    """A key as operators see it."""

    created_at: float
    updated_at: float


class Registry(Protocol):
    """What operators manage: organisations, tokens, keys and sealed secrets. Synchronous.

    Each method is atomic; `transaction` joins several, and readers see all of them or none. Every write is
    seen by each Directory of the same store within 1 s. Lists are in order of creation; `after` is the id
    to begin behind. Names are unique within an organisation (keys: among those not revoked).

    Raises, from any method: StoreUnavailable, within 5 s, when the store cannot be reached, written or read.
    """

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing, alone among writers: what is read inside holds until the end. Not nested."""
        ...

    def insert_org(self, org: Org) -> None:
        """AlreadyExists where the name is taken."""
        ...

    def org(self, id_or_name: str) -> Org | None: ...

    def orgs(self, after: str | None, limit: int) -> Sequence[Org]: ...

    def insert_token(self, token: Token) -> None: ...

    def tokens(self, org_id: str) -> Sequence[Token]:
        """Every token of the organisation, revoked ones too."""
        ...

    def insert_key(self, key: VirtualKey) -> None:
        """AlreadyExists where the name is taken."""
        ...

    def update_key(self, key: VirtualKey) -> None:
        """Replace everything but the id and the organisation. AlreadyExists where the new name is taken."""
        ...

    def key(self, id_or_name: str, org_id: str | None) -> VirtualKey | None:
        """By id, within the organisation if one is given; by name only within one. A name that was used
        again after a revocation is the key in force, or else the newest."""
        ...

    def keys(self, org_id: str | None, after: str | None, limit: int) -> Sequence[VirtualKey]: ...

    def insert_data_key(self, key: DataKey) -> None: ...

    def data_key(self, org_id: str, term: int | None = None) -> DataKey | None:
        """The organisation's data key of that term; the newest when `term` is None."""
        ...

    def data_keys(self) -> Sequence[DataKey]: ...

    def put_credential(self, credential: SealedSecret) -> None:
        """Insert, or replace the one of the same id. AlreadyExists where another has its name."""
        ...

    def credential(self, id_or_name: str, org_id: str | None) -> SealedSecret | None:
        """By id, within the organisation if one is given; by name only within one."""
        ...

    def credentials(self, org_id: str | None, after: str | None, limit: int) -> Sequence[SealedSecret]: ...

    def delete_credential(self, id: str) -> None: ...
