"""Whether an answer is one to keep: the checks on which a cascade goes on to a better model.

An answer is read by the codec of its endpoint, whole or as it streams, and judged by what it says of itself: why it
ended, whether it holds a refusal, and whether its JSON keeps to what the request asked for. Nothing is guessed from
words. A doubt is no reason: what cannot be read, or cannot be judged in bounded time, passes, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from llmgw.canonical import (
    Answer,
    Chat,
    End,
    Event,
    FinishEvent,
    Json,
    JsonFormat,
    Refusal,
    RefusalDelta,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolDelta,
)
from llmgw.canonical import Reason as Ended
from llmgw.dialects import json_schema, sse
from llmgw.dialects.codec import StreamReader
from llmgw.dialects.dialect import Endpoint
from llmgw.dialects.known import CODECS
from llmgw.dialects.openai import COMPLETIONS
from llmgw.dialects.openai_chat import finish as chat_finish
from llmgw.errors import CallError, UpstreamFailed

Reason = Literal["refusal", "length", "schema"]
"""`refusal`: the model, or its provider's filter, will not answer. `length`: the answer was cut off. `schema`: it is
not the JSON that was asked for, or the call of a tool that does not keep to the tool's parameters."""

ANSWER_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of a plain answer at most; a larger one is not read."""
TEXT_LIMIT: Final = 512 * 1024
"""Characters of the texts and arguments of an answer that are held against schemas at most."""

_ENDS: Final[Mapping[Ended, Reason]] = {
    "refusal": "refusal",
    "content_filter": "refusal",
    "length": "length",
    "context_length": "length",  # another model's window may be larger
    "malformed_tool_call": "schema",
}


class Expected(Struct, frozen=True):
    """What a request asks of the shape of its answer."""

    format: JsonFormat | None
    tools: Mapping[str, Json]
    """Schemas of the arguments by the tools' names."""


class Verdict(Struct, frozen=True):
    """What the checks found."""

    reasons: frozenset[Reason] = frozenset()
    """Which of them failed."""
    unjudged: str | None = None
    """Why the answer, or a part of it, could not be checked: one clause."""


def expected(chat: Chat) -> Expected | None:
    """What `chat` asks for; None where any answer will do."""
    tools = {
        tool.name: tool.parameters
        for tool in chat.tools
        if isinstance(tool, Tool) and not tool.custom and tool.parameters is not None
    }
    return Expected(chat.format, tools) if tools or chat.format is not None else None


def expected_of(endpoint: Endpoint, raw: bytes, query: bytes = b"") -> Expected | None:
    """The same of a client's request as it came; None, too, where it cannot be read."""
    codec = CODECS.get(endpoint.name)
    if codec is None:
        return None
    in_path = ("model", endpoint.streams) if endpoint.names_model else (None, None)
    try:
        return expected(codec.read_request(raw, model=in_path[0], stream=in_path[1], query=query))
    except CallError:
        return None


def of_answer(
    endpoint: Endpoint, body: bytes, checks: frozenset[Reason], asked: Expected | None = None
) -> Verdict:
    """Judge a whole plain answer of status 200; never raises.

    Args:
        endpoint: in whose format it is.
        checks: those wanted.
        asked: what `schema` is judged by; without it that check finds only calls that the provider itself calls
            malformed.
    """
    if len(body) > ANSWER_LIMIT:
        return Verdict(unjudged=f"the answer is larger than {ANSWER_LIMIT >> 20} MiB")
    try:
        if endpoint.name == COMPLETIONS.name:
            judge = _Judge(checks, None)
            for event in _completed(body):
                judge.event(event)
            return judge.verdict(is_whole=True)
        codec = CODECS.get(endpoint.name)
        return Verdict() if codec is None else of_read(codec.read_answer(body), checks, asked)
    except _UNREADABLE:
        return Verdict(unjudged="the answer cannot be read")


def of_read(answer: Answer, checks: frozenset[Reason], asked: Expected | None = None) -> Verdict:
    """The same of an answer that is read in order to be translated: not every client's API can say all of it."""
    judge = _Judge(checks, asked)
    judge.answer(answer)
    return judge.verdict(is_whole=True)


class Listener:
    """Judges one stream as its bytes come, in whatever pieces. Memory: an unfinished event and, where `schema` is
    judged, the texts."""

    __slots__ = ("_is_whole", "_judge", "_reader", "_unreadable")

    def __init__(self, endpoint: Endpoint, checks: frozenset[Reason], asked: Expected | None = None) -> None:
        """The arguments are those of `of_answer`."""
        self._judge = _Judge(checks, asked)
        self._reader: StreamReader | None = None
        if endpoint.name == COMPLETIONS.name:
            self._reader = _Completions()
        elif endpoint.name in CODECS:
            self._reader = CODECS[endpoint.name].stream_reader()
        self._unreadable = False
        self._is_whole = False

    @property
    def found(self) -> frozenset[Reason]:
        """What is certain before the end: a refusal or a cut."""
        return self._judge.found

    def feed(self, data: bytes) -> None:
        """Take the next bytes; never raises."""
        if self._reader is None or self._unreadable:
            return
        try:
            self.note(self._reader.feed(data))
        except _UNREADABLE:
            self._unreadable = True

    def note(self, events: Iterable[Event]) -> None:
        """Take events instead of bytes, of a stream that is read in order to be translated."""
        for event in events:
            if isinstance(event, End):
                self._is_whole = True
            else:
                self._judge.event(event)

    def end(self) -> Verdict:
        """The stream has ended; of one that is not complete only `found` counts."""
        if self._reader is not None and not self._unreadable and not self._is_whole:
            try:
                self.note(self._reader.end())
            except _UNREADABLE:
                self._unreadable = True
        return self._judge.verdict(is_whole=self._is_whole)


_UNREADABLE: Final = (UpstreamFailed, msgspec.MsgspecError, UnicodeError, RecursionError)


class _Choice:
    """One of the alternatives as far as it is known."""

    __slots__ = ("calls", "ended", "refused", "texts")

    def __init__(self) -> None:
        self.texts: dict[int, list[str]] = {}
        self.calls: dict[int, tuple[str | None, list[str]]] = {}
        """Names and pieces of arguments by block; calls whose input is no JSON have no name here."""
        self.ended: Ended | None = None
        self.refused = False


class _Judge:
    """Gathers what an answer says. `found`: the reasons that are certain."""

    __slots__ = ("_asked", "_checks", "_choices", "_size", "_steps", "found")

    def __init__(self, checks: frozenset[Reason], asked: Expected | None) -> None:
        self._checks = checks
        self._asked = asked if "schema" in checks else None
        self._choices: dict[int, _Choice] = {}
        self._size = 0
        self._steps = json_schema.STEPS
        self.found: frozenset[Reason] = frozenset()

    def answer(self, answer: Answer) -> None:
        for choice in answer.choices:
            for block, part in enumerate(choice.parts):
                if isinstance(part, Text):
                    self._text(choice.index, block, part.text)
                elif isinstance(part, Refusal):
                    self._refused(choice.index, part.text)
                elif isinstance(part, ToolCall):
                    self._call(choice.index, block, None if part.custom else part.name, part.arguments)
            if choice.finish is not None:
                self._end(choice.index, choice.finish.reason)

    def event(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self._text(event.choice, event.block, event.text)
        elif isinstance(event, ToolDelta):
            self._call(event.choice, event.block, None if event.custom else event.name, event.arguments)
        elif isinstance(event, RefusalDelta):
            self._refused(event.choice, event.text)
        elif isinstance(event, FinishEvent):
            self._end(event.choice, event.finish.reason)

    def verdict(self, *, is_whole: bool) -> Verdict:
        asked = self._asked
        if asked is None or "schema" in self.found:
            return Verdict(self.found, None if is_whole else _INCOMPLETE)
        if not is_whole:
            return Verdict(self.found, _INCOMPLETE)
        if self._size > TEXT_LIMIT:
            return Verdict(self.found, f"it says more than {TEXT_LIMIT >> 10} Ki characters")
        unjudged = None
        for choice in self._choices.values():
            for held, why in self._shapes(choice, asked):
                if held is False:
                    return Verdict(self.found | {"schema"})
                unjudged = unjudged or why
        return Verdict(self.found, unjudged)

    def _shapes(self, choice: _Choice, asked: Expected) -> Iterator[tuple[bool | None, str | None]]:
        """Of what the choice says, whether each is of the shape that was asked for, or why that is unknown."""
        for name, pieces in choice.calls.values():
            if name is not None and name in asked.tools:
                yield self._held("".join(pieces) or "{}", asked.tools[name])
        # A call comes in the place of the answer, and so does a refusal.
        if asked.format is None or choice.calls or choice.refused or choice.ended in _WITHOUT_ANSWER:
            return
        schema = asked.format.schema
        blocks = ["".join(pieces) for pieces in choice.texts.values()]
        held, why = self._held("".join(blocks), schema)
        if held is False and len(blocks) > 1:
            # What a model says between the calls of a provider's tools comes before its answer, in a block of its own.
            held, why = self._held(blocks[-1], schema)
        yield held, why

    def _held(self, text: str, schema: Json) -> tuple[bool | None, str | None]:
        """Whether `text` is JSON and keeps to the schema; any JSON does where there is none."""
        try:
            value = _decode(text)
        except msgspec.ValidationError:
            return None, "the answer's JSON has a number beyond what can be represented"
        except msgspec.DecodeError:
            return False, None
        except (ValueError, RecursionError):
            return None, "the answer's JSON is nested too deeply, or its text is no Unicode"
        if schema is None:
            return True, None
        found = json_schema.check(schema, value, steps=self._steps)
        self._steps -= found.steps  # of all that an answer says together
        return found.held, found.why

    def _find(self, reason: Reason | None) -> None:
        if reason is not None and reason in self._checks:
            self.found |= {reason}

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        return choice

    def _text(self, index: int, block: int, text: str) -> None:
        if self._asked is None or self._asked.format is None:
            return
        self._size += len(text)
        if self._size <= TEXT_LIMIT:
            self._choice(index).texts.setdefault(block, []).append(text)

    def _call(self, index: int, block: int, name: str | None, arguments: str) -> None:
        if self._asked is None:
            return
        self._size += len(arguments)
        if self._size > TEXT_LIMIT:
            return
        self._choice(index).calls.setdefault(block, (name, []))[1].append(arguments)

    def _refused(self, index: int, words: str) -> None:
        if words:
            self._find("refusal")
            if self._asked is not None:
                self._choice(index).refused = True

    def _end(self, index: int, ended: Ended) -> None:
        self._find(_ENDS.get(ended))
        if self._asked is not None:
            self._choice(index).ended = ended


_INCOMPLETE: Final = "the stream is not complete or cannot be read"
_WITHOUT_ANSWER: Final = frozenset(
    {"refusal", "content_filter", "pause", "tool_calls", "malformed_tool_call"}
)
"""Ends behind which the JSON is not to be expected."""
_decode: Final = msgspec.json.Decoder().decode


class _CompletionChoice(Struct):
    index: int | None = None
    finish_reason: str | None = None


class _Completion(Struct):
    choices: list[_CompletionChoice] = []


_completion: Final = msgspec.json.Decoder(_Completion).decode


def _completed(body: bytes) -> list[Event]:
    """The ends in an answer of the API that has texts alone and no codec, or in a chunk of its stream."""
    return [
        FinishEvent(finish=chat_finish.read(choice.finish_reason), choice=choice.index or 0)
        for choice in _completion(body).choices
        if choice.finish_reason is not None
    ]


class _Completions:
    """The same of its stream; implements `StreamReader` as far as a verdict needs."""

    __slots__ = ("_splitter",)

    def __init__(self) -> None:
        self._splitter = sse.Splitter()

    def feed(self, data: bytes) -> list[Event]:
        return self._read(self._splitter.feed(data))

    def end(self) -> list[Event]:
        return self._read(self._splitter.end())

    def _read(self, received: list[sse.ServerSentEvent]) -> list[Event]:
        events: list[Event] = []
        for event in received:
            if event.data == b"[DONE]":
                events.append(End())
            elif event.data:
                events += _completed(event.data)
        return events
