"""How much may be used: the `limits:` section.

Every scope has the same settings. A key's own limits (`llmgw keys create --rpm ...`) go before `default_key`, setting
by setting; all other scopes hold beside them, so a call needs room in each.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from llmgw.config.section import Count, Fraction, Patience, Section, Text


class KeyLimits(Section):
    """Limits of one virtual key; null is no limit."""

    rpm: Annotated[Count | None, Meta(description="Requests a minute.")] = None
    tpm: Annotated[Count | None, Meta(description="Tokens a minute.")] = None
    max_parallel: Annotated[Count | None, Meta(description="Calls at the same time.")] = None


class WindowLimit(Section):
    """A limit in a window of its own length."""

    per_s: Annotated[Patience, Meta(description="Length of the sliding window: 10s, 24h.")] = field(
        name="per"
    )
    requests: Annotated[Count | None, Meta(description="Requests in any such span of time.")] = None
    tokens: Annotated[Count | None, Meta(description="Tokens in any such span of time.")] = None


class BudgetOverride(Section):
    """Another amount for a while."""

    amount: Annotated[
        str,
        Meta(
            min_length=1, extra={"unit": "usd"}, description="US dollars in place of the budget's own amount."
        ),
    ]
    until: Annotated[Text, Meta(description="The last day it holds (2026-12-24, UTC), or a moment of it.")]


class BudgetLimit(Section):
    """A budget with more to say than `25/month`."""

    budget: Annotated[Text, Meta(description="US dollars per period, such as 25/month.")]
    override: BudgetOverride | None = None


class ScopeLimits(KeyLimits):
    """Limits of one scope; what is absent is not limited."""

    rpd: Annotated[Count | None, Meta(description="Requests in any 24 hours.")] = None
    tpd: Annotated[Count | None, Meta(description="Tokens in any 24 hours.")] = None
    windows: Annotated[tuple[WindowLimit, ...], Meta(description="Limits in windows of other lengths.")] = ()
    budget: Annotated[
        Text | None,
        Meta(
            description="US dollars per period: hour, day, week, month (calendar, UTC), total; or per duration, "
            "such as 25/30d, in any span of that length."
        ),
    ] = None
    budgets: Annotated[
        tuple[BudgetLimit, ...], Meta(description="More budgets, which may be overridden for a while.")
    ] = ()


class Limits(Section):
    """What may be used, by whom."""

    default_key: Annotated[ScopeLimits, Meta(description="Of each key that does not say otherwise.")] = (
        ScopeLimits()
    )
    default_org: Annotated[ScopeLimits, Meta(description="Of each organisation that is not among orgs.")] = (
        ScopeLimits()
    )
    orgs: Annotated[
        dict[str, ScopeLimits], Meta(description="Of all keys of an organisation, by its name.")
    ] = field(default_factory=dict)
    tags: Annotated[
        dict[str, ScopeLimits],
        Meta(
            description="Of all calls of one organisation with a tag, by name=value; name=* is each value for "
            "itself. Tags are the key's metadata and, where that has no such name, x-llmgw-tags."
        ),
    ] = field(default_factory=dict)
    models: Annotated[
        dict[str, ScopeLimits], Meta(description="Of a model, by the name that clients ask for.")
    ] = field(default_factory=dict)
    providers: Annotated[dict[str, ScopeLimits], Meta(description="Of an upstream account, by its name.")] = (
        field(default_factory=dict)
    )
    output_share: Annotated[
        Fraction,
        Meta(
            description="Of a model's longest answer: how much is reserved for a call that names no max_tokens."
        ),
    ] = 0.25
    warn_at: Annotated[
        tuple[Fraction, ...], Meta(description="Shares of a budget at which to warn, once per period.")
    ] = ()
    webhook: Annotated[
        Text | None, Meta(description="Where warnings are sent: a URL that takes a POST of JSON.")
    ] = None
    require_pricing: Annotated[bool, Meta(description="Refuse calls to models whose price is not known.")] = (
        False
    )
    on_shared_loss: Annotated[
        Literal["local", "open", "closed"],
        Meta(description="While Redis is away: each node its share, everything, or nothing."),
    ] = "local"
