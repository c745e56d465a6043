"""The only loop of a call: from target to target, from try to try, until one answers.

Before an answer's first byte has gone to the client everything may be tried again; after it, nothing. What a failure
means for the next step is `rules/retry.py`'s to say; which targets there are, and in what order, `rules/pool.py`'s.

Within one dialect the body is the client's, byte for byte, but for the `model` value. Of the client's headers only the
dialect's `forwarded` ones pass: its key, cookies and hop-by-hop fields never do.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from time import monotonic, time
from typing import Any, Final

from msgspec.structs import replace

from llmgw.config.providers import Timeouts
from llmgw.dialects import verdict
from llmgw.dialects.body import Body
from llmgw.dialects.known import CODECS
from llmgw.dialects.verdict import Expected
from llmgw.errors import (
    BudgetExceeded,
    CallError,
    ClientGone,
    DependencyUnavailable,
    Escalated,
    GatewayStopping,
    InvalidRequest,
    NoTarget,
    Panicked,
    RateLimitExceeded,
    UnsupportedParameter,
    UpstreamCredentials,
    UpstreamTimeout,
)
from llmgw.flow.account import note_failed_try, turn_to
from llmgw.flow.attempt import Attempt
from llmgw.flow.call import Call
from llmgw.flow.check import Check
from llmgw.flow.choose import Plan, panicked
from llmgw.flow.gateway import Gateway, ProviderKey, Target
from llmgw.flow.leave import Leave, leave, leave_at_once
from llmgw.flow.outbound import Estimate, Outbound, outbound, request_to
from llmgw.flow.pause import Pause
from llmgw.flow.proof import is_plain, proven
from llmgw.flow.race import Race
from llmgw.ports import Client, FailedTry, Header
from llmgw.rules import panic, retry
from llmgw.rules.access import KeyRecord
from llmgw.rules.pace import FAILED_S
from llmgw.rules.retry import Cause

_FINAL: Final = (GatewayStopping, DependencyUnavailable)
"""What no other target would do better."""
_ERRORS: Final = range(400, 600)
_JSON: Final[Header] = (b"content-type", b"application/json")
_ESTIMATED: Final[Header] = (b"x-llmgw-usage-source", b"estimated")


CLOCK_S: Final = 0.05
"""Timers may end early by as much, and a call begins a moment before its first try."""
MEASURED_TOKENS: Final = 16
"""An answer of fewer says nothing of how fast a target writes."""


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
        self._answer_error: CallError | None = None
        """Why it was not given at once."""
        self._failed: Attempt | None = None
        """Not on the bill yet."""
        self._asked: Expected | None = None
        """What the client wants of the answer's shape, where that is checked."""
        self._blocked: set[str] = set()
        """Breakers that are open."""
        self._raced: set[str] = set()
        """Asked beside another one."""

    async def run(self) -> None:
        """Try the targets in turn, until one answers.

        Raises:
            CallError: nothing was sent to the client; it should hear of this error.
        """
        for n, target in enumerate(self._plan.targets):
            if n and (
                target.name in self._raced or self._left_s(target) <= 0 or not await self._turned(target)
            ):
                continue
            out = self._prepared(target)
            if isinstance(out, Estimate):
                _answer(self._call, self._client, (*target.headers, _JSON, _ESTIMATED), out.body)
                return
            if out is not None and await self._answered(target, out):
                return
        self._give_up()

    async def _turned(self, target: Target) -> bool:
        """Whether there is room for the call at a further target."""
        self._note_failure()
        try:
            await turn_to(self._gateway, self._call, self._key, target)
        except (RateLimitExceeded, BudgetExceeded) as error:
            # Another target may have room.
            if self._failure is None:
                self._failure = error
            return False
        return True

    def _prepared(self, target: Target) -> Outbound | Estimate | None:
        """The call as the target gets it; None where it cannot have it."""
        try:
            return outbound(self._call, target, self._body, self._query)
        except (UnsupportedParameter, InvalidRequest) as error:
            # Another target may be able to.
            if self._failure is None:
                self._failure = error
            return None

    def _give_up(self) -> None:
        if self._answer is not None:
            if (
                self._answer is not self._failed
            ):  # it is on the bill already, and what was tried after it gave nothing
                self._call.delivered, self._call.usage = False, None
            self._answer.pass_on()
            return
        if self._failure is None or (self._blocked and not self._call.attempts):
            wait_s = self._gateway.breakers.free_in(self._blocked, monotonic())
            raise NoTarget(
                "Every target of this model has failed of late and is left alone for a while; try again later.",
                retry_after_s=max(wait_s, 1.0),
                detail=f"open: {', '.join(sorted(self._blocked))}",
            )
        raise self._failure

    async def _answered(self, target: Target, out: Outbound) -> bool:
        """Whether the target has answered, after as many tries as it is given.

        Raises:
            CallError: there is nothing left to try: the client has heard of the failure, has gone, or is at fault.
        """
        retries = self._plan.pool.settings.retries
        tries = 0
        for n, secret in enumerate(target.provider.keys, 1):
            while True:
                if self._gateway.panic.entries and self._is_stopped(target):
                    return False
                tries += 1
                permit = leave_at_once(self._gateway, self._key, target, secret) or await leave(
                    self._gateway, self._key, target, secret, self._blocked
                )
                if permit is None:
                    break
                if self._failed is not None:
                    self._note_failure()
                if tries == 1 and self._plan.hedge_after_s is not None and not self._raced:
                    attempt, error = await self._hedged(target, out, secret, permit)
                else:
                    attempt = self._attempt(target, out, self._client)
                    error = await self._try(attempt, out, secret, permit)
                if error is None:
                    self._note_success(attempt)
                    return True
                if self._client.started or self._client.gone or isinstance(error, _FINAL):
                    raise error
                self._failure = error
                if isinstance(error, Panicked):
                    # Cut: no failure of the target's, and nothing to try again there.
                    self._failed = attempt
                    return False
                if isinstance(error, Escalated) or not isinstance(self._answer_error, Escalated):
                    self._answer = attempt if attempt.kept else None
                    self._answer_error = error
                self._failed = attempt
                cause = "escalated" if isinstance(error, Escalated) else _cause(error, attempt)
                tried = FailedTry(target.provider.name, target.model, str(cause))
                self._call.failed_tries = (*self._call.failed_tries, tried)
                if cause == "escalated":
                    return False
                step = retry.after(
                    cause,
                    retries,
                    tries=tries,
                    secrets=len(target.provider.keys) - n,
                    others=target is not self._plan.targets[-1],
                    retry_after_s=error.retry_after_s,
                    left_s=self._left_s(target),
                    draw=random.random(),  # noqa: S311 - it spreads tries over time
                )
                if step.what == "fail":
                    self._give_up()
                    return True
                if self._plan.pool.asks:
                    self._gateway.pace.of(target.name).first_token_s.add(FAILED_S, monotonic())
                if step.what == "next_target":
                    return False
                if step.what == "next_secret":
                    break
                await Pause(self._gateway.watch.loop).last(self._client, step.wait_s)
        return False

    def _is_stopped(self, target: Target) -> bool:
        """Whether panic has come on since the target was chosen: no further try goes to it."""
        stop = panic.stops(
            self._gateway.panic.entries, self._key, self._body.model, target.provider.name, target.model
        )
        if stop is not None:
            self._failure = panicked(stop)
        return stop is not None

    def _left_s(self, target: Target) -> float:
        """Of the call's time, at that target."""
        return self._call.received_at + self._timeouts(target).total_s - monotonic()

    def _was_cut_short(self, attempt: Attempt) -> bool:
        """Whether the call's time ended before the target's own had: the client gave less, or other tries took it."""
        target = attempt.target
        ends_at = self._call.received_at + self._timeouts(target).total_s
        own_s = min(target.timeouts.first_token_s, target.timeouts.total_s)
        return monotonic() >= ends_at - CLOCK_S and ends_at - attempt.sent_at < own_s - CLOCK_S

    def _note_success(self, attempt: Attempt) -> None:
        """Remember how fast the target was, and that the conversation is there now."""
        gateway, plan, target = self._gateway, self._plan, attempt.target
        if plan.session is not None:
            gateway.pins.put(plan.session, target.name, monotonic())
        if attempt.first_at is None or attempt.ended_at is None:
            return
        first_token_s = attempt.first_at - attempt.sent_at
        if plan.pool.settings.hedge is not None:
            gateway.hedging.note(plan.pool.name, first_token_s)
        if plan.pool.asks:
            known = gateway.pace.of(target.name)
            known.first_token_s.add(first_token_s, attempt.ended_at)
            written_s = attempt.ended_at - attempt.first_at
            tokens = 0 if attempt.report is None else attempt.report.usage.output or 0
            if tokens >= MEASURED_TOKENS and written_s > 0:
                known.tokens_per_s.add(tokens / written_s, attempt.ended_at)

    def _note_failure(self) -> None:
        """Another try follows the one that failed last: what that one has used goes onto the bill."""
        if self._failed is not None:
            note_failed_try(self._call, self._failed)
            self._failed = None

    def _attempt(self, target: Target, out: Outbound, client: Client) -> Attempt:
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
            client,
            self._timeouts(target),
            extra,
            self._gateway.watch,
            # An answer that is kept is better than any error.
            self._plan.keeps if self._answer is None else _ERRORS,
            self._check(target, out) if self._plan.pool.settings.escalate_on else None,
        )

    def _check(self, target: Target, out: Outbound) -> Check | None:
        """What an answer must pass that is not the last one there may be."""
        wanted = self._plan.pool.settings.escalate_on
        if target is self._plan.targets[-1] or self._call.operation.name not in CODECS:
            return None
        if "schema" in wanted and self._asked is None:
            self._asked = verdict.expected_of(self._call.operation, self._body.raw, self._query)
        return Check(out.endpoint, frozenset(wanted), self._asked)

    def _timeouts(self, target: Target) -> Timeouts:
        """The target's, as far as the client's own limit leaves them."""
        limits, total_s = target.timeouts, self._plan.total_s
        return limits if total_s >= limits.total_s else replace(limits, total_s=total_s)

    async def _try(
        self, attempt: Attempt, out: Outbound, secret: ProviderKey, permit: Leave
    ) -> CallError | None:
        """How the try failed; None where it did not."""
        target = attempt.target
        if permit.is_probe:
            attempt.on_begun = permit.began
        self._call.turn_to(target)
        error: CallError | None = None
        known = self._gateway.pace.of(target.name)
        known.in_flight += 1
        provider = target.provider
        request = request_to(target, out, self._call, self._fields, secret.headers)
        try:
            if not is_plain(provider, secret):
                request = await proven(self._gateway, self._key, provider, secret, request)
            if attempt.client.gone:
                raise ClientGone("The client closed the connection before its request was sent on.")
            await attempt.run(provider.upstream, request)
        except CallError as failure:
            error = failure
            if isinstance(error, UpstreamCredentials) and provider.signer is not None:
                provider.signer.refused(request.headers, time())
        finally:
            known.in_flight -= 1
            self._take(attempt)
            permit.ended(error, was_cut_short=error is not None and self._was_cut_short(attempt))
        return error

    def _take(self, attempt: Attempt) -> None:
        """Of all tries so far, this one is the call's."""
        call, report = self._call, attempt.report
        call.turn_to(attempt.target)
        call.delivered = attempt.delivered or call.delivered
        call.said_bytes = attempt.said_bytes
        call.usage = None if report is None else report.usage
        call.service_tier = None if report is None else report.service_tier

    async def _hedged(
        self, target: Target, out: Outbound, secret: ProviderKey, permit: Leave
    ) -> tuple[Attempt, CallError | None]:
        """As `_try`; where no answer has begun after a while, another target is asked as well, and the first of both
        to begin has the client. Whose try it was in the end, and how it failed."""
        loop = self._gateway.watch.loop
        race = Race(self._client, loop)
        first = self._attempt(target, out, race.enter())
        tries = {loop.create_task(self._try(first, out, secret, permit)): first}
        try:
            await _first_of({*tries, race.decided}, self._plan.hedge_after_s)
            if race.winner is None and not any(task.done() for task in tries) and not self._client.gone:
                second = await self._second()
                if second is not None:
                    other, its_out, its_permit = second
                    attempt = self._attempt(other, its_out, race.enter())
                    its_secret = other.provider.keys[0]
                    tries[loop.create_task(self._try(attempt, its_out, its_secret, its_permit))] = attempt
            while race.winner is None and any(not task.done() for task in tries):
                await _first_of({race.decided, *(task for task in tries if not task.done())}, None)
            for task, attempt in tries.items():
                if race.winner is not None and attempt.client is not race.winner:
                    task.cancel()  # it may still be connecting
            await asyncio.wait(tries)
        except asyncio.CancelledError:
            for task in tries:
                task.cancel()
            await asyncio.wait(tries)
            if not self._client.gone:
                raise
        ended = {attempt: task.result() for task, attempt in tries.items()}
        chosen = next((attempt for attempt in ended if attempt.client is race.winner), first)
        for attempt in ended:
            if attempt is not chosen:
                note_failed_try(self._call, attempt)
        self._take(chosen)
        return chosen, ended[chosen]

    async def _second(self) -> tuple[Target, Outbound, Leave] | None:
        """The next target that can have the call, if the pool may spend on one."""
        if not self._gateway.hedging.spend(self._plan.pool.name):
            return None
        for target in self._plan.targets[1:]:
            if self._gateway.panic.entries and self._is_stopped(target):
                continue  # what is under way goes on; nothing new does
            out = self._prepared(target) if await self._turned(target) else None
            if isinstance(out, Outbound):
                secret = target.provider.keys[0]
                permit = await leave(self._gateway, self._key, target, secret, self._blocked)
                if permit is not None:
                    self._raced.add(target.name)
                    return target, out, permit
        return None


async def _first_of(those: set[asyncio.Future[Any]], timeout_s: float | None) -> None:
    await asyncio.wait(those, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


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
