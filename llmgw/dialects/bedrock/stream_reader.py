"""A stream of `POST /model/{modelId}/converse-stream` as events.

Source: the service's published model (`ConverseStreamOutput`) and recorded traffic: text blocks begin with their first
delta, and `metadata` with the usage comes after `messageStop`. By then the answer is finished, so what `metadata` has
beside the usage (metrics, a guardrail's trace, the tier) stands in the usage's `native`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from llmgw.canonical import (
    CitationDelta,
    End,
    Event,
    Failure,
    FinishEvent,
    Json,
    MediaDelta,
    NativeDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.bedrock import block_reader, failure, finish, spelling, usage
from llmgw.dialects.bedrock.event_stream import Decoder, Message
from llmgw.dialects.bedrock.spelling import NAME, PADDING, member
from llmgw.dialects.members import Members, of_provider
from llmgw.errors import UpstreamFailed


class _Block:
    """One block: its number among all, its kind, whether it is open, and a call's arguments so far."""

    __slots__ = ("format", "kind", "number", "open", "said")

    def __init__(self, number: int, kind: str) -> None:
        self.number = number
        self.kind = kind
        self.open = True
        self.said = False
        self.format: Json = None
        """Of an image."""


class Reader:
    """Reads one stream; implements `StreamReader`. Memory: one unfinished message."""

    __slots__ = ("_blocks", "_count", "_decoder", "_finished", "_over", "_started")

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._blocks: dict[int, _Block] = {}
        self._count = 0
        self._started = False
        self._finished = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        if self._over:
            return []  # nothing follows the end of an answer
        return self._read(self._decoder.feed(data))

    def end(self) -> list[Event]:
        if self._over:
            return []
        self._decoder.end()
        if not self._finished:
            raise UpstreamFailed(
                "The provider's stream ended without messageStop; its answer is not complete."
            )
        self._over = True
        return [End()]

    def _read(self, messages: Iterator[Message]) -> list[Event]:
        out: list[Event] = []
        for headers, payload in messages:
            kind = headers.get(":message-type")
            if kind != "event":
                self._fail(Message(headers, payload), kind, out)
                break
            name = headers.get(":event-type")
            if type(name) is not str:
                raise UpstreamFailed("The provider's stream has an event without a type.")
            said = spelling.answer(payload)
            said.any(PADDING)
            read = _EVENTS.get(name)
            if read is None:
                self._begin(out)
                out.append(self._native(name, dict(said.rest()), max(self._count - 1, 0)))
            elif self._started or name in _FIRST:
                read(self, said, out)
            else:
                raise UpstreamFailed(f"The provider's stream begins with {name!r} instead of messageStart.")
            if self._over:
                break
        return out

    def _fail(self, message: Message, kind: object, out: list[Event]) -> None:
        if kind not in ("exception", "error"):
            raise UpstreamFailed(f"The provider's stream has a message of the unknown type {kind!r}.")
        self._begin(out)
        self._over = True
        out.append(Failure(error=failure.read_event(message)))

    def _begin(self, out: list[Event]) -> None:
        if not self._started:
            self._started = True
            out.append(Start(dialect=NAME))

    def _native(self, kind: str, data: Json, block: int, part: str | None = None) -> NativeDelta:
        return NativeDelta(dialect=NAME, kind=kind, data=data, block=block, part=part)

    # Events

    def _start(self, said: Members, out: list[Event]) -> None:
        said.any("role")
        self._begin(out)

    def _open(self, said: Members, out: list[Event]) -> None:
        whole = dict(said.whole())
        index = _index(said)
        start = said.object("start")
        found = None if start is None else member(start)
        if start is None or found is None:
            raise said.wrong("start", "an object with one member")
        if index in self._blocks:
            raise UpstreamFailed(f"The provider's stream opens its content block {index} twice.")
        kind, inner = found
        if type(inner) is not dict:
            raise start.wrong(kind, "an object")
        block = self._block(index, kind)
        if kind == "image":
            block.format = inner.get("format")
        elif kind != "toolUse" or inner.get("type") not in (None, block_reader.CALL):
            block.kind = _NATIVE
            named = str(inner["type"]) if kind == "toolUse" else kind
            out.append(self._native("contentBlockStart", whole, block.number, part=named))
        else:
            call = Members(inner, start.path(kind), of_provider)
            out.append(
                ToolDelta(id=call.need_text("toolUseId"), name=call.need_text("name"), block=block.number)
            )

    def _delta(self, said: Members, out: list[Event]) -> None:
        index = _index(said)
        delta = said.object("delta")
        found = None if delta is None else member(delta)
        if delta is None or found is None:
            raise said.wrong("delta", "an object with one member")
        name, value = found
        block = self._blocks.get(index)
        begins = block is None
        read = _DELTAS.get(name)
        wanted = _NATIVE if read is None else read[0]
        if block is None:
            if name == "toolUse":
                raise UpstreamFailed("The provider's stream goes on with a tool call that it never named.")
            block = self._block(index, wanted)
        elif not block.open:
            raise UpstreamFailed(
                f"The provider's stream goes on with the content block {index}, which is closed."
            )
        if block.kind != wanted and {block.kind, wanted} == _SPOKEN:
            block = self._block(index, wanted)  # a thought that goes over into words
        if read is None or block.kind != wanted:
            event: Event | None = self._native(
                "contentBlockDelta",
                {"delta": delta.whole(), "contentBlockIndex": index},
                block.number,
                part=name if begins else None,
            )
        else:
            event = read[1](delta, value, block)
        if event is not None:
            block.said = True
            out.append(event)

    def _close(self, said: Members, out: list[Event]) -> None:
        index = _index(said)
        block = self._blocks.get(index)
        if block is None:
            return  # an empty text
        if not block.open:
            raise UpstreamFailed(f"The provider's stream closes its content block {index} twice.")
        self._over_with(block, out)
        if block.kind == _NATIVE:
            out.append(self._native("contentBlockStop", {"contentBlockIndex": index}, block.number))

    def _stop(self, said: Members, out: list[Event]) -> None:
        if self._finished:
            raise UpstreamFailed("The provider's stream stops its message twice.")
        for block in self._blocks.values():
            if block.open:
                self._over_with(block, out)
        ended = finish.read(said)
        if ended is None:
            raise said.wrong("stopReason", "a string")
        self._finished = True
        left = dict(said.rest())
        if left:
            out.append(self._native("messageStop", left, max(self._count - 1, 0)))
        out.append(FinishEvent(finish=ended))

    def _metadata(self, said: Members, out: list[Event]) -> None:
        counted = said.object("usage")
        counts = Usage() if counted is None else usage.read(counted)
        left = said.rest()
        if counted is not None or left:
            out.append(UsageEvent(usage=replace(counts, native={**left, **counts.native})))
        if self._finished:
            self._over = True
            out.append(End())

    # Blocks

    def _block(self, index: int, kind: str) -> _Block:
        self._blocks[index] = block = _Block(self._count, kind)
        self._count += 1
        return block

    def _over_with(self, block: _Block, out: list[Event]) -> None:
        block.open = False
        if block.kind == "toolUse" and not block.said:
            out.append(
                ToolDelta(arguments="{}", block=block.number)
            )  # a call without arguments has no deltas


_NATIVE: Final = "native"
"""The kind of a block that the neutral model has no part for."""
_SPOKEN: Final = frozenset({"text", "reasoningContent"})
_FIRST: Final = frozenset({"messageStart"})
_EVENTS: Final[Mapping[str, Callable[[Reader, Members, list[Event]], None]]] = {
    "messageStart": Reader._start,
    "contentBlockStart": Reader._open,
    "contentBlockDelta": Reader._delta,
    "contentBlockStop": Reader._close,
    "messageStop": Reader._stop,
    "metadata": Reader._metadata,
}


def _index(said: Members) -> int:
    index = said.integer("contentBlockIndex")
    if index is None:
        raise said.wrong("contentBlockIndex", "a whole number")
    return index


def _text(of: Members, value: Any, block: _Block) -> Event:
    if type(value) is not str:
        raise of.wrong("text", "a string")
    return TextDelta(text=value, block=block.number)


def _cited(of: Members, value: Any, block: _Block) -> Event:
    if type(value) is not dict:
        raise of.wrong("citation", "an object")
    return CitationDelta(citation=block_reader.citation(value), block=block.number)


def _thought(of: Members, value: Any, block: _Block) -> Event | None:
    if type(value) is not dict:
        raise of.wrong("reasoningContent", "an object")
    said = Members(value, of.path("reasoningContent"), of_provider)
    redacted = said.text("redactedContent")
    if redacted is not None:
        return ThoughtDelta(redacted=redacted, block=block.number)
    text, signature = said.text("text"), said.text("signature")
    if text is None and signature is None:
        return None
    return ThoughtDelta(text=text or "", signature=signature or None, block=block.number)


def _arguments(of: Members, value: Any, block: _Block) -> Event | None:
    if type(value) is not dict or type(value.get("input")) is not str:
        raise of.wrong("toolUse.input", "a string")
    return ToolDelta(arguments=value["input"], block=block.number) if value["input"] else None


def _image(of: Members, value: Any, block: _Block) -> Event:
    if type(value) is not dict:
        raise of.wrong("image", "an object")
    media = block_reader.image(block.format, value.get("source"))
    if media is None:
        return NativeDelta(
            dialect=NAME,
            kind="contentBlockDelta",
            data={"delta": of.whole()},
            block=block.number,
            part="image",
        )
    return MediaDelta(media=media, block=block.number)


_DELTAS: Final[Mapping[str, tuple[str, Callable[[Members, Any, _Block], Event | None]]]] = {
    "text": ("text", _text),
    "citation": ("text", _cited),
    "reasoningContent": ("reasoningContent", _thought),
    "toolUse": ("toolUse", _arguments),
    "image": ("image", _image),
}
"""By the delta's member: the kind of block that it is for, and how it is read."""
