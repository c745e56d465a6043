"""One call whose client and provider speak different APIs.

Pure, like the relay: it joins the client's codec and the provider's through `canonical` and remembers what
was left out and what was used. The provider is asked for a stream exactly when the client asked for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from llmgw.canonical import (
    Chat,
    End,
    Event,
    Failure,
    FinishEvent,
    ProviderError,
    RefusalDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects import reported
from llmgw.dialects.codec import Codec, Losses, ProviderCodec, Recipient, Stamp
from llmgw.dialects.gemini.errors import BAD_KEY
from llmgw.dialects.known import PLAIN
from llmgw.dialects.reported import Report
from llmgw.errors import CallError, UpstreamCredentials, UpstreamFailed, UpstreamRefused
from llmgw.flow import answer
from llmgw.flow.answer import Head
from llmgw.flow.relay import HOLD_LIMIT, Relay
from llmgw.ports import Header

ANSWER_LIMIT: Final = 32 * 1024 * 1024
"""Bytes of a plain answer at most: it is needed whole, with what it decodes to beside it."""
JSON: Final[Header] = (b"content-type", b"application/json")
_EVENTS: Final[Header] = (b"content-type", b"text/event-stream; charset=utf-8")
_WITHOUT_CONTENT: Final = (Start, UsageEvent, FinishEvent, Failure, End)
"""Events that are no answer yet, so that another one could still take its place."""
_SAYING: Final = (TextDelta, ThoughtDelta, RefusalDelta, ToolDelta)


class Translation:
    """Implements `Passage`. `body` is the provider's request."""

    hold_limit = ANSWER_LIMIT
    passes_parts = False

    def __init__(
        self,
        client: Codec,
        provider: ProviderCodec,
        chat: Chat,
        to: Recipient,
        stamp: Stamp,
        losses: Losses,
    ) -> None:
        """Translates the request.

        Raises:
            UnsupportedParameter: the target cannot honour it.
            InvalidRequest: it contradicts itself.
        """
        self._client = client
        self._provider = provider
        self._chat = chat
        self._stamp = stamp
        self._losses = losses
        self.body = provider.write_request(chat, to, losses)

    @property
    def dropped(self) -> Sequence[str]:
        return self._losses.dropped

    def relay(self, head: Head) -> Relay | None:
        return (
            Translated(self._provider, self._client, self._chat, self._stamp, self._losses)
            if self._chat.stream
            else None
        )

    def fails(self, head: Head) -> bool:
        return head.status != 200

    def failure(self, head: Head, body: bytes) -> CallError:
        return failure(self._provider, head, body)

    def plain(self, body: bytes) -> tuple[bytes, Report | None]:
        whole = self._provider.read_answer(body)
        report = None if whole.usage is None else Report(usage=whole.usage, service_tier=whole.service_tier)
        return self._client.write_answer(whole, self._chat, self._stamp, self._losses), report

    def report(self, tail: bytes) -> Report | None:
        return reported.of_tail(PLAIN[self._provider.name], tail)

    def said_bytes(self, body: bytes) -> int:
        return reported.said_bytes(PLAIN[self._provider.name], body)

    def headers(self, head: Head) -> Sequence[Header]:
        is_stream = self._chat.stream and self._chat.framing == "sse"
        return headers(head, _EVENTS if is_stream else JSON, self._losses)


_OWN: Final = frozenset({b"content-type", b"content-encoding", b"content-language", b"request-id"})
"""What the provider said of its own body, or in its own dialect."""


def headers(head: Head, content_type: Header, losses: Losses) -> Sequence[Header]:
    """The head of a translated answer for the client."""
    fields = [field for field in head.passed if field[0] not in _OWN]
    return (*fields, content_type, *dropped(losses))


def dropped(losses: Losses) -> Sequence[Header]:
    """What was left out of a call, for its client; nothing where that is nothing."""
    return ((b"x-llmgw-dropped", _listed(losses.dropped)),) if losses.dropped else ()


def failure(provider: ProviderCodec, head: Head, body: bytes) -> CallError:
    """The error for an answer that is none of the API's answers."""
    if 300 <= head.status < 400 or not body:
        return answer.unreadable(head)
    return _told(provider.read_error(head.status, body), answer.retry_after_s(head.passed))


def _listed(names: Sequence[str]) -> bytes:
    """Field names as one header value; they may hold whatever a client wrote."""
    return ", ".join(names).encode("ascii", "backslashreplace").translate(None, bytes(range(32)))[:2000]


def _told(error: ProviderError, retry_after_s: float | None) -> CallError:
    """A provider's error as the gateway tells it: its own account's troubles are never the client's."""
    retry_after_s = retry_after_s if retry_after_s is not None else error.retry_after_s
    detail = f"provider answered {error.status}: {error.message}"
    if error.status in answer.CREDENTIAL_STATUSES or error.code == BAD_KEY:  # with 400
        return UpstreamCredentials(answer.CREDENTIALS_REFUSED, detail=detail)
    if 400 <= error.status < 500:
        return UpstreamRefused(
            error.status, error.code, error.message, param=error.param, retry_after_s=retry_after_s
        )
    return UpstreamFailed(
        f"The provider failed with status {error.status}: {error.message}",
        retry_after_s=retry_after_s,
        detail=detail,
    )


class Translated:
    """The relay between two dialects; implements `Relay`."""

    __slots__ = (
        "_held",
        "_holding",
        "_reader",
        "_service_tier",
        "_usage",
        "_writer",
        "ended",
        "has_content",
        "provider_error",
        "said_bytes",
    )

    def __init__(
        self, provider: ProviderCodec, client: Codec, chat: Chat, stamp: Stamp, losses: Losses
    ) -> None:
        self._reader = provider.stream_reader()
        self._writer = client.stream_writer(chat, stamp, losses)
        self._held = b""
        self._holding = True
        self.has_content = False
        self.ended = False
        self.provider_error: str | None = None
        self.said_bytes = 0
        self._usage: Usage | None = None
        self._service_tier: str | None = None

    def report(self) -> Report | None:
        return None if self._usage is None else Report(usage=self._usage, service_tier=self._service_tier)

    def feed(self, data: bytes) -> bytes:
        return self._written(self._reader.feed(data))

    def end(self) -> tuple[bytes, UpstreamFailed | None]:
        try:
            rest = self._written(self._reader.end())
        except UpstreamFailed as error:
            return b"", error
        return self.release() + rest, None

    def _written(self, events: list[Event]) -> bytes:
        pieces = []
        for event in events:
            if isinstance(event, _WITHOUT_CONTENT):
                self._note(event)
            else:
                self.has_content = True
                if isinstance(event, _SAYING):
                    self.said_bytes += len(event.arguments if isinstance(event, ToolDelta) else event.text)
            pieces.append(self._writer.write(event))
        piece = b"".join(pieces)
        if not self._holding:
            return piece
        self._held += piece
        if self.has_content or self.ended or len(self._held) > HOLD_LIMIT:
            return self.release()
        return b""

    def _note(self, event: Event) -> None:
        """Take what an event without content says; UpstreamFailed while another answer is still possible."""
        match event:
            case Start(service_tier=tier):
                self._service_tier = tier
            case UsageEvent(usage=usage):
                self._usage = usage
            case Failure(error=error):
                if self._holding and not self.has_content:
                    raise _failed(error)
                self.provider_error = error.message
            case End():
                self.ended = True

    def release(self) -> bytes:
        held, self._held = self._held, b""
        self._holding = False
        return held

    def broken(self, error: CallError, request_id: str) -> bytes:
        return self._writer.broken(error, request_id)


def _failed(error: ProviderError) -> UpstreamFailed:
    return UpstreamFailed(
        f"The provider reported an error: {error.message}",
        retry_after_s=error.retry_after_s,
        detail=f"in the stream, as {error.status} {error.type or error.code or ''}: {error.message}",
    )
