"""One choice of a stream: its deltas as events of numbered blocks."""

from __future__ import annotations

from typing import Any, Final

from llmgw.canonical import (
    Citation,
    CitationDelta,
    Event,
    Finish,
    FinishEvent,
    Json,
    MediaDelta,
    NativeDelta,
    RefusalDelta,
    TextDelta,
    ThoughtDelta,
)
from llmgw.dialects.members import of_provider
from llmgw.dialects.openai_chat import assistant, finish, logprobs, media, raw, thoughts
from llmgw.dialects.openai_chat.calls import signature_of
from llmgw.dialects.openai_chat.spelling import NAME, dicts
from llmgw.dialects.openai_chat.stream_calls import Calls
from llmgw.errors import UpstreamFailed

_PATH: Final = "choices[].delta."
_KNOWN: Final = frozenset({"index", "delta", "logprobs", "finish_reason", "message", "text"})
"""Members of a choice that are read; `message` and `text` repeat what the deltas say."""
_SPOKEN: Final = frozenset(
    {
        "role",
        "content",
        "refusal",
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "tool_calls",
        "function_call",
        "annotations",
        "images",
        "extra_content",
    }
)
Delta = dict[str, Any]


class ChoiceReader:
    """Reads the pieces of one choice.

    Attributes:
        finished: whether it has been told why the choice ended.
        said: an empty finish reason, where one came.
        last: the number of the block opened last; 0 where there is none.
    """

    __slots__ = (
        "_calls",
        "_current",
        "_index",
        "_native",
        "_silent",
        "_sources",
        "_spoken",
        "_waiting",
        "finished",
        "last",
        "said",
    )

    def __init__(self, index: int) -> None:
        self._index = index
        self._calls = Calls()
        self._current: tuple[str, Json] | None = None
        self._native: dict[str, Json] = {}
        self._silent = False
        self._sources: list[Citation] = []
        self._spoken = False
        self._waiting: list[tuple[str, dict[str, Json]]] = []
        self.finished = False
        self.said: str | None = None
        self.last = 0

    def cite(self, found: tuple[Citation, ...]) -> None:
        """Sources of the whole answer, to be told with its next text."""
        self._sources += found

    def read(self, piece: dict[str, Any], out: list[Event]) -> None:
        """Add the events of one piece.

        Raises:
            UpstreamFailed: it is no such piece, or comes after the end.
        """
        delta = piece.get("delta")
        if delta is None:
            delta = piece.get("message")  # all at once
        if delta is not None:
            if type(delta) is not dict:
                raise of_provider("choices[].delta", "an object")
            before = len(out)
            self._delta(delta, piece.get("logprobs"), out)
            if self.finished and any(not isinstance(event, NativeDelta) for event in out[before:]):
                raise UpstreamFailed("The provider's stream goes on with a choice after its end.")
            beyond = delta.keys() - _SPOKEN
            if beyond:
                self._beyond(raw.DELTA, {name: delta[name] for name in beyond})
        beyond = piece.keys() - _KNOWN
        if beyond:
            self._beyond(raw.CHOICE, {name: piece[name] for name in beyond})
        reason = piece.get("finish_reason")
        if self._waiting and (self._current is not None or reason):
            self._tell(out)
        if reason is None:
            return
        if type(reason) is not str:
            raise of_provider("choices[].finish_reason", "a string")
        if not reason:
            self.said = reason
        elif not self.finished:
            self.finish(finish.read(reason), out, self._index)

    def finish(self, reason: Finish, out: list[Event], index: int) -> None:
        """The end of the choice."""
        if self._silent and not self._spoken and self._current is not None:
            self._waiting.append((raw.DELTA, {"content": ""}))  # which is not null
        self._tell(out)
        last = self._calls.close(index, self.last)
        if last is not None:
            out.append(last)
        self.finished = True
        out.append(FinishEvent(finish=reason, choice=index))

    def _open(self, kind: str, key: Json = None) -> int:
        """The number of the block to go on with."""
        if self._current is None:
            self._current = (kind, key)
        elif self._current != (kind, key):
            self._current = (kind, key)
            self.last += 1
        return self.last

    def _beyond(self, kind: str, members: dict[str, Json]) -> None:
        """Members that only this API has, as far as they are news. They wait for the first block."""
        news = {}
        for name, value in members.items():
            known = f"{kind}.{name}"
            if value is not None and self._native.get(known) != value:
                news[name] = self._native[known] = value
        if news:
            self._waiting.append((kind, news))

    def _tell(self, out: list[Event]) -> None:
        for kind, data in self._waiting:
            out.append(NativeDelta(dialect=NAME, kind=kind, data=data, choice=self._index, block=self.last))
        self._waiting.clear()

    def _raw(self, delta: Delta, events: list[Event], out: list[Event]) -> None:
        """`events`, behind the delta as it was spelled."""
        block = getattr(events[0], "block", self.last) if events else self.last
        said = {"delta": delta, "covers": len(events)}
        out.append(NativeDelta(dialect=NAME, kind=raw.RAW, data=said, choice=self._index, block=block))
        out += events

    # Deltas

    def _delta(self, delta: Delta, odds: Json, out: list[Event]) -> None:
        if "reasoning_content" in delta or "reasoning" in delta or "reasoning_details" in delta:
            self._think(delta, out)
        said = delta.get("content")
        tokens = None
        if odds is not None:
            tokens, refused = logprobs.read(odds, "choices[].logprobs")
            if refused is not None:
                self._waiting.append((raw.CHOICE, {"logprobs": {"refusal": refused}}))
        extra = delta.get("extra_content")
        signature = None if extra is None else signature_of(extra)
        if type(said) is str:
            if said or tokens is not None or signature is not None:
                self._text(said, tokens, signature, out)
            else:
                self._silent = True
        elif said is not None:
            self._listed(said, out)
        elif tokens is not None or signature is not None:
            self._text("", tokens, signature, out)
        if len(delta) > 1 or said is None:
            self._rest(delta, out)

    def _text(self, text: str, tokens: Json, signature: str | None, out: list[Event]) -> None:
        block = self._open("text")
        self._spoken = True
        out.append(
            TextDelta(text=text, choice=self._index, block=block, signature=signature, logprobs=tokens)
        )
        if self._sources:
            for one in self._sources:
                out.append(CitationDelta(citation=one, choice=self._index, block=block))
            self._sources.clear()

    def _rest(self, delta: Delta, out: list[Event]) -> None:
        refusal = delta.get("refusal")
        if refusal:
            if type(refusal) is not str:
                raise of_provider(_PATH + "refusal", "a string")
            out.append(RefusalDelta(text=refusal, choice=self._index, block=self._open("refusal")))
        if delta.get("images"):
            self._draw(delta["images"], out)
        listed = delta.get("tool_calls")
        if listed:
            path = _PATH + "tool_calls"
            for said in dicts(listed, path, of_provider):
                self._call(said, path, out)
        if delta.get("function_call"):
            self._older(delta["function_call"], out)
        if delta.get("annotations"):
            self._annotate(delta["annotations"], out)

    def _listed(self, said: Json, out: list[Event]) -> None:
        """A content of parts (Mistral); its texts and thoughts are told, the whole goes to its own API."""
        parts = dicts(said, _PATH + "content", of_provider)
        events: list[Event] = []
        for part in parts:
            if part.get("type") == "text":
                if type(part.get("text")) is not str:
                    raise of_provider(_PATH + "content[].text", "a string")
                self._text(part["text"], None, None, events)
            elif part.get("type") == "thinking":
                self._muse(part.get("thinking"), events)
        self._raw({"content": parts}, events, out)

    def _muse(self, said: Json, out: list[Event]) -> None:
        for one in [said] if type(said) is not list else said:
            text = one.get("text") if type(one) is dict else one
            if type(text) is str and text:
                block = self._open("thought")
                out.append(ThoughtDelta(text=text, choice=self._index, block=block))

    def _think(self, delta: Delta, out: list[Event]) -> None:
        shown = ""
        for name in thoughts.TEXTS:
            text = delta.get(name)
            if type(text) is str:
                shown = shown or text
            elif text is not None:
                raise of_provider(_PATH + name, "a string")
        path = _PATH + thoughts.DETAILS
        details = dicts(delta.get(thoughts.DETAILS), path, of_provider)
        events: list[Event] = []
        if shown and not any(thoughts.readable(detail) for detail in details):
            events.append(ThoughtDelta(text=shown, choice=self._index, block=self._open("thought")))
        for detail in details:
            self._detail(detail, path, events)
        if details or (shown and "reasoning" in delta):
            names = (*thoughts.TEXTS, thoughts.DETAILS)
            self._raw({name: delta[name] for name in names if delta.get(name)}, events, out)
        else:
            out += events

    def _detail(self, detail: Delta, path: str, out: list[Event]) -> None:
        found = thoughts.opaque(detail, f"{path}[]", of_provider)
        sealed = found.signature or found.redacted
        key = detail.get("index")
        going_on = self._current == ("thought", key)
        if found.text or (going_on and sealed and detail.get("signature")):
            block = self._open("thought", key)
            out.append(ThoughtDelta(text=found.text, signature=sealed, choice=self._index, block=block))
        elif sealed:
            block = self._open("thought", ("sealed", self.last))
            self._current = ("thought", None)
            out.append(ThoughtDelta(redacted=sealed, choice=self._index, block=block))

    def _draw(self, listed: Json, out: list[Event]) -> None:
        path = _PATH + "images"
        for one in dicts(listed, path, of_provider):
            image = media.drawn(one)
            events: list[Event] = []
            if image is not None:
                block = self._open("image", self.last)
                self._current = ("drawn", None)
                events.append(MediaDelta(media=image, choice=self._index, block=block))
            self._raw({"images": [one]}, events, out)

    def _call(self, said: Delta, path: str, out: list[Event]) -> None:
        free = self.last if self._current is None else self.last + 1
        event = self._calls.delta(said, path, self._index, free)
        if event is None:
            return
        if event.name is not None:
            self.last = free
        self._current = ("call", event.block)
        out.append(event)

    def _older(self, said: Json, out: list[Event]) -> None:
        """The older `function_call`, of which there is one."""
        if type(said) is not dict:
            raise of_provider(_PATH + "function_call", "an object")
        if not any(said.values()):
            return
        events: list[Event] = []
        self._call({"index": -1, "function": said}, _PATH + "function_call", events)
        self._raw({"function_call": said}, events, out)

    def _annotate(self, listed: Json, out: list[Event]) -> None:
        annotations = dicts(listed, _PATH + "annotations", of_provider)
        events: list[Event] = []
        if self._current == ("text", None):
            for one in annotations:
                citation = assistant.citation(one)
                if citation is not None:
                    events.append(CitationDelta(citation=citation, choice=self._index, block=self.last))
        self._raw({"annotations": annotations}, events, out)
