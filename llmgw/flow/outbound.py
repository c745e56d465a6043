"""What goes to the provider for an admitted call, and by which passage its answer comes back.

Where the provider speaks the client's API, the request is the client's own, byte for byte, but for the model and for
other providers' thoughts in its history. Where it does not, it is translated. Which of the two is decided here and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct

from llmgw.dialects import body as bodies
from llmgw.dialects import estimate, hosts, openai, origin
from llmgw.dialects.anthropic import count
from llmgw.dialects.anthropic import dialect as anthropic
from llmgw.dialects.anthropic.request_writer import count_body
from llmgw.dialects.body import Body
from llmgw.dialects.codec import Codec, Losses, Recipient, Stamp
from llmgw.dialects.dialect import Endpoint
from llmgw.dialects.embedding import OF_CLIENTS, OF_PROVIDERS
from llmgw.dialects.gemini import count as gemini_count
from llmgw.dialects.gemini import dialect as gemini
from llmgw.dialects.hosts import Host
from llmgw.dialects.known import CODECS, DIALECTS, OPENAI, PLAIN, STREAMED
from llmgw.errors import InvalidRequest
from llmgw.flow.call import Call
from llmgw.flow.counting import Counting
from llmgw.flow.embedding import EmbeddingTranslation
from llmgw.flow.gateway import Target
from llmgw.flow.passage import Passage, Unchanged
from llmgw.flow.translation import Translation
from llmgw.flow.unsealed import unsealed
from llmgw.ports import Header, UpstreamRequest

_UNCHANGED: Final[Mapping[str, Unchanged]] = {
    endpoint.name: Unchanged(dialect, endpoint)
    for dialect in DIALECTS.values()
    for endpoint in dialect.endpoints
}


_REPORT_WHEN_ASKED: Final = frozenset({openai.CHAT_COMPLETIONS.name, openai.COMPLETIONS.name})
"""Endpoints whose streams tell what was used only when asked; the gateway always asks, for the bill."""
_HIDING: Final[Mapping[str, Unchanged]] = {
    endpoint.name: Unchanged(OPENAI, endpoint, hides_usage=True)
    for endpoint in OPENAI.endpoints
    if endpoint.name in _REPORT_WHEN_ASKED
}


# Compressed answers could not be relayed event by event, nor counted.
_IDENTITY: Final[Header] = (b"accept-encoding", b"identity")


class Outbound(Struct, frozen=True, kw_only=True):
    """A request to be sent: its passage, path with query, and body."""

    passage: Passage
    endpoint: Endpoint
    """Of the provider's API."""
    path: bytes
    body: bytes
    accept: bytes | None = None
    """What a translated request accepts; None: the client's own header fields go along."""


class Estimate(Struct, frozen=True):
    """An answer that the gateway gives itself, to be labelled as an estimate."""

    body: bytes


def outbound(call: Call, target: Target, body: Body, query: bytes) -> Outbound | Estimate:
    """The request for `target`.

    Args:
        query: the client's query string, without `?`.

    Raises:
        InvalidRequest: the request is not one of its API's, or no provider of this kind can serve it.
        UnsupportedParameter: the target cannot honour it.
    """
    operation = call.operation
    if call.dialect.name in target.provider.dialects and target.serves(operation):
        host = target.provider.host
        path = target.provider.path(operation, target.model, body.stream)
        if query and host.takes_query:
            path = _with_query(path, query)
        sealed = _SEALED.get(operation.name)
        again = sealed and unsealed(*sealed, call.dialect, operation, target, body.raw, body.model)
        if again:
            return Outbound(
                passage=again, endpoint=operation, path=path, body=_fitted(host, operation, again.body)
            )
        asks = body.stream and operation.name in _REPORT_WHEN_ASKED and host.asks_for_usage
        hides = asks and not body.asks_for_usage()
        written = body.with_model(target.model)
        if host.edits is not None:
            written = _fitted(host, operation, written)
        return Outbound(
            passage=(_HIDING if hides else _UNCHANGED)[operation.name],
            endpoint=operation,
            path=path,
            body=bodies.ask_for_usage(written) if hides else written,
        )
    if operation.name in CODECS:
        return _translated(call, target, body, query)
    if operation.name in OF_CLIENTS and target.provider.host.dialect in OF_PROVIDERS:
        return _embedded(call, target, body)
    if operation.name in _COUNTS:
        return _counted(call, target, body)
    raise _not_offered(call, body)


_SEALED: Final = {
    name: (codec, codec.write_request) for name, codec in CODECS.items() if origin.seals(codec.name)
} | {anthropic.COUNT_TOKENS.name: (CODECS[anthropic.MESSAGES.name], count_body)}
"""Endpoints whose requests may hold other providers' thoughts: the codec that finds them, and writes without them."""


def request_to(
    target: Target, out: Outbound, call: Call, fields: Mapping[bytes, bytes], proof: Sequence[Header]
) -> UpstreamRequest:
    """What goes to the target.

    Args:
        fields: the client's header fields by lower-case name.
        proof: the header fields with the secret, where that is all it takes.
    """
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
    if target.provider.host.dialect == "anthropic" and (out.accept or b"anthropic-version" not in fields):
        headers.append((b"anthropic-version", anthropic.VERSION))
    headers.append(_IDENTITY)
    headers.append((b"traceparent", call.trace.header()))
    if call.trace.state is not None:
        headers.append((b"tracestate", call.trace.state))
    headers += proof
    return UpstreamRequest(method=b"POST", target=out.path, headers=tuple(headers), body=out.body)


def _not_offered(call: Call, body: Body) -> InvalidRequest:
    return InvalidRequest(
        f"{body.model!r} cannot be asked through {call.operation.name}: its provider does not offer it.",
        param="model",
    )


def _translated(call: Call, target: Target, body: Body, query: bytes) -> Outbound:
    client = CODECS[call.operation.name]
    chat = client.read_request(body.raw, model=body.model, stream=body.stream, query=query)
    translation = Translation(
        client,
        target.codec,
        chat,
        _recipient(target),
        Stamp(id=call.span_id, created=int(call.time)),
        Losses(client.names, target=body.model, drop=target.drops),
    )
    endpoint = (STREAMED if chat.stream else PLAIN)[target.codec.name]
    return Outbound(
        passage=translation,
        endpoint=endpoint,
        path=target.provider.path(endpoint, target.model, chat.stream),
        body=_fitted(target.provider.host, endpoint, translation.body),
        accept=endpoint.stream_type if chat.stream else b"application/json",
    )


def _fitted(host: Host, endpoint: Endpoint, body: bytes) -> bytes:
    """A request body of the endpoint's API as the host wants it."""
    edit = None if host.edits is None else host.edits.get(endpoint.name)
    return body if edit is None else bodies.edited(body, edit.removes, edit.adds)


def _embedded(call: Call, target: Target, body: Body) -> Outbound:
    client = OF_CLIENTS[call.operation.name]
    provider = OF_PROVIDERS[target.provider.host.dialect]
    embed = client.read_request(call.operation, body.raw, body.model)
    losses = Losses(client.names, target=body.model, drop=target.drops)
    endpoint, written = provider.write_request(embed, _recipient(target), losses)
    if not target.serves(endpoint):
        raise _not_offered(call, body)
    return Outbound(
        passage=EmbeddingTranslation(client, provider, target.codec, embed, losses),
        endpoint=endpoint,
        path=target.provider.path(endpoint, target.model),
        body=written,
        accept=b"application/json",
    )


def _counted(call: Call, target: Target, body: Body) -> Outbound | Estimate:
    """By the provider where it counts the tokens of any request, or else by ourselves."""
    codec, within, write = _COUNTS[call.operation.name]
    chat = codec.read_request(within(body.raw), model=body.model, stream=False)
    host = target.provider.host.name
    if host not in _COUNTING:
        return Estimate(write(estimate.tokens(chat)))
    losses = Losses(codec.names, target=body.model, drop=True)
    asked = target.codec.write_request(chat, _recipient(target), losses)
    if host == hosts.GEMINI.name:
        asked = gemini_count.request(target.model, asked)
    else:
        asked = gemini_count.vertex_request(asked)
    return Outbound(
        passage=Counting(gemini_count.read, write, target.codec, losses),
        endpoint=gemini.COUNT_TOKENS,
        path=target.provider.path(gemini.COUNT_TOKENS, target.model),
        body=asked,
        accept=b"application/json",
    )


_COUNTING: Final = frozenset({hosts.GEMINI.name, hosts.VERTEX.name})
"""Hosts that count the tokens of any client's request."""
_COUNTS: Final[Mapping[str, tuple[Codec, Callable[[bytes], bytes], Callable[[int], bytes]]]] = {
    anthropic.COUNT_TOKENS.name: (CODECS[anthropic.MESSAGES.name], bytes, count.write),
    gemini.COUNT_TOKENS.name: (
        CODECS[gemini.GENERATE_CONTENT.name],
        gemini_count.content,
        gemini_count.write,
    ),
}
"""How clients ask for a count of tokens, by endpoint: the codec, the request within, and the answer."""


def _recipient(target: Target) -> Recipient:
    return Recipient(model=target.model, host=target.provider.host, capabilities=target.capabilities)


def _with_query(path: bytes, query: bytes) -> bytes:
    """The client's own query behind the path; what is ours of the same name gives way to it. A key in it is the
    gateway's, or nobody's."""
    path, _, ours = path.partition(b"?")
    if ours or b"key=" in query:
        kept = dict(parse_qsl(ours)) | dict(parse_qsl(query, keep_blank_values=True))
        kept.pop(b"key", None)
        query = urlencode(kept).encode()
    return path + b"?" + query if query else path
