"""The key-encryption keys as an immutable value: numbered terms, one of them current.

New data keys are wrapped under the current term; older terms stay to open what they wrapped. Rotation makes
a new Keyring with one term more; nothing is changed in place, so a reader never sees half a rotation.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Final, Self

from msgspec import Struct

KEY_BYTES: Final = 32
"""AES-256."""


class Term(Struct, frozen=True):
    """One generation of the key-encryption key."""

    version: int
    created_at: datetime
    key: bytes

    def __post_init__(self) -> None:
        if self.version < 1:
            raise ValueError("a term's version is 1 or more")
        if len(self.key) != KEY_BYTES:
            raise ValueError(
                f"the key of term {self.version} has {len(self.key)} bytes instead of {KEY_BYTES}"
            )

    def __repr__(self) -> str:
        return f"Term({self.version}, {self.created_at:%Y-%m-%dT%H:%M:%SZ}, [redacted])"


class Keyring(Struct, frozen=True):
    """At least one term, oldest first; `current` is the version of one of them.

    Raises:
        ValueError: versions repeat or are out of order, or `current` is not there.
    """

    terms: tuple[Term, ...]
    current: int

    def __post_init__(self) -> None:
        versions = [term.version for term in self.terms]
        if versions != sorted(set(versions)):
            raise ValueError("the terms are not in rising order")
        if self.current not in versions:
            raise ValueError(f"the current term {self.current} is not there")

    @classmethod
    def generate(cls) -> Self:
        """A new keyring of one random term."""
        return cls((Term(1, datetime.now(UTC), secrets.token_bytes(KEY_BYTES)),), 1)
