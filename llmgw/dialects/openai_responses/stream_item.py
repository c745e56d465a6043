"""One output item of a provider's stream: which of its blocks have begun, and what of it has been told.

An item is told up to three times: by deltas, by events that say a part is done, and whole. Whatever comes first is
passed on; hosts leave out any of them.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import (
    CitationDelta,
    Event,
    Json,
    Media,
    MediaDelta,
    NativeDelta,
    NativePart,
    Part,
    Refusal,
    RefusalDelta,
    Text,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolCall,
    ToolDelta,
)
from llmgw.dialects.members import Members
from llmgw.dialects.openai_responses import item_reader, logprobs
from llmgw.dialects.openai_responses.spelling import NAME

KNOWN: Final = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})
"""Items that the neutral model has parts for."""


class Progress:
    """What the items of one stream share."""

    __slots__ = ("blocks", "called")

    def __init__(self) -> None:
        self.blocks = 0
        """How many have begun."""
        self.called = False
        """Whether a tool has been called."""

    @property
    def last(self) -> int:
        """The block that began last; an event before the first counts as part of it."""
        return max(self.blocks - 1, 0)


class Item:
    """One output item."""

    __slots__ = ("_cited", "_progress", "_thought", "argued", "blocks")

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._cited: dict[int, int] = {}
        self._thought: tuple[str, int] | None = None
        """In which words the thought is told, its summary or its own, and the part that came last."""
        self.blocks: dict[int | str, int] = {}
        """By the place within the item: a content's index, `call`, `thought` or `item`."""
        self.argued = False
        """Whether arguments of the call have come."""

    def block(self, place: int | str) -> int:
        """The block at a place, which begins with its first event."""
        block = self.blocks.get(place)
        if block is None:
            block = self.blocks[place] = self._progress.blocks
            self._progress.blocks += 1
        return block

    def cite(self, place: int, annotation: dict[str, Json]) -> list[Event]:
        self._cited[place] = self._cited.get(place, 0) + 1
        return [CitationDelta(citation=item_reader.citation(annotation), block=self.block(place))]

    def think(self, told: tuple[str, int], text: str, *, is_whole: bool) -> list[Event]:
        """A piece of a thought, or a whole part of it, which says nothing new behind its pieces."""
        before = self._thought
        if not text or (is_whole and before == told) or (before is not None and before[0] != told[0]):
            return []  # a host that tells its thought and a summary of it tells one thing twice
        if before is not None and before[1] != told[1]:
            text = "\n\n" + text
        self._thought = told
        return [ThoughtDelta(text=text, block=self.block("thought"))]

    def content(self, place: int, part: Part, tokens: Json = None) -> list[Event]:
        """A part of a message where it has not come yet, and of its citations those that have not."""
        events: list[Event] = []
        new = place not in self.blocks
        if isinstance(part, Text):
            if new and part.text:
                events.append(TextDelta(text=part.text, block=self.block(place), logprobs=tokens or None))
            if place in self.blocks:
                for citation in part.citations[self._cited.get(place, 0) :]:
                    events.append(CitationDelta(citation=citation, block=self.blocks[place]))
                self._cited[place] = max(self._cited.get(place, 0), len(part.citations))
        elif isinstance(part, Refusal) and new and part.text:
            events.append(RefusalDelta(text=part.text, block=self.block(place)))
        elif isinstance(part, NativePart) and new:
            events.append(NativeDelta(dialect=NAME, kind=part.kind, data=part.data, block=self.block(place)))
        return events

    def call(self, call: ToolCall) -> list[Event]:
        """A call that begins, or the arguments of one that came without any."""
        self._progress.called = True
        self.argued = self.argued or bool(call.arguments)
        begun = "call" in self.blocks
        return [
            ToolDelta(
                block=self.block("call"),
                id=None if begun else call.id,
                name=None if begun else call.name,
                custom=call.custom,
                arguments=call.arguments,
            )
        ]

    def whole(self, index: int, of: Members) -> list[Event]:
        """What no other event has told of an item that is complete.

        Raises:
            UpstreamFailed: it is no item.
        """
        kind = of.whole().get("type")
        if type(kind) is not str:
            raise of.wrong("type", "a string")
        if kind not in KNOWN:
            return self._foreign(index, of)
        events: list[Event] = []
        tokens = logprobs.of_message(of)
        for place, part in enumerate(item_reader.read(of)[1]):
            if isinstance(part, Thought):
                text = "" if self._thought is not None else part.text
                self._thought = self._thought or ("summary", 0)
                events.append(
                    ThoughtDelta(text=text, block=self.block("thought"), redacted=part.redacted, id=part.id)
                )
            elif isinstance(part, ToolCall):
                events += [] if self.argued else self.call(part)
            elif isinstance(part, Text | Refusal | NativePart):
                events += self.content(place, part, tokens[place] if place < len(tokens) else None)
        return events

    def _foreign(self, index: int, of: Members) -> list[Event]:
        """An item of one of OpenAI's own tools; what one of them has drawn is an image everywhere."""
        data = {"output_index": index, "item": dict(of.whole())}
        block = self.block("item")
        events: list[Event] = [
            NativeDelta(dialect=NAME, kind="response.output_item.done", data=data, block=block)
        ]
        events += [
            MediaDelta(media=one, block=block) for one in item_reader.read(of)[1] if isinstance(one, Media)
        ]
        return events
