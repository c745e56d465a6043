"""Images, documents, films and sounds as content blocks.

The API takes bytes. It reads Amazon S3 too, with the rights of whoever signs the request, so that is not offered to
clients. Documents need a name of letters, digits, single spaces, hyphens, parentheses and square brackets (the
service's published model), unique in its request.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Inline, Json, Link, Media, Native, PlainText, Source, Stored
from llmgw.dialects.bedrock.spelling import NAME
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.codec import Losses

_FORMATS: Final[Mapping[str, Mapping[str, str]]] = {
    "image": {
        "image/png": "png",
        "image/jpeg": "jpeg",
        "image/jpg": "jpeg",
        "image/gif": "gif",
        "image/webp": "webp",
    },
    "document": {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/markdown": "md",
        "application/json": "txt",
        "application/xml": "txt",
    },
    "video": {
        "video/x-matroska": "mkv",
        "video/mkv": "mkv",
        "video/quicktime": "mov",
        "video/mov": "mov",
        "video/mp4": "mp4",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/flv": "flv",
        "video/mpeg": "mpeg",
        "video/mpg": "mpg",
        "video/x-ms-wmv": "wmv",
        "video/wmv": "wmv",
        "video/3gpp": "three_gp",
    },
    "audio": {
        "audio/mpeg": "mp3",
        "audio/mp3": "mp3",
        "audio/opus": "opus",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/wave": "wav",
        "audio/vnd.wave": "wav",
        "audio/aac": "aac",
        "audio/x-aac": "x-aac",
        "audio/flac": "flac",
        "audio/x-flac": "flac",
        "audio/mp4": "mp4",
        "audio/m4a": "m4a",
        "audio/x-m4a": "m4a",
        "audio/ogg": "ogg",
        "audio/x-matroska": "mka",
        "audio/pcm": "pcm",
        "audio/webm": "webm",
    },
}
"""The API's word for a media type, by kind."""
_ABILITIES: Final[Mapping[str, tuple[str, str]]] = {
    "image": ("vision", "it does not see images"),
    "video": ("vision", "it does not see films"),
    "audio": ("audio", "it does not hear sounds"),
    "document": ("documents", "it does not read documents"),
}

_foreign: Final = re.compile(r"[^A-Za-z0-9 \-()\[\]]+").sub
_LONGEST: Final = 200


class Writer:
    """Writes the media of one request."""

    def __init__(self, dialect: str, capabilities: Capabilities, losses: Losses) -> None:
        self._dialect = dialect
        self._capabilities = capabilities
        self._losses = losses
        self._names: set[str] = set()

    def write(self, part: Media) -> dict[str, Json] | None:
        """The block; None where it was refused and is to be dropped."""
        field = f"part.{part.kind}"
        ability, why = _ABILITIES[part.kind]
        if getattr(self._capabilities, ability) is False:
            self._losses.refuse(field, why)
            return None
        found = _source(part)
        if isinstance(found, str):
            self._losses.refuse(field, found)
            return None
        inner: dict[str, Json] = {"format": found[0]}
        if part.kind == "document":
            inner["name"] = self._name(part.name)
        elif part.name:
            self._losses.advise("part.name")
        inner["source"] = found[1]
        if part.detail == "low":
            self._losses.advise("part.detail")  # it looks as closely as it can
        return {part.kind: {**inner, **self._beside(part)}}

    def _beside(self, part: Media) -> Native:
        """What the client's API has beside the source; Anthropic's documents have two members of the same meaning."""
        if self._dialect == NAME:
            return part.native
        native, kept = dict(part.native), {}
        if self._dialect == "anthropic" and part.kind == "document":
            if type(native.get("context")) is str:
                kept["context"] = native.pop("context")
            citations = native.get("citations")
            if type(citations) is dict and type(citations.get("enabled")) is bool and len(citations) == 1:
                kept["citations"] = native.pop("citations")
        self._losses.refuse_native(native, prefix="part.")
        return kept

    def _name(self, given: str | None) -> str:
        """A name in the letters allowed; a second document of the same name gets a number."""
        name = " ".join(_foreign("-", given or "").split())[:_LONGEST].strip("- ")
        wanted = name or f"Document {len(self._names) + 1}"
        name, count = wanted, 1
        while name in self._names:
            count += 1
            number = f" {count}"
            name = wanted[: _LONGEST - len(number)] + number
        self._names.add(name)
        return name


def _source(part: Media) -> tuple[str, dict[str, Json]] | str:
    """The block's format and source, or why there can be none."""
    source: Source = part.source
    if isinstance(source, Stored):
        return "the file is stored with another provider"
    if isinstance(source, Link):
        # An object in S3 would be read with the rights of the gateway's account, which are not the client's.
        return "it takes bytes, and no address"
    if isinstance(source, PlainText):
        try:
            data = base64.b64encode(source.text.encode()).decode()
        except UnicodeEncodeError:
            return "its text is not Unicode"
        source = Inline(media_type="text/plain", data=data)
    word = _format(part.kind, source.media_type)
    if word is None:
        return f"it takes no {part.kind} as {source.media_type or 'unknown bytes'}"
    if not source.data:
        return f"the {part.kind} is empty"
    return word, {"bytes": source.data}


def _format(kind: str, media_type: str | None) -> str | None:
    plain = (media_type or "").partition(";")[0].strip().lower()
    word = _FORMATS[kind].get(plain)
    return "txt" if word is None and kind == "document" and plain.startswith("text/") else word
