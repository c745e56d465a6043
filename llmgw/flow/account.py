"""What a call may cost and what it has cost: a hold and an opened row at its beginning, the row itself at its end.

What was used is what the provider reports, wherever it reports it. Otherwise it is counted from what came, and where
nothing came it is the input alone, estimated: a call that the provider may have worked on is never free, and one that
it refused, or that never reached it, costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from llmgw import ids
from llmgw.canonical import NOTHING, Usage
from llmgw.dialects import bound
from llmgw.dialects.body import Body
from llmgw.errors import BudgetExceeded, CallError, RateLimitExceeded
from llmgw.flow.attempt import Attempt
from llmgw.flow.call import Call
from llmgw.flow.choose import Plan
from llmgw.flow.gateway import Gateway, Target, cost_by
from llmgw.flow.quota import headers_of
from llmgw.ports import Header, Hold, LedgerRow, UsageSource
from llmgw.rules import price as prices
from llmgw.rules.access import KeyRecord
from llmgw.rules.demand import Demand
from llmgw.rules.price import PriceList, in_force

LEASE_MARGIN_S: Final = 60.0
"""What a hold outlives its call's own limit of time by."""
ABSURD: Final = 10**9
"""Tokens that no call has used; a report of more is none."""
DIED: Final = "gateway_died"
"""The error of a call whose process was killed."""

_UNUSED: Final = Usage()


class Spent(Struct, frozen=True, kw_only=True):
    """What one try has used."""

    provider: str
    usage: Usage
    cost_nano_usd: int | None


class Account(Struct, kw_only=True):
    """One admitted call's money."""

    hold: Hold | None
    """Of what the call may use at all; None where no limit is set."""
    provider_holds: dict[str, Hold]
    """Of limits of providers that were asked in turn, by their names; those of an only one are in `hold`."""
    demand: Demand | None
    opened: LedgerRow
    """The row as it is to be, should the process die before the call has ended."""
    asked_prices: PriceList
    """Of the model that was asked for, where a route went to another one."""
    shadow_prices: PriceList
    """Of the target that a route in shadow would have sent the call to."""
    input_tokens: int
    """Estimated."""
    headers: Sequence[Header]
    """x-ratelimit-*, for the answer."""
    priced: tuple[Usage, int | None] | None = None
    """A usage and its cost, where the answer's head has told it."""
    failed: list[Spent]
    """Tries that failed and that their providers reported a usage of."""


async def open_account(
    gateway: Gateway, call: Call, key: KeyRecord, tags: Mapping[str, str], plan: Plan, body: Body
) -> None:
    """Reserve what the call may use at most and write down that it begins.

    Raises:
        RateLimitExceeded, BudgetExceeded: a limit does not have that much left.
        DependencyUnavailable: it cannot be counted or written down.
    """
    targets = plan.targets
    first = targets[0]
    price = in_force(first.prices, call.time)
    limits = gateway.limits_of(key, tags, body.model, first.provider.name, call.time)
    if len(targets) > 1:
        limits = tuple([limit for limit in limits if limit.scope.kind != "provider"])
    id = ids.new("call", call.time)
    demand = hold = None
    if limits or (len(targets) > 1 and gateway.limits.providers):
        demand = plan.forecast.demand(targets, limits)
        hold = await _reserve(gateway, call, first, id, demand)
    input_tokens = plan.forecast.input_tokens
    usage = Usage(input=input_tokens)
    opened = LedgerRow(
        id=id,
        time=call.time,
        request_id=call.request_id,
        trace_id=call.trace_id,
        org_id=key.org_id,
        org=key.org,
        key_id=key.id,
        tags=dict(tags),
        endpoint=call.endpoint,
        model_asked=body.model,
        model=first.model,
        provider=first.provider.name,
        route=call.route,
        attempts=1,
        streamed=body.stream,
        status=500,
        error=DIED,
        usage=usage,
        usage_source="estimated",
        reserved_nano_usd=0 if demand is None else demand.cost_nano_usd,
        cost_nano_usd=None if price is None else prices.cost(price, usage),
        price_version=None if price is None else price.version,
        latency_ms=0,
        shadow_route=call.shadow_route,
        policies=call.policies,
    )
    try:
        gateway.journal.open(opened)
    except CallError:
        if hold is not None:
            gateway.meter.release(hold, call.time)
        raise
    call.account = Account(
        hold=hold,
        provider_holds={},
        demand=demand,
        opened=opened,
        asked_prices=plan.asked_prices,
        shadow_prices=plan.shadow_prices,
        input_tokens=input_tokens,
        headers=headers_of(gateway.meter.standing(limits, call.time)) if limits else (),
        failed=[],
    )
    shares = gateway.config.limits.warn_at
    if shares and limits:
        gateway.alarm.look(limits, shares, call.time)


async def _reserve(gateway: Gateway, call: Call, target: Target, id: str, demand: Demand) -> Hold:
    lease_s = target.timeouts.total_s + target.drain_s + LEASE_MARGIN_S
    try:
        return await gateway.meter.reserve(id, demand, call.time, lease_s)
    except (RateLimitExceeded, BudgetExceeded) as error:
        error.headers = headers_of(gateway.meter.standing(demand.limits, call.time))
        raise


async def turn_to(gateway: Gateway, call: Call, key: KeyRecord, target: Target) -> None:
    """Another target is asked next, and its provider's limits hold for it.

    Raises:
        RateLimitExceeded, BudgetExceeded, DependencyUnavailable: as `open_account`.
    """
    account = call.account
    assert account is not None
    name = target.provider.name
    if account.demand is None or name not in gateway.limits.providers or name in account.provider_holds:
        return
    opened = account.opened
    limits = gateway.limits_of(key, opened.tags, opened.model_asked, name, call.time)
    limits = tuple([limit for limit in limits if limit.scope.kind == "provider"])
    demand = replace(account.demand, limits=limits)
    account.provider_holds[name] = await _reserve(gateway, call, target, f"{opened.id}@{name}", demand)


def note_failed_try(call: Call, attempt: Attempt) -> None:
    """A try has failed, and there will be another one: what its provider reports is on the bill all the same."""
    account, report = call.account, attempt.report
    if account is not None and report is not None and _is_sensible(report.usage, attempt.said_bytes):
        target = attempt.target
        cost = target.cost(report.usage, report.service_tier, call.time)
        account.failed.append(Spent(provider=target.provider.name, usage=report.usage, cost_nano_usd=cost))


def close_account(gateway: Gateway, call: Call) -> None:
    """The call has ended: its row goes to the journal, and what it used takes the place of what it held."""
    account = call.account
    if account is None:
        return
    usage, source = used(call, account)
    target = call.target
    price = None if target is None else in_force(target.prices, call.time)
    cost: int | None = 0
    asked_cost = shadow_cost = None
    if target is not None and usage is not _UNUSED:
        if account.priced is not None and account.priced[0] is usage:
            cost = account.priced[1]
        else:
            cost = target.cost(usage, call.service_tier, call.time)
        asked_prices = account.asked_prices or target.asked_prices
        if asked_prices:
            asked_cost = cost_by(asked_prices, usage, call.service_tier, call.time)
        if account.shadow_prices:
            shadow_cost = cost_by(account.shadow_prices, usage, call.service_tier, call.time)
    last = Spent(provider=call.provider or account.opened.provider, usage=usage, cost_nano_usd=cost)
    for spent in account.failed:
        usage = usage + spent.usage
        cost = None if cost is None or spent.cost_nano_usd is None else cost + spent.cost_nano_usd
        source = "reported" if last.usage is _UNUSED else source
    call.usage, call.usage_source, call.cost_nano_usd = usage, source, cost
    row = replace(
        account.opened,
        model=call.model or account.opened.model,
        provider=last.provider,
        attempts=call.attempts,
        status=call.status,
        error=call.error,
        usage=replace(usage, native=NOTHING) if usage.native else usage,
        usage_source=source,
        cost_nano_usd=cost,
        asked_cost_nano_usd=asked_cost,
        price_version=None if price is None else price.version,
        latency_ms=round(call.total_s * 1000),
        first_token_ms=None if call.first_token_s is None else round(call.first_token_s * 1000),
        shadow_cost_nano_usd=shadow_cost,
    )
    now = call.time + call.total_s
    ends = [] if account.hold is None else [(account.hold, usage.total, cost or 0)]
    for name, hold in account.provider_holds.items():
        there = [spent for spent in (*account.failed, last) if spent.provider == name]
        tokens = sum([spent.usage.total for spent in there])
        ends.append((hold, tokens, sum([spent.cost_nano_usd or 0 for spent in there])))
    if not ends:
        gateway.journal.append(row, _nothing_held)
        return
    for hold, tokens, spent_nano_usd in ends:
        gateway.meter.leave(hold, tokens=tokens, cost_nano_usd=spent_nano_usd)

    def settle() -> None:
        shares = gateway.config.limits.warn_at
        for hold, tokens, spent_nano_usd in ends:
            gateway.meter.settle(hold, tokens=tokens, cost_nano_usd=spent_nano_usd, now=now)
            if shares:
                gateway.alarm.look(hold.demand.limits, shares, now)

    gateway.journal.append(row, settle)


def _nothing_held() -> None:
    """What a call has to settle that stood under no limit."""


def used(call: Call, account: Account) -> tuple[Usage, UsageSource]:
    """What the call has used, and how that is known."""
    if call.usage is not None and _is_sensible(call.usage, call.said_bytes):
        return call.usage, "reported"
    if not call.delivered or (call.upstream_status is not None and call.upstream_status != 200):
        return _UNUSED, "estimated"
    if call.said_bytes or call.committed_at is not None:
        output = bound.output_counted(call.said_bytes)
        return Usage(input=account.input_tokens, output=output), "counted"
    return Usage(input=account.input_tokens), "estimated"


def _is_sensible(usage: Usage, said_bytes: int) -> bool:
    """Whether a report can be believed: it says something, no more than anybody could use, and not nothing of an
    answer that had words."""
    total = usage.total
    return 0 < total <= ABSURD or (total == 0 and not said_bytes and usage.input is not None)
