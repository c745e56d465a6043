"""What a provider reports of a call whose answer passes unchanged: usage and service tier, read beside the relay.

Of a stream only the first and the last pieces that report something are kept, and they are decoded once, at the end:
what a chunk costs is two searches. Counts in a stream are cumulative in every API, so the last report stands;
Anthropic's first one has members that the last one may leave out.

What was said is measured too, for streams that end before their report: the bytes of the delta texts as they stand in
the JSON, escapes included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from llmgw.canonical import Usage
from llmgw.dialects import openai, sse
from llmgw.dialects.anthropic import dialect as anthropic
from llmgw.dialects.anthropic import usage as anthropic_usage
from llmgw.dialects.dialect import Endpoint
from llmgw.dialects.gemini import dialect as gemini
from llmgw.dialects.gemini import usage as gemini_usage
from llmgw.dialects.gemini.spelling import Fields
from llmgw.dialects.members import Members, of_provider
from llmgw.dialects.openai_chat import usage as chat_usage
from llmgw.dialects.openai_responses import usage as responses_usage
from llmgw.errors import UpstreamFailed

Counts = dict[str, Any]
"""The provider's own words: what stands under `usage` or `usageMetadata`."""


class Report(Struct, frozen=True, kw_only=True):
    """What the provider says that a call has used, and the tier it was served in, in OpenAI's words."""

    usage: Usage
    service_tier: str | None = None


class Wire(Struct, frozen=True, kw_only=True):
    """How an API reports."""

    marks: tuple[bytes, bytes]
    """One of the two is in every piece of a stream that reports something."""
    said: Callable[[bytes], list[bytes]]
    """The texts of a piece's deltas."""
    find: Callable[[bytes], tuple[Counts | None, str | None]]
    """The counts and the tier in an answer, or in the data of an event; raises msgspec's errors."""
    read: Callable[[Counts], Usage]
    """The counts as disjoint buckets; raises UpstreamFailed."""
    first_counts: bool = False
    """Whether the last report of a stream may leave out what the first one has."""


class _Part(Struct):
    usage: Counts | None = None
    service_tier: str | None = None


class _Chat(_Part):
    x_groq: _Part | None = None


class _Response(_Part):
    response: _Part | None = None


class _Message(Struct):
    usage: Counts | None = None
    message: _Part | None = None


class _Generated(Struct, rename="camel"):
    usage_metadata: Counts | None = None


_chat: Final = msgspec.json.Decoder(_Chat).decode
_response: Final = msgspec.json.Decoder(_Response).decode
_message: Final = msgspec.json.Decoder(_Message).decode
_generated: Final = msgspec.json.Decoder(_Generated).decode


def _find_chat(body: bytes) -> tuple[Counts | None, str | None]:
    said = _chat(body)
    # Groq's streams have it there.
    return said.usage or (None if said.x_groq is None else said.x_groq.usage), said.service_tier


def _find_response(body: bytes) -> tuple[Counts | None, str | None]:
    said = _response(body)
    whole = said if said.response is None else said.response
    return whole.usage, whole.service_tier


def _find_message(body: bytes) -> tuple[Counts | None, str | None]:
    said = _message(body)
    return _with_tier(said.usage if said.message is None else said.message.usage, "service_tier")


def _find_generated(body: bytes) -> tuple[Counts | None, str | None]:
    return _with_tier(_generated(body).usage_metadata, "serviceTier")


def _with_tier(counts: Counts | None, name: str) -> tuple[Counts | None, str | None]:
    tier = None if counts is None else counts.pop(name, None)
    return counts, "default" if tier == "standard" else tier if isinstance(tier, str) else None


def _texts(names: bytes, before: bytes = b"") -> Callable[[bytes], list[bytes]]:
    return re.compile(before + rb'"(?:' + names + rb')"[ ]?:[ ]?"([^"\\]*(?:\\.[^"\\]*)*)"').findall


_CHAT: Final = Wire(
    marks=(b'"usage":{', b'"usage": {'),
    said=_texts(b"content|reasoning_content|reasoning|refusal|arguments|text"),
    find=_find_chat,
    read=chat_usage.buckets,
)
_EMBEDDINGS: Final = Wire(marks=_CHAT.marks, said=lambda piece: [], find=_find_chat, read=chat_usage.buckets)
_RESPONSES: Final = Wire(
    marks=_CHAT.marks,
    said=_texts(b"delta"),
    find=_find_response,
    read=lambda counts: responses_usage.read(Members(counts, "usage", of_provider)),
)
_MESSAGES: Final = Wire(
    marks=_CHAT.marks,
    # Blocks of tools that the provider runs have texts as well, which are no deltas.
    said=_texts(b"text|thinking|partial_json", before=rb'_delta"[ ]?,[ ]?'),
    find=_find_message,
    read=lambda counts: anthropic_usage.read(Members(counts, "usage", of_provider)),
    first_counts=True,
)
_GENERATE: Final = Wire(
    marks=(b'"usageMetadata":', b'"usageMetadata" :'),
    said=_texts(b"text"),
    find=_find_generated,
    read=lambda counts: gemini_usage.read(Fields(counts, "usageMetadata", of_provider)),
)
_EMBED: Final = Wire(marks=_GENERATE.marks, said=lambda piece: [], find=_find_generated, read=_GENERATE.read)
WIRES: Final[Mapping[str, Wire]] = {
    openai.CHAT_COMPLETIONS.name: _CHAT,
    openai.COMPLETIONS.name: _CHAT,
    openai.EMBEDDINGS.name: _EMBEDDINGS,
    openai.RESPONSES.name: _RESPONSES,
    anthropic.MESSAGES.name: _MESSAGES,
    gemini.GENERATE_CONTENT.name: _GENERATE,
    gemini.STREAM_EVENTS.name: _GENERATE,
    gemini.STREAM_ARRAY.name: _GENERATE,
    gemini.EMBED_CONTENT.name: _EMBED,
    gemini.BATCH_EMBED_CONTENTS.name: _EMBED,
}
"""By the endpoint's name; endpoints that use nothing up (counting tokens) are not among them."""
WITHOUT_OUTPUT: Final = frozenset(
    {openai.EMBEDDINGS.name, gemini.EMBED_CONTENT.name, gemini.BATCH_EMBED_CONTENTS.name}
)
"""Endpoints whose answers are no tokens."""


def of_answer(endpoint: Endpoint, body: bytes) -> Report | None:
    """What a whole plain answer reports; None where it reports nothing that can be understood."""
    wire = WIRES.get(endpoint.name)
    if wire is None:
        return None
    try:
        counts, tier = wire.find(body)
        return None if counts is None else Report(usage=wire.read(counts), service_tier=tier)
    except (msgspec.MsgspecError, UnicodeDecodeError, UpstreamFailed):
        return None


def said_bytes(endpoint: Endpoint, body: bytes) -> int:
    """How long the texts are in an answer, or in a part of one."""
    wire = WIRES.get(endpoint.name)
    return 0 if wire is None else sum(map(len, wire.said(body)))


def of_tail(endpoint: Endpoint, tail: bytes) -> Report | None:
    """The same of an answer of which only the end is at hand: large ones (embeddings) have it there."""
    wire = WIRES.get(endpoint.name)
    if wire is None:
        return None
    at = max(tail.rfind(mark) for mark in wire.marks)
    start = tail.find(b"{", at)
    if at < 0 or start < 0:
        return None
    try:
        counts, _ = json.JSONDecoder().raw_decode(tail[start:].decode())
        return Report(usage=wire.read(counts))
    except (ValueError, RecursionError, UpstreamFailed):
        return None


def without_usage_chunk(piece: bytes) -> bytes:
    """Whole events without the chunk that has nothing but usage (OpenAI, "stream_options": it comes before [DONE]).
    Hosts that report beside the last words keep theirs."""
    if b'"usage":{' not in piece and b'"usage": {' not in piece:
        return piece
    kept = [event for event in _events(piece) if not (_no_choices(event) and b'"usage"' in event)]
    return b"".join(kept)


_events: Final = re.compile(rb".+?(?:\r\n\r\n|\n\n|\r\r|\Z)", re.DOTALL).findall
_no_choices: Final = re.compile(rb'"choices"[ ]?:[ ]?\[[ ]?\]').search


class Tally:
    """What one stream reports and says, fed with whole events (or, of an array, whole elements)."""

    __slots__ = ("_first", "_last", "_wire", "said_bytes")

    def __init__(self, endpoint: Endpoint) -> None:
        self._wire = WIRES.get(endpoint.name)
        self._first = b""
        self._last = b""
        self.said_bytes = 0
        """Of the texts of all deltas so far."""

    def note(self, piece: bytes) -> None:
        """Take a piece of the stream."""
        wire = self._wire
        if wire is None:
            return
        one, other = wire.marks
        if one in piece or other in piece:
            self._last = piece
            if not self._first:
                self._first = piece
        self.said_bytes += sum(map(len, wire.said(piece)))

    def report(self) -> Report | None:
        """What the stream has reported so far; None where that is nothing that can be understood."""
        wire = self._wire
        if wire is None or not self._last:
            return None
        counts: Counts = {}
        tier: str | None = None
        try:
            for piece in (self._first, self._last) if wire.first_counts else (self._last,):
                for data in _documents(piece):
                    found, said = wire.find(data)
                    tier = said or tier
                    counts |= {name: count for name, count in (found or {}).items() if count is not None}
            return Report(usage=wire.read(counts), service_tier=tier) if counts else None
        except (msgspec.MsgspecError, UnicodeDecodeError, UpstreamFailed):
            return None


def _documents(piece: bytes) -> list[bytes]:
    """The JSON documents of a piece: an element of an array, or the data of events."""
    if piece.startswith(b"{"):
        return [piece]
    return [event.data for event in sse.parse(piece) if event.data.startswith(b"{")]
