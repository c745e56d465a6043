"""The content blocks of a client's stream: one open at a time, each started, continued and stopped.

A thought's opaque values go where its end is, because a signature is the last delta of its block and encrypted
reasoning without text is a block of another kind. Everything else is written as it comes.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from llmgw.canonical import (
    CitationDelta,
    Event,
    Json,
    MediaDelta,
    NativeDelta,
    RefusalDelta,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolDelta,
)
from llmgw.dialects.anthropic import answer, block_writer, events
from llmgw.dialects.anthropic.spelling import NAME, json_object, json_text
from llmgw.dialects.codec import Losses, Stamp
from llmgw.dialects.json_text import to_client
from llmgw.errors import UpstreamFailed

_PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'


def event(kind: str, data: Json) -> bytes:
    """One server-sent event."""
    return b"event: " + kind.encode() + b"\ndata: " + to_client(data) + b"\n\n"


class _Open(Struct):
    """The block in the making."""

    number: int
    """Among the neutral blocks; the index on the wire counts on its own."""
    started: bool = True
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None
    is_thought: bool = False
    call: str | None = None
    """The name of the tool that is called."""
    custom: bool = False
    arguments: list[str] = []


class Blocks:
    """Writes the blocks of one answer.

    Attributes:
        called: whether there was a tool call.
        refused: whether there were words of refusal.
        cut: whether the answer is known to be cut off, so that a call's arguments may end anywhere.
    """

    def __init__(self, dialect: str, stamp: Stamp, losses: Losses) -> None:
        self._dialect: Final = dialect
        self._own: Final = dialect == NAME
        self._stamp = stamp
        self._losses = losses
        self._block: _Open | None = None
        self._index = -1
        self._calls = 0
        self._extra: dict[int, dict[str, Json]] = {}
        self.refused = False
        self.cut = False

    @property
    def called(self) -> bool:
        return self._calls > 0

    def put(self, said: Event) -> bytes:
        """What `said` adds."""
        if isinstance(said, TextDelta):
            return self._text(said.block, said.text, said.signature)
        if isinstance(said, ToolDelta):
            return self._call(said)
        if isinstance(said, ThoughtDelta):
            return self._thought(said)
        if isinstance(said, CitationDelta):
            return self._citation(said)
        if isinstance(said, RefusalDelta):
            self.refused = True
            return self._text(said.block, said.text, None)
        if isinstance(said, NativeDelta) and self._own:
            return self._passed(said)
        # A medium, or another dialect's own: this API has no place for it.
        if isinstance(said, MediaDelta):
            self._losses.advise(f"part.{said.media.kind}")
        elif isinstance(said, NativeDelta) and said.part is not None:
            self._losses.advise(f"part.{said.part}")
        return b""

    def close(self) -> bytes:
        """Stops the block that is open.

        Raises:
            UpstreamFailed: it is a call whose arguments are no JSON object.
        """
        block, self._block = self._block, None
        if block is None:
            return b""
        if block.is_thought:
            return self._close_thought(block)
        tail = b""
        if block.call is not None:
            tail = self._close_call(block, block.call)
        tail += self._stop()
        if block.signature is not None:
            tail += self._whole(block_writer.signature(block.signature, "last"))
        return tail

    # Kinds of blocks

    def _text(self, number: int, text: str, signature: str | None) -> bytes:
        block, head = self._block, b""
        if block is None or block.number != number:
            if not text and not self._own:
                if signature is None:
                    return b""
                return self.close() + self._whole(block_writer.signature(signature, "text"))
            head = self.close() + self._start({"type": "text", "text": ""}, number)
            block = self._block = _Open(number)
        if signature is not None:
            block.signature = signature
        return head + self._delta({"type": "text_delta", "text": text}) if text else head

    def _citation(self, said: CitationDelta) -> bytes:
        citation = block_writer.citation(said.citation, self._own)
        if citation is None:
            self._losses.advise("part.citations")
            return b""
        head = b""
        if self._block is None or self._block.number != said.block:
            head = self.close() + self._start({"type": "text", "text": "", "citations": []}, said.block)
            self._block = _Open(said.block)
        return head + self._delta({"type": "citations_delta", "citation": citation})

    def _thought(self, said: ThoughtDelta) -> bytes:
        block, head = self._block, b""
        if block is None or block.number != said.block:
            head = self.close()
            block = self._block = _Open(said.block, started=False, is_thought=True)
        block.signature = said.signature or block.signature
        block.redacted = said.redacted or block.redacted
        block.id = said.id or block.id
        if not said.text:
            return head
        if not block.started:
            block.started = True
            head += self._start({"type": "thinking", "thinking": "", "signature": ""}, said.block)
        return head + self._delta({"type": "thinking_delta", "thinking": said.text})

    def _close_thought(self, block: _Open) -> bytes:
        shown = "…" if block.started else ""  # only whether there is text matters for the blocks' kinds
        thought = Thought(text=shown, signature=block.signature, redacted=block.redacted, id=block.id)
        blocks = block_writer.thought(thought, self._dialect)
        tail = b""
        if block.started:
            tail = self._sign(blocks.pop(0)) + self._stop()
        for one in blocks:
            tail += self._whole(one, block.number)
        return tail

    def _call(self, said: ToolDelta) -> bytes:
        block, head = self._block, b""
        if block is None or block.number != said.block:
            if said.name is None:
                raise UpstreamFailed("The provider's stream calls a tool without its name.")
            head = self.close()
            if said.signature is not None:
                head += self._whole(block_writer.signature(said.signature))
            call_id = answer.call_id(said.id, self._own, self._stamp, self._calls)
            self._calls += 1
            start = {"type": "tool_use", "id": call_id, "name": said.name, "input": {}}
            head += self._start(start, said.block)
            block = self._block = _Open(said.block, call=said.name, custom=said.custom)
        elif said.signature is not None:
            block.signature = said.signature
        if not said.arguments:
            return head
        block.arguments.append(said.arguments)
        return head if block.custom else head + self._delta(_arguments(said.arguments))

    def _close_call(self, block: _Open, name: str) -> bytes:
        given = "".join(block.arguments)
        if block.custom:
            return self._delta(_arguments(json_text({"input": given}) or "{}"))
        if not self.cut and json_object(given) is None:
            raise answer.no_object(name)
        return b""

    def _passed(self, said: NativeDelta) -> bytes:
        """What only this API has, from its own stream."""
        if said.kind == events.BLOCK:
            self._extra[said.block] = said.data
            return b""
        if said.kind == events.START:
            head = self.close() + self._start(said.data["content_block"], said.block)
            self._block = _Open(said.block)
            return head
        if said.kind == events.STOP:
            return self.close()
        if said.kind == events.DELTA:
            return event(said.kind, {**said.data, "index": self._index})
        return event(said.kind, said.data)

    # Events on the wire

    def _start(self, block: dict[str, Json], number: int | None) -> bytes:
        self._index += 1
        if number in self._extra:
            block = {**block, **self._extra[number]}
        said = event(events.START, {"type": events.START, "index": self._index, "content_block": block})
        return said if self._index else said + _PING

    def _delta(self, delta: dict[str, Json]) -> bytes:
        return (
            b"event: content_block_delta\ndata: "
            + to_client({"type": "content_block_delta", "index": self._index, "delta": delta})
            + b"\n\n"
        )

    def _stop(self) -> bytes:
        return event(events.STOP, {"type": events.STOP, "index": self._index})

    def _sign(self, block: dict[str, Json]) -> bytes:
        signature = block["signature"]
        return self._delta({"type": "signature_delta", "signature": signature}) if signature else b""

    def _whole(self, block: dict[str, Json], number: int | None = None) -> bytes:
        """A block that is complete at once."""
        if block["type"] != "thinking":
            return self._start(block, number) + self._stop()
        return self._start({**block, "signature": ""}, number) + self._sign(block) + self._stop()


def _arguments(text: str) -> dict[str, Json]:
    return {"type": "input_json_delta", "partial_json": text}
