"""A provider's stream as events, framed as server-sent events or as one JSON array.

Every chunk is a whole `GenerateContentResponse` with some more parts. There is no terminator: an answer is complete
when each of its candidates has said why it ended (some models say so on every chunk, so only the end of the stream
makes it final). A part of plain text, which nearly every chunk is, takes a short way of its own.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from llmgw.canonical import (
    End,
    Event,
    Failure,
    FinishEvent,
    Json,
    NativeDelta,
    Start,
    TextDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.gemini import errors, finish, logprobs, usage
from llmgw.dialects.gemini.answer import tier
from llmgw.dialects.gemini.candidate import Candidate
from llmgw.dialects.gemini.json_array import ArraySplitter
from llmgw.dialects.gemini.spelling import NAME, Fields, camel
from llmgw.dialects.members import of_provider
from llmgw.dialects.sse import Splitter
from llmgw.errors import UpstreamFailed

_decode: Final = msgspec.json.Decoder().decode
_CHOICES: Final = 256
"""Candidates of one answer at most; Gemini gives 8."""
_KNOWN: Final = frozenset({"candidates", "usageMetadata", "responseId", "modelVersion"})


class _Framing(Protocol):
    def feed(self, data: bytes) -> list[bytes]: ...

    def end(self) -> list[bytes]: ...


class _Events:
    """Server-sent events as their data."""

    __slots__ = ("_splitter",)

    def __init__(self) -> None:
        self._splitter = Splitter()

    def feed(self, data: bytes) -> list[bytes]:
        return [event.data for event in self._splitter.feed(data) if event.data]

    def end(self) -> list[bytes]:
        return [event.data for event in self._splitter.end() if event.data]


class Reader:
    """Implements `StreamReader`."""

    __slots__ = ("_candidates", "_failed", "_framing", "_seen", "_started", "_usage")

    def __init__(self) -> None:
        self._framing: _Framing | None = None
        self._candidates: dict[int, Candidate] = {}
        self._failed = False
        self._started = False
        self._seen: dict[str, Json] = {}
        self._usage: Json = None

    def feed(self, data: bytes) -> list[Event]:
        if self._framing is None:
            data = data.lstrip(b"\xef\xbb\xbf \t\r\n")
            if not data:
                return []
            self._framing = ArraySplitter() if data[0] in b"[{" else _Events()
        events: list[Event] = []
        for chunk in self._framing.feed(data):
            self._chunk(chunk, events)
        return events

    def end(self) -> list[Event]:
        events: list[Event] = []
        if self._failed:
            return events
        for chunk in self._framing.end() if self._framing is not None else ():
            self._chunk(chunk, events)
        if self._failed:
            return events
        candidates = sorted(self._candidates.items())
        if not candidates or any(candidate.finish is None for _, candidate in candidates):
            raise UpstreamFailed("The provider ended the stream before the answer was complete.")
        for _, candidate in candidates:
            candidate.close(events)
        events += [FinishEvent(finish=candidate.ended(), choice=index) for index, candidate in candidates]
        events.append(End())
        return events

    def _chunk(self, raw: bytes, events: list[Event]) -> None:
        if self._failed:
            return
        try:
            data = _decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as fault:
            shown = raw[:200].decode("utf-8", "replace")
            raise UpstreamFailed(
                "The provider's stream holds an event that is not JSON.", detail=f"{fault}: {shown}"
            ) from None
        error = errors.find(data)
        if error is not None:
            self._failed = True
            if not self._started:
                events.append(Start(dialect=NAME))
            events.append(Failure(error=errors.read(502, error)))
            return
        if type(data) is not dict:
            raise UpstreamFailed("The provider's stream holds an event that is not a JSON object.")
        if "usage_metadata" in data or "model_version" in data or "response_id" in data:
            data = {camel(name): value for name, value in data.items()}
        counted = self._counted(data.get("usageMetadata"))
        if not self._started or not _KNOWN.issuperset(data):
            self._beside(data, counted, events)
        candidates = data.get("candidates")
        if candidates is not None:
            if type(candidates) is not list:
                raise of_provider("candidates", "an array")
            for position, candidate in enumerate(candidates):
                if not self._plain(candidate, position, events):
                    self._candidate(candidate, position, events)
        if counted is not None:
            events.append(UsageEvent(usage=counted))

    def _plain(self, candidate: Json, position: int, events: list[Event]) -> bool:
        """The short way: a candidate with one part of plain text and nothing else. False where it is not that."""
        try:
            parts = candidate["content"]["parts"]
            text = parts[0]["text"]
            if len(parts) != 1 or len(parts[0]) != 1 or type(text) is not str or not text:
                return False
        except (KeyError, TypeError, IndexError):
            return False
        index = candidate.get("index", position)
        if len(candidate) != 1 + ("index" in candidate) or type(index) is not int:
            return False
        if not candidate["content"].keys() <= _CONTENT:
            return False
        state = self._candidates.get(index)
        if state is None:
            state = self._open(index)
        events.append(TextDelta(text=text, choice=index, block=state.text_block(text, events)))
        return True

    def _open(self, index: int) -> Candidate:
        if not 0 <= index < _CHOICES:
            raise of_provider("candidates[].index", f"a number below {_CHOICES}")
        state = self._candidates[index] = Candidate(index)
        return state

    def _candidate(self, data: Json, position: int, events: list[Event]) -> None:
        path = f"candidates[{position}]"
        if type(data) is not dict:
            raise of_provider(path, "an object")
        candidate = Fields(data, path, of_provider)
        index = candidate.integer("index")
        if index is None:
            index = position
        state = self._candidates.get(index)
        if state is None:
            state = self._open(index)
        content = candidate.fields("content")
        parts = []
        if content is not None:
            content.text("role")
            parts = content.every("parts")
        ended = finish.read(candidate, calls=False)
        native = candidate.rest()
        tokens = native.get("logprobsResult")
        if tokens is not None:
            tokens = logprobs.read(tokens, path + ".logprobsResult", of_provider)
        state.say(parts, native, tokens, events)
        if ended is not None:
            state.finish = ended

    def _counted(self, metadata: Json) -> Usage | None:
        """What has been used so far; None where a chunk says nothing new about it."""
        if metadata is None or metadata == self._usage:
            return None
        if type(metadata) is not dict:
            raise of_provider("usageMetadata", "an object")
        before, self._usage = self._usage, dict(metadata)
        if before is not None and "promptTokenCount" not in metadata and "totalTokenCount" not in metadata:
            return None  # Vertex AI names the kind of traffic on chunks that count nothing
        return usage.read(Fields(metadata, "usageMetadata", of_provider))

    def _beside(self, data: dict[str, Json], counted: Usage | None, events: list[Event]) -> None:
        """The members of a chunk beside its candidates: on the first chunk the start, later only what is new."""
        new = {
            name: value
            for name, value in data.items()
            if name not in _KNOWN and value is not None and self._seen.get(name) != value
        }
        ended = finish.blocked(new.get("promptFeedback"))
        if not self._started:
            self._started = True
            identity, version = data.get("responseId"), data.get("modelVersion")
            for name, value in (("responseId", identity), ("modelVersion", version)):
                if value is not None and type(value) is not str:
                    raise of_provider(name, "a string")
            events.append(
                Start(dialect=NAME, id=identity, model=version, service_tier=tier(counted), native=new)
            )
        elif new:
            events.append(NativeDelta(dialect=NAME, kind="response", data=new))
        self._seen.update(new)
        if ended is not None:
            (self._candidates.get(0) or self._open(0)).finish = ended


_CONTENT: Final = frozenset({"parts", "role"})
