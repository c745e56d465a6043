"""What a call used."""

from __future__ import annotations

from msgspec import Struct

from llmgw.canonical.parts import NOTHING, Native


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens in disjoint buckets: their sum is everything the provider counted. None: not reported.

    A bucket that the provider reports only as part of another (cached within prompt tokens, reasoning within
    completion tokens) is taken out of that one. No bucket is ever negative.
    """

    input: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    input_audio: int | None = None
    output: int | None = None
    reasoning: int | None = None
    output_audio: int | None = None
    native: Native = NOTHING
    """Counters that are no tokens of this call's buckets (web searches, predicted tokens, iterations)."""
