"""How far the limits of a call are used up, as its answer says it: `x-ratelimit-*` (OpenAI's names)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

from llmgw.ports import Header, Standing

_SHOWN: Final = (("requests", b"requests"), ("tokens", b"tokens"))


def headers_of(standings: Sequence[Standing]) -> list[Header]:
    """Of each kind, the limit with the least left; nothing where no limit of the kind is set.

    `reset` is whole seconds until all of it is free again.
    """
    fields: list[Header] = []
    for measure, name in _SHOWN:
        tightest: Standing | None = None
        least = 0
        for standing in standings:
            if standing.limit.measure == measure:
                left = standing.limit.amount - standing.used - standing.reserved
                if tightest is None or left < least:
                    tightest, least = standing, left
        if tightest is not None:
            fields += (
                (b"x-ratelimit-limit-" + name, b"%d" % tightest.limit.amount),
                (b"x-ratelimit-remaining-" + name, b"%d" % max(least, 0)),
                (b"x-ratelimit-reset-" + name, b"%ds" % ceil(tightest.reset_s or 0)),
            )
    return fields
