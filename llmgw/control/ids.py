"""Ids of stored objects: a prefix that names the kind, then 26 characters that sort by time of creation.

As in a ULID, 48 bits of milliseconds come before 80 random bits, in Crockford's base32 (lower case): lists in
order of id are in order of creation, with no index but the primary key's.
"""

from __future__ import annotations

import secrets
from typing import Final, Literal

Kind = Literal["org", "tok", "key", "cred"]

PREFIXES: Final = ("org_", "tok_", "key_", "cred_")

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def new(kind: Kind, now: float) -> str:
    """A new id of that kind, made at `now` (Unix seconds)."""
    number = int(now * 1000) << 80 | secrets.randbits(80)
    return f"{kind}_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
