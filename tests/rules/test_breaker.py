"""The transition table of a breaker, against calls of any kind in any order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.config.breakers import Breakers
from llmgw.rules import breaker
from llmgw.rules.breaker import CLOSED, Outcome, Permit

steps = st.lists(
    st.tuples(
        st.sampled_from(["admit", "report"]),
        st.floats(0, 8),
        st.integers(0, 30),
        st.sampled_from(["success", "failure", "neither"]),
    ),
    max_size=120,
)
TABLE = {("closed", "open"), ("open", "half_open"), ("half_open", "closed"), ("half_open", "open")}


@given(steps, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=300)
def test_it_moves_only_by_its_table(
    steps: list[tuple[str, float, int, Outcome]], failures: int, half_open: int
) -> None:
    """Each transition is one of the table's and makes a generation; while open nothing passes; half-open no more than
    configured does; it never opens with fewer failures in the window than it takes."""
    config = Breakers(failures=failures, window_s=10, cooldown_s=5, half_open=half_open)
    state, now = CLOSED, 0.0
    permits: list[Permit] = []
    counted: list[float] = []
    for what, wait_s, index, outcome in steps:
        now += wait_s
        before = state
        if what == "admit":
            state, permit = breaker.admit(state, config, now)
            if permit is not None:
                permits.append(permit)
            if before.phase == "open" and now < before.until:
                assert permit is None and state is before
            if state.phase == "half_open":
                assert len([end for end in state.leases if end > now]) <= half_open
        elif permits:
            permit = permits.pop(index % len(permits))
            state = breaker.report(state, config, permit, outcome, now)
            if permit.generation != before.generation:
                assert state is before
            elif before.phase == "closed" and outcome == "failure":
                counted = [at for at in counted if now - at < 10] + [now]
                assert (state.phase == "open") == (len(counted) >= failures)
        if state.phase != before.phase:
            assert (before.phase, state.phase) in TABLE
            assert state.generation == before.generation + 1
            counted = []
        if state.phase == "open":
            assert breaker.free_in(state, now) <= 5 + 1e-9


@given(st.lists(st.sampled_from(["success", "failure"]), min_size=1, max_size=80), st.floats(0.1, 1))
def test_a_ratio_is_of_the_window_and_not_of_less_than_its_calls(
    outcomes: list[Outcome], ratio: float
) -> None:
    """It opens at the first failure by which the share is reached, once there are calls enough."""
    config = Breakers(failures=10_000, ratio=ratio, min_calls=10)
    state = CLOSED
    failed = 0
    for n, outcome in enumerate(outcomes, 1):
        state, permit = breaker.admit(state, config, 1.0)
        assert permit is not None
        state = breaker.report(state, config, permit, outcome, 1.0)
        failed += outcome == "failure"
        assert (state.phase == "open") == (outcome == "failure" and n >= 10 and failed >= ratio * n)
        if state.phase == "open":
            return


def test_a_clock_that_stands_still_or_goes_back_opens_nothing() -> None:
    """A time before an earlier one finds nothing to have expired; it frees no lease and ends no cooldown."""
    config = Breakers(failures=1, cooldown_s=5)
    state, permit = breaker.admit(CLOSED, config, 100)
    assert permit is not None
    state = breaker.report(state, config, permit, "failure", 100)
    for now in (100, 50, 0):
        state, permit = breaker.admit(state, config, now)
        assert permit is None and state.phase == "open"
