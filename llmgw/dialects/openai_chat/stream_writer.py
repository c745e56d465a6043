"""Events as the stream of a client of this API.

Source: the published description and OpenAI's own streams: each choice begins with its role, its last chunk has the
finish reason and an empty delta, usage comes in a chunk without choices and only where it was asked for, `[DONE]`
last. An error takes the place of all that and has no `[DONE]` behind it. Nothing waits but citations whose end in
the text is where their block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from llmgw.canonical import (
    Chat,
    Citation,
    CitationDelta,
    End,
    Event,
    Failure,
    Finish,
    FinishEvent,
    Json,
    MediaDelta,
    NativeDelta,
    PlainText,
    RefusalDelta,
    Start,
    Stored,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.codec import Losses, Stamp
from llmgw.dialects.json_text import to_client
from llmgw.dialects.openai import CHAT_COMPLETIONS, OpenAI
from llmgw.dialects.openai_chat import (
    answer_writer,
    calls,
    failure,
    finish,
    logprobs,
    media,
    raw,
    sources,
    thoughts,
    usage,
)
from llmgw.dialects.openai_chat.spelling import NAME, words_of
from llmgw.errors import CallError

_DIALECT: Final = OpenAI()
_REPEATED: Final = "system_fingerprint"
"""The member of a chunk beyond the neutral ones that each chunk has."""


class Writer:
    """Writes one stream; implements `StreamWriter`."""

    __slots__ = (
        "_chat", "_choices", "_ids", "_legacy", "_origin", "_prefix", "_stamp", "_suffix", "_usage", "losses",
    )  # fmt: skip

    def __init__(self, chat: Chat, stamp: Stamp, losses: Losses) -> None:
        self.losses = losses
        self._chat = chat
        self._stamp = stamp
        self._ids = answer_writer.CallIds(stamp, own=True)
        self._legacy = answer_writer.is_legacy(chat)
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._suffix = b',"usage":null}\n\n' if chat.include_usage else b"}\n\n"
        self._origin = NAME
        self._prefix = b""

    def write(self, event: Event) -> bytes:
        if isinstance(event, Start):
            return self._start(event)
        if isinstance(event, UsageEvent):
            self._usage = event.usage
            return b""
        if isinstance(event, End):
            return self._end()
        if isinstance(event, Failure):
            return failure.write_event(event.error)
        choice = self._choices.get(event.choice)
        if choice is None:
            choice = self._choices[event.choice] = _Choice(self, event.choice)
        return choice.write(event)

    def broken(self, error: CallError, request_id: str) -> bytes:
        return _DIALECT.stream_error(CHAT_COMPLETIONS, error, request_id, b"")

    def _start(self, start: Start) -> bytes:
        self._origin = start.dialect
        own = start.dialect == NAME
        self._ids = answer_writer.CallIds(self._stamp, own=own)
        head: dict[str, Json] = {
            "id": answer_writer.answer_id(start.id, own, self._stamp),
            "object": "chat.completion.chunk",
            "created": self._stamp.created if start.created is None else start.created,
            "model": start.model or self._chat.model,
        }
        if start.service_tier is not None and (own or start.service_tier in answer_writer.TIERS):
            head["service_tier"] = start.service_tier
        native = {**start.native, **words_of(start.native)} if own else {}
        if _REPEATED in native:
            head[_REPEATED] = native.pop(_REPEATED)
        self._prefix = b"data: " + to_client(head)[:-1]
        return self.chunk([], native) if native else b""

    def chunk(self, choices: list[Json], members: Mapping[str, Json]) -> bytes:
        """One chunk; `members` stand beside the choices."""
        piece = self._prefix + b',"choices":' + to_client(choices)
        if members:
            piece += b"," + to_client(members)[1:-1]
        return piece + (b"}\n\n" if "usage" in members else self._suffix)

    def around(self, index: int) -> tuple[bytes, bytes]:
        """What stands before and after a delta of a choice that says nothing else."""
        before = self._prefix + b',"choices":[{"index":%d,"delta":' % index
        return before, b',"logprobs":null,"finish_reason":null}]' + self._suffix

    def _end(self) -> bytes:
        done = b"data: [DONE]\n\n"
        if not self._chat.include_usage:
            return done
        counts = usage.write(self._usage, own=self._origin == NAME)
        return done if counts is None else self.chunk([], {"usage": counts}) + done

    @property
    def origin(self) -> str:
        """The dialect of the provider."""
        return self._origin

    @property
    def legacy(self) -> bool:
        """Whether the client knows only the older `functions`."""
        return self._legacy

    @property
    def ids(self) -> answer_writer.CallIds:
        return self._ids


class _Choice:
    """Writes the events of one choice."""

    __slots__ = (
        "_after",
        "_annotations",
        "_before",
        "_block",
        "_calls",
        "_covered",
        "_details",
        "_images",
        "_index",
        "_length",
        "_refused",
        "_signed",
        "_sources",
        "_start",
        "_stream",
        "_thought",
    )

    def __init__(self, stream: Writer, index: int) -> None:
        self._stream = stream
        self._index = index
        self._before, self._after = stream.around(index)
        self._block = -1
        self._start = 0
        self._length = 0
        self._calls: dict[int, tuple[int, bool]] = {}
        self._covered = 0
        self._details = 0
        self._thought = (-1, 0)
        self._sources: list[Citation] = []
        self._annotations = 0
        self._images = 0
        self._signed = False
        self._refused = False

    @property
    def _own(self) -> bool:
        return self._stream.origin == NAME

    def write(self, event: Any) -> bytes:
        if self._covered:
            self._covered -= 1
            return b""
        if type(event) is FinishEvent:
            return self._finish(event.finish)
        if type(event) is NativeDelta:
            return self._native(event)
        if event.block == self._block:
            return _WRITERS[type(event)](self, event)
        head = self._role(event) if self._block < 0 else self._cite()
        self._block = event.block
        self._start = self._length
        return head + _WRITERS[type(event)](self, event)

    def _delta(self, delta: Mapping[str, Json]) -> bytes:
        return self._before + to_client(delta) + self._after

    def _role(self, event: Event | None) -> bytes:
        silent = event is not None and not isinstance(event, TextDelta)
        return self._delta({"role": "assistant", "content": None if silent else "", "refusal": None})

    def _text(self, event: TextDelta) -> bytes:
        self._length += len(event.text)
        delta: dict[str, Json] = {"content": event.text}
        if event.signature is not None:
            delta = self._sign(event.text, event.signature)
        if event.logprobs is None:
            return self._delta(delta)
        return self._choice(
            {"delta": delta, "logprobs": logprobs.write(event.logprobs), "finish_reason": None}
        )

    def _sign(self, text: str, signature: str) -> dict[str, Json]:
        """Gemini's signature of the text: the first in its own member, for which there is one place."""
        delta: dict[str, Json] = {"content": text} if text else {}
        if not self._signed:
            self._signed = True
            return delta | calls.extra_content(signature)
        return delta | {thoughts.DETAILS: [thoughts.encrypted(signature, "gemini", self._number(), None)]}

    def _number(self) -> int:
        """The place of a new detail."""
        self._details += 1
        return self._details - 1

    def _choice(self, members: Mapping[str, Json]) -> bytes:
        return self._stream.chunk([{"index": self._index, **members}], {})

    def _refusal(self, event: RefusalDelta) -> bytes:
        self._refused = True
        return self._delta({"refusal": event.text})

    def _think(self, event: ThoughtDelta) -> bytes:
        origin = self._stream.origin
        if origin == NAME and event.signature is None and event.redacted is None:
            return self._delta({thoughts.TEXTS[0]: event.text}) if event.text else b""
        details: list[Json] = []
        if origin == NAME:
            thought = Thought(text="", signature=event.signature, redacted=event.redacted)
            details.append(thoughts.unsealed(thought, self._number()))
        elif event.text or event.signature is not None or event.redacted is None:
            details.append(self._piece(event, origin))
        if origin != NAME and event.redacted is not None:
            details.append(thoughts.encrypted(event.redacted, origin, self._number(), event.id))
        delta: dict[str, Json] = {thoughts.TEXTS[0]: event.text} if event.text else {}
        return self._delta(delta | {thoughts.DETAILS: details})

    def _piece(self, event: ThoughtDelta, origin: str) -> Json:
        block, number = self._thought
        if block == event.block:
            return thoughts.piece(origin, number, event.text, event.signature)
        number = self._number()
        self._thought = (event.block, number)
        said = thoughts.piece(origin, number, event.text, event.signature)
        return said | thoughts.head(origin, event.id)

    def _call(self, event: ToolDelta) -> bytes:
        known = self._calls.get(event.block)
        if known is None:
            known = self._calls[event.block] = (len(self._calls), event.custom)
        number, custom = known
        kind, member = ("custom", "input") if custom else ("function", "arguments")
        if self._stream.legacy:
            return self._older(event, number)
        said: dict[str, Json] = {"index": number}
        if event.name is None:
            said[kind] = {member: event.arguments}
        else:
            said["id"] = self._stream.ids.take(event.id)
            said["type"] = kind
            said[kind] = {"name": event.name, member: event.arguments}
        if event.signature is not None:
            said |= calls.extra_content(event.signature)
        return self._delta({"tool_calls": [said]})

    def _older(self, event: ToolDelta, number: int) -> bytes:
        """The older member has room for one call."""
        if number:
            self._stream.losses.advise("part.tool_call")
            return b""
        named = {} if event.name is None else {"name": event.name}
        return self._delta({"function_call": {**named, "arguments": event.arguments}})

    def _cited(self, event: CitationDelta) -> bytes:
        if self._own and sources.is_listed(event.citation):
            return b""
        self._sources.append(event.citation)
        return b"" if event.citation.end is None else self._cite()

    def _cite(self) -> bytes:
        """The citations that were held back."""
        annotations = []
        for one in self._sources:
            said = sources.annotation(one, self._stream.origin, self._start, self._length)
            if said is None:
                self._stream.losses.advise("part.citations")
            else:
                annotations.append({"index": self._annotations, **said})
                self._annotations += 1
        self._sources.clear()
        return self._delta({"annotations": annotations}) if annotations else b""

    def _draw(self, event: MediaDelta) -> bytes:
        found = event.media.source
        if event.media.kind != "image" or isinstance(found, Stored | PlainText):
            self._stream.losses.advise(f"part.{event.media.kind}")
            return b""
        image = {"index": self._images, "type": "image_url", "image_url": {"url": media.url(found)}}
        self._images += 1
        return self._delta({"images": [image]})

    def _native(self, event: NativeDelta) -> bytes:
        if event.dialect != NAME:
            if event.part is not None:
                self._stream.losses.advise(f"part.{event.part}")
            return b""
        if event.kind == raw.CHUNK:
            return self._stream.chunk([], event.data)
        head = b""
        if self._block < 0:
            head = self._role(event)
            self._block = event.block
        if event.kind == raw.RAW:
            self._covered = event.data["covers"]
            return head + self._delta(event.data["delta"])
        if event.kind == raw.DELTA:
            return head + self._delta(event.data)
        return head + self._choice({"delta": {}, "finish_reason": None, **event.data})

    def _finish(self, reason: Finish) -> bytes:
        head = self._role(None) if self._block < 0 else self._cite()
        self._block = max(self._block, 0)
        explained = None if self._own or self._refused else finish.refusal(reason)
        if explained is not None:
            head += self._delta({"refusal": explained})
        word = finish.write(reason, own=self._own, called=bool(self._calls), legacy=self._stream.legacy)
        return head + self._choice({"delta": {}, "logprobs": None, "finish_reason": word})


_WRITERS: Final[Mapping[type, Callable[[_Choice, Any], bytes]]] = {
    TextDelta: _Choice._text,
    RefusalDelta: _Choice._refusal,
    ThoughtDelta: _Choice._think,
    ToolDelta: _Choice._call,
    CitationDelta: _Choice._cited,
    MediaDelta: _Choice._draw,
}
