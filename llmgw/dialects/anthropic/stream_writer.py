"""Events as the stream of an Anthropic client.

Source: platform.claude.com, "Streaming messages"; the order of events is what the official SDK puts together. The
message starts with the first event that says anything, so that the usage known by then is in it. Blocks come one
after another (`sequence.InSequence`); the message's end waits for the stream's, because usage may come last.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import (
    NOTHING,
    Chat,
    End,
    Event,
    Failure,
    Finish,
    FinishEvent,
    Json,
    NativeDelta,
    Start,
    Usage,
    UsageEvent,
)
from llmgw.dialects.anthropic import answer, events, failure, finish, usage
from llmgw.dialects.anthropic.dialect import MESSAGES, Anthropic
from llmgw.dialects.anthropic.spelling import NAME
from llmgw.dialects.anthropic.stream_blocks import Blocks, event
from llmgw.dialects.codec import Losses, Stamp
from llmgw.dialects.sequence import InSequence
from llmgw.errors import CallError

_CUT: Final = frozenset(
    {"length", "context_length", "content_filter", "refusal", "malformed_tool_call", "other"}
)
"""Ends that may cut a call's arguments short, as Anthropic's own do."""
_TOTALS: Final = frozenset(
    {"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"}
)
"""Counts that the end of a message always repeats."""
_DIALECT: Final = Anthropic()


class Writer:
    """Writes one stream; implements `StreamWriter`."""

    def __init__(self, chat: Chat, stamp: Stamp, losses: Losses) -> None:
        self._chat = chat
        self._stamp = stamp
        self._losses = losses
        self._sequence = InSequence()
        self._start = Start(dialect=chat.dialect)
        self._blocks: Blocks | None = None
        self._usage: Usage | None = None
        self._shown: dict[str, Json] = {}
        self._finish: Finish | None = None
        self._native: dict[str, Json] = {}

    def write(self, event: Event) -> bytes:
        if isinstance(event, Start):
            self._start = event
            return b""
        if isinstance(event, Failure):
            return failure.write_event(event.error)
        if isinstance(event, UsageEvent):
            self._usage = event.usage
        head = b""
        if self._blocks is None:
            self._blocks = Blocks(self._start.dialect, self._stamp, self._losses)
            head = self._begin()
        if isinstance(event, UsageEvent):
            return head
        if isinstance(event, End):
            return head + self._end(self._blocks)
        if event.choice:
            self._losses.advise("n")
            return head  # a client of this API asks for one choice, and has room for one
        if isinstance(event, FinishEvent):
            self._blocks.cut = event.finish.reason in _CUT
        for one in self._sequence.push(event):
            head += self._put(one, self._blocks)
        return head

    def broken(self, error: CallError, request_id: str) -> bytes:
        return _DIALECT.stream_error(MESSAGES, error, request_id, b"")

    @property
    def _own(self) -> bool:
        return self._start.dialect == NAME

    def _begin(self) -> bytes:
        self._shown = usage.write(self._usage, self._own)
        tier = usage.written_tier(self._start.service_tier, self._own)
        if tier is not None:
            self._shown["service_tier"] = tier
        message = {
            "id": answer.message_id(self._start.id, self._own, self._stamp),
            "type": "message",
            "role": "assistant",
            "model": self._start.model or self._chat.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._shown,
            **(self._start.native if self._own else NOTHING),
        }
        return event("message_start", {"type": "message_start", "message": message})

    def _put(self, said: Event, blocks: Blocks) -> bytes:
        if isinstance(said, FinishEvent):
            self._finish = said.finish
            return blocks.close()
        if isinstance(said, NativeDelta) and said.kind == events.MESSAGE and said.dialect == NAME:
            delta = {**self._native.get("delta", {}), **said.data.get("delta", {})}
            self._native.update(said.data)
            if delta:
                self._native["delta"] = delta
            return b""
        return blocks.put(said)

    def _end(self, blocks: Blocks) -> bytes:
        native = dict(self._native)
        delta = finish.write(self._finish, own=self._own, called=blocks.called, refused=blocks.refused)
        delta.update(native.pop("delta", {}))
        said = {"type": "message_delta", "delta": delta, "usage": self._totals(), **native}
        return blocks.close() + event("message_delta", said) + event("message_stop", {"type": "message_stop"})

    def _totals(self) -> dict[str, Json]:
        """The counts that this event has, and of the others those that message_start could not know."""
        counts = usage.write(self._usage, self._own)
        if self._usage is None or (self._usage.input is None and self._usage.input_audio is None):
            del counts["input_tokens"]  # optional here
        split = counts.get("cache_creation")
        if split is not None and not split.get("ephemeral_1h_input_tokens"):
            del counts["cache_creation"]  # says no more than the total
        return {
            name: count for name, count in counts.items() if name in _TOTALS or count != self._shown.get(name)
        }
