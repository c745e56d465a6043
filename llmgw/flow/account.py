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
from llmgw.dialects import bound, reported
from llmgw.dialects.body import Body
from llmgw.errors import BudgetExceeded, CallError, ModelNotAllowed, RateLimitExceeded
from llmgw.flow.call import Call
from llmgw.flow.gateway import Gateway, Target
from llmgw.flow.quota import headers_of
from llmgw.ports import Header, Hold, LedgerRow, UsageSource
from llmgw.rules import price as prices
from llmgw.rules import tags as call_tags
from llmgw.rules.access import KeyRecord
from llmgw.rules.demand import Demand, Limit
from llmgw.rules.price import Price, in_force

LEASE_MARGIN_S: Final = 60.0
"""What a hold outlives its call's own limit of time by."""
ABSURD: Final = 10**9
"""Tokens that no call has used; a report of more is none."""
DIED: Final = "gateway_died"
"""The error of a call whose process was killed."""

_UNUSED: Final = Usage()


class Account(Struct, frozen=True, kw_only=True):
    """One admitted call's money."""

    hold: Hold | None
    """None where no limit is set."""
    opened: LedgerRow
    """The row as it is to be, should the process die before the call has ended."""
    price: Price | None
    asked_price: Price | None
    """Of the model that the client asked for by name, where another one serves it."""
    input_tokens: int
    """Estimated."""
    headers: Sequence[Header]
    """x-ratelimit-*, for the answer."""

    def cost(self, usage: Usage, service_tier: str | None) -> int | None:
        """Nano-dollars; None where the price is not known."""
        return None if self.price is None else prices.cost(self.price, usage, service_tier)


async def open_account(
    gateway: Gateway, call: Call, key: KeyRecord, target: Target, body: Body, fields: Mapping[bytes, bytes]
) -> None:
    """Reserve what the call may use at most and write down that it begins.

    Raises:
        InvalidRequest: its tags are malformed.
        ModelNotAllowed: the model has no known price, and only priced ones are served.
        RateLimitExceeded, BudgetExceeded: a limit does not have that much left.
        DependencyUnavailable: it cannot be counted or written down.
    """
    tags = call_tags.of_call(key.metadata, fields.get(call_tags.HEADER))
    price = in_force(target.prices, call.time)
    if price is None and gateway.config.limits.require_pricing:
        raise ModelNotAllowed(
            f"The price of the model {body.model!r} is not known, and only priced models are served here; the "
            "gateway's operator can give it one (prices).",
            param="model",
        )
    limits = gateway.limits_of(key, tags, body.model, target.provider.name, call.time)
    id = ids.new("call", call.time)
    hold = None
    if limits:
        demand = _demand(gateway, call, target, body, limits, price)
        lease_s = target.timeouts.total_s + target.drain_s + LEASE_MARGIN_S
        try:
            hold = await gateway.meter.reserve(id, demand, call.time, lease_s)
        except (RateLimitExceeded, BudgetExceeded) as error:
            error.headers = headers_of(gateway.meter.standing(limits, call.time))
            raise
    input_tokens = bound.input_estimate(body.raw) if call.operation.name in reported.WIRES else 0
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
        model=target.model,
        provider=target.provider.name,
        attempts=1,
        streamed=body.stream,
        status=500,
        error=DIED,
        usage=usage,
        usage_source="estimated",
        reserved_nano_usd=0 if hold is None else hold.demand.cost_nano_usd,
        cost_nano_usd=None if price is None else prices.cost(price, usage),
        price_version=None if price is None else price.version,
        latency_ms=0,
    )
    try:
        gateway.journal.open(opened)
    except CallError:
        if hold is not None:
            gateway.meter.release(hold, call.time)
        raise
    call.account = Account(
        hold=hold,
        opened=opened,
        price=price,
        asked_price=in_force(target.asked_prices, call.time),
        input_tokens=input_tokens,
        headers=headers_of(gateway.meter.standing(limits, call.time)) if limits else (),
    )
    shares = gateway.config.limits.warn_at
    if shares and limits:
        gateway.alarm.look(limits, shares, call.time)


def _demand(
    gateway: Gateway, call: Call, target: Target, body: Body, limits: tuple[Limit, ...], price: Price | None
) -> Demand:
    """The upper bounds of what the call may use."""
    if call.operation.name not in reported.WIRES:
        return Demand(limits=limits, tokens=0, cost_nano_usd=0)
    raw = body.raw
    most_in, asked = bound.input_bound(raw, target.model), bound.asked(raw)
    if call.operation.name in reported.WITHOUT_OUTPUT:
        most_out = 0
    elif asked.tokens is not None:
        most_out = asked.tokens
    else:
        share = gateway.config.limits.output_share
        most_out = bound.output_assumed(target.capabilities.max_output, share) * asked.alternatives
        # A call that says nothing of its output must not be too large for a limit that it may well keep to.
        smallest = min((limit.amount for limit in limits if limit.measure == "tokens"), default=None)
        if smallest is not None:
            most_out = min(most_out, max(smallest - most_in, 0))
    cost = 0
    if price is not None:
        cost = prices.bound(
            price,
            most_in,
            most_out,
            service_tier=asked.service_tier,
            writes_cache=b"cache_control" in raw,
            hears=b"audio" in raw,
        )
    return Demand(limits=limits, tokens=most_in + most_out, cost_nano_usd=cost)


def close_account(gateway: Gateway, call: Call) -> None:
    """The call has ended: its row goes to the journal, and what it used takes the place of what it held."""
    account = call.account
    if account is None:
        return
    usage, source = used(call, account)
    if usage is _UNUSED:
        cost: int | None = 0
        asked_cost = None
    else:
        cost = account.cost(usage, call.service_tier)
        asked = account.asked_price
        asked_cost = None if asked is None else prices.cost(asked, usage, call.service_tier)
    call.usage, call.usage_source, call.cost_nano_usd = usage, source, cost
    row = replace(
        account.opened,
        model=call.model or account.opened.model,
        provider=call.provider or account.opened.provider,
        attempts=call.attempts,
        status=call.status,
        error=call.error,
        usage=replace(usage, native=NOTHING) if usage.native else usage,
        usage_source=source,
        cost_nano_usd=cost,
        asked_cost_nano_usd=asked_cost,
        latency_ms=round(call.total_s * 1000),
        first_token_ms=None if call.first_token_s is None else round(call.first_token_s * 1000),
    )
    hold, now = account.hold, call.time + call.total_s
    if hold is None:
        gateway.journal.append(row, _nothing_held)
        return
    tokens, spent = _total(usage), cost or 0
    gateway.meter.leave(hold, tokens=tokens, cost_nano_usd=spent)

    def settle() -> None:
        gateway.meter.settle(hold, tokens=tokens, cost_nano_usd=spent, now=now)
        shares = gateway.config.limits.warn_at
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
    total = _total(usage)
    return 0 < total <= ABSURD or (total == 0 and not said_bytes and usage.input is not None)


def _total(usage: Usage) -> int:
    """Tokens of all buckets; written out, for it is asked at the end of every call."""
    return (
        (usage.input or 0)
        + (usage.cache_read or 0)
        + (usage.cache_write_5m or 0)
        + (usage.cache_write_1h or 0)
        + (usage.input_audio or 0)
        + (usage.output or 0)
        + (usage.reasoning or 0)
        + (usage.output_audio or 0)
    )
