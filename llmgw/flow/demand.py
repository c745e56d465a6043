"""What a call may use, at whichever target it goes to: at most, and likely."""

from __future__ import annotations

from collections.abc import Iterable

from llmgw.canonical import Usage
from llmgw.dialects import bound, reported
from llmgw.dialects.body import Body
from llmgw.flow.call import Call
from llmgw.flow.gateway import Target
from llmgw.rules import price as prices
from llmgw.rules.demand import Demand, Limit
from llmgw.rules.price import in_force

LIKELY_OUTPUT = 512
"""Tokens of an answer that nothing is known of, where targets are compared by what a call costs there."""


class Forecast:
    """Of one call. What is asked for twice is found out once."""

    def __init__(self, call: Call, body: Body, output_share: float) -> None:
        """`output_share`: of a model's longest answer, what is reserved for a call that names no limit of its own."""
        self._call = call
        self._raw = body.raw
        self._share = output_share
        self._counted = call.operation.name in reported.WIRES
        self._answers = call.operation.name not in reported.WITHOUT_OUTPUT
        self._asked: bound.Asked | None = None
        self._input: int | None = None
        self._most_input: dict[str, int] = {}

    @property
    def input_tokens(self) -> int:
        """About how many tokens the input is; 0 of calls that use none."""
        if self._input is None:
            self._input = bound.input_estimate(self._raw) if self._counted else 0
        return self._input

    def likely_cost(self, target: Target) -> int | None:
        """About what the call costs there, in nano-dollars; None where the price is not known."""
        price = in_force(target.prices, self._call.time)
        if price is None or not self._counted:
            return None if price is None else 0
        asked = self._what_is_asked()
        output = 0
        if self._answers:
            output = min(asked.tokens or LIKELY_OUTPUT, LIKELY_OUTPUT) * asked.alternatives
        usage = Usage(input=self.input_tokens, output=output)
        return prices.cost(price, usage, asked.service_tier)

    def most_cost(self, target: Target) -> int | None:
        """What the call costs there at most."""
        _, cost = self._most(target, None)
        return cost

    def demand(self, targets: Iterable[Target], limits: tuple[Limit, ...]) -> Demand:
        """What is asked of `limits`, whichever of the targets it will be."""
        if not self._counted:
            return Demand(limits=limits, tokens=0, cost_nano_usd=0)
        # A call that says nothing of its output must not be too large for a limit that it may well keep to.
        smallest = min([limit.amount for limit in limits if limit.measure == "tokens"], default=None)
        tokens = cost = 0
        for target in targets:
            most, most_cost = self._most(target, smallest)
            tokens = max(tokens, most)
            cost = max(cost, most_cost or 0)
        return Demand(limits=limits, tokens=tokens, cost_nano_usd=cost)

    def _most(self, target: Target, smallest_limit: int | None) -> tuple[int, int | None]:
        price = in_force(target.prices, self._call.time)
        if not self._counted:
            return 0, None if price is None else 0
        raw = self._raw
        asked = self._what_is_asked()
        most_in = self._most_input.get(target.model)
        if most_in is None:
            most_in = self._most_input[target.model] = bound.input_bound(raw, target.model)
        if not self._answers:
            most_out = 0
        elif asked.tokens is not None:
            most_out = asked.tokens
        else:
            most_out = bound.output_assumed(target.capabilities.max_output, self._share) * asked.alternatives
            if smallest_limit is not None:
                most_out = min(most_out, max(smallest_limit - most_in, 0))
        if price is None:
            return most_in + most_out, None
        cost = prices.bound(
            price,
            most_in,
            most_out,
            service_tier=asked.service_tier,
            writes_cache=b"cache_control" in raw,
            hears=b"audio" in raw,
        )
        return most_in + most_out, cost

    def _what_is_asked(self) -> bound.Asked:
        if self._asked is None:
            self._asked = bound.asked(self._raw)
        return self._asked
