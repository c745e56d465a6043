"""Writes a client's stream of response events, in the order that the API gives them.

Each item is announced, grows by deltas and is closed with what it has become; the last event repeats them all. A tool
call stays open until it is whole, because its deltas may come between another's. The response that ends a stream of
this API's own is the provider's, with the items named as they were in this stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from llmgw.canonical import (
    Chat,
    CitationDelta,
    End,
    Event,
    Failure,
    Finish,
    FinishEvent,
    Inline,
    Json,
    MediaDelta,
    NativeDelta,
    RefusalDelta,
    Start,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolCall,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.codec import Losses, Stamp
from llmgw.dialects.json_text import to_client
from llmgw.dialects.openai_responses import answer_writer, failure, logprobs, response, seal
from llmgw.dialects.openai_responses.open_item import OpenCall, OpenMessage, OpenThought
from llmgw.dialects.openai_responses.response import Item
from llmgw.dialects.openai_responses.spelling import NAME, TIERS
from llmgw.dialects.openai_responses.stream_reader import FINAL
from llmgw.dialects.origin import SIGNER
from llmgw.errors import CallError


class Writer:
    """Implements `StreamWriter`."""

    def __init__(self, chat: Chat, stamp: Stamp, losses: Losses) -> None:
        self._stamp = stamp
        self._losses = losses
        self._response = response.base(chat, stamp)
        self._origin = NAME
        self._number = 0
        self._output: list[Item] = []
        self._message: OpenMessage | None = None
        self._thought: OpenThought | None = None
        self._calls: dict[int, OpenCall] = {}
        self._call_ids: set[str] = set()
        self._native: dict[int, int] = {}
        """Where items of OpenAI's own tools stand here, by their index there."""
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._final: dict[str, Json] | None = None
        """The response as this API's own provider gave it."""

    def write(self, event: Event) -> bytes:
        if getattr(event, "choice", 0):
            self._losses.advise("n")
            return b""  # alternatives: no client of this API can ask for them
        return _WRITE[type(event)](self, event)

    def broken(self, error: CallError, request_id: str) -> bytes:
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        return self._error({"message": error.message, "type": kind, "param": error.param, "code": error.code})

    def _event(self, kind: str, **members: Json) -> bytes:
        data = to_client({"type": kind, "sequence_number": self._number, **members})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode("utf-8", "replace"), data)

    def _error(self, error: dict[str, Json]) -> bytes:
        # The API's event has the fields themselves; `error` is what the SDK raises on.
        return self._event(
            "error", code=error["code"], message=error["message"], param=error["param"], error=error
        )

    def _start(self, event: Start) -> bytes:
        self._origin = event.dialect
        if event.dialect == NAME:
            self._response |= event.native
            self._response["id"] = event.id or self._response["id"]
            self._response["created_at"] = event.created or self._response["created_at"]
        if event.model is not None:
            self._response["model"] = event.model
        if event.service_tier in TIERS:
            self._response["service_tier"] = event.service_tier
        return self._event("response.created", response=self._response) + self._event(
            "response.in_progress", response=self._response
        )

    def _open(self, item: Item) -> tuple[int, bytes]:
        """Announce an item; its index."""
        self._output.append(item)
        index = len(self._output) - 1
        return index, self._event("response.output_item.added", output_index=index, item=item)

    def _close(self, index: int, item: Item) -> bytes:
        self._output[index] = item
        return self._event("response.output_item.done", output_index=index, item=item)

    def _make_room(self) -> bytes:
        """Close what is open before another item begins; calls only where they are whole."""
        return self._close_message() + self._close_thought() + self._close_calls()

    # messages

    def _say(self, event: TextDelta | RefusalDelta) -> bytes:
        written = b""
        if self._thought is not None or self._calls:
            written = self._close_thought() + self._close_calls()
        refuses = isinstance(event, RefusalDelta)
        signature = None if isinstance(event, RefusalDelta) else event.signature
        if signature is not None and self._origin == SIGNER:
            written += self._close_message() + self._sealed(seal.write(SIGNER, "t", signature))
        message = self._message
        if message is None:
            item = answer_writer.message(f"msg_{self._stamp.id}_{len(self._output)}", "in_progress")
            index, opened = self._open(item)
            message = self._message = OpenMessage(index, item)
            written += opened
        if message.block != event.block or message.refuses != refuses:
            written += self._close_part(message)
            message.begin(event.block, refuses=refuses)
            written += self._event("response.content_part.added", **message.place, part=message.part())
        message.pieces.append(event.text)
        message.length += len(event.text)
        if isinstance(event, RefusalDelta):
            return written + self._event("response.refusal.delta", **message.place, delta=event.text)
        tokens: list[Json] = []
        if event.logprobs:
            message.logprobs += event.logprobs
            tokens = logprobs.of_event(event.logprobs)
        return written + self._event(
            "response.output_text.delta", **message.place, delta=event.text, logprobs=tokens
        )

    def _cite(self, event: CitationDelta) -> bytes:
        message = self._message
        annotation = None
        if (
            message is not None and message.block == event.block
        ):  # else its text is closed: the API cites within it
            annotation = answer_writer.annotation(event.citation, self._origin, message.length)
        if message is None or annotation is None:
            self._losses.advise("part.citations")
            return b""
        message.annotations.append(annotation)
        return self._event(
            "response.output_text.annotation.added",
            **message.place,
            annotation_index=len(message.annotations) - 1,
            annotation=annotation,
        )

    def _close_part(self, message: OpenMessage) -> bytes:
        if message.block is None:
            return b""
        part = message.part()
        if message.refuses:
            done = self._event("response.refusal.done", **message.place, refusal=part["refusal"])
        else:
            tokens = logprobs.of_event(message.logprobs)
            done = self._event(
                "response.output_text.done", **message.place, text=part["text"], logprobs=tokens
            )
        message.item["content"].append(part)
        message.block = None
        return done + self._event("response.content_part.done", **message.place, part=part)

    def _close_message(self) -> bytes:
        message, self._message = self._message, None
        if message is None:
            return b""
        closed = self._close_part(message)
        status = self._status(message.index)
        return closed + self._close(message.index, {**message.item, "status": status})

    def _status(self, index: int) -> str:
        """How an item ended: the last one of a response that breaks off is not complete."""
        is_last = index == len(self._output) - 1
        return "incomplete" if is_last and response.why_incomplete(self._finish) else "completed"

    # thoughts

    def _sealed(self, encrypted: str) -> bytes:
        """A whole reasoning item without text."""
        item = answer_writer.reasoning(f"rs_{self._stamp.id}_{len(self._output)}", "", encrypted)
        index, opened = self._open(item)
        return opened + self._close(index, item)

    def _think(self, event: ThoughtDelta) -> bytes:
        written = self._close_message() + self._close_calls()
        thought = self._thought
        if thought is not None and thought.block != event.block:
            written += self._close_thought()
            thought = None
        if thought is None:
            identity = event.id or f"rs_{self._stamp.id}_{len(self._output)}"
            index, opened = self._open(answer_writer.reasoning(identity, "", None))
            thought = self._thought = OpenThought(index, event.block, identity)
            written += opened
        thought.signature = event.signature or thought.signature
        thought.redacted = event.redacted or thought.redacted
        if not event.text:
            return written
        if not thought.pieces:
            empty = {"type": "summary_text", "text": ""}
            written += self._event("response.reasoning_summary_part.added", **thought.place, part=empty)
        thought.pieces.append(event.text)
        return written + self._event(
            "response.reasoning_summary_text.delta", **thought.place, delta=event.text
        )

    def _close_thought(self) -> bytes:
        thought, self._thought = self._thought, None
        if thought is None:
            return b""
        written, text = b"", "".join(thought.pieces)
        if text:
            part = {"type": "summary_text", "text": text}
            written += self._event("response.reasoning_summary_text.done", **thought.place, text=text)
            written += self._event("response.reasoning_summary_part.done", **thought.place, part=part)
        whole = Thought(text=text, signature=thought.signature, redacted=thought.redacted)
        encrypted = seal.encrypted(whole, self._origin)
        return written + self._close(
            thought.index, answer_writer.reasoning(thought.identity, text, encrypted)
        )

    # calls

    def _call(self, event: ToolDelta) -> bytes:
        call = self._calls.get(event.block)
        written = b""
        if call is None:
            written = self._make_room()
            if event.signature is not None:
                written += self._sealed(seal.write(SIGNER, "c", event.signature))
            made = ToolCall(id=event.id, name=event.name or "", arguments="", custom=event.custom)
            item = answer_writer.call(made, len(self._output), self._stamp, "in_progress", self._call_ids)
            index, opened = self._open(item)
            call = self._calls[event.block] = OpenCall(index, item, event.custom)
            written += opened
        if not event.arguments:
            return written
        call.pieces.append(event.arguments)
        return written + self._event(f"{call.kind}.delta", **call.place, delta=event.arguments)

    def _close_calls(self, *, all_of_them: bool = False) -> bytes:
        """Close the calls that are whole; a call that is not may still get arguments."""
        written = b""
        for call in self._calls.values():
            if not call.is_closed and (all_of_them or call.is_whole()):
                call.is_closed = True
                written += self._close_call(call)
        return written

    def _close_call(self, call: OpenCall) -> bytes:
        said, status = "".join(call.pieces), self._status(call.index)
        if call.custom:
            done = self._event(f"{call.kind}.done", **call.place, input=said)
            return done + self._close(call.index, {**call.item, "input": said, "status": status})
        arguments = said or "{}"
        done = self._event(f"{call.kind}.done", **call.place, name=call.item["name"], arguments=arguments)
        return done + self._close(call.index, {**call.item, "arguments": arguments, "status": status})

    # the rest

    def _draw(self, event: MediaDelta) -> bytes:
        source = event.media.source
        if self._origin == NAME:
            return b""  # its own item is there already
        if event.media.kind != "image" or not isinstance(source, Inline):
            self._losses.advise(f"part.{event.media.kind}")
            return b""
        written = self._make_room()
        item = answer_writer.drawn(f"ig_{self._stamp.id}_{len(self._output)}", source)
        index, opened = self._open({**item, "status": "in_progress", "result": None})
        return written + opened + self._close(index, item)

    def _pass_on(self, event: NativeDelta) -> bytes:
        """An event of one of OpenAI's own tools, for its own client."""
        if event.dialect != NAME and event.part is not None:
            self._losses.advise(f"part.{event.part}")
        if event.dialect != NAME or not isinstance(event.data, dict):
            return b""
        if event.kind in FINAL:
            self._final = event.data
            return b""
        data = {name: value for name, value in event.data.items() if name not in ("type", "sequence_number")}
        index, item = data.get("output_index"), data.get("item")
        if isinstance(index, int) and isinstance(item, dict):
            return self._item(index, item, is_done=event.kind == "response.output_item.done")
        if isinstance(index, int):
            if index not in self._native:
                return b""
            data["output_index"] = self._native[index]
        return self._event(event.kind, **data)

    def _item(self, index: int, item: Item, *, is_done: bool) -> bytes:
        """An item of one of OpenAI's own tools begins or is complete; some are never announced."""
        written = b""
        if not is_done or index not in self._native:
            written = self._make_room()
            self._native[index], opened = self._open(item)
            written += opened
        return written + self._close(self._native[index], item) if is_done else written

    def _use(self, event: UsageEvent) -> bytes:
        self._usage = event.usage
        return b""

    def _note_finish(self, event: FinishEvent) -> bytes:
        self._finish = event.finish
        return b""

    def _end(self, event: End) -> bytes:
        written = self._close_message() + self._close_thought() + self._close_calls(all_of_them=True)
        whole = response.ended(self._response, self._output, self._finish, self._usage)
        if self._final is not None:
            whole |= {**self._final, "id": whole["id"], "output": self._named(self._final.get("output"))}
        return written + self._event(f"response.{whole['status']}", response=whole)

    def _named(self, output: Json) -> list[Item]:
        """The provider's items, named and sealed as in this stream; this stream's own, where they are others."""
        if not isinstance(output, list) or len(output) != len(self._output):
            return self._output
        pairs: list[tuple[Any, Item]] = list(zip(output, self._output, strict=True))
        if any(not isinstance(one, dict) or one.get("type") != other["type"] for one, other in pairs):
            return self._output
        return [
            {**one, **{name: other[name] for name in ("id", "encrypted_content") if name in other}}
            for one, other in pairs  # OpenAI encrypts anew in each event
        ]


_WRITE: Final[Mapping[type[Event], Callable[[Writer, Any], bytes]]] = {
    Start: Writer._start,
    TextDelta: Writer._say,
    RefusalDelta: Writer._say,
    ThoughtDelta: Writer._think,
    CitationDelta: Writer._cite,
    ToolDelta: Writer._call,
    MediaDelta: Writer._draw,
    NativeDelta: Writer._pass_on,
    UsageEvent: Writer._use,
    FinishEvent: Writer._note_finish,
    Failure: lambda writer, event: writer._error(failure.written(event.error)),
    End: Writer._end,
}
