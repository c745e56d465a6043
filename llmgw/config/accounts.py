"""The secrets of clouds, whose requests are signed: what the text of one means.

A plain secret is a header field's value. AWS and Google hand out more than that, as text with colons or as a JSON
document; the text stays one `Secret` wherever it is kept, and is taken apart here when a request is to be signed, or
when the file that holds it is checked. No message says anything of the text itself.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from llmgw.secret import Secret

GOOGLE_TOKEN_URI: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
"""Where Google gives access tokens (developers.google.com, "Using OAuth 2.0 for Server to Server Applications")."""


class Bearer(Struct, frozen=True):
    """A ready token, sent as it is."""

    token: Secret


class AwsKeys(Struct, frozen=True):
    """An access key; `session_token` belongs to a temporary one."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None


class ServiceAccount(Struct, frozen=True):
    """A Google account that proves itself with its private key."""

    client_email: str
    private_key_id: str
    private_key: Secret
    """PEM."""
    token_uri: str


class AuthorizedUser(Struct, frozen=True):
    """A person's lasting consent, as `gcloud auth application-default login` leaves it."""

    client_id: str
    client_secret: Secret
    refresh_token: Secret
    token_uri: str


_token: Final = re.compile(r"[!-~]{8,}").fullmatch
_key_id: Final = re.compile(r"[A-Za-z0-9]{8,128}").fullmatch
_region: Final = re.compile(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com").search

_AWS: Final = (
    "must be ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN behind it for temporary keys; the JSON that "
    "'aws configure export-credentials' prints; or a Bedrock API key."
)
_GOOGLE: Final = (
    "must be the JSON of a service account's key, the JSON that 'gcloud auth application-default login' writes, "
    "or an access token (ya29...)."
)


def aws(text: str) -> AwsKeys | Bearer:
    """What an AWS secret says.

    Raises:
        ValueError: it is none; the message completes "the secret ...".
    """
    if text.startswith("{"):
        found = _document(text, _AWS)
        return _aws_keys(
            found.get("AccessKeyId"), found.get("SecretAccessKey"), found.get("SessionToken") or None
        )
    if text.startswith(("ABSK", "bedrock-api-key-")) and ":" not in text and _token(text):
        return Bearer(Secret(text))
    key_id, _, rest = text.partition(":")
    secret, _, session = rest.partition(":")
    return _aws_keys(key_id, secret, session or None)


def _aws_keys(key_id: object, secret: object, session: object) -> AwsKeys:
    if (
        not (isinstance(key_id, str) and _key_id(key_id))
        or not (isinstance(secret, str) and _token(secret))
        or not (session is None or (isinstance(session, str) and _token(session) and ":" not in session))
    ):
        raise ValueError(_AWS)
    return AwsKeys(key_id, Secret(secret), None if session is None else Secret(session))


def google(text: str) -> ServiceAccount | AuthorizedUser | Bearer:
    """What a Google secret says.

    Raises:
        ValueError: it is none; the message completes "the secret ...".
    """
    if text.startswith("ya29.") and _token(text):
        return Bearer(Secret(text))
    found = _document(text, _GOOGLE)
    token_uri = found.get("token_uri", GOOGLE_TOKEN_URI)
    if not isinstance(token_uri, str) or not _is_address(token_uri):
        raise ValueError("names a token_uri that is no https:// address.")
    match found:
        case {
            "type": "service_account",
            "client_email": str(email),
            "private_key": str(key),
            "private_key_id": str(key_id),
        } if "-----BEGIN" in key:
            return ServiceAccount(email, key_id, Secret(key), token_uri)
        case {
            "type": "authorized_user",
            "client_id": str(client),
            "client_secret": str(secret),
            "refresh_token": str(refresh),
        }:
            return AuthorizedUser(client, Secret(secret), Secret(refresh), token_uri)
    raise ValueError(_GOOGLE)


def one_line(text: str) -> str:
    """A JSON document without its line breaks, so that it can be kept like any other secret; other text as it is."""
    if not text.startswith("{"):
        return text
    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except (ValueError, RecursionError):
        return text


def region(base_url: str) -> str | None:
    """The AWS region that an address of Bedrock names."""
    match = _region(urlsplit(base_url).hostname or "")
    return None if match is None else match[1]


def is_google(token_uri: str) -> bool:
    """Whether an address is Google's own, so that a secret may be shown to it."""
    parts = urlsplit(token_uri)
    return parts.scheme == "https" and (parts.hostname or "").endswith(".googleapis.com")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("https", "http")
            and parts.hostname is not None
            and parts.port != 0
            and parts.username is None
            and text.isascii()
            and text.isprintable()
            and " " not in text
        )
    except ValueError:
        return False


def _document(text: str, message: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(message) from None
    if not isinstance(found, dict):
        raise ValueError(message)
    return found
