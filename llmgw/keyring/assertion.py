"""The signed statement by which a Google service account asks for an access token (RFC 7523, a JWT with RS256).

Source: developers.google.com, "Using OAuth 2.0 for Server to Server Applications". Pure: the time comes in.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from llmgw.config.accounts import ServiceAccount

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
LIFETIME_S: Final = 3600
"""The longest that Google takes."""


def sign(account: ServiceAccount, now: float) -> bytes:
    """The statement, good from `now` (Unix seconds) for an hour; takes some milliseconds.

    Raises:
        ValueError: the account's private key is no RSA key; the message completes "the secret ...".
    """
    issued = int(now)
    header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": issued,
        "exp": issued + LIFETIME_S,
    }
    statement = _text(msgspec.json.encode(header)) + b"." + _text(msgspec.json.encode(claims))
    return statement + b"." + _text(_key(account).sign(statement, PKCS1v15(), hashes.SHA256()))


def _key(account: ServiceAccount) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(account.private_key.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without the cause: its words may quote the key.
        raise ValueError("holds a private key that cannot be read.") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("holds a private key that is none of RSA's.")
    return key


def _text(data: bytes) -> bytes:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")
