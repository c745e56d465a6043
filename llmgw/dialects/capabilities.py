"""What a model can do, by family and version, so that a request it cannot serve is refused before it is sent.

None means not known here: then the request goes out and the provider decides. Sources: the providers' model
pages, as of 2026-11.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

ReasoningStyle = Literal["none", "effort", "budget", "adaptive", "level"]
"""How a model is told to think: not at all; by an effort (OpenAI); by a token budget (Claude up to 4.5, Gemini
2.5); adaptively with an effort (Claude from 4.6); by a level (Gemini from 3)."""


class Capabilities(Struct, frozen=True, kw_only=True):
    """One model's abilities. Every field can be set in the configuration (`capabilities:`)."""

    vision: bool | None = None
    audio: bool | None = None
    """Takes audio as input."""
    documents: bool | None = None
    tools: bool | None = None
    json_schema: bool | None = None
    reasoning: ReasoningStyle | None = None
    sampling: bool | None = None
    """Takes temperature and top_p (OpenAI's reasoning models do not)."""
    max_output: int | None = None
    """Tokens."""


UNKNOWN = Capabilities()
