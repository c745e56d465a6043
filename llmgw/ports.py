"""What the flow needs from outside, as Protocols; the guarantee is the docstring.

Adapters live in `standalone/`, `upstream/`, `kms/`, `telemetry/` and `server/`; `assembly.py` alone joins
them. Each port has a contract suite in `tests/contracts/` that every adapter passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from msgspec import Struct

from llmgw.canonical import Usage
from llmgw.errors import CallError
from llmgw.keyring.envelope import DataKey, SealedSecret
from llmgw.rules.access import KeyRecord
from llmgw.secret import Secret

Header = tuple[bytes, bytes]
"""A header field: lower-case name, value; bytes as they stand on the wire."""


class Directory(Protocol):
    """Keys and credentials, by organisation.

    A change made by any process is seen within 1 s. While the store is down, what was known is served
    for a bounded time, and the unknown raises DependencyUnavailable: the absence of an answer is never
    reported as the absence of a key. No call waits longer than the adapter's deadline. The caller may be
    no asyncio task: what needs one runs in a task of the adapter's own.
    """

    @property
    def degraded(self) -> str | None:
        """What is unavailable just now, as it stands in `x-llmgw-degraded`; None when nothing is."""
        ...

    def known(self, public_id: str) -> KeyRecord | None:
        """The key where it is at hand and fresh, at once; None says nothing: ask `key`."""
        ...

    async def key(self, public_id: str) -> KeyRecord | None:
        """The key with that public id, or None where there surely is none."""
        ...

    async def credential(self, org_id: str, name: str) -> Secret | None:
        """The decrypted credential `name` of that organisation and no other, or None.

        Raises:
            IntegrityError: the stored row does not open under this organisation's key.
        """
        ...


class Kms(Protocol):
    """Wraps and unwraps data keys under versioned key-encryption keys (KEKs), nothing else.

    `context` is bound as associated data: unwrapping with another context fails with IntegrityError.
    """

    @property
    def current(self) -> str:
        """The term that new data keys are wrapped under, such as `local:1`."""
        ...

    def terms(self) -> Sequence[str]:
        """Every term that can still unwrap, oldest first."""
        ...

    def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt `data_key` (32 bytes) under the current term; returns (term, wrapped)."""
        ...

    def unwrap(self, term: str, wrapped: bytes, context: bytes) -> bytes:
        """The data key; IntegrityError where term, bytes and context do not belong together."""
        ...


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


class UpstreamRequest(Struct, frozen=True, kw_only=True):
    """One request to a provider, complete: an adapter adds `host`, `content-length` and framing only."""

    method: bytes
    target: bytes
    """Origin-form: path and query, as in the request line."""
    headers: tuple[Header, ...]
    body: bytes


class Receiver(Protocol):
    """Takes an answer as it arrives. Calls come from the event loop, in the order head, data*, end | failed;
    after `end`, `failed` or the transfer's `abort()` none comes any more. Implementations do not block."""

    def head(self, status: int, headers: list[Header]) -> None:
        """The final (not 1xx) head. Names are lower case; framing headers are included as received."""
        ...

    def data(self, data: bytes) -> None:
        """A piece of the body, transfer coding removed, otherwise as it came."""
        ...

    def end(self) -> None:
        """The body ended as its framing says it must."""
        ...

    def failed(self, error: CallError) -> None:
        """The answer will not be completed: UpstreamFailed (cut, garbage, no connection)."""
        ...


class Transfer(Protocol):
    """A request under way."""

    def pause(self) -> None:
        """Stop reading from the provider soon; at most one more read's worth of data arrives."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def abort(self) -> None:
        """Break the connection off now. Idempotent, also after the end."""
        ...


class Upstream(Protocol):
    """One provider's transport.

    `send` returns when the request is on its way; the answer goes to `receiver`. No redirect is followed.
    A request is repeated by the adapter itself only on a kept-alive connection that broke before any byte
    of an answer. A connection is made only to addresses that `upstream/guard.py` allows. The caller may be
    no asyncio task: what needs one runs in a task of the adapter's own.
    """

    async def send(
        self, request: UpstreamRequest, receiver: Receiver, *, connect_timeout_s: float
    ) -> Transfer:
        """Raises UpstreamTimeout or UpstreamFailed when no connection can be made in time."""
        ...

    async def aclose(self) -> None:
        """Close idle connections now, each other one when its call ends; nothing is sent after this."""
        ...


class Source(Protocol):
    """What feeds a client, told how the client fares. Calls come from the event loop and do not block."""

    def pause(self) -> None:
        """The client reads too slowly: stop feeding it soon."""
        ...

    def resume(self) -> None:
        """The client has caught up."""
        ...

    def abandon(self) -> None:
        """The client has gone: break off whatever was fetched for it, now."""
        ...

    def fail(self, error: CallError) -> None:
        """Stop, and tell the client why if it can still be told (shutdown)."""
        ...


class Client(Protocol):
    """The answer to one client, being written. Calls after the client has gone are silent no-ops."""

    @property
    def gone(self) -> bool:
        """Whether the client has hung up."""
        ...

    @property
    def started(self) -> bool:
        """Whether a head has been sent, so that the status can change no more."""
        ...

    def attach(self, source: Source) -> None:
        """From now on tell `source` how the client fares."""
        ...

    def refuse(self, error: CallError) -> None:
        """Answer with an error in the client's dialect; only before `start`."""
        ...

    def start(self, status: int, headers: Sequence[Header], length: int | None) -> None:
        """The head. `length` is the body's length in bytes; None frames it as it comes."""
        ...

    def write(self, data: bytes) -> None:
        """A piece of the body."""
        ...

    def end(self) -> None:
        """The body is complete."""
        ...

    def abort(self) -> None:
        """Break the connection off so that the body cannot look complete."""
        ...


class CallRecord(Struct, kw_only=True):
    """What is known of one call; complete when it has ended. Times are seconds; absent is None, never 0."""

    time: float
    """Unix seconds at which the request was complete."""
    request_id: str
    trace_id: str
    span_id: str
    endpoint: str
    method: str
    status: int = 0
    """HTTP status as the client saw it; 499 for a client that left."""
    error: str | None = None
    """The code of the contract, where the call failed."""
    detail: str | None = None
    """One sentence for the operator; never holds a secret."""
    org: str | None = None
    key_id: str | None = None
    model_asked: str | None = None
    model: str | None = None
    provider: str | None = None
    streamed: bool = False
    attempts: int = 0
    upstream_status: int | None = None
    upstream_request_id: str | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    total_s: float = 0.0
    overhead_s: float = 0.0
    """Total minus the wait for the provider."""
    first_token_s: float | None = None
    usage: Usage | None = None
    """What the provider reported of a translated call, also where the call failed after it."""


class Sink(Protocol):
    """Takes the records of ended calls. `offer` never blocks and never raises: a full sink drops and counts."""

    def began(self) -> None:
        """A call is in flight."""
        ...

    def offer(self, record: CallRecord) -> None:
        """A call has ended; called exactly once for every `began`. The record changes no more."""
        ...
