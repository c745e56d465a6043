"""The relay of one stream, as a push machine: pieces of the answer in, pieces for the client out.

Pure: no await, no clock, no transport. Within one dialect the bytes pass as they came; the machine only finds
where events end, so that it can
- hold start-up events back until the first content (the *commit*), while the call may still fail with a
  status of its own;
- end a broken stream between two events, with an error event and without the normal terminator, so that a
  truncated answer never looks complete.
"""

from __future__ import annotations

from typing import Final, Protocol

from llmgw.dialects import reported, sse
from llmgw.dialects.dialect import Dialect, Endpoint
from llmgw.dialects.reported import Report, Tally
from llmgw.errors import CallError, UpstreamFailed

HOLD_LIMIT: Final = 64 * 1024
"""Bytes of start-up events held at most; a stream that says so much before any content is passed on."""
EVENT_LIMIT: Final = 256 * 1024
"""Bytes of one unfinished event held at most; a larger one (an image) is passed on in parts."""


class Relay(Protocol):
    """What takes a stream through; `StreamRelay` within one dialect, `Translated` between two."""

    has_content: bool
    """Turns true with the first content."""
    ended: bool
    """Turns true with the normal terminator."""
    provider_error: str | None
    """The message of the provider's own error event, once one has passed."""

    @property
    def said_bytes(self) -> int:
        """How long the texts are that have come so far."""
        ...

    def report(self) -> Report | None:
        """What the provider has reported of the call's usage so far."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Take a piece as it arrived; returns what the client gets now (empty while held or unfinished).

        Raises:
            UpstreamFailed: the stream can go on no more; what it is worth telling is the error itself.
        """
        ...

    def release(self) -> bytes:
        """Hold nothing back any longer; what was held, for the client."""
        ...

    def end(self) -> tuple[bytes, UpstreamFailed | None]:
        """The answer's framing ended: what is left to send, and the error if the stream is not complete."""
        ...

    def broken(self, error: CallError, request_id: str) -> bytes:
        """The event that ends a stream which can go on no more; an unfinished event before it is dropped."""
        ...


class StreamRelay:
    """The relay within one dialect: bytes pass as they came."""

    __slots__ = (
        "_dialect", "_endpoint", "_held", "_hides_usage", "_holding", "_last", "_loose", "_pending", "_previous",
        "_tally", "ended", "has_content", "provider_error",
    )  # fmt: skip

    def __init__(self, dialect: Dialect, endpoint: Endpoint, *, hides_usage: bool = False) -> None:
        """`hides_usage`: the client did not ask for the chunk that reports usage; the gateway did."""
        self._dialect = dialect
        self._endpoint = endpoint
        self._hides_usage = hides_usage
        self._tally = Tally(endpoint)
        self._pending = b""
        self._held = b""
        self._last = b""
        self._previous = b""
        self._loose = False
        self._holding = True
        self.has_content = False
        self.ended = False
        self.provider_error: str | None = None

    @property
    def said_bytes(self) -> int:
        return self._tally.said_bytes

    def report(self) -> Report | None:
        return self._tally.report()

    def feed(self, data: bytes) -> bytes:
        if self._pending:
            data = self._pending + data
            self._pending = b""
        if data.endswith(sse.BOUNDARIES):
            self._loose = False
        else:
            cut = sse.complete_until(data)
            if len(data) - cut <= EVENT_LIMIT:
                self._pending = data[cut:]
                data = data[:cut]
                if not data:
                    return b""
                self._loose = False
            else:
                self._loose = True
        self._notice(data)
        if self._hides_usage:
            data = reported.without_usage_chunk(data)
        return data if self.has_content else self._start(data)

    def _notice(self, piece: bytes) -> None:
        self._tally.note(piece)
        if self._dialect.ends(self._endpoint, piece):
            self.ended = True
        if b'"error"' in piece and self.provider_error is None:
            for event in sse.parse(piece):
                self.provider_error = self._dialect.error_message(event.data)
                if self.provider_error is not None:
                    break
        self._previous = self._last
        self._last = piece

    def release(self) -> bytes:
        held, self._held = self._held, b""
        self._holding = False
        return held

    def _start(self, piece: bytes) -> bytes:
        """The same as `feed` as long as no content has come."""
        self.has_content = self._has_content(piece) or self._loose or self.ended
        self._held += piece
        if self.has_content or not self._holding or len(self._held) > HOLD_LIMIT:
            return self.release()
        return b""

    def _has_content(self, piece: bytes) -> bool:
        """Whether content comes in `piece`; UpstreamFailed where the provider's error comes first."""
        for event in sse.parse(piece):
            if event.data:
                if self._holding and self._dialect.error_message(event.data) is not None:
                    raise UpstreamFailed(f"The provider reported an error: {self.provider_error}")
                if not self._dialect.is_start_up(event):
                    return True
        return False

    def end(self) -> tuple[bytes, UpstreamFailed | None]:
        self._notice(self._pending)
        if self._hides_usage:
            self._pending = reported.without_usage_chunk(self._pending)
        rest = self._held + self._pending
        self._held = self._pending = b""
        if self.ended or self.provider_error is not None:
            return rest, None
        if self._dialect.is_finished(self._endpoint, self._previous + self._last):
            return rest, None
        return b"", UpstreamFailed("The provider ended the stream before the answer was complete.")

    def broken(self, error: CallError, request_id: str) -> bytes:
        event = self._dialect.stream_error(self._endpoint, error, request_id, self._previous + self._last)
        return b"\n\n" + event if self._loose else event
