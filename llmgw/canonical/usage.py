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

    @property
    def total(self) -> int:
        """Tokens of all buckets; written out, for it is asked at the end of every call."""
        return (
            (self.input or 0)
            + (self.cache_read or 0)
            + (self.cache_write_5m or 0)
            + (self.cache_write_1h or 0)
            + (self.input_audio or 0)
            + (self.output or 0)
            + (self.reasoning or 0)
            + (self.output_audio or 0)
        )

    def __add__(self, other: Usage) -> Usage:
        """What two answers have used together; what neither reports stays unreported."""
        return Usage(
            input=_sum(self.input, other.input),
            cache_read=_sum(self.cache_read, other.cache_read),
            cache_write_5m=_sum(self.cache_write_5m, other.cache_write_5m),
            cache_write_1h=_sum(self.cache_write_1h, other.cache_write_1h),
            input_audio=_sum(self.input_audio, other.input_audio),
            output=_sum(self.output, other.output),
            reasoning=_sum(self.reasoning, other.reasoning),
            output_audio=_sum(self.output_audio, other.output_audio),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
