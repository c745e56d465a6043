"""Circuit breakers: a target that fails is left alone for a while. Pure: (state, settings, now) -> state.

    state      what happens                                     then
    closed     the failures of the window reach the threshold   open
    open       the cooldown has passed                          half-open, at the next call that asks
    half-open  a probe succeeds                                 closed
    half-open  a probe fails                                    open

A permit carries the generation of the state it was given in, and a report of another generation changes nothing: so a
breaker opens once, however many calls were under way when it did, and what they say afterwards neither prolongs nor
closes it. A probe is a lease of as long as the cooldown: one that never reports frees its place then.

The failures of the window are counted exactly, for there are never more of them than open the breaker. A ratio is of
all calls, which may be thousands each second, so those are counted in slices.

Only beginnings are kept, never ends, so that other settings hold at once for what is open. Times are seconds of one
clock that does not jump; a `now` before an earlier one finds nothing to have expired.
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
"""The window of a ratio is counted in so many slices; each leaves as a whole, when its beginning does."""


class Slice(Struct, frozen=True, gc=False):
    """A part of the window."""

    began: float
    calls: int
    failures: int


class State(Struct, frozen=True, kw_only=True):
    """Of one breaker."""

    phase: Phase = "closed"
    generation: int = 0
    """Of the transitions so far."""
    failed_at: tuple[float, ...] = ()
    """The failures of the window while closed; always fewer than open it."""
    slices: tuple[Slice, ...] = ()
    """Calls and failures while closed, where a ratio is set."""
    opened_at: float = 0.0
    """While open or half-open."""
    leases: tuple[float, ...] = ()
    """While half-open: when the probes under way began."""


CLOSED: Final = State()


class Permit(Struct, frozen=True):
    """Leave to make one call."""

    generation: int
    lease: float | None = None
    """Of a probe: when it began."""


def phase(state: State, settings: Breakers, now: float) -> Phase:
    """As the next call that asks would find it: `half_open` once the cooldown has passed."""
    if state.phase == "open" and now - state.opened_at >= settings.cooldown_s:
        return "half_open"
    return state.phase


def admit(state: State, settings: Breakers, now: float) -> tuple[State, Permit | None]:
    """Whether a call may be made now."""
    if state.phase == "closed":
        return state, Permit(state.generation)
    if state.phase == "open":
        if phase(state, settings, now) == "open":
            return state, None
        state = State(phase="half_open", generation=state.generation + 1, opened_at=state.opened_at)
    leases = _held(state, settings, now)
    if len(leases) >= settings.half_open:
        return state, None
    return replace(state, leases=(*leases, now)), Permit(state.generation, now)


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
        state = replace(state, failed_at=(*recent, now))
        if len(state.failed_at) >= settings.failures or _over_ratio(state, settings):
            return _opened(state, settings, now)
    return state


def free_in(state: State, settings: Breakers, now: float) -> float:
    """Seconds until a call may be made, as far as it is known now."""
    if state.phase == "open":
        return max(0.0, state.opened_at + settings.cooldown_s - now)
    held = _held(state, settings, now)
    if len(held) < settings.half_open:
        return 0.0
    # With fewer probes allowed since a reload, more than one has to end first.
    return max(0.0, sorted(held)[-settings.half_open] + settings.cooldown_s - now)


def _opened(state: State, settings: Breakers, now: float) -> State:
    return State(phase="open", generation=state.generation + 1, opened_at=now)


def _held(state: State, settings: Breakers, now: float) -> tuple[float, ...]:
    return tuple([began for began in state.leases if now - began < settings.cooldown_s])


def _counted(
    slices: tuple[Slice, ...], settings: Breakers, outcome: Outcome, now: float
) -> tuple[Slice, ...]:
    failed = outcome == "failure"
    if slices and now - slices[0].began >= settings.window_s:
        slices = tuple([one for one in slices if now - one.began < settings.window_s])
    if slices:
        last = slices[-1]
        if now - last.began < settings.window_s / SLICES:
            return (*slices[:-1], Slice(last.began, last.calls + 1, last.failures + failed))
    return (*slices, Slice(now, 1, int(failed)))


def _over_ratio(state: State, settings: Breakers) -> bool:
    if settings.ratio is None:
        return False
    calls = sum([one.calls for one in state.slices])
    failures = sum([one.failures for one in state.slices])
    return calls >= settings.min_calls and failures >= settings.ratio * calls
