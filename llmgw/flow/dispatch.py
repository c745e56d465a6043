"""Sends an admitted call to its target: the request as the provider gets it, then one `Attempt`.

Within one dialect the body is the client's, byte for byte, but for the `model` value. Of the client's headers
only the dialect's `forwarded` ones pass: its key, cookies and hop-by-hop fields never do.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import Final

from llmgw.dialects.anthropic import dialect as anthropic
from llmgw.dialects.auth import credential
from llmgw.dialects.body import Body
from llmgw.errors import ClientGone, IntegrityError, UpstreamCredentials
from llmgw.flow.attempt import Attempt
from llmgw.flow.call import Call
from llmgw.flow.gateway import Gateway, Provider, Target
from llmgw.flow.outbound import Estimate, Outbound, outbound
from llmgw.ports import Client, Header, Signer, UpstreamRequest
from llmgw.rules.access import KeyRecord
from llmgw.secret import Secret

# Compressed answers could not be relayed event by event, nor counted.
_IDENTITY: Final[Header] = (b"accept-encoding", b"identity")


async def dispatch(
    gateway: Gateway,
    call: Call,
    key: KeyRecord,
    target: Target,
    body: Body,
    fields: dict[bytes, bytes],
    query: bytes,
    client: Client,
) -> None:
    """See the call through at its target.

    Args:
        fields: the client's header fields by lower-case name.
        query: the client's query string, without `?`.

    Raises:
        CallError: nothing was sent to the client; it should hear of this error.
    """
    provider = target.provider
    out = outbound(call, target, body, query)
    if isinstance(out, Estimate):
        _answer(call, client, (*target.headers, _JSON, _ESTIMATED), out.body)
        return
    headers: list[Header] = []
    if out.accept is None:
        for name in call.dialect.forwarded:
            value = fields.get(name)
            if value is not None:
                headers.append((name, value))
    else:
        headers += ((b"content-type", b"application/json"), (b"accept", out.accept))
        if b"user-agent" in fields:
            headers.append((b"user-agent", fields[b"user-agent"]))
    if provider.host.dialect == "anthropic" and (out.accept or b"anthropic-version" not in fields):
        headers.append((b"anthropic-version", anthropic.VERSION))
    if provider.signer is None:
        headers += provider.headers or await _stored_credential(gateway, key, provider)
    else:
        headers = await _signed(gateway, key, provider, provider.signer, out, headers)
    headers.append(_IDENTITY)
    headers.append((b"traceparent", call.trace.header()))
    if call.trace.state is not None:
        headers.append((b"tracestate", call.trace.state))
    request = UpstreamRequest(
        method=b"POST",
        target=out.path,
        headers=tuple(headers),
        body=out.body,
    )
    if client.gone:
        raise ClientGone("The client closed the connection before its request was sent on.")
    extra = target.headers
    degraded = gateway.degraded
    if degraded is not None:
        extra = (*extra, (b"x-llmgw-degraded", degraded.encode()))
    await Attempt(call, out.passage, client, target.timeouts, extra, gateway.watch, target.drain_s).run(
        provider.upstream, request
    )


def _answer(call: Call, client: Client, headers: Sequence[Header], body: bytes) -> None:
    """Answer without asking anybody."""
    call.status = 200
    call.response_bytes = len(body)
    client.start(200, headers, len(body))
    client.write(body)
    client.end()


_JSON: Final[Header] = (b"content-type", b"application/json")
_ESTIMATED: Final[Header] = (b"x-llmgw-usage-source", b"estimated")


async def _signed(
    gateway: Gateway,
    key: KeyRecord,
    provider: Provider,
    signer: Signer,
    out: Outbound,
    headers: list[Header],
) -> list[Header]:
    """The header fields with those that prove the request; as they are where there is no secret."""
    withheld = provider.host.withholds
    kept = [field for field in headers if field[0] not in withheld]
    secret = provider.secret or await _stored_secret(gateway, key, provider)
    if secret is None:
        return kept
    request = UpstreamRequest(method=b"POST", target=out.path, headers=tuple(kept), body=out.body)
    try:
        return [*kept, *await signer.headers(secret, request, time())]
    except UpstreamCredentials as error:
        error.detail = f"{_whose(key, provider)}: {error.detail}"
        raise


async def _stored_credential(gateway: Gateway, key: KeyRecord, provider: Provider) -> tuple[Header, ...]:
    """The caller's organisation's own secret for `provider`; none where the provider needs none."""
    secret = await _stored_secret(gateway, key, provider)
    return () if secret is None else credential(provider.host.auth, secret.reveal())


async def _stored_secret(gateway: Gateway, key: KeyRecord, provider: Provider) -> Secret | None:
    if provider.credential is None:
        return None
    try:
        secret = await gateway.directory.credential(key.org_id, provider.credential)
    except IntegrityError as error:
        detail = f"{_whose(key, provider)} does not open: {error}"
        raise UpstreamCredentials(_UNUSABLE, detail=detail) from error
    if secret is None:
        detail = f"{_whose(key, provider)} is not set: llmgw credentials set"
        raise UpstreamCredentials(_UNUSABLE, detail=detail)
    return secret


def _whose(key: KeyRecord, provider: Provider) -> str:
    """A provider's secret by name, for the operator."""
    if provider.credential is None:
        return f"api_key of provider {provider.name!r}"
    return f"credential {provider.credential!r} of organisation {key.org!r}"


_UNUSABLE: Final = "The gateway has no usable credential for this model; tell the gateway's operator."
