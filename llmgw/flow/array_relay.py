"""The relay of a stream that is one JSON array (Gemini's without `alt=sse`): bytes pass as they came.

An element is not held back until it is whole, but for the first ones, which decide whether the call may still
fail. So a break in the middle of an element leaves the client with JSON that does not parse, which cannot be taken
for a complete answer; a break between two elements is told by an element of its own. Neither closes the array.
"""

from __future__ import annotations

from llmgw.dialects.dialect import Dialect, Endpoint
from llmgw.dialects.gemini.json_array import ArraySplitter
from llmgw.dialects.reported import Report, Tally
from llmgw.dialects.sse import ServerSentEvent
from llmgw.errors import CallError, UpstreamFailed
from llmgw.flow.relay import HOLD_LIMIT


class ArrayRelay:
    """Implements `Relay`."""

    __slots__ = (
        "_between", "_dialect", "_endpoint", "_held", "_holding", "_splitter", "_tally",
        "ended", "has_content", "provider_error",
    )  # fmt: skip

    def __init__(self, dialect: Dialect, endpoint: Endpoint) -> None:
        self._dialect = dialect
        self._endpoint = endpoint
        self._splitter = ArraySplitter()
        self._tally = Tally(endpoint)
        self._between = True
        self._held = b""
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
        elements = self._splitter.feed(data)
        if elements:
            self._look(elements)
        self._between = not self._splitter.unfinished
        self.ended = self._splitter.over
        if not self._holding:
            return data
        self._held += data
        if self.has_content or self.ended or len(self._held) > HOLD_LIMIT:
            return self.release()
        return b""

    def _look(self, elements: list[bytes]) -> None:
        for element in elements:
            self._tally.note(element)
            message = self._dialect.error_message(element) if b'"error"' in element else None
            if message is not None:
                if self._holding and not self.has_content:
                    raise UpstreamFailed(f"The provider reported an error: {message}")
                self.provider_error = message
            elif not self.has_content:
                self.has_content = not self._dialect.is_start_up(ServerSentEvent(b"", element))

    def release(self) -> bytes:
        held, self._held = self._held, b""
        self._holding = False
        return held

    def end(self) -> tuple[bytes, UpstreamFailed | None]:
        try:
            self._splitter.end()
        except UpstreamFailed as error:
            return b"", error
        return self.release(), None

    def broken(self, error: CallError, request_id: str) -> bytes:
        if not self._between:
            return b""
        return self._dialect.stream_error(self._endpoint, error, request_id, b"}")
