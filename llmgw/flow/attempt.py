"""One try at one target: takes the provider's answer as it is pushed and feeds the client.

It sits between two transports as the `Receiver` of one and the `Source` of the other, joined by plain calls:
a client that reads slowly pauses the provider, a client that leaves breaks the provider's connection off in
the same tick. The `Watch` looks now and then whether a limit has passed.

A stream is relayed from its first content on. A plain answer is held until it is whole (up to the passage's
limit), so that a provider which breaks off in the middle is an honest 502 and not half a JSON document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from math import inf
from time import monotonic
from typing import Final

from llmgw.config.budget import dollars_text
from llmgw.config.providers import Timeouts
from llmgw.dialects.reported import Report
from llmgw.errors import CallError, ClientGone, Escalated, UpstreamFailed, UpstreamRefused, UpstreamTimeout
from llmgw.flow.answer import Head, retry_after_s
from llmgw.flow.call import Call, Stage
from llmgw.flow.check import Check
from llmgw.flow.gateway import Target
from llmgw.flow.passage import Passage
from llmgw.flow.relay import Relay
from llmgw.flow.watch import Watch
from llmgw.ports import Client, Header, Transfer, Upstream, UpstreamRequest
from llmgw.rules import panic
from llmgw.rules.panic import Entry

HOLD_S: Final = 1.0
"""Seconds for which the start-up of a stream is held when no content follows."""
ERROR_LIMIT: Final = 64 * 1024
"""Bytes of a provider's error answer read at most when only its message is of use."""
CHECKED_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of a stream that are held for a check at most."""
TAIL_BYTES: Final = 16 * 1024
"""Bytes kept of the end of an answer that is passed on in parts, for its report of usage."""
TOKEN_BYTES: Final = 4
"""Of text, to a token."""

_UPSTREAM: Final = (UpstreamFailed, UpstreamTimeout)


class Attempt:
    """Implements `ports.Receiver` towards the provider and `ports.Source` towards the client."""

    _head: Head

    __slots__ = (
        "_began_at", "_call", "_check", "_done", "_drain_s", "_drains_until", "_extra", "_fails", "_head",
        "_heard", "_held", "_held_bytes", "_keeps", "_last_at", "_paused", "_progress", "_relay", "_tail", "_timeouts",
        "_transfer", "_watch", "client", "delivered", "ended_at", "first_at", "kept", "on_begun", "passage", "report",
        "said_bytes", "sent_at", "status", "target",
    )  # fmt: skip

    def __init__(
        self,
        call: Call,
        target: Target,
        passage: Passage,
        client: Client,
        timeouts: Timeouts,
        extra: tuple[Header, ...],
        watch: Watch,
        keeps: Container[int] = (),
        check: Check | None = None,
    ) -> None:
        """
        Args:
            timeouts: the target's, as far as the call's own limit leaves them.
            extra: header fields of the answer, besides the provider's.
            keeps: statuses of answers that are the client's and yet fail the try, for there may be another one; such
                an answer is kept.
            check: what the answer must pass, for a better target is left; it is held until it is whole.
        """
        self.target = target
        self.passage = passage
        self._call = call
        self.client = client
        self._timeouts = timeouts
        self._extra = extra
        self._watch = watch
        self._keeps = keeps
        self._check = check
        self._done: asyncio.Future[CallError | None] = watch.loop.create_future()
        self._transfer: Transfer | None = None
        self._fails = False
        self._relay: Relay | None = None
        self._tail = b""
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._heard = False
        self._last_at = self._began_at = 0.0
        self._paused = False
        self._progress = (inf, 0)
        """Of a stream whose pace is watched: since when, and how much text had come by then."""
        self._drain_s = target.drain_s
        self._drains_until: float | None = None
        self.on_begun: Callable[[], None] | None = None
        """Told when the answer has begun."""
        # What became of it. Times are of `time.monotonic`.
        self.sent_at = 0.0
        self.first_at: float | None = None
        """When the first content of a stream came, or a plain answer was whole."""
        self.ended_at: float | None = None
        self.status: int | None = None
        """The provider's."""
        self.delivered = False
        """Whether the request has reached the provider, as far as that can be known here."""
        self.report: Report | None = None
        """What the provider reports of the usage."""
        self.said_bytes = 0
        """How much text of the model has come."""
        self.kept = False
        """Whether an answer is kept that may yet be passed on."""

    async def run(self, upstream: Upstream, request: UpstreamRequest) -> None:
        """Send `request` and see the answer through to the client.

        Raises:
            CallError: how the try failed. Where the head had gone out the client knows already.
        """
        call, limits = self._call, self._timeouts
        self.client.attach(self)
        self.sent_at = self._last_at = monotonic()
        call.send(self.sent_at)
        total_s = call.received_at + limits.total_s - self.sent_at
        try:
            self._transfer = await upstream.send(
                request, self, connect_timeout_s=min(limits.connect_s, limits.first_token_s, total_s)
            )
            self.delivered = True
            self._watch.add(self)
            error = await self._done
        except asyncio.CancelledError:
            if not self.client.gone:
                raise
            error = _gone()
        finally:
            self._watch.discard(self)
            if self._transfer is not None:
                self._transfer.abort()
            if self.ended_at is None:
                self.ended_at = monotonic()
            call.upstream_ended_at = self.ended_at
            self._account()
        if error is not None:
            raise error

    def pass_on(self) -> None:
        """Give the client the answer that was kept, for there will be no other."""
        body = b"".join(self._held)
        self._commit(None if self._relay is not None else len(body))
        if body:
            self._send(body)
        self.client.end()

    def _account(self) -> None:
        """Note what has been used, as far as it is known, however the try ended."""
        if self._relay is not None:
            self.report = self._relay.report()
            self.said_bytes = self._relay.said_bytes
        elif self.report is None and self.status is not None and not self._fails:
            end = self._tail or b"".join(self._held)
            self.report = self.passage.report(end)
            self.said_bytes = self._held_bytes if self._tail else self.passage.said_bytes(end)

    def _finish(self, error: CallError | None) -> None:
        """End the try once; after the head has gone out, tell the client in-band or by breaking off."""
        if self._done.done():
            return
        if error is None and self._drains_until is not None:
            error = _gone()
        if (
            self._relay is not None
            and self._relay.ended
            and isinstance(error, _UPSTREAM)
            and self.client.started
        ):
            # The terminator had come; that the connection then broke or fell silent costs the client nothing.
            error = None
            self.client.end()
        self.ended_at = self._call.upstream_ended_at = monotonic()
        self._done.set_result(error)
        if self._transfer is not None:
            self._transfer.abort()
        if error is None or not self.client.started:
            return
        if self._relay is not None:
            self._send(self._relay.broken(error, self._call.request_id))
            self.client.end()
        else:
            self.client.abort()

    def check(self) -> None:
        """Fail if a limit has passed; called by the watch."""
        now = monotonic()
        call, limits = self._call, self._timeouts
        if self._drains_until is not None and now >= self._drains_until:
            self._finish(_gone())
        elif now - call.received_at >= limits.total_s:
            self._finish(_timeout("the whole call", limits.total_s))
        elif not self._heard:
            if now - self.sent_at >= limits.first_token_s:
                self._finish(_timeout("its first token", limits.first_token_s))
            elif (
                self._relay is not None
                and self._check is None
                and not self.client.started
                and now - self._began_at >= HOLD_S
            ):
                self._pass_on(self._relay.release())
        # While the client is not reading, silence is ours and not the provider's.
        elif self._paused:
            self._progress = (now, 0 if self._relay is None else self._relay.said_bytes)
        elif now - self._last_at >= limits.idle_s:
            self._finish(_timeout("the next piece of its answer", limits.idle_s))
        elif limits.min_tokens_per_s and self._relay is not None:
            self._look_at_pace(self._relay, now)

    def _look_at_pace(self, relay: Relay, now: float) -> None:
        """Fail if the stream has crept through the last `idle` seconds: pings may keep it from being silent."""
        limits, (since, said) = self._timeouts, self._progress
        if now < since:
            self._progress = (now, relay.said_bytes)
        elif now - since >= limits.idle_s:
            least = limits.min_tokens_per_s * limits.idle_s * TOKEN_BYTES
            if relay.said_bytes - said < least:
                self._finish(_timeout(f"{least / TOKEN_BYTES:g} tokens", limits.idle_s))
            self._progress = (now, relay.said_bytes)

    # Receiver: the provider's side

    def head(self, status: int, headers: list[Header]) -> None:
        call = self._call
        self._last_at = self._began_at = monotonic()
        self._head = head = Head(status, headers)
        self.status = call.upstream_status = status
        call.upstream_request_id = head.request_id
        self._fails = status in self._keeps or self.passage.fails(head)
        self._relay = None if self._fails else self.passage.relay(head)
        self._heard = self._relay is None

    def data(self, data: bytes) -> None:
        self._last_at = monotonic()
        relay = self._relay
        if relay is not None:
            try:
                piece = relay.feed(data)
            except UpstreamFailed as error:
                self._finish(error)
                return
            self._heard = relay.has_content
            if self._check is not None:
                self._hold(data, piece)
            elif piece:
                self._pass_on(piece)
        elif self.client.started:
            self._tail = (self._tail + data)[-TAIL_BYTES:]
            self._held_bytes += len(data)
            self._send(data)
        else:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._fails:
                if self._held_bytes > ERROR_LIMIT:
                    self._judge(b"")
            elif self._held_bytes > self.passage.hold_limit:
                if not self.passage.passes_parts:
                    self._finish(UpstreamFailed("The provider's answer is too large to be translated."))
                    return
                self._commit(None)
                body = b"".join(self._held)
                self._held.clear()
                self._tail = body[-TAIL_BYTES:]
                self._send(body)

    def end(self) -> None:
        call = self._call
        call.upstream_ended_at = monotonic()
        relay = self._relay
        if relay is not None:
            rest, error = relay.end()
            if error is not None:
                self._finish(error)
                return
            if self._check is not None:
                self._held.append(rest)
                if self._fails_check(self._check.of_stream()):
                    return
                rest = b"".join(self._held)
            if not self.client.started:
                self._commit(None)
            if rest:
                self._send(rest)
            call.detail = relay.provider_error
            if relay.provider_error is not None:
                call.error = UpstreamFailed.code
        elif not self.client.started:
            body = b"".join(self._held)
            if self._fails:
                self._judge(body)
            if self._fails:
                return
            reasons = frozenset() if self._check is None else self._check.of_answer(body)
            try:
                body, self.report = self.passage.plain(body)
            except UpstreamFailed as error:
                self._finish(error)
                return
            self._held = [body]
            if self._fails_check(reasons):
                return
            self._commit(len(body))
            if body:
                self._send(body)
        self.client.end()
        self._finish(None)

    def _hold(self, data: bytes, piece: bytes) -> None:
        """Keep a piece of a stream that is checked at its end; one that grows too long is passed on unchecked."""
        assert self._check is not None
        self._check.hear(data)
        self._held.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > CHECKED_LIMIT:
            self._check = None
            self._pass_on(b"".join(self._held))
            self._held.clear()

    def _fails_check(self, reasons: frozenset[str]) -> bool:
        """End the try with what was found, if anything was; the answer is kept, for no other one may come."""
        if not reasons:
            return False
        self.first_at = monotonic()
        self.kept = True
        self._finish(Escalated(f"The answer is no good: {', '.join(sorted(reasons))}."))
        return True

    def _judge(self, body: bytes) -> None:
        """End the try with the error that the answer is, unless it is the client's own and passes after all."""
        error = self.passage.failure(self._head, body)
        if error is None and self._head.status in self._keeps:
            self.kept = bool(body) or not self._held
            error = UpstreamRefused(
                self._head.status, None, f"The provider refused the call with status {self._head.status}.",
                retry_after_s=retry_after_s(self._head.passed),
            )  # fmt: skip
        if error is None:
            self._fails = False
        else:
            self._finish(error)

    def failed(self, error: CallError) -> None:
        self._finish(error)

    def _commit(self, length: int | None) -> None:
        """Send the head: from here on the status is fixed and no other target can take over."""
        call = self._call
        now = monotonic()
        call.committed_at = now
        if self.first_at is None:
            self.first_at = now
        if self.on_begun is not None:
            self.on_begun()
        call.turn_to(self.target)
        call.status = self._head.status
        call.dropped = self.passage.dropped
        call.enter(Stage.COMMITTED)
        overhead = (b"x-llmgw-overhead-ms", b"%.3f" % (call.overhead_until(now) * 1000))
        attempts = (b"x-llmgw-attempts", b"%d" % call.attempts)
        fields = [*self.passage.headers(self._head), *self._extra, attempts, overhead]
        account, report = call.account, self.report
        if account is not None:
            if account.headers:  # the provider's own limits are the gateway's affair
                fields = [field for field in fields if not field[0].startswith(b"x-ratelimit-")]
                fields += account.headers
            cost = None
            if report is not None:
                cost = self.target.cost(report.usage, report.service_tier, call.time)
                account.priced = report.usage, cost
            if cost is not None:
                fields.append((b"x-llmgw-cost-usd", dollars_text(cost).encode()))
        self.client.start(call.status, fields, length)

    def _pass_on(self, piece: bytes) -> None:
        if piece:
            if not self.client.started:
                self._commit(None)
            self._send(piece)

    def _send(self, data: bytes) -> None:
        self._call.response_bytes += len(data)
        self.client.write(data)

    # Source: the client's side

    def pause(self) -> None:
        self._paused = True
        if self._transfer is not None:
            self._transfer.pause()

    def resume(self) -> None:
        self._paused = False
        self._last_at = monotonic()
        if self._transfer is not None:
            self._transfer.resume()

    def abandon(self) -> bool:
        if self._drain_s and self._transfer is not None and not self._fails:
            self._drains_until = monotonic() + self._drain_s
            if self._paused:
                self.resume()
            return True
        self._finish(_gone())
        return False

    def fail(self, error: CallError) -> None:
        self._finish(error)

    def is_concerned(self, entry: Entry) -> bool:
        """Whether panic is for this call."""
        call, target = self._call, self.target
        caller = (
            call.key is not None and panic.of_call((entry,), call.key, call.model_asked or "")[0] is entry
        )
        return caller or panic.concerns_target(entry, target.provider.name, target.model)


def _gone() -> ClientGone:
    return ClientGone("The client closed the connection before the answer was complete.")


def _timeout(what: str, limit_s: float) -> UpstreamTimeout:
    return UpstreamTimeout(f"The provider took more than {limit_s:g} s for {what}.")
