"""This API's token counts as disjoint buckets, and back.

`prompt_tokens` include cached, written and audio tokens; `completion_tokens` include reasoning and audio. Hosts
differ: xAI counts reasoning beside the completion, DeepSeek and Mistral have names of their own for cached tokens,
Gemini's compatible endpoint leaves thoughts out of everything but the total. The total is what is charged, so what
it says beyond the parts is output.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import replace

from llmgw.canonical import NOTHING, Json, Native, Usage
from llmgw.dialects.members import of_provider
from llmgw.dialects.openai_chat.spelling import keep, words_of

_COUNTED: Final = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_cache_hit_tokens",
        "prompt_cache_miss_tokens",
        "num_cached_tokens",
        "cached_tokens",
    }
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
    try:
        said = convert(raw, _Said)
    except ValidationError as error:
        path = re.search(r"`\$\.?([^`]*)`", str(error))
        raise of_provider(f"usage.{path[1]}" if path else "usage", "counts of tokens") from None
    before, after = said.prompt_tokens_details or _NO_DETAILS, said.completion_tokens_details or _NO_DETAILS
    prompt, completion = said.prompt_tokens, said.completion_tokens
    cached = before.cached_tokens
    if cached is None:
        cached = said.prompt_cache_hit_tokens
    if cached is None:
        cached = said.num_cached_tokens
    if cached is None:
        cached = said.cached_tokens
    written, heard = before.cache_write_tokens, before.audio_tokens
    reasoning, spoken = after.reasoning_tokens, after.audio_tokens
    if completion is not None and said.total_tokens is not None and prompt is not None:
        completion += max(said.total_tokens - prompt - completion, 0)
    # Most answers have few of these counts.
    if cached is not None:
        prompt, cached = _take(prompt, cached)
    if written is not None:
        prompt, written = _take(prompt, written)
    if heard is not None:
        prompt, heard = _take(prompt, heard)
    if reasoning is not None:
        completion, reasoning = _take(completion, reasoning)
    if spoken is not None:
        completion, spoken = _take(completion, spoken)
    return Usage(
        input=prompt,
        cache_read=cached,
        cache_write_5m=written,
        input_audio=heard,
        output=completion,
        reasoning=reasoning,
        output_audio=spoken,
    )


Count = Annotated[int, Meta(ge=0)]


class _Details(Struct):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    audio_tokens: Count | None = None
    reasoning_tokens: Count | None = None


class _Said(Struct):
    """The counts by this API's names, and those of hosts for cached tokens: DeepSeek's, Mistral's, Together's."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: Count | None = None
    num_cached_tokens: Count | None = None
    cached_tokens: Count | None = None


_NO_DETAILS: Final = _Details()


def _take(whole: int | None, part: int) -> tuple[int | None, int]:
    """`part` taken out of `whole`; never more than there is, for some hosts count apart what they count again."""
    if whole is None:
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
