"""The text of a virtual key: `sk-llmgw-<public id>-<secret><checksum>`.

The public id (12 of [0-9a-z], 62 bits) names the key in stores and logs. The secret is 32 random base62
characters (190 bits). The checksum is the CRC-32 of everything before it as 6 base62 digits, so that a
mistyped key is refused without a look-up and a secret scanner can tell a real key from a look-alike. Stores
keep the SHA-256 of the whole key only: with 190 random bits there is nothing to guess, so a slow hash would
cost every request and protect nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

from msgspec import Struct

from llmgw.secret import Secret

PATTERN: Final = r"sk-llmgw-[0-9a-z]{12}-[0-9A-Za-z]{38}"
"""Regular expression for secret scanners and log filters; the checksum then tells a real key."""

PREFIX: Final = "sk-llmgw-"

_PUBLIC: Final = string.digits + string.ascii_lowercase
_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CHECKSUM_LENGTH: Final = 6
_PAIRS: Final = tuple((a + b).encode() for a in _BASE62 for b in _BASE62)
"""Two base62 digits at a time: parsing is on the way of every request."""

_form: Final = re.compile(PATTERN.encode()).fullmatch


class Presented(Struct, frozen=True, gc=False):
    """What a client's key says: which key it claims to be, and the proof."""

    public_id: str
    digest: bytes
    """SHA-256 of the whole key, 32 bytes."""


class Minted(Struct, frozen=True):
    """A new key. `key` is shown once; a store keeps the rest."""

    key: Secret
    public_id: str
    digest: bytes


def mint(public_id: str | None = None) -> Minted:
    """A new key, or a new secret for the key with that public id."""
    return compose(PREFIX, public_id)


def parse(presented: str | bytes) -> Presented | None:
    """The public id and digest of a well-formed key with a right checksum; None for anything else."""
    if isinstance(presented, str):
        if not presented.isascii():
            return None
        presented = presented.encode()
    if _form(presented) is None or _checksum(presented[:-_CHECKSUM_LENGTH]) != presented[-_CHECKSUM_LENGTH:]:
        return None
    return Presented(presented[9:21].decode(), hashlib.sha256(presented).digest())


def compose(prefix: str, public_id: str | None = None) -> Minted:
    """A new secret text of the common form `<prefix><public id>-<secret><checksum>`."""
    if public_id is None:
        public_id = "".join(secrets.choice(_PUBLIC) for _ in range(12))
    secret = "".join(secrets.choice(_BASE62) for _ in range(32))
    body = f"{prefix}{public_id}-{secret}".encode()
    key = body + _checksum(body)
    return Minted(Secret(key.decode()), public_id, hashlib.sha256(key).digest())


def _checksum(body: bytes) -> bytes:
    """CRC-32 in base62, most significant digit first. 62**6 > 2**32, so it always fits."""
    crc = zlib.crc32(body)
    return _PAIRS[crc // 14_776_336] + _PAIRS[crc // 3_844 % 3_844] + _PAIRS[crc % 3_844]
