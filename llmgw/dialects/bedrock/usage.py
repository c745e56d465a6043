"""The Converse API's token counts as disjoint buckets.

`inputTokens` counts neither what was read from the cache nor what was written to it; the three and `outputTokens` add
up to `totalTokens`. Reasoning is within the output and not told apart. `cacheDetails` splits what was written by how
long it is kept; what it leaves open is kept for five minutes, the default.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import NOTHING, Json, Usage
from llmgw.dialects.bedrock.spelling import count
from llmgw.dialects.members import Members

_OLD: Final = {
    "cacheReadInputTokenCount": "cacheReadInputTokens",
    "cacheWriteInputTokenCount": "cacheWriteInputTokens",
}
"""Former names, which answers still have beside those of today."""


def read(of: Members) -> Usage:
    """The counts. Raises UpstreamFailed where one is no count."""
    for old, today in _OLD.items():
        value = of.any(old)
        if of.whole().get(today) is None and value is not None:
            of.whole()[today] = value
    fresh, output, total = count(of, "inputTokens"), count(of, "outputTokens"), count(of, "totalTokens")
    cached, written = count(of, "cacheReadInputTokens"), count(of, "cacheWriteInputTokens")
    short, long = _kept(of, written)
    native: dict[str, Json] = {name: value for name, value in of.rest().items() if value not in ({}, [])}
    if total is not None and total != sum(one or 0 for one in (fresh, cached, short, long, output)):
        native["totalTokens"] = total
    return Usage(
        input=fresh,
        cache_read=cached,
        cache_write_5m=short,
        cache_write_1h=long,
        output=output,
        native=native or NOTHING,
    )


def _kept(of: Members, written: int | None) -> tuple[int | None, int | None]:
    """Tokens written to the cache for five minutes and for an hour. The total is what is charged."""
    kept: dict[str, int] = {}
    for detail in of.objects("cacheDetails"):
        tokens = count(detail, "inputTokens") or 0
        ttl = detail.need_text("ttl")
        kept[ttl] = kept.get(ttl, 0) + tokens
    if not kept:
        return written, None
    long = kept.get("1h", 0)
    if written is None:
        return sum(kept.values()) - long, long
    return max(written - long, 0), min(long, written)
