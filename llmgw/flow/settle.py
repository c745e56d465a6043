"""The end of every call, however it came: exactly once, never blocking, never raising."""

from __future__ import annotations

from llmgw.errors import CallError, ClientGone
from llmgw.flow.account import close_account
from llmgw.flow.call import Call, Stage
from llmgw.flow.gateway import Gateway
from llmgw.rules.guard import outcome_of


def settle(gateway: Gateway, call: Call, error: CallError | None, now: float) -> None:
    """Close the record of `call` and hand it on.

    `error` is what ended the call early. A client that left is 499 whatever had been sent; any other error
    after the head went out leaves the status as the client saw it.
    """
    if error is not None:
        call.error = error.code
        call.detail = error.detail or error.message
        if call.stage is not Stage.COMMITTED or isinstance(error, ClientGone):
            call.status = error.status
    call.close(now)
    close_account(gateway, call)
    if call.flags:
        outcome = outcome_of(call.status, call.error, call.upstream_status)
        gateway.flags.note(call.flags, outcome, call.total_s, call.cost_nano_usd, now)
    gateway.sink.offer(call)
