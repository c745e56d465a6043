"""The turns of a request as Gemini's `contents`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import (
    Chat,
    Json,
    Link,
    Media,
    Message,
    NativePart,
    Part,
    Refusal,
    Stored,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.gemini import media_types, part_writer
from llmgw.dialects.gemini.signature import PLACEHOLDER
from llmgw.dialects.gemini.spelling import NAME, REQUEST, json_object, words_of
from llmgw.dialects.origin import origin_of
from llmgw.dialects.thread import call_names
from llmgw.errors import InvalidRequest

_LEVELS: Final = {"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"}
_ABILITIES: Final = {
    "image": ("vision", "it takes no images"),
    "video": ("vision", "it takes no films"),
    "audio": ("audio", "it takes no sound"),
    "document": ("documents", "it takes no documents"),
}


class History:
    """Gathers contents, one for each run of turns of the same role."""

    def __init__(self, chat: Chat, to: Recipient, losses: Losses) -> None:
        self.contents: list[dict[str, Json]] = []
        self._own = chat.dialect == NAME
        self._dialect = chat.dialect
        self._capabilities = to.capabilities
        self._losses = losses
        self._names: Mapping[str, str] = call_names(chat)
        # Gemini 3 checks signatures of calls, takes media within results and a resolution for each medium.
        self._third = to.capabilities.reasoning == "level"

    def add(self, message: Message) -> None:
        """Write a turn; one that says nothing is left out, for Gemini refuses empty contents."""
        if message.name is not None:
            self._losses.refuse("message.name", "it does not tell speakers apart by name")
        if not self._own:
            self._losses.refuse_native(message.native, prefix="messages[].")
        role = "model" if message.role == "assistant" else "user"
        parts = self.parts(message.parts, message.role)
        if not parts and message.parts:
            return  # nothing is left of it
        if self._own:
            role = "function" if message.role == "tool" else role
            self.contents.append({"role": role, "parts": parts, **message.native})
            if self._third and any(self._is_foreign(part) for part in message.parts):
                _sign(parts)
            return
        if not parts:
            return
        if self.contents and self.contents[-1]["role"] == role:
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})
        if role == "model" and self._third:
            _sign(self.contents[-1]["parts"])

    def parts(self, parts: tuple[Part, ...], role: str) -> list[dict[str, Json]]:
        """The parts of one turn, or of the instructions."""
        written: list[dict[str, Json]] = []
        for part in parts:
            if getattr(part, "cache", None) is not None:
                self._losses.advise("part.cache")  # it caches prefixes by itself
            if isinstance(part, Text):
                self._text(part, written)
            elif isinstance(part, Media):
                written += self._media(part)
            elif isinstance(part, ToolCall):
                self._native(part.native)
                if part.custom:
                    self._losses.refuse("tool.custom", "its calls are JSON and no free text")
                written.append(part_writer.call(part, self._own, REQUEST))
            elif isinstance(part, ToolResult):
                written += self._result(part)
            elif isinstance(part, Thought):
                self._thought(part, written)
            elif isinstance(part, Refusal):
                written.append({"text": part.text})  # the model's own words, for which it has no other place
            else:
                self._other(part, written)
        if role in ("system", "developer") and any("text" not in part for part in written):
            self._losses.refuse("system", "its instructions are text only")
            written = [part for part in written if "text" in part]
        return written

    def _native(self, native: Mapping[str, Json]) -> None:
        if not self._own:
            self._losses.refuse_native(native, prefix="part.")

    def _text(self, part: Text, written: list[dict[str, Json]]) -> None:
        self._native(part.native)
        if part.citations and not self._own:
            self._losses.advise("part.citations")
        if part.text or part.signature is not None or self._own:
            written.append(part_writer.text(part, self._own))

    def _thought(self, part: Thought, written: list[dict[str, Json]]) -> None:
        if self._is_foreign(part):
            self._losses.advise("part.thought")  # nobody but its own provider can read it
        else:
            written.append(part_writer.thought(part, self._dialect))

    def _is_foreign(self, part: Part) -> bool:
        return isinstance(part, Thought) and origin_of(part, self._dialect) != NAME

    def _other(self, part: NativePart, written: list[dict[str, Json]]) -> None:
        if part.dialect == NAME:
            written.append(part.data)
        else:
            self._losses.refuse_part(part)

    def _media(self, part: Media) -> list[dict[str, Json]]:
        field = f"part.{part.kind}"
        ability, why = _ABILITIES[part.kind]
        if getattr(self._capabilities, ability) is False:
            self._losses.refuse(field, why)
            return []
        if self._own:
            return [part_writer.media(part, True)]
        self._native(part.native)
        if part.name is not None:
            self._losses.advise("part.name")
        source = part.source
        if isinstance(source, Stored):
            self._losses.refuse(field, "the file is stored with another provider")
            return []
        if isinstance(source, Link):
            found = self._linked(part, source)
            if found is None:
                return []
            source = found
        written = part_writer.media(Media(kind=part.kind, source=source), own=False)
        if part.detail in _LEVELS and self._third:
            written["mediaResolution"] = {"level": _LEVELS[part.detail]}
        elif part.detail in _LEVELS:
            self._losses.advise("part.detail")
        return [written]

    def _linked(self, part: Media, source: Link) -> Link | None:
        """`source` with the media type Gemini wants; None where it cannot be had."""
        field = f"part.{part.kind}"
        if not source.url.startswith("https://"):
            self._losses.refuse(field, "it fetches https URLs only")
            return None
        media_type = source.media_type or media_types.guess(source.url)
        if media_type is None and not media_types.is_youtube(source.url):
            self._losses.refuse(
                field, "the URL does not tell its media type; send the bytes, or a URL that does"
            )
            return None
        return Link(url=source.url, media_type=media_type)

    def _result(self, part: ToolResult) -> list[dict[str, Json]]:
        name = part.name or (None if part.call_id is None else self._names.get(part.call_id))
        if name is None:
            raise InvalidRequest(
                f"The tool result for {part.call_id!r} answers no tool call of this conversation.",
                param="messages",
            )
        native = dict(part.native)
        if not self._own:
            self._native(native)
            native = {}
        texts: list[str] = []
        media: list[dict[str, Json]] = []
        for one in part.parts:
            if getattr(one, "cache", None) is not None:
                self._losses.advise("part.cache")
            if isinstance(one, Text | Refusal):
                texts.append(one.text)
            elif isinstance(one, Media):
                media += self._media(one)
            elif isinstance(one, NativePart) and one.dialect != NAME:
                self._losses.refuse_part(one)
            else:
                media += self.parts((one,), "tool")
        result: dict[str, Json] = {"name": name, "response": _response(texts, part.is_error)}
        if part.call_id is not None:
            result["id"] = part.call_id
        beside = {key: native.pop(key) for key in list(native) if key in _BESIDE}
        result.update(native)
        if self._own:
            result.update(words_of(part.native))
        if media and (self._third or self._own):
            result["parts"] = media
            media = []
        # An older model gets the media right behind the result.
        return [{"functionResponse": result, **beside}, *media]


_BESIDE: Final = frozenset(
    {"thoughtSignature", "partMetadata", "mediaResolution", "videoMetadata", "thought"}
)
"""Members of a part, not of the function response within it."""


def _response(texts: list[str], failed: bool) -> Json:
    """What a tool said as an object; Google's documented keys where it is none itself."""
    text = "\n".join(texts) if len(texts) > 1 else "".join(texts)
    if failed:
        return {"error": text}
    return json_object(text) or {"result": text}


def _sign(parts: list[dict[str, Json]]) -> None:
    """Give the first call of a step of another model's the signature that Gemini 3 takes for such."""
    for part in parts:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", PLACEHOLDER)
            return
