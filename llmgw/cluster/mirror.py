"""What the store holds, for the time that it is away: written to Redis by every node that reads it, read by a node
that needs a key it does not have.

A record says in which state of the store it was read, and a mark of its own says in which state any node has seen the
store last, and when. A record counts only where both are the same: so nothing that was changed since, a revocation
above all, comes back from here; and only for `stale_s` after the store was seen. What is read often is there.

Everything is sealed under its writer's data key, which the key service has wrapped, and bound to its place: who can
write to Redis can make nobody's key and learn none, and a secret lies there as it lies in the store, sealed once more.
A mirror that is wrong, slow or gone is no mirror: nothing here raises, or keeps a reader waiting for longer than Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Hashable
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

from llmgw.keyring import envelope
from llmgw.keyring.envelope import DataKey
from llmgw.ports import Kms
from llmgw.stock.directory import STALE_S, Name

KEEP_S: Final = 24 * 3600.0
"""How long a record that nobody renews takes room; whether it counts is another matter."""
MARK_S: Final = 5.0
"""How often a node says that it has seen the store, if nothing changes."""
WRITES_LIMIT: Final = 64
"""Under way at once; what comes while there are as many is not mirrored."""
READS_LIMIT: Final = 64
"""The same for reads, that made-up keys do not keep Redis busy."""

KEYS_LIMIT: Final = 256
"""Data keys of other nodes that are remembered."""

T = TypeVar("T")


class Cupboard(Protocol):
    """Redis, as far as it is needed here: short deadlines, any exception where it does not answer."""

    async def get(self, key: str) -> bytes | None: ...

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> object: ...


class Found(NamedTuple):
    """A value and how long it counts, in Unix seconds."""

    value: bytes
    until: float


class _Record(msgspec.Struct, frozen=True, array_like=True):
    state: str
    value: bytes


class _Mark(msgspec.Struct, frozen=True, array_like=True):
    state: str
    seen_at: float


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    """A document, with the data key of the node that wrote it: no two nodes need to agree on one."""

    kek_term: str
    wrapped: bytes
    sealed: bytes


class Mirror:
    """The mirror of the store of that name. `put` and `seen` return at once; `run()` is not needed."""

    def __init__(self, redis: Cupboard, kms: Kms, store: str, *, stale_s: float = STALE_S) -> None:
        self._redis = redis
        self._kms = kms
        self._store = store
        self._stale_s = stale_s
        self._own: tuple[DataKey, bytes] | None = None
        self._making = asyncio.Lock()
        self._unwrapped_keys: dict[bytes, bytes] = {}
        self._state: Hashable = None
        self._marked_at = float("-inf")
        self._writing: set[asyncio.Task[None]] = set()
        self._reading = 0

    def seen(self, state: str) -> None:
        """The store has answered, in that state."""
        now = time.monotonic()
        if state != self._state or now - self._marked_at >= min(MARK_S, self._stale_s / 4):
            self._state, self._marked_at = state, now
            mark = _Mark(state, time.time())
            self._write(self._put(_MARK, mark))

    def put(self, name: Name, state: str, value: bytes) -> None:
        """Read in that state."""
        self._write(self._put(_place(name), _Record(state, value)))

    async def get(self, name: Name) -> Found | None:
        """What a node has read of that name in the last state in which the store was seen."""
        if self._reading >= READS_LIMIT:
            return None
        self._reading += 1
        try:
            return await self._get(name)
        except Exception:  # noqa: BLE001 - the boundary: whatever is wrong with a mirror, it is no mirror
            return None
        finally:
            self._reading -= 1

    async def _get(self, name: Name) -> Found | None:
        place = _place(name)
        sealed_mark, sealed_record = await asyncio.gather(self._redis.get(_MARK), self._redis.get(place))
        if sealed_mark is None or sealed_record is None:
            return None
        mark = await self._open(_MARK, sealed_mark, _Mark)
        record = await self._open(place, sealed_record, _Record)
        now = time.time()
        until = min(mark.seen_at, now) + self._stale_s
        return Found(record.value, until) if record.state == mark.state and now < until else None

    def _write(self, work: Coroutine[Any, Any, None]) -> None:
        if len(self._writing) >= WRITES_LIMIT:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(self._quietly(work))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        with contextlib.suppress(
            Exception
        ):  # the boundary: see `get`; what is missing is read from the store
            await work

    async def _put(self, place: str, document: msgspec.Struct) -> None:
        async with self._making:
            if self._own is None:
                made = await asyncio.to_thread(envelope.new_data_key, self._kms.wrap, _KEY_OF, 1, 0.0)
                self._own = made, await self._unwrapped(made.kek_term, made.wrapped)
        key, plain = self._own
        sealed = envelope.seal(plain, msgspec.msgpack.encode(document), self._identity(place))
        await self._redis.set(
            place, msgspec.msgpack.encode(_Sealed(key.kek_term, key.wrapped, sealed)), ttl_s=KEEP_S
        )

    async def _open(self, place: str, stored: bytes, kind: type[T]) -> T:
        """Raises IntegrityError, or msgspec.MsgspecError."""
        found = msgspec.msgpack.decode(stored, type=_Sealed)
        key = await self._unwrapped(found.kek_term, found.wrapped)
        return msgspec.msgpack.decode(envelope.unseal(key, found.sealed, self._identity(place)), type=kind)

    async def _unwrapped(self, kek_term: str, wrapped: bytes) -> bytes:
        """A node's data key; the key service is asked once for each."""
        known = self._unwrapped_keys.get(wrapped)
        if known is None:
            key = DataKey(org_id=_KEY_OF, term=1, kek_term=kek_term, wrapped=wrapped, created_at=0.0)
            known = await asyncio.to_thread(envelope.unwrap_data_key, self._kms.unwrap, key)
            if len(self._unwrapped_keys) >= KEYS_LIMIT:
                self._unwrapped_keys.pop(next(iter(self._unwrapped_keys)))
            self._unwrapped_keys[wrapped] = known
        return known

    def _identity(self, place: str) -> bytes:
        return envelope.identity_of("llmgw mirror", self._store, place)


def _place(name: Name) -> str:
    if isinstance(name, str):
        return f"llmgw:{{{name}}}:key"
    org_id, credential = name
    return f"llmgw:{{{org_id}}}:credential:{credential}"


_MARK: Final = "llmgw:{mirror}:mark"
_KEY_OF: Final = "(mirror)"
"""In place of an organisation's id: no organisation's data key is taken for this one, nor the other way round."""
