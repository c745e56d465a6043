"""Sends an admitted call to its target: the request as the provider gets it, then one `Attempt`.

Within one dialect the body is the client's, byte for byte, but for the `model` value. Of the client's headers
only the dialect's `forwarded` ones pass: its key, cookies and hop-by-hop fields never do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from llmgw.dialects.anthropic import dialect as anthropic
from llmgw.dialects.auth import credential
from llmgw.dialects.body import Body
from llmgw.errors import ClientGone, IntegrityError, UpstreamCredentials
from llmgw.flow.attempt import Attempt
from llmgw.flow.call import Call
from llmgw.flow.gateway import Gateway, Provider, Target
from llmgw.flow.outbound import Estimate, outbound
from llmgw.ports import Client, Header, UpstreamRequest
from llmgw.rules.access import KeyRecord

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
    headers += provider.headers or await _stored_credential(gateway, call, key, provider)
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


async def _stored_credential(
    gateway: Gateway, call: Call, key: KeyRecord, provider: Provider
) -> tuple[Header, ...]:
    """The caller's organisation's own secret for `provider`; none where the provider needs none."""
    if provider.credential is None:
        return ()
    problem = f"credential {provider.credential!r} of organisation {key.org!r}"
    try:
        secret = await gateway.directory.credential(key.org_id, provider.credential)
    except IntegrityError as error:
        raise UpstreamCredentials(_UNUSABLE, detail=f"{problem} does not open: {error}") from error
    if secret is None:
        raise UpstreamCredentials(_UNUSABLE, detail=f"{problem} is not set: llmgw credentials set")
    return credential(provider.host.auth, secret.reveal())


_UNUSABLE: Final = "The gateway has no usable credential for this model; tell the gateway's operator."
