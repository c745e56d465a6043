"""The content of a message: a string or an array of parts.

Cache markers are hosts' (`cache_control`, as OpenRouter passes them to Anthropic) or OpenAI's own
(`prompt_cache_breakpoint`). Mistral's content has thoughts among the texts.
"""

from __future__ import annotations

from typing import Any, Final

from llmgw.canonical import (
    CacheMark,
    Json,
    Media,
    NativePart,
    Part,
    Refusal,
    Text,
    Thought,
    Tool,
    ToolResult,
)
from llmgw.dialects.members import Members
from llmgw.dialects.openai_chat import media
from llmgw.dialects.openai_chat.spelling import NAME, keep, words_of

_TTLS: Final = (None, "5m", "1h")
BREAKPOINT: Final = "prompt_cache_breakpoint"
PART: Final = "part"
"""Under this word a thought keeps the part of the content that it was."""


def cache_mark(of: Members, words: dict[str, Json]) -> CacheMark | None:
    """Take out the marker; one in another form than the documented stays where it is."""
    control = of.whole().get("cache_control")
    if type(control) is dict and control.get("type") == "ephemeral" and control.keys() <= {"type", "ttl"}:
        ttl = control.get("ttl")
        if ttl in _TTLS:
            del of.whole()["cache_control"]
            return CacheMark(ttl=ttl)
    at = of.any(BREAKPOINT)
    if at is None:
        return None
    words[BREAKPOINT] = at
    return CacheMark()


def mark(part: Text | Media | Tool | ToolResult) -> dict[str, Json]:
    """The marker as it is written."""
    if part.cache is None:
        return {}
    said = words_of(part.native).get(BREAKPOINT)
    if said is not None:
        return {BREAKPOINT: said}
    ttl = part.cache.ttl
    return {"cache_control": {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}}


def read(of: Members, name: str = "content") -> tuple[Part, ...]:
    """The parts of a content that must be there."""
    found = read_any(of, name)
    if found is None:
        raise of.wrong(name, "a string or an array of content parts")
    return found


def read_any(of: Members, name: str = "content") -> tuple[Part, ...] | None:
    """The parts; None where there is no content."""
    value = of.whole().get(name)
    if value is None:
        of.any(name)
        return None
    if type(value) is str:
        of.any(name)
        return (Text(text=value),)
    if type(value) is not list:
        raise of.wrong(name, "a string or an array of content parts")
    return tuple(_part(one) for one in of.objects(name))


def _part(of: Members) -> Part:
    kind = of.whole().get("type")
    if type(kind) is not str:
        raise of.wrong("type", "a string")
    if kind == "thinking":
        return thinking(of)
    known = kind in ("text", "refusal") or kind in media.READERS
    if not known:
        return NativePart(dialect=NAME, kind=kind, data=of.whole())
    del of.whole()["type"]
    if kind == "refusal":
        return Refusal(text=of.need_text("refusal"))
    words: dict[str, Json] = {}
    cache = cache_mark(of, words)
    if kind == "text":
        return Text(text=of.need_text("text"), cache=cache, native=keep(of.rest(), words))
    return media.READERS[kind](of, cache, words)


def thinking(of: Members) -> Thought:
    """A `thinking` part of Mistral's; it is kept whole."""
    whole = of.whole()
    said = whole.get("thinking")
    pieces = [said] if type(said) is str else _pieces(of, said)
    return Thought(text="".join(pieces), native=keep({}, {PART: whole}))


def _pieces(of: Members, said: Json) -> list[str]:
    if said is not None and type(said) is not list:
        raise of.wrong("thinking", "a string or an array of texts")
    pieces = []
    for one in said or ():
        text: Any = one.get("text") if type(one) is dict else one
        if type(text) is str:
            pieces.append(text)
    return pieces
