"""Reads a provider's stream of response events.

Deltas make the events of the neutral model; what comes whole only with a `done` event, with its item or with the final
response is taken from there, for hosts leave out events. Events of hosted tools, and any that are not known, pass as
they are; so does the final response, for this API's own clients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from llmgw.canonical import (
    End,
    Event,
    Failure,
    FinishEvent,
    Json,
    NativeDelta,
    Refusal,
    RefusalDelta,
    Start,
    Text,
    TextDelta,
    ToolCall,
    ToolDelta,
    UsageEvent,
)
from llmgw.dialects import members, sse
from llmgw.dialects.members import Members
from llmgw.dialects.openai_responses import answer_reader, failure, logprobs
from llmgw.dialects.openai_responses.spelling import NAME
from llmgw.dialects.openai_responses.stream_item import KNOWN, Item, Progress
from llmgw.dialects.sse import ServerSentEvent
from llmgw.errors import UpstreamFailed

FINAL: Final = frozenset({"response.completed", "response.incomplete"})
"""Events that hold the final response."""
_SILENT: Final = frozenset(
    {
        "response.in_progress",
        "response.queued",
        "response.content_part.added",
        "response.content_part.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "keepalive",
    }
)
"""Events that say what others say too."""

_decode: Final = msgspec.json.Decoder().decode


class Reader:
    """Implements `StreamReader`."""

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self._started = False
        self._over = False
        self._progress = Progress()
        self._items: dict[int, Item] = {}
        """By output index."""
        self._unnamed: set[int] = set()
        """Output indices of calls whose arguments came before their names."""

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
            if not self._started and kind not in _FIRST:
                self._start(None, events)
            read(self, of, events)
            if kind in FINAL:
                whole = _decode(event.data)["response"]
                events.append(NativeDelta(dialect=NAME, kind=kind, data=whole, block=self._progress.last))
                events.append(End())
                self._over = True
        elif kind not in _SILENT:
            self._start(None, events)
            self._unknown({"type": kind, **of.whole()}, events)

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
                native=response.rest(),
            )
        )

    def _unknown(self, whole: dict[str, Json], events: list[Event]) -> None:
        """An event of a hosted tool belongs to that tool's item, any other to what has come last."""
        place = whole.get("output_index")
        item = self._items.get(place) if type(place) is int else None
        block = None if item is None else item.blocks.get("item")
        if block is None:
            block = self._progress.last
            self._progress.blocks = block + 1
        events.append(NativeDelta(dialect=NAME, kind=str(whole["type"]), data=whole, block=block))

    def _at(self, index: int) -> Item:
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = Item(self._progress)
        return item

    # one method for each kind of event

    def _created(self, of: Members, events: list[Event]) -> None:
        self._start(_need(of, "response"), events)

    def _added(self, of: Members, events: list[Event]) -> None:
        said, index = _need(of, "item"), _index(of)
        kind = said.text("type")
        item = self._items[index] = Item(self._progress)
        if kind in ("function_call", "custom_tool_call"):
            custom = kind == "custom_tool_call"
            call = ToolCall(
                id=said.text("call_id") or said.text("id") or None,
                name=said.need_text("name"),
                arguments=said.text("input" if custom else "arguments") or "",
                custom=custom,
            )
            self._unnamed.discard(index)
            events += item.call(call)
        elif kind not in KNOWN:
            data = {"output_index": index, "item": {"type": kind, **said.whole()}}
            added = "response.output_item.added"
            place = item.block("item")
            events.append(NativeDelta(dialect=NAME, kind=added, data=data, block=place, part=kind))

    def _done(self, of: Members, events: list[Event]) -> None:
        self._whole(_index(of), _need(of, "item"), events)

    def _whole(self, index: int, item: Members, events: list[Event]) -> None:
        events += self._at(index).whole(index, item)
        if "call" in self._items[index].blocks:
            self._unnamed.discard(index)

    def _text(self, of: Members, events: list[Event]) -> None:
        block = self._at(_index(of)).block(of.integer("content_index") or 0)
        events.append(TextDelta(text=of.need_text("delta"), block=block, logprobs=logprobs.read(of)))

    def _refused(self, of: Members, events: list[Event]) -> None:
        block = self._at(_index(of)).block(of.integer("content_index") or 0)
        events.append(RefusalDelta(text=of.need_text("delta"), block=block))

    def _text_done(self, of: Members, events: list[Event]) -> None:
        item, place = self._at(_index(of)), of.integer("content_index") or 0
        events += item.content(place, Text(text=of.need_text("text")), logprobs.read(of))

    def _refused_done(self, of: Members, events: list[Event]) -> None:
        item, place = self._at(_index(of)), of.integer("content_index") or 0
        events += item.content(place, Refusal(text=of.need_text("refusal")))

    def _cited(self, of: Members, events: list[Event]) -> None:
        place = of.integer("content_index") or 0
        events += self._at(_index(of)).cite(place, _need(of, "annotation").whole())

    def _summary(self, of: Members, events: list[Event]) -> None:
        self._think("summary", of.integer("summary_index") or 0, of, events)

    def _reasoned(self, of: Members, events: list[Event]) -> None:
        self._think("content", of.integer("content_index") or 0, of, events)

    def _think(self, words: str, place: int, of: Members, events: list[Event]) -> None:
        is_whole = "delta" not in of
        text = of.need_text("text" if is_whole else "delta")
        events += self._at(_index(of)).think((words, place), text, is_whole=is_whole)

    def _arguments(self, of: Members, events: list[Event]) -> None:
        index, arguments = _index(of), of.need_text("delta")
        item = self._at(index)
        block = item.blocks.get("call")
        if block is None:
            self._unnamed.add(index)  # its item has all of them, and its name
            return
        item.argued = True
        events.append(ToolDelta(block=block, arguments=arguments))

    def _arguments_done(self, of: Members, events: list[Event]) -> None:
        item = self._at(_index(of))
        block = item.blocks.get("call")
        arguments = of.text("arguments") or of.text("input")
        if block is not None and not item.argued and arguments:
            item.argued = True
            events.append(ToolDelta(block=block, arguments=arguments))

    def _completed(self, of: Members, events: list[Event]) -> None:
        response = _need(of, "response")
        self._start(response, events)
        usage = answer_reader.used(response)
        if usage is not None:
            events.append(UsageEvent(usage=usage))
        untold = not self._progress.blocks
        for index, item in enumerate(response.objects("output")) if untold or self._unnamed else ():
            if untold or index in self._unnamed:
                self._whole(index, item, events)
        if self._unnamed:
            raise UpstreamFailed("The provider sent arguments of a tool call that it did not name.")
        finish = answer_reader.finish(response, called=self._progress.called)
        events.append(FinishEvent(finish=finish))

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


def _need(of: Members, name: str) -> Members:
    found = of.object(name)
    if found is None:
        raise of.wrong(name, "an object")
    return found


def _index(of: Members) -> int:
    return of.integer("output_index") or 0


_FIRST: Final = frozenset({"response.created", *FINAL})
"""Events that hold the response, from which the Start is made."""
_READ: Final[Mapping[str, Callable[[Reader, Members, list[Event]], None]]] = {
    "response.created": Reader._created,
    "response.output_item.added": Reader._added,
    "response.output_item.done": Reader._done,
    "response.output_text.delta": Reader._text,
    "response.output_text.done": Reader._text_done,
    "response.output_text.annotation.added": Reader._cited,
    "response.refusal.delta": Reader._refused,
    "response.refusal.done": Reader._refused_done,
    "response.reasoning_summary_text.delta": Reader._summary,
    "response.reasoning_summary_text.done": Reader._summary,
    "response.reasoning_text.delta": Reader._reasoned,
    "response.reasoning_text.done": Reader._reasoned,
    "response.function_call_arguments.delta": Reader._arguments,
    "response.function_call_arguments.done": Reader._arguments_done,
    "response.custom_tool_call_input.delta": Reader._arguments,
    "response.custom_tool_call_input.done": Reader._arguments_done,
    "response.completed": Reader._completed,
    "response.incomplete": Reader._completed,
    "response.failed": Reader._failed,
    "error": Reader._error,
}
