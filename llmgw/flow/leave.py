"""Leave to ask a target with a secret: from the breakers of both, which are told what became of it.

A try tells them at its end, for a stream that breaks off halfway is a failure. Only a probe tells them when its answer
begins: an answer may take longer than a probe's lease lasts, and another probe would go out meanwhile.
"""

from __future__ import annotations

from time import monotonic

from llmgw.errors import CallError, Escalated, UpstreamCredentials, UpstreamFailed, UpstreamTimeout
from llmgw.flow.gateway import Gateway, ProviderKey, Target
from llmgw.ports import Breakers
from llmgw.rules.access import KeyRecord
from llmgw.rules.breaker import Outcome, Permit


class Leave:
    """For one try."""

    __slots__ = ("_breakers", "_of_secret", "_of_target", "_secret", "_target", "_told", "is_probe")

    def __init__(
        self, breakers: Breakers, target: str, of_target: Permit, secret: str, of_secret: Permit
    ) -> None:
        """
        Args:
            target, secret: the names of their breakers.
        """
        self._breakers = breakers
        self._target = target
        self._of_target = of_target
        self._secret = secret
        self._of_secret = of_secret
        self._told = False
        self.is_probe = of_target.lease is not None or of_secret.lease is not None

    def began(self) -> None:
        """The answer has begun."""
        if self.is_probe:
            self._tell("success", "success")

    def ended(self, error: CallError | None, *, was_cut_short: bool) -> None:
        """The try is over. What is the request's fault, or the client's, is nobody's failure.

        Args:
            was_cut_short: whether the call's time ended before the target's own had.
        """
        match error:
            case None | Escalated():
                self._tell("success", "success")
            case UpstreamCredentials():
                self._tell("neither", "failure")
            case UpstreamFailed() | UpstreamTimeout() if not was_cut_short:
                self._tell("failure", "neither")
            case _:
                self._tell("neither", "neither")

    def _tell(self, of_target: Outcome, of_secret: Outcome) -> None:
        if not self._told:
            self._told = True
            now = monotonic()
            self._breakers.report(self._target, self._of_target, of_target, now)
            self._breakers.report(self._secret, self._of_secret, of_secret, now)


async def leave(
    gateway: Gateway, key: KeyRecord, target: Target, secret: ProviderKey, blocked: set[str]
) -> Leave | None:
    """Leave to ask the target with that secret; None while there is none, with the breaker's name in `blocked`."""
    breakers, now = gateway.breakers, monotonic()
    of_target = await breakers.admit(target.name, now)
    if of_target is None:
        blocked.add(target.name)
        return None
    name = _breaker_of(secret, key)
    of_secret = await breakers.admit(name, now)
    if of_secret is None:
        breakers.report(target.name, of_target, "neither", now)
        blocked.add(name)
        return None
    return Leave(breakers, target.name, of_target, name, of_secret)


def leave_at_once(gateway: Gateway, key: KeyRecord, target: Target, secret: ProviderKey) -> Leave | None:
    """The same where nothing is known against either; None says nothing: ask `leave`."""
    breakers = gateway.breakers
    of_target = breakers.permit(target.name)
    if of_target is None:
        return None
    name = secret.breaker if secret.stored is None else _breaker_of(secret, key)
    of_secret = breakers.permit(name)
    return None if of_secret is None else Leave(breakers, target.name, of_target, name, of_secret)


def _breaker_of(secret: ProviderKey, key: KeyRecord) -> str:
    """The name of a secret's breaker; of a stored one each organisation has its own."""
    return secret.breaker if secret.stored is None else f"{secret.breaker}@{key.org_id}"
