"""The transition table of a breaker, against a model that remembers everything and works each answer out anew."""

from __future__ import annotations

from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmgw.config.breakers import Breakers
from llmgw.rules import breaker
from llmgw.rules.breaker import CLOSED, SLICES, Outcome, Permit, Phase, State

WINDOW_S: Final = 10.0
COOLDOWN_S: Final = 5.0
# Quarters of a second are exact in binary, so that model and rule cannot differ by rounding.
waits = st.integers(0, 32).map(lambda quarters: quarters / 4)
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(["success", "failure", "neither"])
steps = st.lists(
    st.tuples(st.sampled_from(["admit", "report"]), waits, st.integers(0, 30), outcomes), max_size=120
)


class Model:
    """A breaker that keeps the whole history since its last transition."""

    def __init__(self, config: Breakers) -> None:
        self.config = config
        self.phase: Phase = "closed"
        self.era = 0
        self.since = 0.0
        self.opened_at = 0.0
        self.failures: list[float] = []
        self.probes: dict[int, float] = {}
        """When each probe began that has not reported, by the number of its call."""
        self.eras: dict[int, int] = {}
        """The era that each call was admitted in."""

    def admit(self, call: int, now: float) -> bool:
        if self.phase == "open" and now >= self.since + self.config.cooldown_s:
            self._turn("half_open", now)
        if self.phase == "open":
            return False
        if self.phase == "half_open":
            waiting = [began for began in self.probes.values() if now < began + self.config.cooldown_s]
            if len(waiting) >= self.config.half_open:
                return False
            self.probes[call] = now
        self.eras[call] = self.era
        return True

    def report(self, call: int, outcome: Outcome, now: float) -> None:
        if self.eras[call] != self.era:
            return
        self.probes.pop(call, None)
        if outcome == "neither":
            return
        if self.phase == "half_open":
            self._turn("closed" if outcome == "success" else "open", now)
        elif outcome == "failure":
            self.failures.append(now)
            if sum(now - at < self.config.window_s for at in self.failures) >= self.config.failures:
                self._turn("open", now)

    def _turn(self, phase: Phase, now: float) -> None:
        self.phase, self.since, self.era = phase, now, self.era + 1
        self.failures, self.probes = [], {}
        if phase == "open":
            self.opened_at = now


@given(steps, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=400)
def test_it_does_what_a_model_with_the_whole_history_does(
    steps: list[tuple[str, float, int, Outcome]], failures: int, half_open: int
) -> None:
    """Calls are admitted and phases change exactly when the model says so, whatever reports whenever: early, late, as
    a probe whose lease has ended, or never."""
    config = Breakers(failures=failures, window_s=WINDOW_S, cooldown_s=COOLDOWN_S, half_open=half_open)
    model, state, now = Model(config), CLOSED, 0.0
    permits: dict[int, Permit] = {}
    for call, (what, wait_s, index, outcome) in enumerate(steps):
        now += wait_s
        if what == "admit":
            state, permit = breaker.admit(state, config, now)
            assert (permit is not None) == model.admit(call, now)
            if permit is not None:
                permits[call] = permit
        elif permits:
            which = list(permits)[index % len(permits)]
            state = breaker.report(state, config, permits.pop(which), outcome, now)
            model.report(which, outcome, now)
        assert (state.phase, state.generation) == (model.phase, model.era)
        assert state.phase == "closed" or state.opened_at == model.opened_at


@given(steps, st.integers(1, 3))
def test_what_is_said_to_be_free_is_free_then_and_not_before(
    steps: list[tuple[str, float, int, Outcome]], half_open: int
) -> None:
    """If nothing is reported meanwhile: a call is refused until `free_in` has passed, and admitted after it."""
    config = Breakers(failures=1, window_s=WINDOW_S, cooldown_s=COOLDOWN_S, half_open=half_open)
    state, now = CLOSED, 0.0
    permits: list[Permit] = []
    for what, wait_s, index, outcome in steps:
        now += wait_s
        if what == "admit":
            state, permit = breaker.admit(state, config, now)
            permits += [] if permit is None else [permit]
        elif permits:
            state = breaker.report(state, config, permits.pop(index % len(permits)), outcome, now)
        wait_s = breaker.free_in(state, config, now)
        assert 0 <= wait_s <= COOLDOWN_S
        assert breaker.admit(state, config, now + wait_s)[1] is not None
        assert wait_s == 0 or breaker.admit(state, config, now + wait_s - 0.25)[1] is None


@given(st.lists(st.tuples(waits, st.sampled_from(["success", "failure"])), max_size=200))
@example([(4.0, "failure")] * 50)
@example([(7.5, "success")] * 50)
def test_slices_hold_the_calls_of_the_window(calls: list[tuple[float, Outcome]]) -> None:
    """What a ratio is taken of: every call of the last nine tenths of the window, and none from before it."""
    config = Breakers(failures=10_000, ratio=1, min_calls=10_000, window_s=WINDOW_S)
    state, now = CLOSED, 0.0
    history: list[tuple[float, Outcome]] = []
    for wait_s, outcome in calls:
        now += wait_s / 8
        state = breaker.report(state, config, Permit(0), outcome, now)
        history.append((now, outcome))
        begun = state.slices[0].began
        assert now - WINDOW_S < begun and len(state.slices) <= SLICES
        counted = [what for at, what in history if at >= begun]
        assert sum(one.calls for one in state.slices) == len(counted)
        assert sum(one.failures for one in state.slices) == counted.count("failure")
        assert all(at <= now - WINDOW_S * (1 - 1 / SLICES) for at, _ in history if at < begun)


@given(st.lists(outcomes, min_size=1, max_size=80), st.floats(0.1, 1))
def test_a_ratio_is_of_the_window_and_not_of_less_than_its_calls(
    outcomes: list[Outcome], ratio: float
) -> None:
    """It opens at the first failure by which the share is reached, once there are calls enough that say something."""
    config = Breakers(failures=10_000, ratio=ratio, min_calls=10)
    state = CLOSED
    n = failed = 0
    for outcome in outcomes:
        state, permit = breaker.admit(state, config, 1.0)
        assert permit is not None
        state = breaker.report(state, config, permit, outcome, 1.0)
        n += outcome != "neither"
        failed += outcome == "failure"
        assert (state.phase == "open") == (outcome == "failure" and n >= 10 and failed >= ratio * n)
        if state.phase == "open":
            return


@given(
    st.lists(
        st.tuples(st.sampled_from(["admit", "report"]), st.integers(-40, 40), st.integers(0, 30), outcomes)
    ),
    st.sampled_from([None, 0.5]),
)
def test_a_clock_that_goes_back_lets_nothing_through(
    steps: list[tuple[str, int, int, Outcome]], ratio: float | None
) -> None:
    """An open breaker stays so until the clock is past the cooldown, and no more probes are under way than allowed by
    any clock that has been read; a failure that seems to lie ahead counts still."""
    config = Breakers(failures=3, window_s=WINDOW_S, cooldown_s=COOLDOWN_S, ratio=ratio, min_calls=4)
    state, now = CLOSED, 100.0
    permits: list[Permit] = []
    for what, wait_s, index, outcome in steps:
        now += wait_s / 4
        before = state
        if what == "admit":
            state, permit = breaker.admit(state, config, now)
            if before.phase == "open":
                assert (permit is not None) == (now >= before.opened_at + COOLDOWN_S)
            if before.phase == "half_open" and permit is not None:
                assert all(now - began >= COOLDOWN_S for began in before.leases)
            permits += [] if permit is None else [permit]
        elif permits:
            permit = permits.pop(index % len(permits))
            state = breaker.report(state, config, permit, outcome, now)
            if (before.phase, outcome, permit.generation) == ("closed", "failure", before.generation):
                ahead = [at for at in before.failed_at if at > now]
                assert state.phase == "open" or set(ahead) <= set(state.failed_at)


def test_other_settings_hold_for_what_is_open() -> None:
    """A shorter cooldown ends at once, a longer one lasts; fewer probes are let through, or more."""
    long, short = Breakers(failures=1, cooldown_s=100), Breakers(failures=1, cooldown_s=10, half_open=2)
    state = breaker.report(CLOSED, long, Permit(0), "failure", 0)
    assert breaker.admit(state, long, 50)[1] is None and breaker.free_in(state, long, 50) == 50
    assert breaker.phase(state, short, 50) == "half_open" and breaker.free_in(state, short, 50) == 0
    state, first = breaker.admit(state, short, 50)
    state, second = breaker.admit(state, short, 52)
    assert first is not None and second is not None and breaker.free_in(state, short, 54) == 6
    one = Breakers(failures=1, cooldown_s=10, half_open=1)
    assert breaker.free_in(state, one, 54) == 8, "both have to end"


def test_late_reports_change_nothing() -> None:
    """Of calls that began before the breaker opened, in any phase since, and of an earlier round of probes."""
    config = Breakers(failures=1, cooldown_s=10)
    early = Permit(CLOSED.generation)
    states: list[State] = [breaker.report(CLOSED, config, early, "failure", 0)]
    half_open, probe = breaker.admit(states[0], config, 10)
    assert probe is not None
    closed = breaker.report(half_open, config, probe, "success", 11)
    again = breaker.report(half_open, config, probe, "failure", 11)
    next_round, _ = breaker.admit(again, config, 21)
    for state in (*states, half_open, closed, again, next_round):
        for outcome in ("success", "failure", "neither"):
            assert breaker.report(state, config, early, outcome, 30) is state
    for state in (closed, again, next_round):
        assert breaker.report(state, config, probe, "failure", 30) is state
