"""Content blocks of an answer as parts.

A block is a union: its one member says what it is. What the neutral model has no part for, and what the provider's own
tools do, is passed through whole; members that are new within a known block stand in the part's `native`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from llmgw.canonical import (
    Citation,
    Inline,
    Json,
    Media,
    NativePart,
    Part,
    Text,
    Thought,
    ToolCall,
)
from llmgw.dialects.anthropic.spelling import json_text
from llmgw.dialects.bedrock.spelling import NAME, member
from llmgw.dialects.members import Members, of_provider

CALL: Final = "tool_use"
"""The `type` that newer models give a call of the client's tools; those of their own have another."""


def content(of: Members) -> tuple[Part, ...]:
    """The blocks of a message."""
    if "content" not in of:
        raise of.wrong("content", "an array of content blocks")
    parts: list[Part] = []
    for index, one in enumerate(of.objects("content")):
        found = member(one)
        if found is None:
            raise of.wrong(f"content[{index}]", "a content block")
        parts.append(_block(one, found[0]))
    return tuple(parts)


def _block(of: Members, kind: str) -> Part:
    read = _READERS.get(kind)
    part = None if read is None else read(of)
    return NativePart(dialect=NAME, kind=kind, data=of.whole()) if part is None else part


def citation(said: Mapping[str, Json]) -> Citation:
    """One citation, whole or of a stream. Its offsets are those of the source, never of the text that cites it."""
    location = said.get("location")
    web = location.get("web") if type(location) is dict else None
    url = web.get("url") if type(web) is dict else None
    title = said.get("title")
    quotes = [
        one["text"]
        for one in _objects(said.get("sourceContent"))
        if type(one.get("text")) is str and one["text"]
    ]
    return Citation(
        url=url if type(url) is str else None,
        title=title if type(title) is str else None,
        quote="".join(quotes) or None,
        native=said,
    )


def _objects(value: Json) -> list[dict[str, Json]]:
    return [one for one in value if type(one) is dict] if type(value) is list else []


def image(media_format: Json, source: Json) -> Media | None:
    """An image that the model drew; None where it is not in the answer itself."""
    data = source.get("bytes") if type(source) is dict else None
    if type(data) is not str or type(media_format) is not str:
        return None
    return Media(kind="image", source=Inline(media_type=f"image/{media_format}", data=data))


def _text(of: Members) -> Part:
    return Text(text=of.need_text("text"), native=of.rest())


def _cited(of: Members) -> Part | None:
    """Text with its sources; None where it has words of a kind that is not known."""
    whole = of.whole()["citationsContent"]
    if type(whole) is not dict:
        raise of.wrong("citationsContent", "an object")
    words = whole.get("content")
    if words is not None and type(words) is not list:
        raise of.wrong("citationsContent.content", "an array")
    texts = [text for one in _objects(words) if type(text := one.get("text")) is str]
    if len(texts) < len(words or ()):
        return None
    citations = tuple(citation(one) for one in _objects(whole.get("citations")))
    return Text(text="".join(texts), citations=citations)


def _thought(of: Members) -> Part | None:
    inner = of.whole()["reasoningContent"]
    if type(inner) is not dict:
        raise of.wrong("reasoningContent", "an object")
    said = Members(inner, of.path("reasoningContent"), of_provider)
    if "redactedContent" in said:
        return Thought(redacted=said.need_text("redactedContent"))
    text = said.object("reasoningText")
    if text is None:
        return None
    return Thought(text=text.need_text("text"), signature=text.text("signature") or None)


def _call(of: Members) -> Part | None:
    inner = of.whole()["toolUse"]
    if type(inner) is not dict:
        raise of.wrong("toolUse", "an object")
    if inner.get("type") not in (None, CALL):
        return NativePart(dialect=NAME, kind=str(inner["type"]), data=of.whole())
    said = of.object("toolUse")
    assert said is not None
    said.any("type")
    given = said.any("input")
    arguments = "{}" if given is None else json_text(given)
    if arguments is None or type(given) not in (dict, type(None)):
        raise said.wrong("input", "an object")
    return ToolCall(
        id=said.need_text("toolUseId"),
        name=said.need_text("name"),
        arguments=arguments,
        native=said.rest(),
    )


def _image(of: Members) -> Part | None:
    inner = of.whole()["image"]
    if type(inner) is not dict:
        raise of.wrong("image", "an object")
    return image(inner.get("format"), inner.get("source"))


_READERS: Final[Mapping[str, Callable[[Members], Part | None]]] = {
    "text": _text,
    "citationsContent": _cited,
    "reasoningContent": _thought,
    "toolUse": _call,
    "image": _image,
}
