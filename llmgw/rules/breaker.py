"""Circuit breakers: a target that fails is left alone for a while. Pure: (state, settings, now) -> state.

    state      what happens                                     then
    closed     the failures of the window reach the threshold   open
    open       the cooldown has passed                          half-open, at the next call that asks
    half-open  a probe succeeds                                 closed
    half-open  a probe fails                                    open

A permit carries the generation of the state it was given in, and a report of another generation changes nothing: so a
breaker opens once, however many calls were under way when it did, and what they say afterwards neither prolongs nor
closes it. A probe is a lease: one that never reports frees its place when the lease ends.

Times are seconds of one clock that does not jump; a `now` before an earlier one finds nothing to have expired.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from llmgw.config.breakers import Breakers

Phase = Literal["closed", "open", "half_open"]
Outcome = Literal["success", "failure", "neither"]
"""`neither`: the request's own fault, or a client that left: it says nothing of the target."""
SLICES: Final = 10
"""The window of a ratio is counted in so many slices; the oldest one leaves as a whole."""


class Slice(Struct, frozen=True, gc=False):
    """A part of the window."""

    number: int
    calls: int
    failures: int


class State(Struct, frozen=True, kw_only=True):
    """Of one breaker."""

    phase: Phase = "closed"
    generation: int = 0
    """Of the transitions so far."""
    failed_at: tuple[float, ...] = ()
    """The latest failures while closed, as many as open it at most."""
    slices: tuple[Slice, ...] = ()
    """Calls and failures while closed, where a ratio is set."""
    until: float = 0.0
    """While open: the end of the cooldown."""
    leases: tuple[float, ...] = ()
    """While half-open: when the probes' leases end."""


CLOSED: Final = State()


class Permit(Struct, frozen=True):
    """Leave to make one call."""

    generation: int
    lease: float | None = None
    """Of a probe: when its lease ends."""


def admit(state: State, settings: Breakers, now: float) -> tuple[State, Permit | None]:
    """Whether a call may be made now."""
    if state.phase == "closed":
        return state, Permit(state.generation)
    if state.phase == "open":
        if now < state.until:
            return state, None
        state = State(phase="half_open", generation=state.generation + 1)
    leases = tuple([end for end in state.leases if end > now])
    if len(leases) >= settings.half_open:
        return state, None
    lease = now + settings.cooldown_s
    return replace(state, leases=(*leases, lease)), Permit(state.generation, lease)


def report(state: State, settings: Breakers, permit: Permit, outcome: Outcome, now: float) -> State:
    """What became of a call that was admitted."""
    if permit.generation != state.generation:
        return state
    if state.phase == "half_open":
        if outcome == "success":
            return State(generation=state.generation + 1)
        if outcome == "failure":
            return _opened(state, settings, now)
        leases = list(state.leases)
        if permit.lease in leases:
            leases.remove(permit.lease)
        return replace(state, leases=tuple(leases))
    if outcome == "neither":
        return state
    if settings.ratio is not None:
        state = replace(state, slices=_counted(state.slices, settings, outcome, now))
    if outcome == "failure":
        recent = [at for at in state.failed_at if now - at < settings.window_s]
        state = replace(state, failed_at=(*recent, now)[-settings.failures :])
        if len(state.failed_at) >= settings.failures or _over_ratio(state, settings):
            return _opened(state, settings, now)
    return state


def free_in(state: State, now: float) -> float:
    """Seconds until a call may be made, as far as it is known now."""
    if state.phase == "open":
        return max(0.0, state.until - now)
    if state.phase == "half_open" and state.leases:
        return max(0.0, min(state.leases) - now)
    return 0.0


def is_forgettable(state: State, settings: Breakers, now: float) -> bool:
    """Whether nothing would be lost with it: closed, and its failures have left the window."""
    return state.phase == "closed" and all(now - at >= settings.window_s for at in state.failed_at)


def _opened(state: State, settings: Breakers, now: float) -> State:
    return State(phase="open", generation=state.generation + 1, until=now + settings.cooldown_s)


def _counted(
    slices: tuple[Slice, ...], settings: Breakers, outcome: Outcome, now: float
) -> tuple[Slice, ...]:
    number = int(now * SLICES / settings.window_s)
    kept = [one for one in slices if number - SLICES < one.number < number]
    last = next((one for one in slices if one.number == number), Slice(number, 0, 0))
    return (*kept, Slice(number, last.calls + 1, last.failures + (outcome == "failure")))


def _over_ratio(state: State, settings: Breakers) -> bool:
    if settings.ratio is None:
        return False
    calls = sum([one.calls for one in state.slices])
    failures = sum([one.failures for one in state.slices])
    return calls >= settings.min_calls and failures >= settings.ratio * calls
