"""The answer as a stream.

A `block` is one part of a choice: blocks count up from 0 within their choice, in order of first appearance over all
kinds, and each has one kind.
"""

from __future__ import annotations

from msgspec import Struct

from llmgw.canonical.answer import Finish, ProviderError
from llmgw.canonical.parts import NOTHING, Citation, Json, Media, Native
from llmgw.canonical.usage import Usage


class Start(Struct, frozen=True, kw_only=True):
    """The first event, exactly once. Brings no content, so it does not commit the call."""

    dialect: str
    id: str | None = None
    model: str | None = None
    created: int | None = None
    service_tier: str | None = None
    native: Native = NOTHING


class TextDelta(Struct, frozen=True, kw_only=True):
    text: str
    choice: int = 0
    block: int = 0
    signature: str | None = None
    logprobs: Json = None


class RefusalDelta(Struct, frozen=True, kw_only=True):
    text: str
    choice: int = 0
    block: int = 0


class ThoughtDelta(Struct, frozen=True, kw_only=True):
    """Any of its members may come alone; a signature or redacted text comes whole."""

    text: str = ""
    choice: int = 0
    block: int = 0
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None


class CitationDelta(Struct, frozen=True, kw_only=True):
    """Belongs to the text block of the same number."""

    citation: Citation
    choice: int = 0
    block: int = 0


class ToolDelta(Struct, frozen=True, kw_only=True):
    """`name` is set on the first delta of a block and only there; `arguments` are to be joined."""

    arguments: str = ""
    choice: int = 0
    block: int = 0
    id: str | None = None
    name: str | None = None
    custom: bool = False
    signature: str | None = None


class MediaDelta(Struct, frozen=True, kw_only=True):
    """A whole medium in one event (images that a model draws)."""

    media: Media
    choice: int = 0
    block: int = 0


class NativeDelta(Struct, frozen=True, kw_only=True):
    """An event or a part that only its dialect has."""

    dialect: str
    kind: str
    data: Json
    choice: int = 0
    block: int = 0
    part: str | None = None
    """The kind of the part that begins with it, which is lost to clients of other dialects."""


class UsageEvent(Struct, frozen=True, kw_only=True):
    """What has been used so far; a later one replaces an earlier one, it is never added."""

    usage: Usage


class FinishEvent(Struct, frozen=True, kw_only=True):
    """A choice is complete: once for each, after its last delta."""

    finish: Finish
    choice: int = 0


class Failure(Struct, frozen=True, kw_only=True):
    """The provider's own error within the stream. Nothing follows it."""

    error: ProviderError


class End(Struct, frozen=True, kw_only=True):
    """The stream ended as its dialect says a complete one must. Exactly once, last; never after a Failure."""


Event = (
    Start
    | TextDelta
    | RefusalDelta
    | ThoughtDelta
    | CitationDelta
    | ToolDelta
    | MediaDelta
    | NativeDelta
    | UsageEvent
    | FinishEvent
    | Failure
    | End
)
