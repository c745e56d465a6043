"""What a call asks of limits and budgets: pure values.

A `Limit` is one number on one scope; which counter it stands on does not depend on the number, so that raising or
lowering a limit keeps what is counted. A `Demand` is what one call asks of all of its limits at once.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from llmgw.rules.period import Period

ScopeKind = Literal["key", "tag", "org", "model", "provider"]
Measure = Literal["requests", "tokens", "parallel", "usd"]


class Scope(Struct, frozen=True, kw_only=True):
    """Whose use is counted together."""

    kind: ScopeKind
    id: str
    """Unique within the kind: the key's id, the organisation's id, `ORG_ID/name=value` of a tag, the model as it is
    asked for, the provider's name."""
    name: str
    """As messages call it."""
    org_id: str = ""
    """The organisation that it is of; empty for models and providers, which are of none."""


class Limit(Struct, frozen=True, kw_only=True):
    """At most `amount` in any `window_s` seconds, at any one time (`parallel`), or in a `period`."""

    scope: Scope
    measure: Measure
    amount: int
    """Requests, tokens, calls at a time, or nano-dollars."""
    window_s: float | None = None
    """Of a sliding window; requests, tokens, and budgets that roll."""
    period: Period | None = None
    """Of a budget that starts anew with the calendar (UTC), or never."""
    counter: str
    """The name of the counter: scope, measure and span, without the amount."""


class Demand(Struct, frozen=True, kw_only=True):
    """What a call asks of its limits: one request and one place, and the upper bounds of what it may use."""

    limits: tuple[Limit, ...]
    tokens: int
    cost_nano_usd: int
    """0 where the price is not known: an unpriced call asks nothing of budgets."""
