"""Where a call goes: the route, the policies, and the targets in the order in which they are tried.

The rules decide (`rules/route.py`, `rules/governance.py`, `rules/pool.py`); what is here finds out for them what they
ask for.
"""

from __future__ import annotations

import random
from collections.abc import Container, Mapping
from time import monotonic
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from llmgw.dialects import reported
from llmgw.dialects.body import Body
from llmgw.dialects.traits import Content
from llmgw.errors import ModelNotAllowed, Panicked, PolicyDenied
from llmgw.flow.call import Call
from llmgw.flow.demand import Forecast
from llmgw.flow.enquiry import Enquiry
from llmgw.flow.gateway import Pool, Routing, Target
from llmgw.rules import access, affinity, panic, retry
from llmgw.rules.access import KeyRecord
from llmgw.rules.facts import Facts
from llmgw.rules.governance import PASSES, Served, Verdict
from llmgw.rules.panic import Entry, concerns_target
from llmgw.rules.pool import Ranked, Standing, ordered
from llmgw.rules.price import PriceList, in_force


class Plan(Struct, frozen=True, kw_only=True):
    """What was decided of a call before anybody is asked."""

    pool: Pool
    targets: tuple[Target, ...]
    """In the order in which they are tried."""
    forecast: Forecast
    session: bytes | None
    """The conversation that stays with the target which serves this call; None where none does."""
    keeps: Container[int]
    """Statuses of answers that are the client's, unless another try gives a better one."""
    hedge_after_s: float | None
    """Seconds without an answer of the first target after which the second is asked as well."""
    total_s: float
    """For the whole call, from when it was received."""
    asked_prices: PriceList = ()
    """Of the model that was asked for, where a route goes to another one."""
    shadow_prices: PriceList = ()
    """Of the model that a route in shadow would have gone to."""


def chosen(
    routing: Routing,
    call: Call,
    key: KeyRecord,
    pool: Pool,
    tags: Mapping[str, str],
    fields: Mapping[bytes, bytes],
    body: Body,
) -> Plan:
    """Where the call goes; notes in `call` what led there.

    Args:
        pool: of the model that was asked for.
        fields: the client's header fields by lower-case name.

    Raises:
        Panicked: the operator has stopped such calls.
        PolicyDenied: a policy refuses the call, or every target that it could go to.
        InvalidRequest: the client's own limit of time is none.
        ModelNotAllowed: none of the targets has a known price, and only priced ones are served.
    """
    if routing.panic.entries:
        pool = _braked(routing, call, key, pool, body)
    forecast = Forecast(call, body, routing.config.limits.output_share)
    asked_prices: PriceList = ()
    shadow_prices: PriceList = ()
    facts = None
    verdict = PASSES
    if routing.routes or routing.policies:
        facts = facts_of(routing, call, key, pool, tags, fields, body, forecast)
        if routing.routes and not call.passthrough:
            decision = routing.routes.decide(
                facts, lambda name: routing.flag_is_on(name, key), lambda to: unusable(key, to)
            )
            if decision.shadows:
                call.shadow_route = decision.shadows[0].name
                shadow_prices = _first(routing, forecast, routing.pool(decision.shadows[0].to)).prices
            if decision.route is not None:
                call.route = decision.route.name
                if decision.route.flag is not None:
                    call.flags = (decision.route.flag,)
                asked_prices = pool.targets[0].prices
                pool = routing.pool(decision.route.to)
                if routing.panic.entries:
                    pool = _braked(routing, call, key, pool, body)
        if routing.policies:
            verdict = routing.policies.judge(facts)
            if verdict.denied:
                raise _denied(call, verdict)
    targets = pool.targets[:1] if call.passthrough else pool.targets
    if routing.config.limits.require_pricing:
        targets = _priced(targets, call, body)
    if facts is not None and routing.policies:
        targets, verdict = _governed(routing, call, facts, forecast, pool, targets, verdict)
    session = None
    if len(targets) > 1:
        targets = _ordered(routing, forecast, pool, targets)
        if pool.sticky:
            session = session_of(call, key, pool, fields, body)
        if session is not None:
            targets = _pinned_first(routing, session, targets)
    if verdict.violations:
        call.policies = verdict.policies
    return Plan(
        pool=pool,
        targets=targets,
        forecast=forecast,
        session=session,
        keeps=pool.keeps if _may_try_again(pool, targets) else (),
        hedge_after_s=_hedge_after_s(routing, call, key, pool) if len(targets) > 1 else None,
        total_s=_total_s(targets, fields),
        asked_prices=asked_prices,
        shadow_prices=shadow_prices,
    )


def _may_try_again(pool: Pool, targets: tuple[Target, ...]) -> bool:
    return len(targets) > 1 or pool.settings.retries.attempts > 1 or len(targets[0].provider.keys) > 1


_EMBEDDING: Final = frozenset(reported.WITHOUT_OUTPUT)


def _braked(routing: Routing, call: Call, key: KeyRecord, pool: Pool, body: Body) -> Pool:
    """The pool as far as panic leaves it; of a call that passes through, its first target alone."""
    entries = routing.panic.entries
    blocks, call.passthrough = panic.of_call(entries, key, body.model)
    if blocks is not None:
        routing.panic.refused(blocks)
        raise panicked(blocks)
    kept = []
    for target in pool.targets:
        found = [entry for entry in entries if concerns_target(entry, target.provider.name, target.model)]
        call.passthrough |= any(entry.action == "passthrough" for entry in found)
        stop = next((entry for entry in found if entry.action == "block"), None)
        if stop is None:
            kept.append(target)
        else:
            blocks = stop
    if not kept:
        assert blocks is not None
        routing.panic.refused(blocks)
        raise panicked(blocks)
    return pool if len(kept) == len(pool.targets) else replace(pool, targets=tuple(kept))


def panicked(entry: Entry) -> Panicked:
    """What a client hears of it."""
    return Panicked(
        f"The operator has stopped these calls for now: {entry.reason}",
        retry_after_s=entry.retry_after_s,
        detail=f"panic: {entry.text}, by {entry.actor}",
    )


def _total_s(targets: tuple[Target, ...], fields: Mapping[bytes, bytes]) -> float:
    """The longest that any of the targets may take, or the client's own limit, if that is shorter."""
    total_s = targets[0].timeouts.total_s
    if len(targets) > 1:
        total_s = max([target.timeouts.total_s for target in targets])
    own = fields.get(b"x-llmgw-timeout")
    return total_s if own is None else min(retry.own_limit_s(own), total_s)


def ranked(routing: Routing, forecast: Forecast, pool: Pool) -> list[Ranked]:
    """All targets of the pool in the order of its strategies, and why."""
    by_name = {target.name: target for target in pool.targets}
    asks = pool.asks

    def standing(name: str) -> Standing:
        target = by_name.get(name)
        if target is None or not asks:
            return _UNKNOWN
        known, now = routing.pace.of(name), monotonic()
        return Standing(
            cost_nano_usd=forecast.likely_cost(target) if "cheapest" in asks else None,
            first_token_s=known.first_token_s.read(now),
            tokens_per_s=known.tokens_per_s.read(now),
            in_flight=known.in_flight,
        )

    return ordered(pool.tree, standing, random.random)


def _ordered(
    routing: Routing, forecast: Forecast, pool: Pool, targets: tuple[Target, ...]
) -> tuple[Target, ...]:
    """Those targets, as the pool's strategies want them."""
    kept = {target.name: target for target in targets}
    return tuple([kept[one.name] for one in ranked(routing, forecast, pool) if one.name in kept])


def _first(routing: Routing, forecast: Forecast, pool: Pool) -> Target:
    """The one that would be asked first."""
    return _ordered(routing, forecast, pool, pool.targets)[0] if len(pool.targets) > 1 else pool.targets[0]


_UNKNOWN: Final = Standing()


def session_of(
    call: Call, key: KeyRecord, pool: Pool, fields: Mapping[bytes, bytes], body: Body
) -> bytes | None:
    """The conversation of a call, in a pool that keeps conversations together."""
    found = affinity.session(fields) or Content(call.operation.name, body.raw).seed()
    return affinity.digest(pool.name, key.id, found) if found else None


def _pinned_first(routing: Routing, session: bytes, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    pinned = routing.pins.find(session, monotonic())
    if pinned is None or targets[0].name == pinned:
        return targets
    first = [target for target in targets if target.name == pinned]
    return (*first, *[target for target in targets if target.name != pinned])


def facts_of(
    routing: Routing,
    call: Call,
    key: KeyRecord,
    pool: Pool,
    tags: Mapping[str, str],
    fields: Mapping[bytes, bytes],
    body: Body,
    forecast: Forecast,
) -> Facts:
    """What rules may ask of the call."""
    return Facts(
        model=body.model,
        key=key,
        tags=tags,
        headers=fields,
        body_bytes=len(body.raw),
        embeds=call.operation.name in _EMBEDDING,
        now=call.time,
        draw=random.random(),  # noqa: S311 - it spreads traffic
        source=Enquiry(routing, call, key, tags, pool, fields, body, forecast),
    )


def _hedge_after_s(routing: Routing, call: Call, key: KeyRecord, pool: Pool) -> float | None:
    hedge = pool.settings.hedge
    if hedge is None or call.passthrough:
        return None
    if hedge.flag is not None:
        if not routing.flag_is_on(hedge.flag, key):
            return None
        call.flags = (*call.flags, hedge.flag)
    return routing.hedging.after_s(pool.name, hedge)


def unusable(key: KeyRecord, to: str) -> str | None:
    """Routing is no way around access."""
    return None if access.may_use(key, to) else "the key may not use this model"


def _priced(targets: tuple[Target, ...], call: Call, body: Body) -> tuple[Target, ...]:
    found = tuple([target for target in targets if in_force(target.prices, call.time) is not None])
    if not found:
        raise ModelNotAllowed(
            f"The price of the model {body.model!r} is not known, and only priced models are served here; the "
            "gateway's operator can give it one (prices).",
            param="model",
        )
    return found


def _governed(
    routing: Routing,
    call: Call,
    facts: Facts,
    forecast: Forecast,
    pool: Pool,
    targets: tuple[Target, ...],
    verdict: Verdict,
) -> tuple[tuple[Target, ...], Verdict]:
    """The targets that the policies let the call go to; where they let it pass none the less, what they say of the
    first one."""
    kept: list[Target] = []
    refusal = PASSES
    for target in targets:
        found = routing.policies.judge(facts, served_of(routing, forecast, pool, target))
        if found.denied:
            refusal = refusal.joined(found)
        else:
            kept.append(target)
            if len(kept) == 1:
                verdict = verdict.joined(found)
    if not kept:
        raise _denied(call, refusal)
    return tuple(kept), verdict


def served_of(routing: Routing, forecast: Forecast, pool: Pool, target: Target) -> Served:
    """A target as policies look at it."""
    return Served(
        chosen=pool.name,
        provider=target.provider.name,
        model=target.model,
        region=target.region,
        cost_nano_usd=forecast.most_cost(target) if routing.policies.asks_cost else None,
    )


def _denied(call: Call, verdict: Verdict) -> PolicyDenied:
    call.policies = verdict.policies
    return PolicyDenied(verdict.reason, detail=f"policies: {', '.join(verdict.policies)}")
