"""Content blocks as parts, the same for requests and answers.

Each block takes the members it knows; the others stand in the part's `native`. A kind of block that the neutral
model has no part for, or one with a source of a new kind, is passed through whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from llmgw.canonical import (
    NOTHING,
    CacheMark,
    Citation,
    Inline,
    Json,
    Link,
    Media,
    NativePart,
    Part,
    PlainText,
    Source,
    Stored,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.dialects.anthropic import origin
from llmgw.dialects.anthropic.origin import Signature
from llmgw.dialects.anthropic.spelling import NAME, json_text, keep
from llmgw.dialects.members import Members


def content(of: Members, name: str = "content") -> tuple[Part, ...]:
    """A member that is a string or an array of blocks."""
    value = of.whole().get(name)
    if type(value) is str:
        del of.whole()[name]
        return (Text(text=value),)
    if value is not None and type(value) is not list:
        raise of.wrong(name, "a string or an array of content blocks")
    return origin.settle([block(one) for one in of.objects(name)])


def block(of: Members) -> Part | Signature:
    """One block."""
    kind = of.whole().get("type")
    if type(kind) is not str:
        raise of.wrong("type", "a string")
    read = _READERS.get(kind)
    part = None if read is None else read(of)
    if part is not None:
        return part
    return NativePart(dialect=NAME, kind=kind, data=of.whole())


class RequestMark(CacheMark, frozen=True, kw_only=True):
    """The request's own `cache_control` on the block where the API says that it counts: the last one."""


def cache_mark(of: Members) -> CacheMark | None:
    """`cache_control`, where it is the kind that is known; another stays where it is."""
    value = of.whole().get("cache_control")
    if value is None:
        return None
    if type(value) is not dict:
        raise of.wrong("cache_control", "an object")
    ttl = value.get("ttl")
    if value.get("type") != "ephemeral" or ttl not in (None, "5m", "1h") or value.keys() - {"type", "ttl"}:
        return None
    del of.whole()["cache_control"]
    return CacheMark(ttl=ttl)


def citation(said: Mapping[str, Json]) -> Citation:
    """One citation. Anthropic's offsets are those of the source, never of the text that cites it."""
    kind = said.get("type")
    url = said.get("url")
    if kind == "search_result_location":
        source = said.get("source")
        url = source if isinstance(source, str) and source.startswith(("http://", "https://")) else None
    title = said.get("title", said.get("document_title"))
    quote = said.get("cited_text")
    ours = origin.is_tagged(said.get("encrypted_index"))
    return Citation(
        url=url if isinstance(url, str) else None,
        title=title if isinstance(title, str) else None,
        quote=quote if isinstance(quote, str) and not (ours and not quote) else None,
        native=NOTHING if ours else said,
    )


def _text(of: Members) -> Part:
    of.any("type")
    text = of.need_text("text")
    citations = tuple(citation(one.whole()) for one in of.objects("citations"))
    mark = cache_mark(of)
    return Text(text=text, citations=citations, cache=mark, native=of.rest())


def _thinking(of: Members) -> Part:
    of.any("type")
    text = of.need_text("thinking")
    signature = of.text("signature")
    found = None if signature is None else origin.untag(signature)
    if found is not None:
        return origin.from_thinking(text, found)
    return Thought(text=text, signature=signature or None, native=of.rest())


def _redacted(of: Members) -> Part | Signature:
    of.any("type")
    data = of.need_text("data")
    found = origin.untag(data)
    if found is not None:
        return origin.from_redacted(found)
    return Thought(redacted=data, native=of.rest())


_SOURCES: Final[Mapping[Json, tuple[frozenset[str], Callable[[Members], Source]]]] = {
    "base64": (
        frozenset({"type", "media_type", "data"}),
        lambda of: Inline(media_type=of.need_text("media_type"), data=of.need_text("data")),
    ),
    "url": (frozenset({"type", "url"}), lambda of: Link(url=of.need_text("url"))),
    "file": (frozenset({"type", "file_id"}), lambda of: Stored(id=of.need_text("file_id"))),
}


def _source(of: Members, words: dict[str, Json]) -> Source | None:
    """Where a medium comes from; None where this is a kind of its own."""
    said = of.whole().get("source")
    if type(said) is not dict:
        raise of.wrong("source", "an object")
    kind = said.get("type")
    known = _SOURCES.get(kind) if type(kind) is str else None
    if known is not None and said.keys() <= known[0]:
        source = of.object("source")
        assert source is not None
        return known[1](source)
    text = _document_text(said)
    if text is None:
        return None
    words["source"] = of.any("source")
    return PlainText(text=text)


def _document_text(said: Mapping[str, Json]) -> str | None:
    """The text of a document that is given as text, in one piece or in blocks."""
    kind = said.get("type")
    if kind == "text":
        text = said.get("data")
    elif kind == "content":
        text = said.get("content")
        if type(text) is list:
            plain = [one for one in text if type(one) is dict and one.keys() == {"type", "text"}]
            lines = [one["text"] for one in plain if type(one["text"]) is str]
            text = "\n".join(lines) if len(lines) == len(text) else None
    else:
        return None
    return text if type(text) is str else None


def _media(of: Members) -> Part | None:
    words: dict[str, Json] = {}
    kind = of.whole()["type"]
    source = _source(of, words)
    if source is None or (isinstance(source, PlainText) and kind == "image"):
        of.whole().update(words)
        return None
    del of.whole()["type"]
    title = of.text("title")
    if kind == "document" and of.whole().get("citations") == {"enabled": False}:
        words["citations"] = of.any("citations")
    mark = cache_mark(of)
    native = keep(of.rest(), words)
    return Media(
        kind="image" if kind == "image" else "document", source=source, name=title, cache=mark, native=native
    )


def _tool_use(of: Members) -> Part:
    of.any("type")
    words: dict[str, Json] = {}
    given = of.any("input")
    arguments = "{}" if given is None else json_text(given)
    if arguments is None or type(given) not in (dict, type(None)):
        raise of.wrong("input", "an object")
    if of.whole().get("caller") == {"type": "direct"}:
        words["caller"] = of.any("caller")
    mark = cache_mark(of)
    return ToolCall(
        id=of.need_text("id"),
        name=of.need_text("name"),
        arguments=arguments,
        cache=mark,
        native=keep(of.rest(), words),
    )


def _tool_result(of: Members) -> Part:
    of.any("type")
    call_id = of.need_text("tool_use_id")
    parts = content(of)
    mark = cache_mark(of)
    error = of.flag("is_error") or False
    return ToolResult(call_id=call_id, name=None, parts=parts, is_error=error, cache=mark, native=of.rest())


_READERS: Final[Mapping[str, Callable[[Members], Part | Signature | None]]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "image": _media,
    "document": _media,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}


def system(of: Members) -> tuple[Part, ...]:
    """The top-level `system`."""
    return content(of, "system")
