"""The only loop of a call: from target to target, from try to try, until one answers.

Before an answer's first byte has gone to the client everything may be tried again; after it, nothing. What a failure
means for the next step is `rules/retry.py`'s to say; which targets there are, and in what order, `rules/pool.py`'s.

Within one dialect the body is the client's, byte for byte, but for the `model` value. Of the client's headers only the
dialect's `forwarded` ones pass: its key, cookies and hop-by-hop fields never do.
"""

from __future__ import annotations

import random
from collections.abc import Container, Sequence
from time import monotonic
from typing import Final

from msgspec.structs import replace

from llmgw.config.providers import Timeouts
from llmgw.dialects.anthropic import dialect as anthropic
from llmgw.dialects.body import Body
from llmgw.errors import (
    BudgetExceeded,
    CallError,
    ClientGone,
    DependencyUnavailable,
    GatewayStopping,
    InvalidRequest,
    NoTarget,
    RateLimitExceeded,
    UnsupportedParameter,
    UpstreamCredentials,
    UpstreamTimeout,
)
from llmgw.flow.account import note_failed_try, turn_to
from llmgw.flow.attempt import Attempt
from llmgw.flow.call import Call
from llmgw.flow.choose import Plan
from llmgw.flow.gateway import Gateway, ProviderKey, Target
from llmgw.flow.outbound import Estimate, Outbound, outbound
from llmgw.flow.pause import Pause
from llmgw.flow.proof import proven
from llmgw.ports import Client, Header, UpstreamRequest
from llmgw.rules import retry
from llmgw.rules.access import KeyRecord
from llmgw.rules.retry import Cause

# Compressed answers could not be relayed event by event, nor counted.
_IDENTITY: Final[Header] = (b"accept-encoding", b"identity")
_FINAL: Final = (GatewayStopping, DependencyUnavailable)
"""What no other target would do better."""
_JSON: Final[Header] = (b"content-type", b"application/json")
_ESTIMATED: Final[Header] = (b"x-llmgw-usage-source", b"estimated")


class Dispatch:
    """Sends one admitted call to its targets."""

    def __init__(
        self,
        gateway: Gateway,
        call: Call,
        key: KeyRecord,
        plan: Plan,
        body: Body,
        fields: dict[bytes, bytes],
        query: bytes,
        client: Client,
    ) -> None:
        """
        Args:
            fields: the client's header fields by lower-case name.
            query: the client's query string, without `?`.
        """
        self._gateway = gateway
        self._call = call
        self._key = key
        self._plan = plan
        self._body = body
        self._fields = fields
        self._query = query
        self._client = client
        self._failure: CallError | None = None
        self._answer: Attempt | None = None
        """Its answer is kept, and is the client's if nobody gives a better one."""

    async def run(self) -> None:
        """Try the targets in turn, until one answers.

        Raises:
            CallError: nothing was sent to the client; it should hear of this error.
        """
        several = len(self._plan.targets) > 1
        for n, target in enumerate(self._plan.targets):
            try:
                if n > 0:
                    await turn_to(self._gateway, self._call, self._key, self._plan, target)
                out = outbound(self._call, target, self._body, self._query)
            except (UnsupportedParameter, InvalidRequest, RateLimitExceeded, BudgetExceeded) as error:
                # Another target may be able to, or have room.
                if self._failure is None:
                    self._failure = error
                continue
            if isinstance(out, Estimate):
                _answer(self._call, self._client, (*target.headers, _JSON, _ESTIMATED), out.body)
                return
            if await self._answered(target, out, several):
                return
        self._give_up()

    def _give_up(self) -> None:
        if self._answer is not None:
            self._answer.pass_on()
            return
        raise self._failure or NoTarget(
            "No target of this model can be asked just now; try again later.", retry_after_s=1
        )

    async def _answered(self, target: Target, out: Outbound, several: bool) -> bool:
        """Whether the target has answered, after as many tries as it is given.

        Raises:
            CallError: there is nothing left to try: the client has heard of the failure, has gone, or is at fault.
        """
        retries = self._plan.pool.settings.retries
        tries = 0
        for secret in target.provider.keys:
            while True:
                tries += 1
                keeps = self._plan.pool.keeps if several or retries.attempts > 1 else ()
                attempt = self._attempt(target, out, keeps)
                error = await self._try(attempt, out, secret)
                if error is None:
                    return True
                if self._client.started or self._client.gone or isinstance(error, _FINAL):
                    raise error
                self._failure, self._answer = error, attempt if attempt.kept else None
                now = monotonic()
                step = retry.after(
                    _cause(error, attempt),
                    retries,
                    tries=tries,
                    others=target is not self._plan.targets[-1],
                    retry_after_s=error.retry_after_s,
                    left_s=self._call.received_at + self._plan.total_s - now,
                    draw=random.random(),  # noqa: S311 - it spreads tries over time
                )
                if step.what == "fail":
                    self._give_up()
                    return True
                note_failed_try(self._call, attempt)
                if step.what == "next_target":
                    return False
                if step.what == "next_secret":
                    break
                await Pause(self._gateway.watch.loop).last(self._client, step.wait_s)
        return False

    def _attempt(self, target: Target, out: Outbound, keeps: Container[int]) -> Attempt:
        extra = target.headers
        degraded = self._gateway.degraded
        if degraded is not None:
            extra = (*extra, (b"x-llmgw-degraded", degraded.encode()))
        if self._call.route is not None:
            extra = (*extra, (b"x-llmgw-route", self._call.route.encode()))
        if self._call.policies:
            extra = (*extra, (b"x-llmgw-policies", ", ".join(self._call.policies).encode()))
        return Attempt(
            self._call,
            target,
            out.passage,
            self._client,
            self._timeouts(target),
            extra,
            self._gateway.watch,
            keeps,
        )

    def _timeouts(self, target: Target) -> Timeouts:
        """The target's, as far as the client's own limit leaves them."""
        limits, total_s = target.timeouts, self._plan.total_s
        return limits if total_s >= limits.total_s else replace(limits, total_s=total_s)

    async def _try(self, attempt: Attempt, out: Outbound, secret: ProviderKey) -> CallError | None:
        """How the try failed; None where it did not."""
        call, target = self._call, attempt.target
        call.provider, call.model = target.provider.name, target.model
        try:
            request = self._request(target, out)
            headers = await proven(self._gateway, self._key, target.provider, secret, request)
            if self._client.gone:
                raise ClientGone("The client closed the connection before its request was sent on.")
            await attempt.run(target.provider.upstream, replace(request, headers=headers))
        except CallError as error:
            return error
        finally:
            call.delivered = attempt.delivered or call.delivered
            call.said_bytes = attempt.said_bytes
            report = attempt.report
            call.usage = None if report is None else report.usage
            call.service_tier = None if report is None else report.service_tier
        return None

    def _request(self, target: Target, out: Outbound) -> UpstreamRequest:
        """What goes to the target, but for what proves it."""
        call, fields = self._call, self._fields
        headers: list[Header] = []
        if out.accept is None:
            for name in call.dialect.forwarded:
                value = fields.get(name)
                if value is not None:
                    headers.append((name, value))
        else:
            headers += ((b"content-type", b"application/json"), (b"accept", out.accept))
            if b"user-agent" in fields:
                headers.append((b"user-agent", fields[b"user-agent"]))
        if target.provider.host.dialect == "anthropic" and (out.accept or b"anthropic-version" not in fields):
            headers.append((b"anthropic-version", anthropic.VERSION))
        headers.append(_IDENTITY)
        headers.append((b"traceparent", call.trace.header()))
        if call.trace.state is not None:
            headers.append((b"tracestate", call.trace.state))
        return UpstreamRequest(method=b"POST", target=out.path, headers=tuple(headers), body=out.body)


def _cause(error: CallError, attempt: Attempt) -> Cause:
    """The class of a failure: a status, that no connection was made, or that it took too long. An answer that broke
    off, or was none, counts as a bad gateway's."""
    if isinstance(error, UpstreamCredentials):
        return "credentials"
    if not attempt.delivered:
        return "connect"
    if isinstance(error, UpstreamTimeout):
        return "timeout"
    return attempt.status if attempt.status is not None and attempt.status >= 400 else 502


def _answer(call: Call, client: Client, headers: Sequence[Header], body: bytes) -> None:
    """Answer without asking anybody."""
    call.status = 200
    call.response_bytes = len(body)
    client.start(200, headers, len(body))
    client.write(body)
    client.end()
