"""Parts as content blocks, as far as requests and answers write them alike."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from llmgw.canonical import CacheMark, Citation, Json, Native, Text, Thought
from llmgw.dialects.anthropic.origin import tag
from llmgw.dialects.anthropic.spelling import NAME, json_object, words_of
from llmgw.dialects.origin import PREFIX, SIGNER, origin_of

_foreign: Final = re.compile(r"[^a-zA-Z0-9_-]").sub


def text(part: Text, own: bool) -> dict[str, Json]:
    """A text block without its citations."""
    return {"type": "text", "text": part.text, **(part.native if own else {})}


def thought(part: Thought, dialect: str) -> list[dict[str, Json]]:
    """The blocks of a thought: readable text with its signature, encrypted reasoning, or both.

    Args:
        part: the thought.
        dialect: the one that read it, whose provider made it unless it says otherwise. Opaque values of another
            than Anthropic are tagged, and so is the want of one, because this API's clients must give a signature.
    """
    origin = origin_of(part, dialect)
    if origin == NAME:
        native = {name: value for name, value in part.native.items() if name != "dialect"}
        blocks: list[dict[str, Json]] = []
        if part.text or part.signature is not None or part.redacted is None:
            blocks.append(
                {"type": "thinking", "thinking": part.text, "signature": part.signature or "", **native}
            )
        if part.redacted is not None:
            blocks.append({"type": "redacted_thinking", "data": part.redacted, **native})
        return blocks
    if part.redacted is None:
        return [_thinking(part.text, tag(origin, part.signature or "", part.id))]
    if part.text and part.signature is None:
        return [_thinking(part.text, tag(origin, part.redacted, part.id, "e"))]
    blocks = []
    if part.text or part.signature is not None:
        blocks.append(_thinking(part.text, tag(origin, part.signature or "", part.id)))
    blocks.append(redacted(tag(origin, part.redacted, part.id, "e")))
    return blocks


def _thinking(words: str, signature: str) -> dict[str, Json]:
    return {"type": "thinking", "thinking": words, "signature": signature}


def redacted(data: str) -> dict[str, Json]:
    """A block of encrypted reasoning."""
    return {"type": "redacted_thinking", "data": data}


def signature(value: str, slot: str | None = None) -> dict[str, Json]:
    """The block that carries Gemini's signature of a neighbouring part, see `origin`."""
    return redacted(tag(SIGNER, value, slot))


def citation(one: Citation, own: bool) -> dict[str, Json] | None:
    """A citation as an answer shows it; None where another dialect's has no address, which all that this API has
    for such sources need."""
    if own and one.native:
        return dict(one.native)
    if one.url is None:
        return None
    return {
        "type": "web_search_result_location",
        "cited_text": one.quote or "",
        "encrypted_index": PREFIX,
        "title": one.title,
        "url": one.url,
    }


def cache_control(mark: CacheMark) -> dict[str, Json]:
    """A cache marker."""
    return {"type": "ephemeral"} if mark.ttl is None else {"type": "ephemeral", "ttl": mark.ttl}


def arguments(given: str) -> msgspec.Raw | None:
    """A call's arguments as they came, where they are an object; None where they are not."""
    if json_object(given) is None:
        return None
    return msgspec.Raw(given.encode() or b"{}")


def call_id(given: str) -> str:
    """An id in the letters that the API allows (`^[a-zA-Z0-9_-]+$`)."""
    return _foreign("_", given) or "_"


def said(native: Native, own: bool) -> dict[str, Json]:
    """The members that only this API has, and its own words for the others."""
    return {**native, **words_of(native)} if own else {}
