"""Images and documents as content blocks of a request.

What Claude takes (platform.claude.com, "Vision", "PDF support", "Files API"): JPEG, PNG, GIF and WebP; PDF and plain
text; no sound and no film.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Inline, Json, Link, Media, PlainText, Source, Stored
from llmgw.dialects.anthropic.spelling import words_of
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.codec import Losses

IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_ABILITIES: Final[Mapping[str, tuple[str, str]]] = {
    "image": ("vision", "it does not see images"),
    "document": ("documents", "it does not read documents"),
}


def write(part: Media, own: bool, capabilities: Capabilities, losses: Losses) -> dict[str, Json] | None:
    """The block; None where it was refused and is to be dropped."""
    field = f"part.{part.kind}"
    ability = _ABILITIES.get(part.kind)
    if ability is None:
        losses.refuse(field, f"it takes no {part.kind}")
        return None
    if getattr(capabilities, ability[0]) is False:
        losses.refuse(field, ability[1])
        return None
    words = words_of(part.native) if own else {}
    source = words.get("source") or _source(part, own)
    if isinstance(source, str):
        losses.refuse(field, source)
        return None
    block: dict[str, Json] = {"type": part.kind, "source": source}
    if part.name:
        if part.kind == "document":
            block["title"] = part.name
        else:
            losses.advise("part.name")
    if part.detail == "low":
        losses.advise("part.detail")  # it looks as closely as it can
    return {**block, **part.native, **words} if own else block


def _source(part: Media, own: bool) -> dict[str, Json] | str:
    """The block's source, or why there can be none."""
    source: Source = part.source
    if isinstance(source, Stored):
        if own:
            return {"type": "file", "file_id": source.id}
        return "the file is stored with another provider"
    if isinstance(source, PlainText):
        return _plain(source.text)
    if own:
        return _given(source)
    if isinstance(source, Link):
        return _linked(part.kind, source)
    media_type = source.media_type.partition(";")[0].strip().lower()
    if part.kind == "image":
        media_type = "image/jpeg" if media_type == "image/jpg" else media_type
        if media_type not in IMAGES:
            return f"it takes images as JPEG, PNG, GIF and WebP, and not as {media_type or 'unknown bytes'}"
    elif media_type.startswith("text/"):
        return _decoded(source.data)
    elif media_type != "application/pdf":
        return f"it takes documents as PDF and text, and not as {media_type or 'unknown bytes'}"
    return {"type": "base64", "media_type": media_type, "data": source.data}


def _given(source: Inline | Link) -> dict[str, Json]:
    if isinstance(source, Link):
        return {"type": "url", "url": source.url}
    return {"type": "base64", "media_type": source.media_type, "data": source.data}


def _linked(kind: str, source: Link) -> dict[str, Json] | str:
    if not source.url.startswith(("http://", "https://")):
        return "it fetches addresses of https: only"
    if kind == "document" and source.media_type not in (None, "application/pdf"):
        return "it fetches no documents but PDF"
    return {"type": "url", "url": source.url}


def _plain(text: str) -> dict[str, Json]:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _decoded(data: str) -> dict[str, Json] | str:
    try:
        return _plain(base64.b64decode(data, validate=True).decode())
    except ValueError:
        return "the text document is not base64 of UTF-8"
