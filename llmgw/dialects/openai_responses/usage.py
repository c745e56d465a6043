"""This API's token counts as disjoint buckets, and back: input includes what was cached, output what was thought."""

from __future__ import annotations

from typing import Final

from llmgw.canonical import Json, Usage
from llmgw.dialects.members import Members

_BUCKETS: Final = tuple(name for name in Usage.__struct_fields__ if name != "native")


def read(of: Members) -> Usage:
    """The counts. Raises UpstreamFailed where one is no count."""
    before, after = of.object("input_tokens_details"), of.object("output_tokens_details")
    entered, left = _count(of, "input_tokens"), _count(of, "output_tokens")
    of.any("total_tokens")
    cached = None if before is None else _count(before, "cached_tokens")
    stored = None if before is None else _count(before, "cache_write_tokens")
    heard = None if before is None else _count(before, "audio_tokens")
    reasoning = None if after is None else _count(after, "reasoning_tokens")
    spoken = None if after is None else _count(after, "audio_tokens")
    entered, cached = _within(entered, cached)
    entered, stored = _within(entered, stored)
    entered, heard = _within(entered, heard)
    left, reasoning = _within(left, reasoning)
    left, spoken = _within(left, spoken)
    return Usage(
        input=entered,
        cache_read=cached,
        cache_write_5m=stored,
        input_audio=heard,
        output=left,
        reasoning=reasoning,
        output_audio=spoken,
        native=of.rest(),
    )


def _count(of: Members, name: str) -> int | None:
    value = of.integer(name)
    if value is not None and value < 0:
        raise of.wrong(name, "a count of tokens")
    return value


def _within(whole: int | None, part: int | None) -> tuple[int | None, int | None]:
    """`whole` without `part`, and `part`, which is never more than the whole."""
    if whole is None or part is None:
        return whole, part
    part = min(part, whole)
    return whole - part, part


def write(usage: Usage) -> dict[str, Json] | None:
    """The counts as a client of this API adds them up; None where the provider has told none."""
    if all(getattr(usage, bucket) is None for bucket in _BUCKETS):
        return None
    entered = _sum(
        usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.input_audio
    )
    left = _sum(usage.output, usage.reasoning, usage.output_audio)
    return {
        "input_tokens": entered,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read or 0,
            "cache_write_tokens": _sum(usage.cache_write_5m, usage.cache_write_1h),
        },
        "output_tokens": left,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": entered + left,
    }


def _sum(*counts: int | None) -> int:
    return sum(count for count in counts if count is not None)
