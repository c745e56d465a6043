"""Images, sounds, films and documents as parts of a message's content.

Bytes come as data URLs, sounds as bare base64 with a format, files by the provider's id. Converted for a provider:
a document of text becomes a text, because only PDF is taken as a file here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from llmgw.canonical import (
    CacheMark,
    Inline,
    Json,
    Link,
    Media,
    Native,
    PlainText,
    Source,
    Stored,
)
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.codec import Losses
from llmgw.dialects.members import Members
from llmgw.dialects.openai_chat.spelling import NAME, keep, words_of

Block = dict[str, Json]
_PDF: Final = "application/pdf"
_SOUNDS: Final[Mapping[str, str]] = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_FORMATS: Final[Mapping[str, str]] = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
_DETAILS: Final[Mapping[Json, Literal["low", "high", "auto"]]] = {
    "low": "low",
    "high": "high",
    "auto": "auto",
}


# Reading


def source(of: Members, name: str, url: str) -> Source:
    """A URL, of data or to be fetched."""
    if url[:5].lower() != "data:":
        return Link(url=url)
    head, comma, data = url[5:].partition(",")
    media_type, marker, rest = head.rpartition(";base64")
    if not comma or not marker or rest:
        raise of.wrong(name, "a base64 data URL or a URL to be fetched")
    return Inline(media_type=media_type or "text/plain", data=data)


def image(of: Members, cache: CacheMark | None, words: dict[str, Json]) -> Media:
    """An `image_url` part; Mistral takes its URL without an object around it too."""
    if type(of.whole().get("image_url")) is str:
        words["bare"] = True
        found = source(of, "image_url", of.need_text("image_url"))
        return Media(kind="image", source=found, cache=cache, native=keep(of.rest(), words))
    inner = _inner(of, "image_url")
    found = source(inner, "url", inner.need_text("url"))
    given = inner.any("detail")
    detail = _DETAILS.get(given) if type(given) is str else None
    left = dict(inner.rest())
    if given is not None and detail is None:
        left["detail"] = given
    return Media(
        kind="image", source=found, detail=detail, cache=cache, native=_native(of, "image_url", left, words)
    )


def video(of: Members, cache: CacheMark | None, words: dict[str, Json]) -> Media:
    """A `video_url` part, as vLLM and OpenRouter take it."""
    inner = _inner(of, "video_url")
    found = source(inner, "url", inner.need_text("url"))
    return Media(
        kind="video", source=found, cache=cache, native=_native(of, "video_url", inner.rest(), words)
    )


def audio(of: Members, cache: CacheMark | None, words: dict[str, Json]) -> Media:
    inner = _inner(of, "input_audio")
    form = inner.need_text("format")
    found = Inline(media_type=_SOUNDS.get(form, f"audio/{form}"), data=inner.need_text("data"))
    return Media(
        kind="audio", source=found, cache=cache, native=_native(of, "input_audio", inner.rest(), words)
    )


def document(of: Members, cache: CacheMark | None, words: dict[str, Json]) -> Media:
    """A `file` part."""
    inner = _inner(of, "file")
    name, data, file_id = inner.text("filename"), inner.text("file_data"), inner.text("file_id")
    found: Source
    if data is not None:
        if data[:5].lower() == "data:" or data[:8].lower().startswith(("http://", "https://")):
            found = source(inner, "file_data", data)
        else:
            words["bare"] = True
            found = Inline(media_type=_PDF, data=data)
        if file_id is not None:
            words["file_id"] = file_id
    elif file_id is not None:
        found = Stored(id=file_id)
    else:
        raise inner.wrong("file_data", "a string, where there is no file_id")
    return Media(
        kind="document", source=found, name=name, cache=cache, native=_native(of, "file", inner.rest(), words)
    )


READERS: Final[Mapping[str, Callable[[Members, CacheMark | None, dict[str, Json]], Media]]] = {
    "image_url": image,
    "video_url": video,
    "input_audio": audio,
    "file": document,
}


def _inner(of: Members, name: str) -> Members:
    inner = of.object(name)
    if inner is None:
        raise of.wrong(name, "an object")
    return inner


def _native(of: Members, name: str, left: Native, words: dict[str, Json]) -> Native:
    return keep({**of.rest(), **({name: left} if left else {})}, words)


# Writing


def url(found: Inline | Link) -> str:
    """`found` as a URL."""
    return found.url if isinstance(found, Link) else f"data:{found.media_type};base64,{found.data}"


def own(part: Media) -> Block:
    """A part as a client of this API wrote it."""
    words = words_of(part.native)
    block = _OWN[part.kind](part, words)
    for name, value in part.native.items():
        inner = block.get(name)
        block[name] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value
    return block


def _own_image(part: Media, words: Native) -> Block:
    found = part.source
    said = url(found) if isinstance(found, Inline | Link) else ""
    if words.get("bare"):
        return {"type": "image_url", "image_url": said}
    image_url = {"url": said} if part.detail is None else {"url": said, "detail": part.detail}
    return {"type": "image_url", "image_url": image_url}


def _own_video(part: Media, words: Native) -> Block:
    del words
    found = part.source
    return {"type": "video_url", "video_url": {"url": url(found) if isinstance(found, Inline | Link) else ""}}


def _own_audio(part: Media, words: Native) -> Block:
    del words
    found = part.source
    if not isinstance(found, Inline):
        return {"type": "input_audio", "input_audio": {}}
    form = _FORMATS.get(found.media_type) or found.media_type.removeprefix("audio/")
    return {"type": "input_audio", "input_audio": {"data": found.data, "format": form}}


def _own_document(part: Media, words: Native) -> Block:
    file: Block = {} if part.name is None else {"filename": part.name}
    found = part.source
    if isinstance(found, Stored):
        file["file_id"] = found.id
    elif isinstance(found, Inline | Link):
        bare = isinstance(found, Inline) and words.get("bare")
        file["file_data"] = found.data if isinstance(found, Inline) and bare else url(found)
        if "file_id" in words:
            file["file_id"] = words["file_id"]
    return {"type": "file", "file": file}


_OWN: Final[Mapping[str, Callable[[Media, Native], Block]]] = {
    "image": _own_image,
    "video": _own_video,
    "audio": _own_audio,
    "document": _own_document,
}

_ABILITIES: Final[Mapping[str, tuple[str, str]]] = {
    "image": ("vision", "it takes no images"),
    "video": ("vision", "it takes no films"),
    "audio": ("audio", "it takes no sound"),
    "document": ("documents", "it takes no documents"),
}


class Blocks:
    """Writes media for one provider."""

    def __init__(
        self, dialect: str, capabilities: Capabilities, taken: Mapping[str, str], losses: Losses
    ) -> None:
        """
        Args:
            dialect: of the request.
            taken: the host's names, among which are the parts it has beyond this API (`video_url`).
        """
        self._dialect = dialect
        self._capabilities = capabilities
        self._taken = taken
        self._losses = losses

    def write(self, part: Media) -> Block | None:
        """The part; None where it is left out."""
        ability, why = _ABILITIES[part.kind]
        if getattr(self._capabilities, ability) is False:
            return self._refuse(part, why)
        if self._dialect == NAME:
            return own(part)
        self._losses.refuse_native(part.native, prefix="part.")
        if part.name is not None and part.kind != "document":
            self._losses.advise("part.name")
        if part.detail is not None and part.kind != "image":
            self._losses.advise("part.detail")
        return _WRITERS[part.kind](self, part)

    def _refuse(self, part: Media, why: str) -> Block | None:
        self._losses.refuse(f"part.{part.kind}", why)
        return None

    def _image(self, part: Media) -> Block | None:
        if not isinstance(part.source, Inline | Link):
            return self._refuse(part, "it takes images as bytes or by URL")
        return _own_image(part, {})

    def _video(self, part: Media) -> Block | None:
        if "video_url" not in self._taken or not isinstance(part.source, Inline | Link):
            return self._refuse(part, "it takes no films")
        return _own_video(part, {})

    def _audio(self, part: Media) -> Block | None:
        if not isinstance(part.source, Inline) or part.source.media_type not in _FORMATS:
            return self._refuse(part, "it takes sound as the bytes of a WAV or an MP3 file")
        return _own_audio(part, {})

    def _document(self, part: Media) -> Block | None:
        found = part.source
        text = _as_text(found)
        if text is not None:
            return {"type": "text", "text": text if part.name is None else f"{part.name}\n\n{text}"}
        if isinstance(found, Stored) and self._dialect == "openai_responses":
            return _own_document(part, {})  # both of OpenAI's APIs share its files
        if not isinstance(found, Inline) or found.media_type != _PDF:
            return self._refuse(part, "it takes documents as the bytes of a PDF file, or as text")
        block = _own_document(part, {})
        block["file"].setdefault("filename", "document.pdf")  # which the API asks for
        return block


_WRITERS: Final[Mapping[str, Callable[[Blocks, Media], Block | None]]] = {
    "image": Blocks._image,
    "video": Blocks._video,
    "audio": Blocks._audio,
    "document": Blocks._document,
}


def _as_text(found: Source) -> str | None:
    """The text of a document that is one."""
    if isinstance(found, PlainText):
        return found.text
    if not isinstance(found, Inline) or not found.media_type.startswith("text/"):
        return None
    try:
        return base64.b64decode(found.data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def drawn(value: dict[str, Any]) -> Media | None:
    """An image that a model drew, as OpenRouter gives it; None where it is in no known form."""
    inner = value.get("image_url")
    link = inner.get("url") if type(inner) is dict else None
    if value.get("type") != "image_url" or type(link) is not str:
        return None
    head, comma, data = link.partition(",")
    if not head.startswith("data:"):
        return Media(kind="image", source=Link(url=link))
    if not comma or not head.endswith(";base64"):
        return None
    return Media(kind="image", source=Inline(media_type=head[5:-7], data=data))
