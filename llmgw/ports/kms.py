"""Who wraps the data keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


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
