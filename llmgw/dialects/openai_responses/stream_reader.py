"""Reads a provider's stream of response events.

Deltas make the events of the neutral model; what comes whole only with a `done` event or with the final response is
taken from there, for hosts leave out events. Events of hosted tools pass as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from llmgw.canonical import (
    CitationDelta,
    End,
    Event,
    Failure,
    FinishEvent,
    Json,
    NativeDelta,
    NativePart,
    Part,
    Refusal,
    RefusalDelta,
    Start,
    Text,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolCall,
    ToolDelta,
    UsageEvent,
)
from llmgw.dialects import members, sse
from llmgw.dialects.members import Members
from llmgw.dialects.openai_responses import answer_reader, failure, item_reader, seal
from llmgw.dialects.openai_responses.spelling import NAME
from llmgw.dialects.sse import ServerSentEvent
from llmgw.errors import UpstreamFailed

_KNOWN_ITEMS: Final = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})
_SILENT: Final = frozenset(
    {
        "response.in_progress",
        "response.queued",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.done",
        "response.refusal.done",
        "response.reasoning_text.done",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_text.done",
        "response.custom_tool_call_input.done",
        "response.function_call_arguments.done",
        "keepalive",
    }
)
"""Events that say what others say too: their text has come in deltas, or comes with the item."""


class Reader:
    """Implements `StreamReader`."""

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self._started = False
        self._over = False
        self._blocks: dict[tuple[int, int | str], int] = {}
        """Blocks by output index and place within the item."""
        self._said: set[int] = set()
        """Output indices whose content has come."""
        self._calls = False

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        for event in self._splitter.feed(data):
            self._take(event, events)
        return events

    def end(self) -> list[Event]:
        events: list[Event] = []
        for event in self._splitter.end():
            self._take(event, events)
        if not self._over:
            raise UpstreamFailed("The provider ended the stream before the answer was complete.")
        return events

    def _take(self, event: ServerSentEvent, events: list[Event]) -> None:
        if not event.data or event.data == b"[DONE]" or self._over:
            return
        of = members.answer(event.data)
        kind = of.text("type") or event.name.decode("latin-1")
        read = _READ.get(kind)
        if read is not None:
            if kind not in _FIRST:
                self._start(None, events)
            read(self, of, events)
        elif kind not in _SILENT:
            self._start(None, events)
            whole = {"type": kind, **of.whole()}
            place = whole.get("output_index")
            key = (place if type(place) is int else -1, "item")
            block = self._blocks.setdefault(key, len(self._blocks))
            events.append(NativeDelta(dialect=NAME, kind=kind, data=whole, block=block))

    def _start(self, response: Members | None, events: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        if response is None:
            events.append(Start(dialect=NAME))
            return
        created = response.number("created_at")
        events.append(
            Start(
                dialect=NAME,
                id=response.text("id"),
                model=response.text("model"),
                created=None if created is None else int(created),
                service_tier=response.text("service_tier"),
            )
        )

    def _block(self, of: Members, place: str | None = None) -> int:
        """The block that an event speaks of, which begins with its first event."""
        index = of.integer("output_index") or 0
        self._said.add(index)
        key = (index, (of.integer("content_index") or 0) if place is None else place)
        return self._blocks.setdefault(key, len(self._blocks))

    # one method for each kind of event

    def _created(self, of: Members, events: list[Event]) -> None:
        response = of.object("response")
        if response is None:
            raise of.wrong("response", "an object")
        self._start(response, events)

    def _added(self, of: Members, events: list[Event]) -> None:
        item, index = of.object("item"), of.integer("output_index") or 0
        if item is None:
            raise of.wrong("item", "an object")
        kind = item.text("type")
        if kind in ("function_call", "custom_tool_call"):
            self._calls = True
            block = self._blocks.setdefault((index, "call"), len(self._blocks))
            arguments = item.text("arguments" if kind == "function_call" else "input") or ""
            if arguments:
                self._said.add(index)
            events.append(
                ToolDelta(
                    block=block,
                    id=item.text("call_id") or item.text("id"),
                    name=item.need_text("name"),
                    custom=kind == "custom_tool_call",
                    arguments=arguments,
                )
            )
        elif kind not in _KNOWN_ITEMS:
            data = {"type": kind, **item.whole()}
            events.append(
                NativeDelta(
                    dialect=NAME,
                    kind="response.output_item.added",
                    data={"output_index": index, "item": data},
                    block=self._blocks.setdefault((index, "item"), len(self._blocks)),
                )
            )

    def _text(self, of: Members, events: list[Event]) -> None:
        logprobs = of.array("logprobs")
        events.append(TextDelta(text=of.need_text("delta"), block=self._block(of), logprobs=logprobs or None))

    def _refused(self, of: Members, events: list[Event]) -> None:
        events.append(RefusalDelta(text=of.need_text("delta"), block=self._block(of)))

    def _cited(self, of: Members, events: list[Event]) -> None:
        annotation = of.object("annotation")
        if annotation is None:
            raise of.wrong("annotation", "an object")
        citation = item_reader.citation(annotation.whole())
        events.append(CitationDelta(citation=citation, block=self._block(of)))

    def _summary_part(self, of: Members, events: list[Event]) -> None:
        if of.integer("summary_index"):
            events.append(ThoughtDelta(text="\n\n", block=self._block(of, "thought")))

    def _thought(self, of: Members, events: list[Event]) -> None:
        events.append(ThoughtDelta(text=of.need_text("delta"), block=self._block(of, "thought")))

    def _arguments(self, of: Members, events: list[Event]) -> None:
        index = of.integer("output_index") or 0
        block = self._blocks.get((index, "call"))
        if block is None:
            raise UpstreamFailed("The provider sent arguments of a tool call that it had not begun.")
        self._said.add(index)
        events.append(ToolDelta(block=block, arguments=of.need_text("delta")))

    def _done(self, of: Members, events: list[Event]) -> None:
        item, index = of.object("item"), of.integer("output_index") or 0
        if item is None:
            raise of.wrong("item", "an object")
        kind = item.whole().get("type")
        if type(kind) is not str:
            raise item.wrong("type", "a string")
        if kind not in _KNOWN_ITEMS:
            block = self._blocks.setdefault((index, "item"), len(self._blocks))
            events.append(
                NativeDelta(
                    dialect=NAME,
                    kind="response.output_item.done",
                    data={"output_index": index, "item": dict(item.whole())},
                    block=block,
                )
            )
        elif kind == "reasoning":
            thought = item_reader.reasoning(item)
            self._proof(index, thought, events)
        elif index not in self._said:
            _, parts = item_reader.read(item)
            self._whole(index, [part for part in parts if not isinstance(part, seal.Seal)], events)

    def _proof(self, index: int, thought: Part | seal.Seal, events: list[Event]) -> None:
        """What of a thought comes with its item alone; all of it, where no delta has come."""
        if not isinstance(thought, Thought):
            return
        block = self._blocks.setdefault((index, "thought"), len(self._blocks))
        text = "" if index in self._said else thought.text
        self._said.add(index)
        events.append(ThoughtDelta(text=text, block=block, redacted=thought.redacted, id=thought.id))

    def _whole(self, index: int, parts: Sequence[Part], events: list[Event]) -> None:
        """The deltas for an item that came without any."""
        self._said.add(index)
        for n, part in enumerate(parts):
            place: int | str = "call" if isinstance(part, ToolCall) else n
            begun = (index, place) in self._blocks
            block = self._blocks.setdefault((index, place), len(self._blocks))
            if isinstance(part, Text):
                events.append(TextDelta(text=part.text, block=block))
                events += [CitationDelta(citation=one, block=block) for one in part.citations]
            elif isinstance(part, Refusal):
                events.append(RefusalDelta(text=part.text, block=block))
            elif isinstance(part, ToolCall):
                self._calls = True
                events.append(
                    ToolDelta(
                        block=block,
                        id=None if begun else part.id,
                        name=None if begun else part.name,
                        custom=part.custom,
                        arguments=part.arguments,
                    )
                )
            elif isinstance(part, NativePart):
                events.append(NativeDelta(dialect=NAME, kind=part.kind, data=part.data, block=block))

    def _completed(self, of: Members, events: list[Event]) -> None:
        response = of.object("response")
        if response is None:
            raise of.wrong("response", "an object")
        self._start(response, events)
        usage = answer_reader.used(response)
        if usage is not None:
            events.append(UsageEvent(usage=usage))
        if not self._blocks:
            self._missed(response, events)
        finish = answer_reader.finish(
            response, [ToolCall(id=None, name="", arguments="")] if self._calls else []
        )
        events += (FinishEvent(finish=finish), End())
        self._over = True

    def _missed(self, response: Members, events: list[Event]) -> None:
        """The answer, where it has come in the final response alone."""
        for index, item in enumerate(response.objects("output")):
            _, parts = item_reader.read(item)
            for part in parts:
                if isinstance(part, Thought):
                    self._proof(index, part, events)
            kept = [part for part in parts if not isinstance(part, Thought | seal.Seal)]
            self._whole(index, kept, events)

    def _failed(self, of: Members, events: list[Event]) -> None:
        response = of.object("response")
        usage = None if response is None else answer_reader.used(response)
        if usage is not None:
            events.append(UsageEvent(usage=usage))
        error: Json = None if response is None else response.any("error")
        events.append(Failure(error=failure.within(error)))
        self._over = True

    def _error(self, of: Members, events: list[Event]) -> None:
        whole = of.whole()
        error = whole.get("error")
        events.append(Failure(error=failure.within(error if isinstance(error, dict) else whole)))
        self._over = True


_FIRST: Final = frozenset({"response.created", "response.completed", "response.incomplete"})
"""Events that hold the response, from which the Start is made."""
_READ: Final[Mapping[str, Callable[[Reader, Members, list[Event]], None]]] = {
    "response.created": Reader._created,
    "response.output_item.added": Reader._added,
    "response.output_item.done": Reader._done,
    "response.output_text.delta": Reader._text,
    "response.output_text.annotation.added": Reader._cited,
    "response.refusal.delta": Reader._refused,
    "response.reasoning_summary_part.added": Reader._summary_part,
    "response.reasoning_summary_text.delta": Reader._thought,
    "response.reasoning_text.delta": Reader._thought,
    "response.function_call_arguments.delta": Reader._arguments,
    "response.custom_tool_call_input.delta": Reader._arguments,
    "response.completed": Reader._completed,
    "response.incomplete": Reader._completed,
    "response.failed": Reader._failed,
    "error": Reader._error,
}
