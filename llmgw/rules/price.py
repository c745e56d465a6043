"""What tokens cost: exact, in whole nano-dollars, rounded once for each call.

A rate is nano-dollars per million tokens, so every published price (dollars per million, with decimals) is a whole
number, and the cost of a call is one sum of products. It is rounded up: no part of a nano-dollar is lost.

A tariff has steps for long inputs; the step that an input reaches holds for the whole call, as providers bill it
(platform.claude.com, "Long context pricing"; ai.google.dev, "Gemini Developer API pricing"). Service tiers have
tariffs of their own, and a price list has prices that hold from a day on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from llmgw.canonical import Usage

MILLION: Final = 1_000_000

_INPUT: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio")


class Rates(Struct, frozen=True, kw_only=True):
    """Nano-dollars per million tokens of each bucket."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    input_audio: int
    reasoning: int
    output_audio: int


def rates(
    *,
    input: int,
    output: int,
    cache_read: int | None = None,
    cache_write_5m: int | None = None,
    cache_write_1h: int | None = None,
    input_audio: int | None = None,
    reasoning: int | None = None,
    output_audio: int | None = None,
) -> Rates:
    """A bucket without a rate of its own costs what it is part of at the providers: cached and written tokens and
    sound are input, reasoning and spoken sound are output, what is kept for an hour is written."""
    written = input if cache_write_5m is None else cache_write_5m
    return Rates(
        input=input,
        output=output,
        cache_read=input if cache_read is None else cache_read,
        cache_write_5m=written,
        cache_write_1h=written if cache_write_1h is None else cache_write_1h,
        input_audio=input if input_audio is None else input_audio,
        reasoning=output if reasoning is None else reasoning,
        output_audio=output if output_audio is None else output_audio,
    )


class Tariff(Struct, frozen=True):
    """Rates, and those of longer inputs: `(above, rates)` holds where the input has more tokens, ascending."""

    base: Rates
    steps: tuple[tuple[int, Rates], ...] = ()


class Price(Struct, frozen=True, kw_only=True):
    """What a model costs from `since` (Unix seconds) on."""

    tariff: Tariff
    tiers: Mapping[str, Tariff] = {}
    """Of service tiers, by OpenAI's words; any other tier costs what `tariff` says."""
    since: float = 0.0
    until: float = float("inf")
    version: str
    """Where it comes from: the catalogue's version, or `config`."""


PriceList = tuple[Price, ...]
"""What a model costs over time; no two hold at the same moment."""


def in_force(prices: PriceList, when: float) -> Price | None:
    """The price at a moment; None in a gap."""
    for price in prices:
        if price.since <= when < price.until:
            return price
    return None


def cost(price: Price, usage: Usage, service_tier: str | None = None) -> int:
    """Nano-dollars of a call. A bucket that is not known adds nothing."""
    tariff = price.tiers.get(service_tier, price.tariff) if service_tier else price.tariff
    at = tariff.base
    if tariff.steps:
        inputs = sum(getattr(usage, bucket) or 0 for bucket in _INPUT)
        for above, further in tariff.steps:
            if inputs > above:
                at = further
    total = 0
    if usage.input:
        total += usage.input * at.input
    if usage.output:
        total += usage.output * at.output
    if usage.cache_read:
        total += usage.cache_read * at.cache_read
    if usage.cache_write_5m:
        total += usage.cache_write_5m * at.cache_write_5m
    if usage.cache_write_1h:
        total += usage.cache_write_1h * at.cache_write_1h
    if usage.input_audio:
        total += usage.input_audio * at.input_audio
    if usage.reasoning:
        total += usage.reasoning * at.reasoning
    if usage.output_audio:
        total += usage.output_audio * at.output_audio
    return -(-total // MILLION)


def bound(
    price: Price,
    input_tokens: int,
    output_tokens: int,
    *,
    service_tier: str | None = None,
    writes_cache: bool = False,
    hears: bool = False,
) -> int:
    """The most that a call can cost in nano-dollars.

    Args:
        service_tier: the one that the request asks for.
        writes_cache: whether it marks what is to be cached, which may cost more than input.
        hears: whether it has or asks for sound.
    """
    tariff = price.tiers.get(service_tier, price.tariff) if service_tier else price.tariff
    most = 0
    for at in (tariff.base, *(further for above, further in tariff.steps if input_tokens > above)):
        dearest_in = max(
            at.input,
            max(at.cache_write_5m, at.cache_write_1h) if writes_cache else 0,
            at.input_audio if hears else 0,
        )
        dearest_out = max(at.output, at.reasoning, at.output_audio if hears else 0)
        most = max(most, input_tokens * dearest_in + output_tokens * dearest_out)
    return -(-most // MILLION)
