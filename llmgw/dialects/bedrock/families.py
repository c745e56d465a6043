"""What the families of models on Bedrock differ in, by the model's id.

Ids have a vendor, often behind a region (`us.anthropic.claude-…`), and may stand within an ARN. An ARN of an
application's profile or of a custom model does not tell the family: then what every family takes is written, hints that
some of them take too, and nothing that only one understands.

Sources: docs.aws.amazon.com, "Prompt caching", "Inference request parameters" of Claude and Nova, "Extended thinking".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

Place = Literal["system", "messages", "tools"]


class Family(Struct, frozen=True, kw_only=True):
    """One family's ways."""

    claude: bool = False
    """Thinks, signs its thoughts and tells the stop sequence that it met as Anthropic's own API has it."""
    caches: frozenset[Place] = frozenset()
    """Where it takes cache points."""
    hour: bool = False
    """Whether a cache point may ask for an hour."""
    top_k: tuple[str, ...] = ()
    """Where `top_k` stands within the model's own fields; empty where it has none or it is not known."""


_ALL: Final[frozenset[Place]] = frozenset({"system", "messages", "tools"})
UNKNOWN: Final = Family(caches=_ALL, hour=True)
_OTHER: Final = Family()

_TABLE: Final[tuple[tuple[str, Family], ...]] = (
    (r"anthropic\.claude-(v2|instant|3-(haiku|sonnet|opus)|3-5-sonnet-20240620)",
     Family(claude=True, top_k=("top_k",))),
    (r"anthropic\.claude-(3-|[a-z]+-4-(20\d{6}|[0-1](?!\d)))", Family(claude=True, caches=_ALL, top_k=("top_k",))),
    (r"anthropic\.", Family(claude=True, caches=_ALL, hour=True, top_k=("top_k",))),
    (r"amazon\.nova", Family(caches=frozenset({"system", "messages"}), top_k=("inferenceConfig", "topK"))),
    (r"[a-z0-9-]+\.[a-z0-9-]", _OTHER),
)  # fmt: skip
_PATTERNS: Final = tuple(
    (re.compile(r"(?:^|[/.])" + pattern, re.IGNORECASE).search, family) for pattern, family in _TABLE
)


@lru_cache(maxsize=4096)
def of(model: str) -> Family:
    """The family of a model by its id."""
    for matches, family in _PATTERNS:
        if matches(model) is not None:
            return family
    return UNKNOWN
