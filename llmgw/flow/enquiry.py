"""Finds out what rules ask about a call; implements `rules.facts.Source`."""

from __future__ import annotations

from collections.abc import Mapping

from llmgw.canonical.traits import Prompt, Shape
from llmgw.dialects.body import Body
from llmgw.dialects.traits import Content
from llmgw.flow.call import Call
from llmgw.flow.demand import Forecast
from llmgw.flow.gateway import Pool, Routing
from llmgw.rules.access import KeyRecord


class Enquiry:
    """Of one call."""

    def __init__(
        self,
        routing: Routing,
        call: Call,
        key: KeyRecord,
        tags: Mapping[str, str],
        pool: Pool,
        fields: Mapping[bytes, bytes],
        body: Body,
        forecast: Forecast,
    ) -> None:
        self._routing = routing
        self._call = call
        self._key = key
        self._tags = tags
        self._pool = pool
        self._fields = fields
        self._model = body.model
        self._forecast = forecast
        self._content = Content(call.operation.name, body.raw)

    def shape(self) -> Shape:
        return self._content.shape()

    def prompt(self) -> Prompt:
        return self._content.prompt()

    def input_tokens(self) -> int:
        return self._forecast.input_tokens

    def budget_used(self) -> float | None:
        provider = self._pool.targets[0].provider.name
        now = self._call.time
        limits = self._routing.limits_of(self._key, self._tags, self._model, provider, now)
        budgets = [limit for limit in limits if limit.measure == "usd"]
        shares = [
            (standing.used + standing.reserved) / standing.limit.amount
            for standing in self._routing.standing(budgets, now)
        ]
        return max(shares, default=None)

    def session(self) -> bytes | None:
        return self._content.seed() or None
