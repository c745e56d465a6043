"""Where a running gateway looks up keys and credentials."""

from __future__ import annotations

from typing import Protocol

from llmgw.rules.access import KeyRecord
from llmgw.secret import Secret


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
