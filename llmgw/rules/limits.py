"""Which limits a call stands under: pure, from the settings, its key, its tags, its model and its provider.

A call needs room in every one of them. Two settings that come to the same counter (`rpm: 60` and a window of `1m`)
are one limit, the smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from llmgw.config import units
from llmgw.config.budget import Budget, dollars, moment
from llmgw.config.limits import BudgetOverride, KeyLimits, Limits, ScopeLimits
from llmgw.rules.access import KeyRecord
from llmgw.rules.demand import Limit, Measure, Scope
from llmgw.rules.period import Period

MINUTE_S: Final = 60.0
DAY_S: Final = 86400.0


class Rule(Struct, frozen=True, kw_only=True):
    """One number of a scope's settings. `override` holds before `until` (Unix seconds)."""

    measure: Measure
    amount: int
    window_s: float | None = None
    period: Period | None = None
    override: int | None = None
    until: float = 0.0


Rules = tuple[Rule, ...]


class LimitRules(Struct, frozen=True, kw_only=True):
    """The settings, read once."""

    default_key: ScopeLimits
    key_budgets: Rules
    """Of keys that have no budget of their own."""
    default_org: Rules
    orgs: Mapping[str, Rules]
    tags: Mapping[str, Rules]
    models: Mapping[str, Rules]
    providers: Mapping[str, Rules]


def read(settings: Limits) -> LimitRules:
    """Raises UsageError where an amount or a period is not understood."""
    return LimitRules(
        default_key=settings.default_key,
        key_budgets=tuple(_budgets(settings.default_key)),
        default_org=rules(settings.default_org),
        **{
            kind: {name: rules(scope) for name, scope in getattr(settings, kind).items()}
            for kind in ("orgs", "tags", "models", "providers")
        },
    )


def rules(scope: ScopeLimits) -> Rules:
    """What one scope's settings say."""
    return (*_rates(scope, scope), *_budgets(scope))


def _rates(own: KeyLimits, scope: ScopeLimits) -> Iterator[Rule]:
    """Everything but budgets; `own` goes before `scope` where both have the setting."""
    per_minute: tuple[tuple[Measure, str], ...] = (("requests", "rpm"), ("tokens", "tpm"))
    for measure, name in per_minute:
        amount = _first(getattr(own, name), getattr(scope, name))
        if amount is not None:
            yield Rule(measure=measure, amount=amount, window_s=MINUTE_S)
    places = _first(own.max_parallel, scope.max_parallel)
    if places is not None:
        yield Rule(measure="parallel", amount=places)
    if scope.rpd is not None:
        yield Rule(measure="requests", amount=scope.rpd, window_s=DAY_S)
    if scope.tpd is not None:
        yield Rule(measure="tokens", amount=scope.tpd, window_s=DAY_S)
    for window in scope.windows:
        if window.requests is not None:
            yield Rule(measure="requests", amount=window.requests, window_s=window.per_s)
        if window.tokens is not None:
            yield Rule(measure="tokens", amount=window.tokens, window_s=window.per_s)


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _budgets(scope: ScopeLimits) -> Iterator[Rule]:
    if scope.budget is not None:
        yield _budget(Budget.parse(scope.budget), None)
    for one in scope.budgets:
        yield _budget(Budget.parse(one.budget), one.override)


def _budget(budget: Budget, override: BudgetOverride | None) -> Rule:
    return Rule(
        measure="usd",
        amount=budget.amount_nano_usd,
        window_s=budget.window_s,
        period=budget.period,
        override=None if override is None else dollars(override.amount),
        until=0.0 if override is None else moment(override.until) or 0.0,
    )


class Applicable(Struct, frozen=True, kw_only=True):
    """The limits that hold from now on, until the clock itself changes one."""

    limits: tuple[Limit, ...]
    until: float
    """Unix seconds at which an override ends; infinite where none does."""


def applicable(
    settings: LimitRules, key: KeyRecord, tags: Mapping[str, str], model: str, provider: str, now: float
) -> Applicable:
    """Every limit of a call.

    Args:
        tags: the call's, those of its key's metadata among them.
        model: as the client asked for it.
    """
    found: dict[str, Limit] = {}
    ends = float("inf")
    for scope, scope_rules in _scopes(settings, key, tags, model, provider):
        for rule in scope_rules:
            amount = rule.amount
            if rule.override is not None and now < rule.until:
                amount, ends = rule.override, min(ends, rule.until)
            limit = Limit(
                scope=scope,
                measure=rule.measure,
                amount=amount,
                window_s=rule.window_s,
                period=rule.period,
                counter=f"{scope.kind}:{scope.id}:{rule.measure}:{_span(rule)}",
            )
            known = found.get(limit.counter)
            if known is None or amount < known.amount:
                found[limit.counter] = limit
    return Applicable(limits=tuple(found.values()), until=ends)


def _span(rule: Rule) -> str:
    return rule.period or ("" if rule.window_s is None else units.duration_text(rule.window_s))


def _scopes(
    settings: LimitRules, key: KeyRecord, tags: Mapping[str, str], model: str, provider: str
) -> Iterator[tuple[Scope, Iterable[Rule]]]:
    own: Rules = () if key.budget is None else (_budget(key.budget, None),)
    budgets = own or settings.key_budgets
    yield (
        Scope(kind="key", id=key.id, name=key.name, org_id=key.org_id),
        (*_rates(key.limits, settings.default_key), *budgets),
    )
    for name, value in tags.items():
        tag = f"{name}={value}"
        tag_rules = settings.tags.get(tag) or settings.tags.get(f"{name}=*")
        if tag_rules:
            yield Scope(kind="tag", id=f"{key.org_id}/{tag}", name=tag, org_id=key.org_id), tag_rules
    yield (
        Scope(kind="org", id=key.org_id, name=key.org, org_id=key.org_id),
        settings.orgs.get(key.org, settings.default_org),
    )
    if model in settings.models:
        yield Scope(kind="model", id=model, name=model), settings.models[model]
    if provider in settings.providers:
        yield Scope(kind="provider", id=provider, name=provider), settings.providers[provider]
