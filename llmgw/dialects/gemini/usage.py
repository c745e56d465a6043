"""Gemini's `usageMetadata` against the disjoint buckets.

`promptTokenCount` includes cached tokens but not those of tool results the provider fetched
(`toolUsePromptTokenCount`); `candidatesTokenCount` excludes thoughts. The modality details tell how much of each is
audio. A count of 0 is left out, as in all of Google's JSON. Recorded totals are always the sum of the four counts;
where a host leaves a count out, what the total says more belongs to it.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import Json, Usage
from llmgw.dialects.gemini.spelling import Fields, keep, words_of

_DETAILS: Final = (
    "promptTokensDetails",
    "cacheTokensDetails",
    "candidatesTokensDetails",
    "toolUsePromptTokensDetails",
)
AUDIO: Final = ("AUDIO", 4)


def read(metadata: Fields) -> Usage:
    """The usage a provider reports."""
    words = dict(metadata.whole())
    prompt = _count(metadata, "promptTokenCount")
    cached = _count(metadata, "cachedContentTokenCount")
    tools = _count(metadata, "toolUsePromptTokenCount")
    output = _count(metadata, "candidatesTokenCount")
    if output is None:
        output = _count(metadata, "responseTokenCount")
    thoughts = _count(metadata, "thoughtsTokenCount")
    total = _count(metadata, "totalTokenCount")
    heard, heard_cached, spoken, heard_tools = (_audio(metadata, name) for name in _DETAILS)

    if total is not None:
        more = total - (prompt or 0) - (tools or 0) - (output or 0) - (thoughts or 0)
        if more > 0 and output is not None and thoughts is None:
            thoughts = more
        elif more > 0:
            output = (output or 0) + more

    if prompt is not None and cached is not None:
        cached = min(cached, prompt)
    fresh = None if prompt is None and tools is None else (prompt or 0) - (cached or 0) + (tools or 0)
    audio_in = None
    if heard is not None or heard_tools is not None:
        audio_in = min(max((heard or 0) - (heard_cached or 0), 0) + (heard_tools or 0), fresh or 0)
    audio_out = None if spoken is None else min(spoken, output or 0)
    return Usage(
        input=fresh if fresh is None else fresh - (audio_in or 0),
        cache_read=cached,
        input_audio=audio_in,
        output=output if output is None else output - (audio_out or 0),
        reasoning=thoughts,
        output_audio=audio_out,
        native=keep(metadata.rest(), words),
    )


def write(usage: Usage) -> dict[str, Json]:
    """`usage` in Gemini's accounting; its own words where they are kept."""
    words = words_of(usage.native)
    if words:
        return dict(words)
    written: dict[str, Json] = {}
    prompt = _sum(
        usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.input_audio
    )
    output = _sum(usage.output, usage.output_audio)
    counts = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": usage.cache_read,
        "candidatesTokenCount": output,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": _sum(prompt, output, usage.reasoning),
    }
    written.update((name, count) for name, count in counts.items() if count is not None)
    for name, count in ((_DETAILS[0], usage.input_audio), (_DETAILS[2], usage.output_audio)):
        if count:
            written[name] = [{"modality": "AUDIO", "tokenCount": count}]
    return written


def _count(metadata: Fields, name: str) -> int | None:
    value = metadata.integer(name)
    if value is not None and value < 0:
        raise metadata.wrong(name, "no negative number")
    return value


def _audio(metadata: Fields, name: str) -> int | None:
    """The audio tokens of the details `name`; None where they say nothing of audio. The details stay in `rest`."""
    details = metadata.whole().get(name)
    if details is None:
        return None
    if type(details) is not list:
        raise metadata.wrong(name, "an array")
    found: int | None = None
    for detail in details:
        if type(detail) is not dict or detail.get("modality") not in AUDIO:
            continue
        count = detail.get("tokenCount", 0)
        if type(count) is not int or count < 0:
            raise metadata.wrong(name, "an array of token counts")
        found = (found or 0) + count
    return found


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
