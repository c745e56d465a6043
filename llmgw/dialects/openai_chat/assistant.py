"""The assistant's message, which is the same in a request's history and in an answer.

Its thoughts, texts, refusal, images and calls stand in members of their own, so the order in which they were said is
not told: it is read as thoughts, texts, images, calls.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec.structs import replace

from llmgw.canonical import (
    Citation,
    Json,
    Native,
    NativePart,
    Part,
    Refusal,
    Text,
    ToolCall,
)
from llmgw.dialects.members import Fault, Members
from llmgw.dialects.openai_chat import calls, content, media, thoughts
from llmgw.dialects.openai_chat.spelling import dicts, keep

REFUSED_WITHIN: Final = "refusals"
"""Under this word a message says that its refusals stand within its content."""
_SILENT: Final[tuple[Json, ...]] = ("", [], {})


class Spoken(NamedTuple):
    """What a message says."""

    parts: tuple[Part, ...]
    native: Native


def read(of: Members, fault: Fault, *, of_client: bool) -> Spoken:
    """Read the message, its role taken out already.

    Args:
        fault: makes the error of whoever wrote it.
        of_client: whether it is a client's, whose thoughts may be any provider's.
    """
    plain = _only_text(of.whole())
    if plain is not None:
        return plain
    words: dict[str, Json] = {}
    found = thoughts.read(of, words, fault, of_client=of_client)
    parts: list[Part] = [*found.thoughts]
    said = _content(of, words)
    said = _cited(of, said, words, fault)
    said = _signed(of, said)
    for call_id, signature in found.signatures:
        if call_id is None:
            said.append(Text(text="", signature=signature))
    parts += said
    refusal = of.text("refusal")
    if refusal:
        parts.append(Refusal(text=refusal))
        words["refusal"] = refusal
    elif refusal is not None:
        words["refusal"] = refusal
    parts += _images(of, words, fault)
    by_id = {call_id: signature for call_id, signature in found.signatures if call_id is not None}
    parts += [_proven(call, by_id) for call in _calls(of, words)]
    left = dict(of.rest())
    for name, value in list(left.items()):
        if value in _SILENT or (name in ("audio", "function_call") and _is_empty(value)):
            words[name] = left.pop(name)
    return Spoken(tuple(parts), keep(left, words))


def _only_text(message: dict[str, Json]) -> Spoken | None:
    """What a message of nothing but text says, which most are: none of the rest needs to be looked for."""
    text = message.get("content")
    if type(text) is not str or not text:
        return None
    words = {name: value for name, value in message.items() if value is not None and name != "content"}
    if any(value not in ("", []) for value in words.values()):
        return None
    return Spoken((Text(text=text),), keep({}, words))


def _content(of: Members, words: dict[str, Json]) -> list[Part]:
    if of.whole().get("content") in ("", []):
        words["content"] = of.any("content")
        return []
    said = list(content.read_any(of) or ())
    if any(isinstance(part, Refusal) for part in said):
        words[REFUSED_WITHIN] = True
    return said


def _cited(of: Members, said: list[Part], words: dict[str, Json], fault: Fault) -> list[Part]:
    """Sources, which belong to the text."""
    listed = dicts(of.whole().get("annotations"), of.path("annotations"), fault)
    found = [citation(one) for one in listed]
    at = next((index for index, part in enumerate(said) if isinstance(part, Text)), None)
    if not found or at is None or None in found:
        return said  # kept as they are
    of.any("annotations")
    words["annotations"] = listed
    text = said[at]
    assert isinstance(text, Text)
    said[at] = replace(text, citations=tuple(one for one in found if one is not None))
    return said


def citation(annotation: dict[str, Json]) -> Citation | None:
    """A `url_citation`; None for any other annotation."""
    inner = annotation.get("url_citation")
    if annotation.get("type") != "url_citation" or type(inner) is not dict:
        return None
    link, title, start, end = (inner.get(name) for name in ("url", "title", "start_index", "end_index"))
    return Citation(
        url=link if type(link) is str else None,
        title=title if type(title) is str else None,
        start=start if type(start) is int and start >= 0 else None,
        end=end if type(end) is int and end >= 0 else None,
        native=annotation,
    )


def _signed(of: Members, said: list[Part]) -> list[Part]:
    """Gemini's signature of the text."""
    extra = of.whole().get("extra_content")
    signature = calls.signature_of(extra)
    if signature is None:
        return said
    if {"extra_content": extra} == calls.extra_content(signature):
        of.any("extra_content")
    last = said[-1] if said else None
    if isinstance(last, Text):
        return [*said[:-1], replace(last, signature=signature)]
    return [*said, Text(text="", signature=signature)]


def _images(of: Members, words: dict[str, Json], fault: Fault) -> list[Part]:
    """Images that a model drew (OpenRouter)."""
    listed = dicts(of.whole().get("images"), of.path("images"), fault)
    found = [media.drawn(one) for one in listed]
    if not found or None in found:
        return []
    of.any("images")
    words["images"] = listed
    return [one for one in found if one is not None]


def _calls(of: Members, words: dict[str, Json]) -> list[ToolCall | NativePart]:
    if of.whole().get("tool_calls") == []:
        words["tool_calls"] = of.any("tool_calls")
    found = [calls.read(one) for one in of.objects("tool_calls")]
    older = of.whole().get("function_call")
    if older is not None and not _is_empty(older):
        inner = of.object("function_call")
        assert inner is not None
        found.append(calls.read_legacy(inner))
    return found


def _proven(call: ToolCall | NativePart, signatures: dict[str, str]) -> ToolCall | NativePart:
    """The call with the signature that stands among the thoughts, as OpenRouter has it."""
    if isinstance(call, ToolCall) and call.signature is None and call.id in signatures:
        return replace(call, signature=signatures[call.id])
    return call


def _is_empty(value: Json) -> bool:
    """Whether nothing is said in any member: Snowflake sends what there is not as such an object."""
    return type(value) is dict and not any(value.values())
