"""Hosts that speak a known wire format in their own way: rows of data, no code.

A row says where the host is, how it takes its secret, which endpoints it has and in which details its wire
differs. A new compatible host needs a row here and a recording among the fixtures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct


class Host(Struct, frozen=True, kw_only=True):
    """One host's peculiarities."""

    name: str
    dialect: str
    base_url: str | None = None
    """The default; None where every account has its own."""
    auth: Literal["bearer", "api-key", "x-api-key", "x-goog-api-key", "none"] = "bearer"
    """Which header carries the secret: `Authorization: Bearer`, or the one named."""
    endpoints: frozenset[str] = frozenset()
    """The endpoints it has, by name; empty: all of its dialect's."""
    renamed: Mapping[str, str] = {}
    """Request fields that have another name there: {"max_completion_tokens": "max_tokens"}."""
    unsupported: frozenset[str] = frozenset()
    """Fields of the dialect's request that it refuses or ignores, so that they are losses."""
    asks_for_usage: bool = True
    """Whether streams report usage only when asked with `stream_options.include_usage`."""


OPENAI = Host(name="openai", dialect="openai")
ANTHROPIC = Host(name="anthropic", dialect="anthropic", auth="x-api-key")
GEMINI = Host(name="gemini", dialect="gemini", auth="x-goog-api-key")
