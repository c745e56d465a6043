"""One candidate of a stream on its way from parts to events.

Parts of text follow each other in one block, and so do thoughts; everything else comes whole and is a block of its
own. What a chunk says about its candidate besides (ratings, grounding) follows the parts as one native event, with
the citations that can be told from it beside the text they belong to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from llmgw.canonical import (
    CitationDelta,
    Event,
    Finish,
    Json,
    Media,
    MediaDelta,
    Native,
    NativeDelta,
    NativePart,
    Part,
    Text,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolCall,
    ToolDelta,
)
from llmgw.dialects.gemini import citations, part_reader, part_writer
from llmgw.dialects.gemini.partial_args import PartialArguments
from llmgw.dialects.gemini.spelling import NAME, Fields
from llmgw.errors import UpstreamFailed


class Candidate:
    """The state of one candidate. `finish` is why it ended, as far as it has said so."""

    __slots__ = ("_block", "_calls", "_growing", "_index", "_kind", "_spoken", "finish")

    def __init__(self, index: int) -> None:
        self._index = index
        self._block = -1
        self._kind = ""
        self._calls = False
        self._growing: PartialArguments | None = None
        self._spoken = citations.Spoken()
        self.finish: Finish | None = None

    def ended(self) -> Finish:
        """Why it ended; a call ends with STOP like everything else."""
        assert self.finish is not None  # the reader looked
        if self._calls and self.finish.reason == "stop":
            return replace(self.finish, reason="tool_calls")
        return self.finish

    def text_block(self, text: str, events: list[Event]) -> int:
        """The block that `text` goes on with or opens."""
        if self._kind != "text":
            self._open("text", events)
        self._spoken.say(self._block, text)
        return self._block

    def _open(self, kind: str, events: list[Event]) -> int:
        self.close(events)
        self._block += 1
        self._kind = kind
        return self._block

    def close(self, events: list[Event]) -> None:
        """Bring out a call whose last piece never came."""
        if self._growing is not None:
            growing, self._growing = self._growing, None
            events.append(ToolDelta(arguments=growing.text(), choice=self._index, block=self._block))
            self._kind = ""

    def say(self, parts: list[Fields], native: Native, tokens: Json, events: list[Event]) -> None:
        """The events of one chunk.

        Args:
            native: what it says besides its parts.
            tokens: their log-probabilities.
        """
        mine: list[Event] = []
        before = self._block
        for part in parts:
            self._part(part, mine)
        if tokens:
            for at, event in enumerate(mine):
                if isinstance(event, TextDelta):
                    mine[at] = replace(event, logprobs=tokens)
                    break
        for block, citation in citations.read(
            native.get("groundingMetadata"), native.get("citationMetadata"), self._spoken
        ):
            self._cite(CitationDelta(citation=citation, choice=self._index, block=block), before, mine)
        events += mine
        if native:
            self._native("candidate", dict(native), max(self._block, 0), events)

    def _cite(self, cited: CitationDelta, before: int, mine: list[Event]) -> None:
        """Put a citation behind the last event of its block. A block that was over before this chunk takes none any
        more: the native event has the whole."""
        at = max(
            (place for place, event in enumerate(mine, 1) if getattr(event, "block", -1) == cited.block),
            default=0,
        )
        if at or cited.block == before:
            mine.insert(at, cited)

    def _part(self, part: Fields, events: list[Event]) -> None:
        call = part.whole().get("functionCall")
        if type(call) is dict and self._piece(part, call, events):
            return
        found = part_reader.read(part)
        for kind, write in _EVENTS.items():
            if isinstance(found, kind):
                write(self, found, events)
                return
        # Only a client's turn has results of tools.
        raise part.wrong("functionResponse", "left out of an answer")

    def _text(self, part: Text, events: list[Event]) -> None:
        if part.text or part.signature is not None:
            block = self.text_block(part.text, events)
            events.append(
                TextDelta(text=part.text, choice=self._index, block=block, signature=part.signature)
            )
        if part.native:
            self._native("part", dict(part.native), max(self._block, 0), events)

    def _thought(self, part: Thought, events: list[Event]) -> None:
        if self._kind != "thought":
            self._open("thought", events)
        if part.native:
            self._native("thought", part_writer.thought(part, NAME), self._block, events)
            return
        events.append(
            ThoughtDelta(text=part.text, choice=self._index, block=self._block, signature=part.signature)
        )

    def _call(self, part: ToolCall, events: list[Event]) -> None:
        block = self._open("call", events)
        self._calls = True
        events.append(
            ToolDelta(
                arguments=part.arguments,
                choice=self._index,
                block=block,
                id=part.id,
                name=part.name,
                signature=part.signature,
            )
        )
        if part.native:
            self._native("part", dict(part.native), block, events)

    def _medium(self, part: Media, events: list[Event]) -> None:
        events.append(MediaDelta(media=part, choice=self._index, block=self._open("media", events)))

    def _whole(self, part: NativePart, events: list[Event]) -> None:
        self._native(part.kind, part.data, self._open("native", events), events, part=part.kind)

    def _native(
        self, kind: str, data: Json, block: int, events: list[Event], part: str | None = None
    ) -> None:
        events.append(
            NativeDelta(dialect=NAME, kind=kind, data=data, choice=self._index, block=block, part=part)
        )

    def _piece(self, part: Fields, call: dict[str, Json], events: list[Event]) -> bool:
        """A call that comes in pieces. False where the part is a whole call."""
        fields = Fields(call, "functionCall", part.fault)
        goes_on = fields.whole().get("willContinue") is True
        named = fields.whole().get("name")
        if not named and self._growing is None:
            if not fields.rest():
                return True  # the last piece of a call that had no others
            if "args" not in fields:
                raise UpstreamFailed("The provider went on with a tool call that it had not begun.")
            return False
        if named:
            self.close(events)
            if not goes_on and "partialArgs" not in fields:
                return False
            arguments = fields.any("args")
            self._begin(part, fields, events)
            self._growing = PartialArguments(arguments if type(arguments) is dict else {})
        assert self._growing is not None  # it was, or has just begun
        for piece in fields.every("partialArgs"):
            self._growing.add(piece)
        if not goes_on:
            self.close(events)
        return True

    def _begin(self, part: Fields, fields: Fields, events: list[Event]) -> None:
        block = self._open("call", events)
        self._calls = True
        events.append(
            ToolDelta(
                choice=self._index,
                block=block,
                id=fields.text("id") or None,
                name=fields.need_text("name"),
                signature=part.text("thoughtSignature"),
            )
        )


_EVENTS: Final[dict[type[Part], Callable[..., None]]] = {
    Text: Candidate._text,
    Thought: Candidate._thought,
    ToolCall: Candidate._call,
    Media: Candidate._medium,
    NativePart: Candidate._whole,
}
