"""When a flag turns itself off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.flags import Guard
from llmgw.rules.breaker import Outcome
from llmgw.rules.guard import SLICES, Sums, Window, breach, limits_of, outcome_of

events = st.lists(
    st.tuples(
        st.floats(0, 40),
        st.sampled_from(["success", "failure", "neither"]),
        st.floats(0, 100),
        st.none() | st.integers(0, 10**12),
    ),
    max_size=60,
)


@given(events, st.sampled_from([1.0, 10.0, 300.0]))
def test_a_window_holds_what_its_slices_hold(
    found: list[tuple[float, Outcome, float, int | None]], length_s: float
) -> None:
    """After each call, the sums are those of the calls of the last ten slices, to the last unit."""
    window = Window(length_s)
    seen: list[tuple[int, Outcome, float, int | None]] = []
    now = 1000.0
    for gap, outcome, latency_s, cost in found:
        now += gap
        number = int(now / (length_s / SLICES))
        seen.append((number, outcome, latency_s, cost))
        window.add(outcome, latency_s, cost, now)
        counted = [one for one in seen if one[1] != "neither" and one[0] > number - SLICES]
        priced = [one[3] for one in counted if one[3] is not None]
        total = window.total
        assert total.calls == len(counted)
        assert total.failures == sum(one[1] == "failure" for one in counted)
        assert total.latency_us == sum(round(one[2] * 1e6) for one in counted if one[1] == "success")
        assert (total.priced, total.cost_nano_usd) == (len(priced), sum(priced))


def test_a_clock_that_goes_back_finds_nothing_to_have_left() -> None:
    window = Window(10)
    window.add("failure", 0, None, 1000)
    window.add("failure", 0, None, 900)
    assert window.total.calls == 2
    window.add("failure", 0, None, 1009.9)
    assert window.total.calls == 3
    window.add("failure", 0, None, 1010)
    assert window.total.calls == 2


GUARD = limits_of(Guard(error_rate=0.05, latency_s=3.0, cost="0.02", min_calls=50))
FINE = Sums(calls=100, failures=5, latency_us=95 * 3_000_000, priced=10, cost_nano_usd=10 * 20_000_000)


def test_at_its_limits_a_flag_stays_on() -> None:
    """Above is above: what is exactly at every limit passes."""
    assert breach(GUARD, FINE) is None


@pytest.mark.parametrize(
    ("total", "says"),
    [
        (Sums(calls=100, failures=6), "error rate 0.06 above 0.05 (6 of 100 calls within 5m)"),
        (
            Sums(calls=100, latency_us=100 * 3_000_000 + 1),
            "latency 3 s above 3 s on average (100 calls within 5m)",
        ),
        (
            Sums(calls=50, priced=1, cost_nano_usd=20_000_001),
            "cost 0.020000001 USD above 0.02 USD per call on average (50 calls within 5m)",
        ),
    ],
)
def test_each_limit_has_its_sentence(total: Sums, says: str) -> None:
    assert breach(GUARD, total) == says


def test_few_calls_say_nothing() -> None:
    """min_calls of them do."""
    assert breach(GUARD, Sums(calls=49, failures=49)) is None
    assert breach(GUARD, Sums(calls=50, failures=50)) is not None


def test_a_limit_that_is_not_set_does_not_count() -> None:
    """And where nothing succeeded, or nothing has a price, there is no average."""
    assert (
        breach(
            limits_of(Guard(error_rate=0.5)),
            Sums(calls=100, latency_us=10**12, priced=100, cost_nano_usd=10**15),
        )
        is None
    )
    assert breach(limits_of(Guard(latency_s=0.1)), Sums(calls=100, failures=100)) is None
    assert breach(limits_of(Guard(cost="0")), Sums(calls=100)) is None


@pytest.mark.parametrize(
    ("status", "error", "upstream", "outcome"),
    [
        (200, None, 200, "success"),
        (200, "upstream_error", 200, "failure"),  # a stream that broke off
        (500, None, 500, "failure"),
        (502, "upstream_credentials", 401, "failure"),
        (503, "no_target_available", None, "failure"),
        (504, "upstream_timeout", None, "failure"),
        (429, None, 429, "failure"),
        (429, "rate_limit_exceeded", None, "neither"),
        (400, None, 400, "neither"),
        (403, "policy_denied", None, "neither"),
        (499, "client_closed_request", None, "neither"),
        (503, "panic", None, "neither"),
        (503, "dependency_unavailable", None, "neither"),
        (503, "gateway_stopping", None, "neither"),
    ],
)
def test_what_an_end_says_of_a_flag(
    status: int, error: str | None, upstream: int | None, outcome: str
) -> None:
    """What the provider did counts; what the client, an operator or a store did does not."""
    assert outcome_of(status, error, upstream) == outcome
