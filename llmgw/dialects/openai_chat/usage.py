"""This API's token counts as disjoint buckets, and back.

`prompt_tokens` include cached, written and audio tokens; `completion_tokens` include reasoning and audio. Hosts
differ: xAI counts reasoning beside the completion, DeepSeek and Mistral have names of their own for cached tokens,
Gemini's compatible endpoint leaves thoughts out of everything but the total. The total is what is charged, so what
it says beyond the parts is output.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from llmgw.canonical import NOTHING, Json, Native, Usage
from llmgw.dialects.members import of_provider
from llmgw.dialects.openai_chat.spelling import keep, words_of

_CACHED: Final = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
"""DeepSeek's, Mistral's and Together's names for cached tokens."""
_COUNTED: Final = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_miss_tokens", *_CACHED}
)
_COUNTED_WITHIN: Final = frozenset(
    {"cached_tokens", "cache_write_tokens", "audio_tokens", "reasoning_tokens", "text_tokens"}
)


def read(raw: dict[str, Any]) -> Usage:
    """The counts, with those that are in no bucket.

    Raises:
        UpstreamFailed: one of them is no count.
    """
    before, after = _details(raw, "prompt_tokens_details"), _details(raw, "completion_tokens_details")
    return replace(buckets(raw), native=keep(_rest(raw, before, after), raw))


def buckets(raw: dict[str, Any]) -> Usage:
    """The counts of tokens alone. Raises as `read`."""
    before, after = _details(raw, "prompt_tokens_details"), _details(raw, "completion_tokens_details")
    prompt, completion = _count(raw, "prompt_tokens"), _count(raw, "completion_tokens")
    total = _count(raw, "total_tokens")
    cached = _count(before, "cached_tokens")
    if cached is None:
        for name in _CACHED:
            if cached is None:
                cached = _count(raw, name)
    written, heard = _count(before, "cache_write_tokens"), _count(before, "audio_tokens")
    reasoning, spoken = _count(after, "reasoning_tokens"), _count(after, "audio_tokens")
    if completion is not None and total is not None and prompt is not None:
        completion += max(total - prompt - completion, 0)
    left, cached = _take(prompt, cached)
    left, written = _take(left, written)
    left, heard = _take(left, heard)
    rest, reasoning = _take(completion, reasoning)
    rest, spoken = _take(rest, spoken)
    return Usage(
        input=left,
        cache_read=cached,
        cache_write_5m=written,
        input_audio=heard,
        output=rest,
        reasoning=reasoning,
        output_audio=spoken,
    )


def _take(whole: int | None, part: int | None) -> tuple[int | None, int | None]:
    """`part` taken out of `whole`; never more than there is, for some hosts count apart what they count again."""
    if whole is None or part is None:
        return whole, part
    if part > whole:
        part = whole
    return whole - part, part


def _details(raw: dict[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise of_provider(f"usage.{name}", "an object")
    return value


def _count(raw: dict[str, Any], name: str) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if type(value) is int and value >= 0:
        return value
    if type(value) is float and value.is_integer() and value >= 0:
        return int(value)
    raise of_provider(f"usage.{name}", "a count of tokens")


def _rest(raw: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> Native:
    """The counters that are in no bucket and count something."""
    rest: dict[str, Json] = {}
    for name, value in raw.items():
        if value is before or value is after:
            value = {key: one for key, one in value.items() if one and key not in _COUNTED_WITHIN}
        if value and name not in _COUNTED:
            rest[name] = value
    return rest or NOTHING


def write(usage: Usage | None, *, own: bool) -> dict[str, Json] | None:
    """`usage` as this API counts; None where nothing was reported."""
    if usage is None:
        return None
    words = words_of(usage.native) if own else NOTHING
    if words:
        return dict(words)
    prompt = _sum(
        usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.input_audio
    )
    completion = _sum(usage.output, usage.reasoning, usage.output_audio)
    if prompt is None and completion is None:
        return None
    before = {
        "cached_tokens": usage.cache_read,
        "cache_write_tokens": _sum(usage.cache_write_5m, usage.cache_write_1h),
        "audio_tokens": usage.input_audio,
    }
    after = {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.output_audio}
    written: dict[str, Json] = {
        "prompt_tokens": prompt or 0,
        "completion_tokens": completion or 0,
        "total_tokens": (prompt or 0) + (completion or 0),
    }
    for name, details in (("prompt_tokens_details", before), ("completion_tokens_details", after)):
        known = {key: count for key, count in details.items() if count is not None}
        if known:
            written[name] = known
    return written


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
