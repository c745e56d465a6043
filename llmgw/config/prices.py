"""What models cost: the `prices:` section, which goes before the catalogue. US dollars per million tokens, as decimals.

Amounts are kept as they are written: they never pass through a float.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, field

from llmgw.config.section import Section, Text

# Nine places are all that nano-dollars can hold; a million dollars per million tokens is a slip.
_amount: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?").fullmatch

Usd = Annotated[str, Meta(min_length=1, extra={"unit": "usd"})]


class TokenPrices(Section, kw_only=True):
    """US dollars per million tokens of each kind; what is absent costs what it is part of at the providers."""

    input: Annotated[Usd, Meta(description="Tokens in that no other price here is for.")]
    output: Annotated[Usd, Meta(description="Tokens out that no other price here is for.")]
    cache_read: Annotated[Usd | None, Meta(description="Read from the provider's cache.")] = None
    cache_write_5m: Annotated[Usd | None, Meta(description="Written to it for five minutes.")] = None
    cache_write_1h: Annotated[Usd | None, Meta(description="Written to it for an hour.")] = None
    input_audio: Annotated[Usd | None, Meta(description="Sound in.")] = None
    reasoning: Annotated[Usd | None, Meta(description="Thinking.")] = None
    output_audio: Annotated[Usd | None, Meta(description="Sound out.")] = None


class LongInput(TokenPrices, kw_only=True):
    """The prices of a whole call whose input is longer."""

    tokens: Annotated[int, Meta(ge=1, description="Above so many tokens of input.")]


class LaterPrices(TokenPrices, kw_only=True):
    """The prices from a day on."""

    since: Annotated[Text, Meta(description="The first day, UTC: 2026-07-01.")] = field(name="from")
    above: Annotated[tuple[LongInput, ...], Meta(description="Prices of long inputs.")] = ()
    tiers: Annotated[dict[str, TokenPrices], Meta(description="Prices of service tiers, such as flex.")] = (
        field(default_factory=dict)
    )


class ModelPrices(TokenPrices, kw_only=True):
    """What a model costs."""

    above: Annotated[tuple[LongInput, ...], Meta(description="Prices of long inputs.")] = ()
    tiers: Annotated[dict[str, TokenPrices], Meta(description="Prices of service tiers, such as flex.")] = (
        field(default_factory=dict)
    )
    later: Annotated[tuple[LaterPrices, ...], Meta(description="Other prices from later days on.")] = ()


def is_amount(text: str) -> bool:
    """Whether it is an amount in US dollars per million."""
    return _amount(text) is not None
