"""Anthropic's stream as events.

Source: platform.claude.com, "Streaming messages", and recorded traffic: `ping` anywhere, blocks without deltas, a
`message_delta` whose usage replaces that of `message_start`. Blocks are known by the index they were opened with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final

from llmgw.canonical import (
    CitationDelta,
    End,
    Event,
    Failure,
    FinishEvent,
    Json,
    NativeDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    UsageEvent,
)
from llmgw.dialects.anthropic import block_reader, events, failure, finish, spelling, usage
from llmgw.dialects.anthropic.spelling import NAME
from llmgw.dialects.members import Members, answer_object, of_provider
from llmgw.dialects.sse import ServerSentEvent, Splitter
from llmgw.errors import UpstreamFailed


class _Block:
    """One open block: its number among all, its kind, and whether anything has been said of it."""

    __slots__ = ("kind", "number", "said")

    def __init__(self, number: int, kind: str, *, said: bool) -> None:
        self.number = number
        self.kind = kind
        self.said = said


class Reader:
    """Reads one stream; implements `StreamReader`. Memory: one unfinished event."""

    __slots__ = ("_blocks", "_counts", "_finish", "_over", "_seen", "_splitter", "_started")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._blocks: dict[int, _Block] = {}
        self._seen: set[int] = set()
        self._counts: dict[str, Json] = {}
        self._finish: str | None = None
        self._started = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        return self._read(self._splitter.feed(data))

    def end(self) -> list[Event]:
        read = self._read(self._splitter.end())
        if not self._over:
            raise UpstreamFailed(
                "The provider's stream ended without message_stop; its answer is not complete."
            )
        return read

    def _read(self, received: list[ServerSentEvent]) -> list[Event]:
        out: list[Event] = []
        for event in received:
            if self._over:
                break  # nothing follows the end of a message
            if not event.data:
                continue
            said = answer_object(event.data)
            kind = said.get("type")
            if kind == "content_block_delta":
                self._delta(said, out)
                continue
            if type(kind) is not str:
                raise of_provider("type", "a string")
            read = _EVENTS.get(kind)
            if read is not None:
                read(self, said, out)
            elif self._started:
                number = max((block.number for block in self._blocks.values()), default=0)
                out.append(NativeDelta(dialect=NAME, kind=kind, data=said, block=number))
            else:
                raise UpstreamFailed(f"The provider's stream begins with {kind!r} instead of message_start.")
        return out

    def _start(self, said: dict[str, Any], out: list[Event]) -> None:
        if self._started:
            raise UpstreamFailed("The provider's stream starts its message twice.")
        message = Members(said, "", of_provider).object("message")
        if message is None:
            raise of_provider("message", "an object")
        self._started = True
        for name in ("type", "role", "content", "stop_reason", "stop_sequence"):
            message.any(name)  # always the same at the start
        counted = message.object("usage")
        tier = None if counted is None else usage.tier(counted)
        start = Start(
            dialect=NAME,
            id=message.text("id"),
            model=message.text("model"),
            service_tier=tier,
            native=message.rest(),
        )
        out.append(start)
        if counted is not None:
            self._count(counted.whole(), out)

    def _count(self, counts: Mapping[str, Json], out: list[Event]) -> None:
        """What has been used so far: a count that is not repeated is still what it was."""
        self._counts.update({name: value for name, value in counts.items() if value is not None})
        out.append(UsageEvent(usage=usage.read(Members(deepcopy(self._counts), "usage", of_provider))))

    def _open(self, said: dict[str, Any], out: list[Event]) -> None:
        index, block = said.get("index"), said.get("content_block")
        if type(index) is not int:
            raise of_provider("index", "a whole number")
        if type(block) is not dict or type(block.get("type")) is not str:
            raise of_provider("content_block", "an object with a type")
        if not self._started:
            raise UpstreamFailed("The provider's stream opens a content block before message_start.")
        if index in self._seen:
            raise UpstreamFailed(f"The provider's stream opens its content block {index} twice.")
        number = len(self._seen)
        self._seen.add(index)
        kind = block["type"]
        read = _OPENERS.get(kind)
        self._blocks[index] = opened = _Block(number, kind, said=True)
        if read is None:
            out.append(NativeDelta(dialect=NAME, kind=events.START, data=said, block=number, part=kind))
            return
        members = Members(block, "content_block", of_provider)
        del block["type"]
        first = read(members, number)
        left = members.rest()
        if left:
            out.append(NativeDelta(dialect=NAME, kind=events.BLOCK, data=left, block=number))
        opened.said = any(not isinstance(event, ToolDelta) or event.arguments for event in first)
        out += first

    def _delta(self, said: dict[str, Any], out: list[Event]) -> None:
        block = self._block(said)
        delta = said.get("delta")
        if type(delta) is not dict:
            raise of_provider("delta", "an object")
        kind = block.kind
        if kind == "text":
            text = delta.get("text") if delta.get("type") == "text_delta" else None
            if type(text) is str:
                block.said = True
                out.append(TextDelta(text=text, block=block.number))
                return
        said_as = delta.get("type")
        if type(said_as) is not str:
            raise of_provider("delta.type", "a string")
        read = _DELTAS.get(said_as)
        if read is None or read[0] != kind:
            self._say(block, out)
            out.append(NativeDelta(dialect=NAME, kind=events.DELTA, data=said, block=block.number))
            return
        event = read[1](Members(delta, "delta", of_provider), block.number)
        if isinstance(event, ToolDelta) and not event.arguments:
            return  # many calls open with an empty piece
        block.said = True
        out.append(event)

    def _close(self, said: dict[str, Any], out: list[Event]) -> None:
        block = self._block(said)
        del self._blocks[said["index"]]
        if block.kind == "tool_use" and not block.said:
            out.append(
                ToolDelta(arguments="{}", block=block.number)
            )  # a call without arguments has no deltas
        self._say(block, out)
        if block.kind not in _OPENERS:
            out.append(NativeDelta(dialect=NAME, kind=events.STOP, data=said, block=block.number))

    def _block(self, said: Mapping[str, Json]) -> _Block:
        index = said.get("index")
        block = self._blocks.get(index) if type(index) is int else None
        if block is None:
            raise UpstreamFailed(
                f"The provider's stream goes on with the content block {index!r}, which is not open."
            )
        return block

    def _say(self, block: _Block, out: list[Event]) -> None:
        """Makes a block known of which there was nothing to say yet."""
        if not block.said and block.kind in _EMPTY:
            block.said = True
            out.append(_EMPTY[block.kind](text="", block=block.number))

    def _message(self, said: dict[str, Any], out: list[Event]) -> None:
        if not self._started:
            raise UpstreamFailed("The provider's stream ends its message before message_start.")
        of = Members(said, "", of_provider)
        of.any("type")
        delta = of.object("delta")
        counted = of.object("usage")
        reason = sequence = details = None
        if delta is not None:
            reason, sequence = delta.text("stop_reason"), delta.text("stop_sequence")
            details = delta.whole().get("stop_details")
        if counted is not None:
            self._count(counted.whole(), out)
        native = dict(of.rest())
        if delta is not None and delta.rest():
            native["delta"] = delta.rest()
        if native:
            number = max(len(self._seen) - 1, 0)
            out.append(NativeDelta(dialect=NAME, kind=events.MESSAGE, data=native, block=number))
        found = finish.read(reason, sequence, details)
        if found is None or reason == self._finish:
            return
        if self._finish is not None:
            raise UpstreamFailed("The provider's stream gives two reasons for its end.")
        self._finish = reason
        out.append(FinishEvent(finish=found))

    def _stop(self, said: dict[str, Any], out: list[Event]) -> None:
        del said
        if not self._started:
            raise UpstreamFailed("The provider's stream ends before message_start.")
        if self._blocks:
            raise UpstreamFailed("The provider's stream ended within a content block.")
        if self._finish is None:
            raise UpstreamFailed(
                "The provider's stream ends without a stop_reason; its answer is not complete."
            )
        self._over = True
        out.append(End())

    def _fail(self, said: dict[str, Any], out: list[Event]) -> None:
        if not self._started:
            out.append(Start(dialect=NAME))
        self._over = True
        out.append(Failure(error=failure.read_event(said.get("error"))))

    def _ping(self, said: dict[str, Any], out: list[Event]) -> None:
        """Says nothing."""


_EVENTS: Final[Mapping[str, Callable[[Reader, dict[str, Any], list[Event]], None]]] = {
    "message_start": Reader._start,
    "content_block_start": Reader._open,
    "content_block_stop": Reader._close,
    "message_delta": Reader._message,
    "message_stop": Reader._stop,
    "error": Reader._fail,
    "ping": Reader._ping,
}


_EMPTY: Final[Mapping[str, type[TextDelta] | type[ThoughtDelta]]] = {
    "text": TextDelta,
    "thinking": ThoughtDelta,
}


def _open_text(of: Members, number: int) -> list[Event]:
    text = of.text("text")
    citations = [
        CitationDelta(citation=block_reader.citation(one.whole()), block=number)
        for one in of.objects("citations")
    ]
    return [*([TextDelta(text=text, block=number)] if text else ()), *citations]


def _open_thinking(of: Members, number: int) -> list[Event]:
    text, signature = of.text("thinking"), of.text("signature")
    if not text and not signature:
        return []
    return [ThoughtDelta(text=text or "", signature=signature or None, block=number)]


def _open_redacted(of: Members, number: int) -> list[Event]:
    return [ThoughtDelta(redacted=of.need_text("data"), block=number)]


def _open_call(of: Members, number: int) -> list[Event]:
    """Arguments come as deltas; where they are there at once, they are not the empty object that holds the place."""
    given = of.object("input")
    arguments = spelling.json_text(given.whole()) if given is not None and given.whole() else ""
    if arguments is None:
        raise of.wrong("input", "an object")
    return [ToolDelta(id=of.need_text("id"), name=of.need_text("name"), arguments=arguments, block=number)]


_OPENERS: Final[Mapping[str, Callable[[Members, int], list[Event]]]] = {
    "text": _open_text,
    "thinking": _open_thinking,
    "redacted_thinking": _open_redacted,
    "tool_use": _open_call,
}


def _said_text(of: Members, number: int) -> Event:
    return TextDelta(text=of.need_text("text"), block=number)


def _said_citation(of: Members, number: int) -> Event:
    said = of.object("citation")
    if said is None:
        raise of.wrong("citation", "an object")
    return CitationDelta(citation=block_reader.citation(said.whole()), block=number)


def _said_thought(of: Members, number: int) -> Event:
    return ThoughtDelta(text=of.need_text("thinking"), block=number)


def _said_signature(of: Members, number: int) -> Event:
    return ThoughtDelta(signature=of.need_text("signature"), block=number)


def _said_arguments(of: Members, number: int) -> Event:
    return ToolDelta(arguments=of.need_text("partial_json"), block=number)


_DELTAS: Final[Mapping[str, tuple[str, Callable[[Members, int], Event]]]] = {
    "text_delta": ("text", _said_text),
    "citations_delta": ("text", _said_citation),
    "thinking_delta": ("thinking", _said_thought),
    "signature_delta": ("thinking", _said_signature),
    "input_json_delta": ("tool_use", _said_arguments),
}
