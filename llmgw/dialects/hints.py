"""Members of one API's requests that no other has: what each of them is worth elsewhere.

Most of them would change the answer, so they are refused. These here do not, or say at these values what is so anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Json, Native
from llmgw.dialects.codec import Losses

HINTS: Final = frozenset(
    {
        "cache_control",
        "labels",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "stream_options",
    }
)
"""Members that cannot change an answer."""
MEANINGLESS: Final[Mapping[str, tuple[Json, ...]]] = {
    "background": (False,),
    "include": ([],),
    "labels": ({},),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "safetySettings": ([],),
    "store": (False,),
    "stream_options": ({},),
    "text": ({}, {"format": {"type": "text"}}),
    "truncation": ("disabled",),
}
"""Members at the values that ask for nothing."""


def account(native: Native, losses: Losses) -> None:
    """Report or refuse each member of another API's request that is left over.

    Raises:
        UnsupportedParameter: through `losses`.
    """
    given = {name: value for name, value in native.items() if value not in MEANINGLESS.get(name, ())}
    losses.refuse_native(given, advisory=HINTS)
