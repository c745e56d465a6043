"""Puts interleaved blocks one after another, for APIs whose streams open a block only when the last is closed.

Only parallel tool calls are ever interleaved (OpenAI's chat allows it; a few hosts do it). A call is known to be
over when its arguments are a whole JSON document, so deltas of later blocks wait just until then, or until the
choice finishes: a call that has said nothing but its name may still get arguments. Streams that come in order pass
without delay.
"""

from __future__ import annotations

import msgspec

from llmgw.canonical import (
    CitationDelta,
    Event,
    FinishEvent,
    MediaDelta,
    NativeDelta,
    RefusalDelta,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
)
from llmgw.errors import UpstreamFailed

Delta = TextDelta | RefusalDelta | ThoughtDelta | CitationDelta | ToolDelta | MediaDelta | NativeDelta
_check = msgspec.json.Decoder(msgspec.Raw).decode


class InSequence:
    """One choice's events, block by block. Memory: the deltas of blocks that wait."""

    __slots__ = ("_arguments", "_current", "_over", "_waiting")

    def __init__(self) -> None:
        self._current = -1
        self._arguments: list[str] | None = None
        self._over: set[int] = set()
        self._waiting: dict[int, list[Delta]] = {}

    def push(self, event: Event) -> list[Event]:
        """What may be written now, in order.

        Raises:
            UpstreamFailed: a delta for a block that was over.
        """
        if isinstance(event, FinishEvent):
            return [*self._flush(everything=True), event]
        if not isinstance(event, Delta):
            return [event]
        if event.block == self._current:
            self._note(event)
            return [event, *self._flush()] if self._waiting else [event]
        if event.block in self._over:
            if isinstance(event, CitationDelta | NativeDelta):
                # OpenAI cites, and tells of its own tools, after all; a closed block can take no more.
                return []
            raise UpstreamFailed("The provider went on with a tool call after it was complete.")
        if self._waiting or not self._is_over():
            self._waiting.setdefault(event.block, []).append(event)
            return self._flush()
        self._open(event)
        return [event]

    def _open(self, event: Delta) -> None:
        if self._current >= 0:
            self._over.add(self._current)
        self._current = event.block
        self._arguments = [] if isinstance(event, ToolDelta) and not event.custom else None
        self._note(event)

    def _note(self, event: Delta) -> None:
        if self._arguments is not None and isinstance(event, ToolDelta):
            self._arguments.append(event.arguments)

    def _is_over(self) -> bool:
        """Whether the current block can be taken to be complete when another begins."""
        if self._arguments is None:
            return True
        try:
            _check("".join(self._arguments))
        except msgspec.DecodeError:
            return False
        return True

    def _flush(self, *, everything: bool = False) -> list[Event]:
        flushed: list[Event] = []
        while self._waiting and (everything or self._is_over()):
            block = min(self._waiting)
            events = self._waiting.pop(block)
            self._open(events[0])
            for event in events[1:]:
                self._note(event)
            flushed += events
        return flushed
