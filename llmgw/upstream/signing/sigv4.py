"""AWS Signature Version 4.

Source: docs.aws.amazon.com, "Create a signed AWS API request" (IAM user guide). `sign` is pure and signs whatever it is
given; `SigV4` chooses what a request's signature covers: the host, the body, its type and the time. What a proxy may
add or change on the way is left out.

The path is encoded twice, as every service but S3 wants it: it stands encoded in the request line, and once more in
what is signed. So a model's `:` is `%3A` on the wire and `%253A` in the signature.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from llmgw.config import accounts
from llmgw.config.accounts import AwsKeys, Bearer
from llmgw.errors import UpstreamCredentials
from llmgw.ports import Header, UpstreamRequest
from llmgw.secret import Secret

_ALGORITHM: Final = b"AWS4-HMAC-SHA256"
_UNUSABLE: Final = "The gateway has no usable credential for this model; tell the gateway's operator."


class SigV4:
    """Implements `ports.Signer`: signs with an access key; a Bedrock API key goes as it is."""

    def __init__(self, host: str, region: str, service: str) -> None:
        """`host`: as it stands in the `host` field, with the port where the base URL has one."""
        self._host = host.encode("ascii")
        self._region = region
        self._service = service

    async def headers(self, secret: Secret, request: UpstreamRequest, now: float) -> tuple[Header, ...]:
        try:
            account = accounts.aws(secret.reveal())
        except ValueError as error:
            raise UpstreamCredentials(_UNUSABLE, detail=f"the secret {error}") from None
        if isinstance(account, Bearer):
            return ((b"authorization", b"Bearer " + account.token.reveal().encode()),)
        covered = [
            (b"host", self._host),
            *(field for field in request.headers if field[0] == b"content-type"),
        ]
        path, _, query = request.target.partition(b"?")
        return sign(
            request.method,
            path,
            query,
            covered,
            request.body,
            keys=account,
            region=self._region,
            service=self._service,
            now=now,
        )

    def refused(self, headers: Sequence[Header], now: float) -> None:
        """Nothing is remembered."""

    async def aclose(self) -> None:
        """Nothing is open."""


def sign(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Iterable[Header],
    body: bytes,
    *,
    keys: AwsKeys,
    region: str,
    service: str,
    now: float,
) -> tuple[Header, ...]:
    """The header fields that make a request AWS's account's own.

    Args:
        path: as it stands in the request line, percent-encoded once.
        query: the same, without `?`.
        headers: those that the signature covers, `host` among them, by lower-case name.
        now: Unix seconds; AWS bears five minutes of difference.
    """
    time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    added: list[Header] = [(b"x-amz-date", time.encode())]
    if keys.session_token is not None:
        added.append((b"x-amz-security-token", keys.session_token.reveal().encode()))
    fields = _canonical(*headers, *added)
    names = b";".join(fields)
    request = b"\n".join(
        (
            method,
            _path(path),
            _query(query),
            *(name + b":" + value for name, value in fields.items()),
            b"",
            names,
            hashlib.sha256(body).hexdigest().encode(),
        )
    )
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    statement = b"\n".join(
        (_ALGORITHM, time.encode(), scope.encode(), hashlib.sha256(request).hexdigest().encode())
    )
    key = ("AWS4" + keys.secret_access_key.reveal()).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, statement, "sha256").hex()
    authorization = b"%s Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        _ALGORITHM,
        keys.access_key_id.encode(),
        scope.encode(),
        names,
        signature.encode(),
    )
    return (*added, (b"authorization", authorization))


def _canonical(*headers: Header) -> dict[bytes, bytes]:
    """Header fields by name, in order; those of one name joined, runs of blanks as one."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(b" ".join(value.split()))
    return {name: b",".join(fields[name]) for name in sorted(fields)}


def _path(path: bytes) -> bytes:
    """Without dot segments and empty ones (RFC 3986 section 6.2.2.3), and encoded once more."""
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    end = b"/" if kept and path.endswith(b"/") else b""
    return quote(b"/" + b"/".join(kept) + end, safe="/~").encode()


def _query(query: bytes) -> bytes:
    """The parameters in order, each with its `=`; they are percent-encoded already."""
    pairs = (part.partition(b"=") for part in query.split(b"&") if part)
    return b"&".join(name + b"=" + value for name, value in sorted((name, value) for name, _, value in pairs))
