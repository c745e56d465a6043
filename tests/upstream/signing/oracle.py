"""The signer of AWS's own SDK, at a time of ours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # it has no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from llmgw.config.accounts import AwsKeys


def signature(
    keys: AwsKeys,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    region: str,
    service: str,
    now: float,
) -> dict[bytes, bytes]:
    """The header fields that the SDK adds to a request; it covers all of `headers`, but for a few that proxies change."""
    session = None if keys.session_token is None else keys.session_token.reveal()
    signer = SigV4Auth(
        Credentials(keys.access_key_id, keys.secret_access_key.reveal(), session), service, region
    )
    request = AWSRequest(method=method, url=url, headers=dict(headers), data=body)
    # `add_auth`, but for its clock.
    request.context["timestamp"] = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    added = {name.lower(): value for name, value in request.headers.items()}
    return {
        name.encode(): added[name].encode()
        for name in ("x-amz-date", "x-amz-security-token", "authorization")
        if name in added
    }
