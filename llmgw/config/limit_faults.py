"""What is wrong with the `limits:` section beyond its types: amounts, periods, dates, tags, the webhook."""

from __future__ import annotations

from collections.abc import Iterator

from llmgw.config import endpoints
from llmgw.config.budget import Budget, dollars, moment
from llmgw.config.faults import Place
from llmgw.config.limits import Limits, ScopeLimits
from llmgw.errors import UsageError

Fault = tuple[Place, str]


def find(limits: Limits) -> Iterator[Fault]:
    """Every fault: where it stands, and what to say of it."""
    for name in ("default_key", "default_org"):
        yield from _scope(("limits", name), getattr(limits, name))
    for kind in ("orgs", "tags", "models", "providers"):
        for name, scope in getattr(limits, kind).items():
            yield from _scope(("limits", kind, name), scope)
    for tag in limits.tags:
        name, _, value = tag.partition("=")
        if not name or not value:
            yield ("limits", "tags", tag), "must be name=value, such as team=red, or name=* for each value."
    if limits.webhook is not None:
        parts = endpoints.parse(limits.webhook, ("https", "http"))
        if isinstance(parts, str):
            yield ("limits", "webhook"), parts


def _scope(place: Place, scope: ScopeLimits) -> Iterator[Fault]:
    if scope.budget is not None:
        yield from _budget((*place, "budget"), scope.budget)
    for n, one in enumerate(scope.budgets):
        yield from _budget((*place, "budgets", n, "budget"), one.budget)
        if one.override is None:
            continue
        there = (*place, "budgets", n, "override")
        if dollars(one.override.amount) is None:
            yield (*there, "amount"), "must be US dollars, such as 50 or 0.25."
        if moment(one.override.until) is None:
            yield (*there, "until"), "must be a date or a time, such as 2026-12-24 or 2026-12-24T18:00:00Z."
    for n, window in enumerate(scope.windows):
        if window.requests is None and window.tokens is None:
            yield (*place, "windows", n), "limits nothing; give it requests or tokens."


def _budget(place: Place, text: str) -> Iterator[Fault]:
    try:
        Budget.parse(text)
    except UsageError:
        yield (
            place,
            "must be US dollars per period, such as 25/month (hour, day, week, month, total), or in any span of a "
            "length, such as 25/30d.",
        )
