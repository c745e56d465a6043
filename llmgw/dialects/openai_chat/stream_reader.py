"""This API's stream as events.

Source: the published description (`CreateChatCompletionStreamResponse`) and recorded traffic of OpenAI and its
hosts, whose streams differ: chunks without choices first (Azure) or with usage all along (Perplexity), usage in
`x_groq`, content as an array (Mistral), a finish reason told twice (OpenRouter), no `[DONE]` (Perplexity), errors as
an event of their own. The chat has one text and one line of thoughts; a block ends where another kind begins.
"""

from __future__ import annotations

from typing import Any, Final

from llmgw.canonical import (
    End,
    Event,
    Failure,
    Finish,
    Json,
    NativeDelta,
    Start,
    UsageEvent,
)
from llmgw.dialects import members
from llmgw.dialects.members import of_provider
from llmgw.dialects.openai_chat import answer_reader, failure, finish, raw, sources
from llmgw.dialects.openai_chat.spelling import NAME, keep
from llmgw.dialects.openai_chat.stream_choice import ChoiceReader
from llmgw.dialects.sse import ServerSentEvent, Splitter
from llmgw.errors import UpstreamFailed

_KNOWN: Final = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "obfuscation", "p", "error"}
)
"""Members of a chunk that are read; `obfuscation` and Mistral's `p` are padding."""
_DONE: Final = b"[DONE]"


class Reader:
    """Reads one stream; implements `StreamReader`. Memory: one unfinished event and the arguments of calls."""

    __slots__ = ("_choices", "_head", "_native", "_over", "_splitter", "_started", "_usage")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._choices: dict[int, ChoiceReader] = {}
        self._head: dict[str, Any] = {}
        self._native: dict[str, Json] = {}
        self._usage: Json = None
        self._started = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        return self._read(self._splitter.feed(data))

    def end(self) -> list[Event]:
        read = self._read(self._splitter.end())
        if self._over:
            return read
        if not self._choices or not all(choice.finished for choice in self._choices.values()):
            raise UpstreamFailed(
                "The provider's stream ended without a finish reason; its answer is not complete."
            )
        self._over = True
        return [*read, End()]

    def _read(self, received: list[ServerSentEvent]) -> list[Event]:
        out: list[Event] = []
        for event in received:
            if self._over:
                break  # nothing follows the end of an answer
            if not event.data:
                continue
            if event.data == _DONE:
                self._done(out)
            else:
                self._chunk(members.answer_object(event.data), event.name, out)
        return out

    def _chunk(self, chunk: dict[str, Any], name: bytes, out: list[Event]) -> None:
        if name == b"error" or ("error" in chunk and failure.is_error(chunk)):
            self._fail(chunk, out)
            return
        choices = chunk.get("choices")
        if choices is None:
            choices = []
        elif type(choices) is not list:
            raise of_provider("choices", "an array")
        changed = None
        for member in chunk.keys() - _KNOWN:
            value = chunk[member]
            if value is not None and self._native.get(member) != value:
                changed = {} if changed is None else changed
                changed[member] = self._native[member] = value
        if not self._started:
            self._begin(chunk, bool(choices), out)
        elif changed:
            self._beside(changed, out)
        for piece in choices:
            self._piece(piece, out)
            if self._over:
                return
        if chunk.get("usage") is not None or "x_groq" in chunk:
            self._count(chunk, out)

    def _begin(self, chunk: dict[str, Any], spoken: bool, out: list[Event]) -> None:
        """Start, as soon as a chunk says something of the answer: Azure's first one has no id yet."""
        for name, kinds in _HEAD.items():
            value = chunk.get(name)
            if value is not None and type(value) not in kinds:
                raise of_provider(name, "a number" if name == "created" else "a string")
            if value:
                self._head[name] = int(value) if name == "created" else value
        if not spoken and chunk.get("usage") is None:
            return
        self._start(out)

    def _start(self, out: list[Event]) -> None:
        self._started = True
        native = dict(self._native)
        tier = native.pop("service_tier", None)
        if tier is not None and type(tier) is not str:
            raise of_provider("service_tier", "a string")
        found = sources.listed(native)
        words = {name: native.pop(name) for name in [*native] if found and name in sources.LISTS}
        self._list(native | words)
        start = Start(
            dialect=NAME,
            id=self._head.get("id"),
            model=self._head.get("model"),
            created=self._head.get("created"),
            service_tier=tier or None,
            native=keep(native, words),
        )
        out.append(start)

    def _list(self, native: dict[str, Json]) -> None:
        found = sources.listed(native)
        if found:
            self._choice(0).cite(found)

    def _beside(self, changed: dict[str, Json], out: list[Event]) -> None:
        self._list(changed)
        last = self._choices[0].last if 0 in self._choices else 0
        out.append(NativeDelta(dialect=NAME, kind=raw.CHUNK, data=changed, block=last))

    def _choice(self, index: int) -> ChoiceReader:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = ChoiceReader(index)
        return choice

    def _piece(self, piece: Json, out: list[Event]) -> None:
        if type(piece) is not dict:
            raise of_provider("choices", "an array of objects")
        index = piece.get("index")
        if index is None:
            index = 0
        elif type(index) is not int or not 0 <= index < 1 << 16:
            raise of_provider("choices[].index", "a small whole number")
        if "error" in piece and failure.is_error(piece):
            self._fail(piece, out)
            return
        self._choice(index).read(piece, out)

    def _count(self, chunk: dict[str, Any], out: list[Event]) -> None:
        counted = answer_reader.used(chunk)
        if counted is not None and counted != self._usage:
            self._usage = counted
            out.append(UsageEvent(usage=counted))

    def _fail(self, chunk: dict[str, Any], out: list[Event]) -> None:
        if not self._started:
            self._start(out)
        if type(chunk.get("usage")) is dict:
            self._count(chunk, out)
        self._over = True
        out.append(Failure(error=failure.of_event(chunk)))

    def _done(self, out: list[Event]) -> None:
        if not self._choices:
            raise UpstreamFailed("The provider's stream ended without an answer.")
        for index, choice in self._choices.items():
            if not choice.finished:
                # The host says that it is complete, but not why.
                said = choice.said
                choice.finish(finish.read(said) if said is not None else Finish(reason="other"), out, index)
        self._over = True
        out.append(End())


_HEAD: Final[dict[str, tuple[type, ...]]] = {"id": (str,), "model": (str,), "created": (int, float)}
"""Members that say which answer it is, and the types they may have."""
