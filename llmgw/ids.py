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
_SHIFTS: Final = tuple(range(45, -1, -5))
_LETTERS: Final = _ALPHABET.encode() * 8
"""For each byte, one letter; every letter for as many bytes."""
_TAIL: Final = 16
_AT_ONCE: Final = 64

_tails: list[str] = []
"""Random letters for the next ids: asking the kernel costs more than all the rest of one."""
_heads: dict[int, str] = {}
"""The letters of the last millisecond."""


# Two processes must not draw from one stock.
os.register_at_fork(after_in_child=_tails.clear)


def new(kind: Kind, now: float) -> str:
    """A new id of that kind, made at `now` (Unix seconds)."""
    try:
        tail = _tails.pop()
    except IndexError:
        drawn = os.urandom(_TAIL * _AT_ONCE).translate(_LETTERS).decode()
        tail = drawn[:_TAIL]
        _tails.extend([drawn[n : n + _TAIL] for n in range(_TAIL, len(drawn), _TAIL)])
    moment = int(now * 1000)
    head = _heads.get(moment)
    if head is None:
        _heads.clear()
        head = _heads[moment] = "".join([_ALPHABET[moment >> shift & 31] for shift in _SHIFTS])
    return f"{kind}_{head}{tail}"
