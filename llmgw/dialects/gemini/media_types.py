"""Media types: which kind of medium one is, and what a URL's suffix tells."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import urlsplit

Kind = Literal["image", "audio", "video", "document"]

_KINDS: Final[dict[str, Kind]] = {"image": "image", "audio": "audio", "video": "video"}

_SUFFIXES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "aiff": "audio/aiff",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpg",
    "mov": "video/quicktime",
    "avi": "video/avi",
    "webm": "video/webm",
    "wmv": "video/wmv",
    "3gp": "video/3gpp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "csv": "text/csv",
    "xml": "text/xml",
    "rtf": "text/rtf",
    "json": "application/json",
}
"""The types Gemini's guides list (images, audio, video, documents), by suffix."""


def kind_of(media_type: str | None, url: str = "") -> Kind:
    """What `media_type` is, or where there is none what `url` points to; a document where neither tells."""
    if media_type is None:
        if is_youtube(url):
            return "video"
        media_type = guess(url) or ""
    return _KINDS.get(media_type.partition("/")[0].lower(), "document")


def guess(url: str) -> str | None:
    """The media type that the suffix of `url`'s path stands for."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    _, dot, suffix = path.rpartition(".")
    return _SUFFIXES.get(suffix.lower()) if dot else None


def is_youtube(url: str) -> bool:
    """Whether `url` is a film on YouTube, which Gemini fetches without a media type."""
    return url.startswith(("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"))
