"""Flags: switches that routes hang on, who has them on, and when they turn themselves off."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from llmgw.config.section import Count, Fraction, Patience, Port, Section, Text


class Guard(Section):
    """Turns a flag off when the calls that it affects go badly; it stays off until somebody turns it on."""

    error_rate: Annotated[
        Fraction | None, Meta(description="Above this share of failed calls; null: failures do not count.")
    ] = None
    latency_s: Annotated[
        Patience | None,
        Meta(
            description="Above this time per call, on average of those that succeed; null: it does not count."
        ),
    ] = field(default=None, name="latency")
    cost: Annotated[
        Annotated[str, Meta(min_length=1, extra={"unit": "usd"})] | None,
        Meta(
            description="Above so many US dollars per call, on average of those whose price is known; null: it "
            "does not count."
        ),
    ] = None
    window_s: Annotated[Patience, Meta(description="The time over which calls are judged together.")] = field(
        default=300.0, name="window"
    )
    min_calls: Annotated[Count, Meta(description="Calls within the window before any of this counts.")] = 50


class Flag(Section):
    """A switch that routes and hedges can hang on."""

    default: Annotated[
        bool,
        Meta(description="Its state for who is not named below, and while a flag provider has said nothing."),
    ] = False
    percentage: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="Per cent of the keys that have it on besides; a key that is among 10 per cent is among 20.",
        ),
    ] = 0.0
    orgs: Annotated[tuple[Text, ...], Meta(description="Organisations that have it on, by name or id.")] = ()
    keys: Annotated[tuple[Text, ...], Meta(description="Virtual keys that have it on, by id or name.")] = ()
    guard: Guard | None = None
    description: Annotated[str, Meta(description="What it is for; shown by llmgw flags list --json.")] = ""


class FlagProvider(Section):
    """Who says which flags are on; what `llmgw flags set` says, and a guard, goes before it."""

    kind: Annotated[
        Literal["builtin", "flagd"],
        Meta(description="builtin: this file. flagd: a flagd server, which needs pip install llmgw[flagd]."),
    ] = "builtin"
    host: Annotated[Text, Meta(description="flagd: its host.")] = "localhost"
    port: Annotated[Port, Meta(description="flagd: its port for evaluations.")] = 8013
    tls: Annotated[bool, Meta(description="flagd: whether to speak TLS to it.")] = False
    deadline_s: Annotated[
        Patience, Meta(description="flagd: how long one evaluation may take, in the background.")
    ] = field(default=0.5, name="deadline")
