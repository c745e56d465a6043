"""Why a call would go where it goes: the same rules as for traffic, asked for their reasons. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic

from msgspec import Struct
from msgspec.structs import replace

from llmgw.config.budget import dollars_text
from llmgw.dialects.body import Body
from llmgw.errors import CallError
from llmgw.flow import choose
from llmgw.flow.call import Call
from llmgw.flow.choose import Plan
from llmgw.flow.demand import Forecast
from llmgw.flow.gateway import Pool, Routing, Target
from llmgw.flow.outbound import outbound
from llmgw.rules.access import KeyRecord
from llmgw.rules.facts import Facts
from llmgw.rules.route import Trial


class RouteTried(Struct, frozen=True, kw_only=True):
    """One route, and what came of it."""

    name: str
    to: str
    mode: str
    outcome: str
    why: str | None


class Candidate(Struct, frozen=True, kw_only=True):
    """One target of the pool."""

    target: str
    rank: int | None
    """In the order of the tries, from 1 on; None where it is not tried."""
    why: str
    """What put it there, or what it was dropped for."""
    breaker: str
    region: str | None
    likely_cost_usd: str | None
    most_cost_usd: str | None


class Explanation(Struct, frozen=True, kw_only=True):
    """A whole decision."""

    model_asked: str
    input_tokens: int
    """Estimated."""
    panic: tuple[str, ...]
    routes: tuple[RouteTried, ...]
    route: str | None
    shadow_route: str | None
    policies: tuple[str, ...]
    """Those violated; refused by them, or only audited."""
    refused: str | None
    """What the client would be told instead of an answer."""
    pool: str
    strategy: str
    sticky: bool
    """Whether its conversations stay with their target."""
    candidates: tuple[Candidate, ...]


def explain(
    routing: Routing,
    call: Call,
    key: KeyRecord,
    tags: Mapping[str, str],
    fields: Mapping[bytes, bytes],
    body: Body,
) -> Explanation:
    """The decision about a call.

    Raises:
        ModelNotFound: there is no such model.
    """
    asked = routing.pool(body.model)
    forecast = Forecast(call, body, routing.config.limits.output_share)
    facts = choose.facts_of(routing, call, key, asked, tags, fields, body, forecast)
    trials = routing.routes.explain(
        facts, lambda name: routing.flag_is_on(name, key), lambda to: choose.unusable(key, to)
    )
    plan: Plan | None = None
    refused = None
    try:
        plan = choose.chosen(routing, call, key, asked, tags, fields, body)
    except CallError as error:
        refused = f"{error.status} {error.code}: {error.message}"
    to = next((trial.to for trial in trials if trial.outcome == "taken"), None)
    pool = plan.pool if plan is not None else asked if to is None or call.passthrough else routing.pool(to)
    verdict = routing.policies.judge(facts)
    found = [
        _candidate(routing, call, key, facts, forecast, pool, body, plan, name) for name in _names(pool, plan)
    ]
    for target in pool.targets:
        verdict = verdict.joined(
            routing.policies.judge(facts, choose.served_of(routing, forecast, pool, target))
        )
    return Explanation(
        model_asked=body.model,
        input_tokens=forecast.input_tokens,
        panic=tuple(f"{entry.action} {entry.text}: {entry.reason}" for entry in routing.panic.entries),
        routes=tuple(_tried(trial) for trial in trials),
        route=call.route,
        shadow_route=call.shadow_route,
        policies=verdict.policies,
        refused=refused,
        pool=pool.name,
        strategy=pool.tree.strategy,
        sticky=pool.sticky,
        candidates=_ranked(found),
    )


def _ranked(found: list[Candidate]) -> tuple[Candidate, ...]:
    """Numbered from 1 on, those that are dropped left out."""
    kept = [one for one in found if one.rank is not None]
    return tuple(one if one.rank is None else replace(one, rank=kept.index(one) + 1) for one in found)


def _names(pool: Pool, plan: Plan | None) -> list[str]:
    """Those that are tried, in their order, and the others behind them."""
    first = [] if plan is None else [target.name for target in plan.targets]
    return [*first, *[target.name for target in pool.targets if target.name not in first]]


def _tried(trial: Trial) -> RouteTried:
    why = trial.detail
    if trial.failed is not None:
        why = f"{trial.failed.setting} is {trial.failed.found}, not {trial.failed.expected}"
    return RouteTried(name=trial.route, to=trial.to, mode=trial.mode, outcome=trial.outcome, why=why)


def _candidate(
    routing: Routing,
    call: Call,
    key: KeyRecord,
    facts: Facts,
    forecast: Forecast,
    pool: Pool,
    body: Body,
    plan: Plan | None,
    name: str,
) -> Candidate:
    target = next(one for one in pool.targets if one.name == name)
    whys = {one.name: one.why for one in choose.ranked(routing, forecast, pool)}
    tried = [] if plan is None else [one.name for one in plan.targets]
    now = monotonic()
    phase = routing.breakers.look(target.name, now)
    dropped = _dropped(routing, call, facts, forecast, pool, body, target)
    if dropped is None and target.name not in tried:
        dropped = "the call is refused" if plan is None else "panic passes calls to the first target alone"
    if dropped is None and phase == "open":
        dropped = f"its breaker is open for {routing.breakers.free_in([target.name], now):.0f} s more"
    return Candidate(
        target=target.name,
        rank=None if dropped is not None else tried.index(target.name),
        why=dropped or whys[target.name],
        breaker=phase,
        region=target.region,
        likely_cost_usd=_usd(forecast.likely_cost(target)),
        most_cost_usd=_usd(forecast.most_cost(target)),
    )


def _dropped(
    routing: Routing, call: Call, facts: Facts, forecast: Forecast, pool: Pool, body: Body, target: Target
) -> str | None:
    """Why the target cannot have the call."""
    verdict = routing.policies.judge(facts, choose.served_of(routing, forecast, pool, target))
    if verdict.denied:
        return f"policy: {verdict.reason}"
    try:
        outbound(call, target, body, b"")
    except CallError as error:
        return error.message
    return None


def _usd(nano: int | None) -> str | None:
    return None if nano is None else dollars_text(nano)
