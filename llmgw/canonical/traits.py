"""What of a request's content rules may look at, told without reading it into the neutral model."""

from __future__ import annotations

from msgspec import Struct


class Shape(Struct, frozen=True):
    """What a request asks for besides words."""

    tools: bool = False
    """Offers the model tools, its own or the provider's."""
    images: bool = False
    """Has an image somewhere in its conversation."""
    json_schema: bool = False
    """Wants an answer that keeps to a schema."""


class Prompt(Struct, frozen=True):
    """What a request says last, and how much came before."""

    text: str = ""
    """The words of the last turn that a person wrote."""
    turns: int = 0
    """Of the whole conversation, the system prompt not counted."""
    context_bytes: int = 0
    """Of the body, all but `text`: system prompt, former turns, tools, media."""
