"""A request for embeddings, and its answer."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from llmgw.canonical.parts import NOTHING, Native
from llmgw.canonical.usage import Usage


class Embed(Struct, frozen=True, kw_only=True):
    """A request for embeddings."""

    dialect: str
    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    """Texts, or token ids."""
    single: bool = False
    """The client gave one input and not a list of them."""
    dimensions: int | None = None
    encoding: Literal["float", "base64"] | None = None
    user: str | None = None
    task: str | None = None
    """Gemini's `taskType`."""
    title: str | None = None
    native: Native = NOTHING


class Embeddings(Struct, frozen=True, kw_only=True):
    """Vectors in the order of the inputs; base64 text (little-endian float32) where that was asked for."""

    model: str | None
    vectors: tuple[tuple[float, ...] | str, ...]
    usage: Usage | None = None
    native: Native = NOTHING
