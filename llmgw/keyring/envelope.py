"""Envelope encryption of stored secrets: a data key per organisation seals them, a KEK wraps the data key.

AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D section 8.2.2: fine up to 2^32 messages a key; a data
key seals a handful). The row's identity is associated data, each field with its length before it, so that
bytes moved to another row, organisation or term do not open. A sealed blob is

    version (1 byte, 0x01) | nonce (12) | ciphertext | tag (16)

Whatever does not open raises IntegrityError naming the row; there is no other failure.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from llmgw.errors import IntegrityError
from llmgw.keyring.ring import KEY_BYTES
from llmgw.secret import Secret

Unwrap = Callable[[str, bytes, bytes], bytes]
"""`ports.Kms.unwrap`: (KEK term, wrapped, context) -> data key."""
Wrap = Callable[[bytes, bytes], tuple[str, bytes]]
"""`ports.Kms.wrap`: (data key, context) -> (KEK term, wrapped)."""

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


class DataKey(Struct, frozen=True, kw_only=True):
    """A data key as it is stored: wrapped under the KEK's term `kek_term`."""

    org_id: str
    term: int
    kek_term: str
    wrapped: bytes
    created_at: float

    def __str__(self) -> str:
        return f"data key {self.term} of organisation {self.org_id}"


class SealedSecret(Struct, frozen=True, kw_only=True):
    """A credential as it is stored: sealed under its organisation's data key `data_key_term`."""

    id: str
    org_id: str
    name: str
    data_key_term: int
    sealed: bytes
    created_at: float
    updated_at: float

    def __str__(self) -> str:
        return f"credential {self.name!r} of organisation {self.org_id}"


def new_data_key(wrap: Wrap, org_id: str, term: int, now: float) -> DataKey:
    """A random data key, wrapped; the KEK adapter binds organisation and term to it."""
    kek_term, wrapped = wrap(secrets.token_bytes(KEY_BYTES), _data_key_context(org_id, term))
    return DataKey(org_id=org_id, term=term, kek_term=kek_term, wrapped=wrapped, created_at=now)


def unwrap_data_key(unwrap: Unwrap, key: DataKey) -> bytes:
    """The data key itself; IntegrityError naming the row where it does not unwrap."""
    try:
        data_key = unwrap(key.kek_term, key.wrapped, _data_key_context(key.org_id, key.term))
    except IntegrityError as error:
        raise IntegrityError(f"The {key} does not unwrap: {error}") from error
    if len(data_key) != KEY_BYTES:
        raise IntegrityError(
            f"The {key} does not unwrap: {len(data_key)} bytes came out instead of {KEY_BYTES}."
        )
    return data_key


def seal_secret(unwrap: Unwrap, key: DataKey, name: str, secret: Secret) -> bytes:
    """`secret` sealed as the credential `name` of the data key's organisation."""
    identity = _secret_identity(key.org_id, name, key.term)
    return seal(unwrap_data_key(unwrap, key), secret.reveal().encode(), identity)


def open_secret(unwrap: Unwrap, key: DataKey | None, row: SealedSecret) -> Secret:
    """The secret in `row`; `key` is what the store holds as its organisation's data key of the row's term.

    Raises:
        IntegrityError: naming the row: its data key is missing or does not unwrap, or its bytes do not open.
    """
    if key is None:
        raise IntegrityError(
            f"The {row} does not open: its data key {row.data_key_term} is not in the store."
        )
    try:
        data_key = unwrap_data_key(unwrap, key)
    except IntegrityError as error:
        raise IntegrityError(f"The {row} does not open. {error}") from error
    try:
        plain = unseal(data_key, row.sealed, _secret_identity(row.org_id, row.name, row.data_key_term))
    except IntegrityError as error:
        raise IntegrityError(f"The {row} does not open: {error}") from error
    return Secret(plain.decode())


def seal(key: bytes, plain: bytes, identity: bytes) -> bytes:
    """Encrypt and authenticate `plain` for the place that `identity` names."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, plain, identity)


def unseal(key: bytes, sealed: bytes, identity: bytes) -> bytes:
    """What `seal` was given; IntegrityError saying why not."""
    if len(sealed) < len(_VERSION) + _NONCE_BYTES + _TAG_BYTES:
        raise IntegrityError(f"the sealed bytes are cut short ({len(sealed)}).")
    if sealed[:1] != _VERSION:
        raise IntegrityError(f"the format {sealed[0]} of the sealed bytes is not known to this version.")
    start = len(_VERSION) + _NONCE_BYTES
    try:
        return AESGCM(key).decrypt(sealed[len(_VERSION) : start], sealed[start:], identity)
    except InvalidTag:
        raise IntegrityError("its bytes were changed, or belong to another row or key.") from None


def identity_of(*fields: str) -> bytes:
    """An unambiguous encoding: no two lists of fields have the same bytes."""
    encoded = [field.encode() for field in fields]
    return b"".join(len(field).to_bytes(4, "big") + field for field in encoded)


def _data_key_context(org_id: str, term: int) -> bytes:
    return identity_of("llmgw data key", org_id, str(term))


def _secret_identity(org_id: str, name: str, term: int) -> bytes:
    return identity_of("llmgw credential", org_id, name, str(term))
