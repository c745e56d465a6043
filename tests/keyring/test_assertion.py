"""A service account's statement: Google's own library takes it for what it says."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.auth import jwt

from llmgw.config.accounts import ServiceAccount, google
from llmgw.keyring import assertion

NOW = 1_760_000_000.9


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


KEY = rsa.generate_private_key(65537, 2048)
DOCUMENT = {
    "type": "service_account",
    "project_id": "acme",
    "private_key_id": "k1",
    "private_key": pem(KEY),
    "client_email": "gateway@acme.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}


def account(**changed: str) -> ServiceAccount:
    found = google(json.dumps({**DOCUMENT, **changed}))
    assert isinstance(found, ServiceAccount)
    return found


def test_googles_library_verifies_it() -> None:
    """Signature, header and claims, whole seconds, an hour long."""
    public = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    statement = assertion.sign(account(), NOW)
    header, claims, _, _ = jwt._unverified_decode(statement)  # type: ignore[no-untyped-call]  # it has no types
    whose = {
        "audience": str(DOCUMENT["token_uri"]),
        "clock_skew_in_seconds": 10**9,
    }  # whatever the clock says
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    verified = jwt.decode(statement, certs=public, **whose)  # type: ignore[no-untyped-call]
    assert (
        verified
        == claims
        == {
            "iss": DOCUMENT["client_email"],
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": DOCUMENT["token_uri"],
            "iat": 1_760_000_000,
            "exp": 1_760_003_600,
        }
    )
    other = rsa.generate_private_key(65537, 2048).public_key()
    wrong = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ValueError, match="signature"):
        jwt.decode(statement, certs=wrong, **whose)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "key",
    [
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=["garbage", "elliptic"],
)
def test_a_key_that_cannot_sign_is_named_and_not_shown(key: str) -> None:
    """The message says what is wrong, and nothing of the key."""
    with pytest.raises(ValueError, match="private key") as caught:
        assertion.sign(account(private_key=key), NOW)
    assert key.splitlines()[1] not in str(caught.value)


def test_an_account_shows_no_secret() -> None:
    """Written out, an account has its key redacted."""
    assert "BEGIN" not in repr(account())
    assert "a0AfB" not in repr(google("ya29.a0AfB_byC"))
