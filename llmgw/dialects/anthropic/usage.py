"""Anthropic's token counts as disjoint buckets, and back.

`input_tokens` counts neither cached nor written tokens; `output_tokens` includes thinking, which newer answers
report apart. A stream reports the counts twice and more, each time whole: what came later replaces what came
before, member by member.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import NOTHING, Json, Native, Usage
from llmgw.dialects.members import Members

_TIERS: Final = {"standard": "default"}
_TIERS_BACK: Final = {"default": "standard", "priority": "priority", "batch": "batch"}


def tier(of: Members) -> str | None:
    """The answer's service tier in OpenAI's words, taken out of the usage."""
    said = of.text("service_tier")
    return None if said is None else _TIERS.get(said, said)


def written_tier(neutral: str | None, own: bool) -> str | None:
    """The tier in Anthropic's words; None where it has none for it."""
    if neutral is None:
        return None
    return _TIERS_BACK.get(neutral, neutral if own else None)


def read(of: Members) -> Usage:
    """The counts. Raises the fault of whoever wrote them where one is no count."""
    native: dict[str, Json] = {}
    short, long = _written(of, native)
    output = _count(of, "output_tokens")
    details = of.object("output_tokens_details")
    thought = None
    if details is not None:
        thought = _count(details, "thinking_tokens")
        if thought is not None and (output is None or thought > output):
            native["output_tokens_details"] = {"thinking_tokens": thought, **details.rest()}
            thought = None
        elif details.rest():
            native["output_tokens_details"] = details.rest()
    return Usage(
        input=_count(of, "input_tokens"),
        cache_read=_count(of, "cache_read_input_tokens"),
        cache_write_5m=short,
        cache_write_1h=long,
        output=output if output is None or thought is None else output - thought,
        reasoning=thought,
        native={**of.rest(), **native} or NOTHING,
    )


def _count(of: Members, name: str) -> int | None:
    value = of.integer(name)
    if value is not None and value < 0:
        raise of.wrong(name, "a count of tokens")
    return value


def _written(of: Members, native: dict[str, Json]) -> tuple[int | None, int | None]:
    """Tokens written to the cache for five minutes and for an hour. The total is what is charged, so it is kept
    where the two do not add up to it (a stream's later total has no parts)."""
    total = _count(of, "cache_creation_input_tokens")
    apart = of.object("cache_creation")
    if apart is None:
        return total, None  # five minutes is the default
    short, long = _count(apart, "ephemeral_5m_input_tokens"), _count(apart, "ephemeral_1h_input_tokens")
    if apart.rest():
        native["cache_creation"] = apart.rest()
    if short is None and long is None:
        return total, None
    short, long = short or 0, long or 0
    if total is None or short + long == total:
        return short, long
    return max(total - long, 0), min(long, total)


def write(usage: Usage | None, own: bool) -> dict[str, Json]:
    """`usage` as this API counts. Input and output are numbers there always: 0 where nothing was reported."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    written: dict[str, Json] = {"input_tokens": (usage.input or 0) + (usage.input_audio or 0)}
    if usage.cache_write_5m is not None or usage.cache_write_1h is not None:
        written["cache_creation_input_tokens"] = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
    if usage.cache_read is not None:
        written["cache_read_input_tokens"] = usage.cache_read
    if usage.cache_write_1h is not None:
        written["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_5m or 0,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    written["output_tokens"] = (usage.output or 0) + (usage.reasoning or 0) + (usage.output_audio or 0)
    if usage.reasoning is not None:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    for name, value in (usage.native if own else NOTHING).items():
        mine = written.get(name)
        written[name] = {**mine, **value} if isinstance(mine, dict) and isinstance(value, dict) else value
    return written


def lost(usage: Usage | None, own: bool) -> Native:
    """Counters of another dialect's that have no place here."""
    return NOTHING if usage is None or own else usage.native
