"""A cache mark as a block of its own, behind what it marks."""

from __future__ import annotations

from llmgw.canonical import CacheMark, Json
from llmgw.dialects.bedrock.families import Family, Place
from llmgw.dialects.codec import Losses


def cache_point(mark: CacheMark, family: Family, place: Place, losses: Losses) -> dict[str, Json] | None:
    """The block of a cache mark; None where models of the family have none there."""
    field = "tool.cache" if place == "tools" else "part.cache"
    if place not in family.caches:
        losses.advise(field)
        return None
    point = {"type": "default"}
    if mark.ttl is not None:
        if family.hour:
            point["ttl"] = mark.ttl
        elif mark.ttl != "5m":
            losses.advise(field)  # cached, but for the default of five minutes
    return {"cachePoint": point}
