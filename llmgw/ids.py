"""Ids: a prefix that names the kind, then 26 characters that sort by time of creation.

As in a ULID, 48 bits of milliseconds come before 80 random bits, in Crockford's base32 (lower case): lists in
order of id are in order of creation, with no index but the primary key's.
"""

from __future__ import annotations

import os
from typing import Final, Literal

Kind = Literal["org", "tok", "key", "cred", "call"]

PREFIXES: Final = ("org_", "tok_", "key_", "cred_")
"""Of what operators name; a name must not look like an id."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_SHIFTS: Final = tuple(range(120, -1, -10))


_random: list[bytes] = []
"""Random bytes for the next ids: asking the kernel costs more than all the rest of one."""
_AT_ONCE: Final = 64


def new(kind: Kind, now: float) -> str:
    """A new id of that kind, made at `now` (Unix seconds)."""
    try:
        random = _random.pop()
    except IndexError:
        drawn = os.urandom(10 * _AT_ONCE)
        random = drawn[:10]
        _random.extend([drawn[n : n + 10] for n in range(10, len(drawn), 10)])
    number = int(now * 1000) << 80 | int.from_bytes(random)
    return f"{kind}_" + "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
