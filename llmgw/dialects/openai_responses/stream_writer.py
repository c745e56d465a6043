"""Writes a client's stream of response events, in the order that the API gives them.

Each item is announced, grows by deltas and is closed with what it has become; the last event repeats them all. A tool
call stays open until it is whole, because its deltas may come between another's.
"""

from __future__ import annotations

from typing import Final

import msgspec

from llmgw.canonical import (
    Chat,
    CitationDelta,
    End,
    Event,
    Failure,
    Finish,
    FinishEvent,
    Json,
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
from llmgw.dialects.codec import Stamp
from llmgw.dialects.openai_responses import answer_writer, failure, response, seal
from llmgw.dialects.openai_responses.response import Item
from llmgw.dialects.openai_responses.spelling import NAME, to_client
from llmgw.errors import CallError

_decode: Final = msgspec.json.Decoder(msgspec.Raw).decode


class Writer:
    """Implements `StreamWriter`."""

    def __init__(self, chat: Chat, stamp: Stamp) -> None:
        self._stamp = stamp
        self._response = response.base(chat, stamp)
        self._origin = NAME
        self._number = 0
        self._output: list[Item] = []
        self._message: _Message | None = None
        self._thought: _Thought | None = None
        self._calls: dict[int, _Call] = {}
        self._native: dict[int, int] = {}
        self._finish: Finish | None = None
        self._usage: Usage | None = None

    def write(self, event: Event) -> bytes:
        if isinstance(event, TextDelta | RefusalDelta):
            return self._say(event)
        if isinstance(event, ToolDelta):
            return self._call(event)
        if isinstance(event, ThoughtDelta):
            return self._think(event)
        if isinstance(event, UsageEvent):
            self._usage = event.usage
        elif isinstance(event, FinishEvent):
            if event.choice == 0:
                self._finish = event.finish
        elif isinstance(event, Start):
            return self._start(event)
        elif isinstance(event, CitationDelta):
            return self._cite(event)
        elif isinstance(event, NativeDelta):
            return self._pass_on(event)
        elif isinstance(event, Failure):
            return self._error(failure.written(event.error))
        elif isinstance(event, End):
            return self._end()
        return b""  # a medium: this API has no place for it

    def broken(self, error: CallError, request_id: str) -> bytes:
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        return self._error({"message": error.message, "type": kind, "param": error.param, "code": error.code})

    def _event(self, kind: str, **members: Json) -> bytes:
        data = to_client({"type": kind, "sequence_number": self._number, **members})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def _error(self, error: dict[str, Json]) -> bytes:
        # The API's event has the fields themselves; `error` is what the SDK raises on.
        return self._event(
            "error", code=error["code"], message=error["message"], param=error["param"], error=error
        )

    def _start(self, event: Start) -> bytes:
        self._origin = event.dialect
        if event.model is not None:
            self._response["model"] = event.model
        if event.service_tier in response.TIERS:
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

    # messages

    def _say(self, event: TextDelta | RefusalDelta) -> bytes:
        if event.choice:
            return b""  # alternatives: nobody could ask for them
        written = self._close_thought() + self._close_calls()
        if isinstance(event, TextDelta) and event.signature is not None and self._origin == seal.SIGNER:
            written += self._close_message()
            written += self._sealed(seal.write(seal.SIGNER, "t", event.signature))
        if self._message is None:
            item = answer_writer.message(f"msg_{self._stamp.id}_{len(self._output)}", "in_progress")
            index, opened = self._open(item)
            self._message = _Message(index, item)
            written += opened
        message = self._message
        refuses = isinstance(event, RefusalDelta)
        if message.block != event.block or message.refuses != refuses:
            written += self._close_part(message)
            message.block, message.refuses, message.text = event.block, refuses, ""
            message.annotations, message.logprobs = [], []
            written += self._event("response.content_part.added", **message.place(), part=message.part())
        message.text += event.text
        if isinstance(event, RefusalDelta):
            return written + self._event("response.refusal.delta", **message.place(), delta=event.text)
        message.logprobs += event.logprobs or []
        return written + self._event(
            "response.output_text.delta", **message.place(), delta=event.text, logprobs=event.logprobs or []
        )

    def _cite(self, event: CitationDelta) -> bytes:
        message = self._message
        if message is None or message.block != event.block or event.choice:
            return b""  # its text is closed: the API cites within it
        annotation = answer_writer.annotation(event.citation, len(message.text))
        if annotation is None:
            return b""
        message.annotations.append(annotation)
        return self._event(
            "response.output_text.annotation.added",
            **message.place(),
            annotation_index=len(message.annotations) - 1,
            annotation=annotation,
        )

    def _close_part(self, message: _Message) -> bytes:
        if message.block is None:
            return b""
        place, part = message.place(), message.part()
        if message.refuses:
            done = self._event("response.refusal.done", **place, refusal=message.text)
        else:
            done = self._event(
                "response.output_text.done", **place, text=message.text, logprobs=message.logprobs
            )
        message.item["content"].append(part)
        message.block = None
        return done + self._event("response.content_part.done", **place, part=part)

    def _close_message(self) -> bytes:
        message, self._message = self._message, None
        if message is None:
            return b""
        closed = self._close_part(message)
        return closed + self._close(message.index, {**message.item, "status": "completed"})

    # thoughts

    def _sealed(self, encrypted: str) -> bytes:
        """A whole reasoning item without text."""
        item = answer_writer.reasoning(f"rs_{self._stamp.id}_{len(self._output)}", "", encrypted)
        index, opened = self._open(item)
        return opened + self._close(index, item)

    def _think(self, event: ThoughtDelta) -> bytes:
        if event.choice:
            return b""
        written = self._close_message() + self._close_calls()
        thought = self._thought
        if thought is not None and thought.block != event.block:
            written += self._close_thought()
            thought = None
        if thought is None:
            identity = event.id or f"rs_{self._stamp.id}_{len(self._output)}"
            index, opened = self._open(answer_writer.reasoning(identity, "", None))
            thought = self._thought = _Thought(index, event.block, identity)
            written += opened
        thought.signature = event.signature or thought.signature
        thought.redacted = event.redacted or thought.redacted
        if not event.text:
            return written
        if not thought.text:
            empty = {"type": "summary_text", "text": ""}
            written += self._event("response.reasoning_summary_part.added", **thought.place(), part=empty)
        thought.text += event.text
        return written + self._event(
            "response.reasoning_summary_text.delta", **thought.place(), delta=event.text
        )

    def _close_thought(self) -> bytes:
        thought, self._thought = self._thought, None
        if thought is None:
            return b""
        written = b""
        if thought.text:
            part = {"type": "summary_text", "text": thought.text}
            written += self._event(
                "response.reasoning_summary_text.done", **thought.place(), text=thought.text
            )
            written += self._event("response.reasoning_summary_part.done", **thought.place(), part=part)
        whole = Thought(text=thought.text, signature=thought.signature, redacted=thought.redacted)
        encrypted = seal.encrypted(whole, self._origin)
        return written + self._close(
            thought.index, answer_writer.reasoning(thought.identity, thought.text, encrypted)
        )

    # calls

    def _call(self, event: ToolDelta) -> bytes:
        if event.choice:
            return b""
        call = self._calls.get(event.block)
        written = b""
        if call is None:
            written = self._close_message() + self._close_thought() + self._close_calls()
            if event.signature is not None:
                written += self._sealed(seal.write(seal.SIGNER, "c", event.signature))
            made = ToolCall(id=event.id, name=event.name or "", arguments="", custom=event.custom)
            item = answer_writer.call(made, len(self._output), self._stamp, "in_progress")
            index, opened = self._open(item)
            call = self._calls[event.block] = _Call(index, item, event.custom)
            written += opened
        if not event.arguments:
            return written
        call.arguments += event.arguments
        kind = "response.custom_tool_call_input" if call.custom else "response.function_call_arguments"
        return written + self._event(
            f"{kind}.delta", item_id=call.item["id"], output_index=call.index, delta=event.arguments
        )

    def _close_calls(self, *, all_of_them: bool = False) -> bytes:
        """Close the calls that are whole; a call that is not may still get arguments."""
        written = b""
        for block, call in list(self._calls.items()):
            if call.closed or not (all_of_them or call.is_whole()):
                continue
            call.closed = True
            written += self._close_call(call)
            if all_of_them:
                del self._calls[block]
        return written

    def _close_call(self, call: _Call) -> bytes:
        place = {"item_id": call.item["id"], "output_index": call.index}
        if call.custom:
            done = self._event("response.custom_tool_call_input.done", **place, input=call.arguments)
            return done + self._close(
                call.index, {**call.item, "input": call.arguments, "status": "completed"}
            )
        arguments = call.arguments or "{}"
        done = self._event(
            "response.function_call_arguments.done", **place, name=call.item["name"], arguments=arguments
        )
        return done + self._close(call.index, {**call.item, "arguments": arguments, "status": "completed"})

    # the rest

    def _pass_on(self, event: NativeDelta) -> bytes:
        """An event of one of OpenAI's own tools, for its own client."""
        if event.dialect != NAME or not isinstance(event.data, dict):
            return b""
        data = {name: value for name, value in event.data.items() if name not in ("type", "sequence_number")}
        index, item = data.get("output_index"), data.get("item")
        if event.kind == "response.output_item.added" and isinstance(index, int) and isinstance(item, dict):
            written = self._close_message() + self._close_thought() + self._close_calls()
            self._native[index], opened = self._open(item)
            return written + opened
        if isinstance(index, int):
            place = self._native.get(index)
            if place is None:
                return b""
            data["output_index"] = place
            if event.kind == "response.output_item.done" and isinstance(item, dict):
                return self._close(place, item)
        return self._event(event.kind, **data)

    def _end(self) -> bytes:
        written = self._close_message() + self._close_thought() + self._close_calls(all_of_them=True)
        whole = response.ended(self._response, self._output, self._finish, self._usage)
        return written + self._event(f"response.{whole['status']}", response=whole)


class _Message:
    """The message that is open, and its part."""

    __slots__ = ("annotations", "block", "index", "item", "logprobs", "refuses", "text")

    def __init__(self, index: int, item: Item) -> None:
        self.index = index
        self.item = item
        self.block: int | None = None
        self.refuses = False
        self.text = ""
        self.annotations: list[Item] = []
        self.logprobs: list[Json] = []

    def place(self) -> dict[str, Json]:
        return {
            "item_id": self.item["id"],
            "output_index": self.index,
            "content_index": len(self.item["content"]),
        }

    def part(self) -> Item:
        if self.refuses:
            return {"type": "refusal", "refusal": self.text}
        return {
            "type": "output_text",
            "text": self.text,
            "annotations": list(self.annotations),
            "logprobs": list(self.logprobs),
        }


class _Thought:
    """The reasoning item that is open."""

    __slots__ = ("block", "identity", "index", "redacted", "signature", "text")

    def __init__(self, index: int, block: int, identity: str) -> None:
        self.index = index
        self.block = block
        self.identity = identity
        self.text = ""
        self.signature: str | None = None
        self.redacted: str | None = None

    def place(self) -> dict[str, Json]:
        return {"item_id": self.identity, "output_index": self.index, "summary_index": 0}


class _Call:
    """A tool call that has begun."""

    __slots__ = ("arguments", "closed", "custom", "index", "item")

    def __init__(self, index: int, item: Item, custom: bool) -> None:
        self.index = index
        self.item = item
        self.custom = custom
        self.arguments = ""
        self.closed = False

    def is_whole(self) -> bool:
        """Whether no more arguments can come."""
        try:
            _decode(self.arguments)
        except msgspec.DecodeError:
            return False
        return not self.custom
