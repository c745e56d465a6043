"""A neutral answer as a client's `chat.completion`.

Texts are joined, sources point into the joined text, and thoughts are shown and packed for their replay. What the
API cannot show is reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llmgw.canonical import (
    NOTHING,
    Answer,
    Chat,
    Choice,
    Inline,
    Json,
    Link,
    Media,
    Native,
    NativePart,
    Part,
    Refusal,
    Text,
    Thought,
    ToolCall,
)
from llmgw.dialects import json_text
from llmgw.dialects.codec import Losses, Stamp
from llmgw.dialects.openai_chat import (
    assistant,
    calls,
    content,
    finish,
    logprobs,
    media,
    sources,
    thoughts,
    tools,
    usage,
)
from llmgw.dialects.openai_chat.answer_reader import MESSAGE
from llmgw.dialects.openai_chat.spelling import NAME, words_of

TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
Block = dict[str, Json]


def write(answer: Answer, chat: Chat, stamp: Stamp, losses: Losses) -> bytes:
    """The body of a client's answer."""
    own = answer.dialect == NAME
    words = words_of(answer.native) if own else NOTHING
    written: dict[str, Json] = {
        "id": answer_id(answer.id, own, stamp),
        "object": "chat.completion",
        "created": stamp.created if answer.created is None else answer.created,
        "model": answer.model or chat.model,
        "choices": [_Writer(answer, chat, stamp, losses).choice(choice) for choice in answer.choices],
    }
    counts = usage.write(answer.usage, own=own)
    if counts is not None:
        written["usage"] = counts
    if answer.service_tier is not None:
        if own or answer.service_tier in TIERS:
            written["service_tier"] = answer.service_tier
        else:
            losses.advise("service_tier")
    if own:
        written.update(answer.native)
        written.update(words)
    else:
        _report(losses, (answer.native,))
        _report(losses, (NOTHING if answer.usage is None else answer.usage.native,), "usage.")
    return json_text.to_client(written)


def _report(losses: Losses, natives: Iterable[Native], prefix: str = "") -> None:
    """What only the other dialect has, as far as it says anything."""
    for native in natives:
        for name, value in native.items():
            if value:
                losses.advise(prefix + name)


def answer_id(given: str | None, own: bool, stamp: Stamp) -> str:
    """The answer's id: the host's own, or one that looks like it."""
    return given if own and given is not None else f"chatcmpl-{stamp.id}"


def is_legacy(chat: Chat) -> bool:
    """Whether the client knows only the older `functions`."""
    return chat.dialect == NAME and tools.FUNCTIONS in words_of(chat.native)


class CallIds:
    """Ids of one answer's calls: the provider's, or made from the stamp where it gives none or one twice."""

    __slots__ = ("_count", "_given", "_own", "_stamp")

    def __init__(self, stamp: Stamp, *, own: bool) -> None:
        """`own`: the ids are of this API, and stay as they are."""
        self._stamp = stamp
        self._own = own
        self._given: set[str] = set()
        self._count = 0

    def take(self, given: str | None) -> str:
        call_id = given
        while not call_id or (call_id in self._given and not self._own):
            call_id = f"call_{self._stamp.id}_{self._count}"
            self._count += 1
        self._given.add(call_id)
        return call_id


class _Writer:
    """Writes the choices of one answer."""

    def __init__(self, answer: Answer, chat: Chat, stamp: Stamp, losses: Losses) -> None:
        self._dialect: Final = answer.dialect
        self._own: Final = answer.dialect == NAME
        self._legacy = is_legacy(chat)
        self._ids = CallIds(stamp, own=self._own)
        self._losses = losses

    def choice(self, choice: Choice) -> Block:
        words = words_of(choice.native) if self._own else NOTHING
        message = self._message(choice)
        called = "tool_calls" in message or "function_call" in message
        explained = None if self._own else finish.refusal(choice.finish)
        if explained is not None and message["refusal"] is None:
            message["refusal"] = explained
        written: Block = {
            "index": choice.index,
            "message": message,
            "logprobs": logprobs.write(choice.logprobs),
            "finish_reason": finish.write(choice.finish, own=self._own, called=called, legacy=self._legacy),
        }
        if choice.finish is not None and choice.finish.sequence is not None and not self._own:
            self._losses.advise("stop_sequence")  # which one was met is not told here
        if not self._own:
            _report(self._losses, (choice.native,))
            return written
        for name, value in {**choice.native, **words}.items():
            if name.startswith(MESSAGE):
                message[name.removeprefix(MESSAGE)] = value
            else:
                written[name] = value
        message.pop(assistant.REFUSED_WITHIN, None)
        return written

    def _message(self, choice: Choice) -> Block:
        texts = [part for part in choice.parts if isinstance(part, Text)]
        refusals = [part.text for part in choice.parts if isinstance(part, Refusal)]
        silent = self._own or any(isinstance(part, Refusal | ToolCall) for part in choice.parts)
        text = "".join(part.text for part in texts)
        written: Block = {"role": "assistant", "content": text if text or not silent else None}
        written["refusal"] = "".join(refusals) if refusals else None
        within = self._own and f"{MESSAGE}{assistant.REFUSED_WITHIN}" in words_of(choice.native)
        if within or (self._own and any(_is_part(part) for part in choice.parts)):
            written["content"] = [
                _content_part(part)
                for part in choice.parts
                if isinstance(part, Text) or _is_part(part) or (within and isinstance(part, Refusal))
            ]
        if within:
            written["refusal"] = None
        self._cite(texts, written)
        self._think(choice, texts, written)
        for part in choice.parts:
            self._other(part, written)
        if self._legacy and "tool_calls" in written:
            self._older(written)
        return written

    def _cite(self, texts: list[Text], written: Block) -> None:
        annotations: list[Block] = []
        at = 0
        for part in texts:
            end = at + len(part.text)
            for one in part.citations:
                if self._own and sources.is_listed(one):
                    continue
                annotation = sources.annotation(one, self._dialect, at, end)
                if annotation is None:
                    self._losses.advise("part.citations")
                else:
                    annotations.append(annotation)
            at = end
        if annotations:
            written["annotations"] = annotations

    def _think(self, choice: Choice, texts: list[Text], written: Block) -> None:
        signatures = [part.signature for part in texts if part.signature is not None]
        if signatures:
            written |= calls.extra_content(signatures[0])
        words = words_of(choice.native) if self._own else NOTHING
        if any(MESSAGE + name in words for name in (*thoughts.TEXTS, thoughts.DETAILS)):
            return  # as they came
        shown = [
            part
            for part in choice.parts
            if isinstance(part, Thought) and not (self._own and content.PART in words_of(part.native))
        ]
        written |= thoughts.write(shown, self._dialect, signatures[1:])

    def _other(self, part: Part, written: Block) -> None:
        if isinstance(part, ToolCall):
            block = calls.write(part, self._ids.take(part.id), own=self._own)
            if self._own and calls.LEGACY in words_of(part.native):
                written["function_call"] = calls.write_legacy(part)
                return
            if not self._own:
                _report(self._losses, (part.native,), "part.")
            written.setdefault("tool_calls", []).append(block)
        elif isinstance(part, Media):
            found = part.source
            if part.kind == "image" and isinstance(found, Inline | Link):
                image = {"type": "image_url", "image_url": {"url": media.url(found)}}
                drawn = written.setdefault("images", [])
                drawn.append({**image, "index": len(drawn)})
            else:
                self._losses.advise(f"part.{part.kind}")
        elif isinstance(part, NativePart) and part.dialect == NAME:
            if not _is_part(part):
                written.setdefault("tool_calls", []).append(part.data)
        elif isinstance(part, NativePart):
            self._losses.advise(f"part.{part.kind}")

    def _older(self, written: Block) -> None:
        """The first call in the older member, which has room for one."""
        first, *more = written.pop("tool_calls")
        written["function_call"] = first.get("function") or first.get("custom")
        if more:
            self._losses.advise("part.tool_call")


def _is_part(part: Part) -> bool:
    """Whether it can stand in a content that is an array only."""
    if isinstance(part, NativePart):
        return part.dialect == NAME and not part.kind.startswith(calls.CALL)
    return isinstance(part, Thought) and content.PART in words_of(part.native)


def _content_part(part: Part) -> Json:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text, **part.native}
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    if isinstance(part, NativePart):
        return part.data
    return words_of(part.native)[content.PART] if isinstance(part, Thought) else None
