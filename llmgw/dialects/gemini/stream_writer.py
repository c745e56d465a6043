"""Events as a Gemini client's stream: chunks that each are a whole `GenerateContentResponse`.

A function call goes out in one piece when it is complete, and so does what replays a foreign thought. The last chunk
has the finish reasons and the usage; there is no terminator in server-sent events, so both wait for the stream's
end: a stream that breaks off before never looks complete. Each chunk has a part, if only an empty text, because
Google's own clients discard a turn with a chunk that has none.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import (
    Chat,
    CitationDelta,
    End,
    Event,
    Failure,
    FinishEvent,
    Json,
    MediaDelta,
    Native,
    NativeDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolCall,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.codec import Losses, Stamp
from llmgw.dialects.gemini import citations, errors, finish, logprobs, part_writer, usage
from llmgw.dialects.gemini.signature import Seal, seal
from llmgw.dialects.gemini.spelling import ANSWER, NAME, json_object
from llmgw.dialects.json_text import to_client
from llmgw.errors import CallError, UpstreamFailed

_SILENCE: Final = {"text": ""}
Chunk = dict[str, Json]


class Writer:
    """Implements `StreamWriter`."""

    def __init__(self, chat: Chat, stamp: Stamp, losses: Losses) -> None:
        self._array = chat.framing == "array"
        self._begun = False
        self._stamp = stamp
        self._losses = losses
        self._beside: dict[str, Json] = {"modelVersion": chat.model, "responseId": stamp.id}
        self._origin = NAME
        self._new: dict[str, Json] = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._blocked = False

    def write(self, event: Event) -> bytes:
        """The chunks that `event` completes.

        Raises:
            UpstreamFailed: a tool call's arguments are no JSON object, or it went on after its end.
        """
        if isinstance(event, UsageEvent):
            self._usage = event.usage
        elif isinstance(event, Start):
            self._start(event)
        elif isinstance(event, End):
            return self._end()
        elif isinstance(event, Failure):
            return self._frame(errors.of_provider(event.error))
        elif isinstance(event, NativeDelta) and event.kind == "response" and event.dialect == NAME:
            self._say(event.data)
        else:
            choice = self._choices.get(event.choice)
            if choice is None:
                choice = self._choices[event.choice] = _Choice(
                    event.choice, self._origin, self._stamp, self._losses
                )
            return b"".join(self._chunk([one]) for one in choice.take(event))
        return b""

    def broken(self, error: CallError, request_id: str) -> bytes:
        return self._frame(errors.body(error, request_id))

    def _start(self, event: Start) -> None:
        self._origin = event.dialect
        if event.model is not None:
            self._beside["modelVersion"] = event.model
        if event.id is not None:
            self._beside["responseId"] = event.id
        if event.dialect == NAME:
            self._say(event.native)

    def _say(self, members: Native) -> None:
        """Have Gemini's own members of an answer go out with the next chunk."""
        self._new.update(members)
        self._blocked = self._blocked or finish.blocked(members.get("promptFeedback")) is not None

    def _chunk(self, candidates: list[Chunk]) -> bytes:
        data: Chunk = {"candidates": candidates, **self._beside}
        if self._new:
            data.update(self._new)
            self._new = {}
        return self._frame(data)

    def _end(self) -> bytes:
        choices = [self._choices[index] for index in sorted(self._choices)]
        last = [choice.last() for choice in choices if not (self._blocked and choice.is_silent)]
        data: Chunk = {"candidates": last} if last else {}
        if self._usage is not None:
            data["usageMetadata"] = usage.write(self._usage)
        end = self._frame({**data, **self._beside, **self._new})
        return end + b"]" if self._array else end

    def _frame(self, data: Chunk) -> bytes:
        body = to_client(data)
        if not self._array:
            return b"data: " + body + b"\r\n\r\n"
        begun, self._begun = self._begun, True
        return (b",\r\n" if begun else b"[") + body


class _Choice:
    """One choice on its way into candidates."""

    __slots__ = (
        "_calls", "_cited", "_ended", "_index", "_losses", "_native", "_origin", "_over", "_own", "_seal",
        "_stamp", "_texts", "_thinking", "is_silent",
    )  # fmt: skip

    def __init__(self, index: int, origin: str, stamp: Stamp, losses: Losses) -> None:
        self._index = index
        self._losses = losses
        self._origin = origin
        self._own = origin == NAME
        self._stamp = stamp
        self._calls: dict[int, tuple[ToolDelta, list[str]]] = {}
        self._over = -1
        self._thinking = -1
        self._seal = Seal()
        self._native: dict[str, Json] = {}
        self._texts: dict[int, list[str]] = {}
        self._cited: list[CitationDelta] = []
        self._ended: dict[str, Json] = {}
        self.is_silent = True

    def take(self, event: Event) -> list[Chunk]:
        """The candidates that `event` completes."""
        chunks: list[Chunk] = []
        if self._own and isinstance(event, NativeDelta) and event.kind == "candidate":
            self._keep(event.data, chunks)
            return chunks
        self._event(event, chunks)
        return chunks

    def last(self) -> Chunk:
        """The candidate of the last chunk."""
        chunks: list[Chunk] = []
        if self._cited:
            cited = citations.Cited()
            before = {}
            offset = 0
            for block, texts in self._texts.items():
                before[block] = offset
                offset += sum(len(text.encode("utf-8", "replace")) for text in texts)
            for one in self._cited:
                if one.block in before:
                    text = "".join(self._texts[one.block])
                    cited.add(one.citation, text, before=before[one.block])
            self._native.update(cited.members())
        self._part(_SILENCE, chunks, self._ended)
        return chunks[0]

    def _keep(self, native: dict[str, Json], chunks: list[Chunk]) -> None:
        """Have Gemini's own members of a candidate go out with its next part."""
        if self._native:
            self._part(_SILENCE, chunks)
        self._native = dict(native)

    def _part(self, part: Json, chunks: list[Chunk], more: dict[str, Json] | None = None) -> None:
        candidate: Chunk = {"content": {"role": "model", "parts": [part]}, "index": self._index}
        if more:
            candidate.update(more)
        if self._native:
            candidate.update(self._native)
            self._native = {}
        chunks.append(candidate)

    def _event(self, event: Event, chunks: list[Chunk]) -> None:
        self.is_silent = self.is_silent and isinstance(event, FinishEvent)
        if isinstance(event, TextDelta):
            self._settle(chunks)
            self._text(event, chunks)
        elif isinstance(event, ThoughtDelta):
            self._thought(event, chunks)
        elif isinstance(event, ToolDelta):
            self._tool(event, chunks)
        elif isinstance(event, CitationDelta):
            if not self._own:
                self._cited.append(event)
        elif isinstance(event, RefusalDelta):
            self._settle(chunks)
            if event.text:
                self._part({"text": event.text}, chunks)
        elif isinstance(event, MediaDelta):
            self._settle(chunks)
            self._part(part_writer.media(event.media, self._own), chunks)
        elif isinstance(event, NativeDelta):
            self._whole(event, chunks)
        elif isinstance(event, FinishEvent):
            self._settle(chunks)
            self._ended = finish.write(event.finish, self._own)

    def _text(self, event: TextDelta, chunks: list[Chunk]) -> None:
        if not event.text and event.signature is None and event.logprobs is None:
            return
        part: Chunk = {"text": event.text}
        if event.signature is not None:
            part["thoughtSignature"] = event.signature
        more = None
        if not self._own:
            self._texts.setdefault(event.block, []).append(event.text)
            if event.logprobs is not None:
                more = {"logprobsResult": logprobs.write(event.logprobs)}
        self._part(part, chunks, more)

    def _thought(self, event: ThoughtDelta, chunks: list[Chunk]) -> None:
        if event.block != self._thinking:
            self._settle(chunks)
            self._thinking = event.block
        part: Chunk = {"text": event.text, "thought": True}
        if self._own:
            if event.signature is not None:
                part["thoughtSignature"] = event.signature
        else:
            held = self._seal
            held.signature = event.signature or held.signature
            held.redacted = event.redacted or held.redacted
            held.id = event.id or held.id
        if event.text or "thoughtSignature" in part:
            self._part(part, chunks)

    def _tool(self, event: ToolDelta, chunks: list[Chunk]) -> None:
        """Gather a call. Some hosts interleave parallel calls, so one is over only when its arguments are an object
        and another has begun, or when anything else follows; calls keep their order."""
        self._prove(chunks)
        held = self._calls.get(event.block)
        if held is not None:
            held[1].append(event.arguments)
            return
        if event.block <= self._over:
            raise UpstreamFailed("The provider went on with a tool call after it was complete.")
        while self._calls:
            block, (call, arguments) = next(iter(self._calls.items()))
            if not call.custom and json_object("".join(arguments)) is None:
                break
            self._call(block, chunks)
        self._calls[event.block] = (event, [event.arguments])

    def _whole(self, event: NativeDelta, chunks: list[Chunk]) -> None:
        self._settle(chunks)
        if event.dialect == NAME:
            self._part({"text": "", **event.data} if event.kind == "part" else event.data, chunks)
        elif event.part is not None:
            self._losses.advise(f"part.{event.part}")

    def _settle(self, chunks: list[Chunk]) -> None:
        """Bring out what was held until something else follows."""
        self._prove(chunks)
        for block in list(self._calls):
            self._call(block, chunks)

    def _prove(self, chunks: list[Chunk]) -> None:
        """Send what replays the foreign thought before."""
        if self._seal != _EMPTY:
            held, self._seal = self._seal, Seal()
            sealed = seal(self._origin, held)
            self._part({"text": "", "thought": True, "thoughtSignature": sealed}, chunks)

    def _call(self, block: int, chunks: list[Chunk]) -> None:
        call, arguments = self._calls.pop(block)
        self._over = max(self._over, block)
        made = f"{self._stamp.id}-{self._index}-{block}"
        whole = ToolCall(
            id=call.id if self._own else call.id or made,
            name=call.name or "",
            arguments="".join(arguments),
            custom=call.custom,
            signature=call.signature,
        )
        self._part(part_writer.call(whole, self._own, ANSWER), chunks)


_EMPTY: Final = Seal()
