"""What follows a failed try."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.models import Retries
from llmgw.errors import InvalidRequest
from llmgw.rules import retry
from llmgw.rules.retry import CAP_S, LONGEST_S, PATIENCE_S, Cause

NOW = 1_790_000_000.0
causes: st.SearchStrategy[Cause] = st.sampled_from(
    [400, 404, 408, 409, 422, 429, 500, 501, 502, 503, 504, 529, "connect", "timeout", "credentials"]
)
draws = st.floats(0, 1, exclude_max=True)


@given(
    causes,
    st.integers(1, 12),
    st.integers(1, 10),
    st.integers(0, 2),
    st.booleans(),
    st.none() | st.floats(0, 1e6),
    st.floats(0, 700),
    draws,
)
def test_a_pause_is_within_all_limits(
    cause: Cause,
    tries: int,
    attempts: int,
    secrets: int,
    others: bool,
    asked_s: float | None,
    left_s: float,
    draw: float,
) -> None:
    """No try is made that was not configured, none before the provider wants it, none after the call's time."""
    settings = Retries(attempts=attempts)
    step = retry.after(
        cause,
        settings,
        tries=tries,
        secrets=secrets,
        others=others,
        retry_after_s=asked_s,
        left_s=left_s,
        draw=draw,
    )
    if cause == "credentials" or (cause == 429 and secrets):
        assert step.what == "next_secret"
    elif cause not in settings.retry_on:
        assert step.what == "fail"
    elif step.what == "again":
        assert tries < attempts
        assert step.wait_s < left_s and step.wait_s <= LONGEST_S
        assert step.wait_s >= (asked_s or 0)
        assert not (others and asked_s is not None and asked_s > PATIENCE_S)
    else:
        assert step.what == "next_target"


@given(st.integers(1, 30), draws)
def test_pauses_grow_and_are_drawn(tries: int, draw: float) -> None:
    """Each is drawn from twice as long a span as the one before, and none is longer than the cap."""
    settings = Retries(attempts=10)

    def wait_s(tries: int) -> float:
        step = retry.after(
            500, settings, tries=tries, secrets=0, others=False, retry_after_s=None, left_s=1e9, draw=draw
        )
        return step.wait_s

    if tries < 9:
        assert wait_s(tries) <= wait_s(tries + 1) or wait_s(tries + 1) == CAP_S * draw
        assert wait_s(tries) <= min(CAP_S, 0.25 * 2 ** (tries - 1)) * draw


@pytest.fixture
def _far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_far_from_greenwich")
def test_the_three_spellings() -> None:
    """Seconds, a date, milliseconds; the last goes before the others. A date without a zone is UTC, wherever we are."""
    assert retry.retry_after_s([(b"retry-after", b"7")], NOW) == 7
    assert retry.retry_after_s([(b"retry-after", b"0.5")], NOW) == 0.5
    date = formatdate(NOW + 90, usegmt=True).encode()
    assert retry.retry_after_s([(b"retry-after", date)], NOW) == 90
    for undated in (b"Sun Nov  6 08:49:37 1994", b"Sun, 06 Nov 1994 08:49:37 -0000"):
        assert retry.retry_after_s([(b"retry-after", undated)], 784_111_777 - 90) == 90
    past = formatdate(NOW - 90, usegmt=True).encode()
    assert retry.retry_after_s([(b"retry-after", past)], NOW) == 0
    both = [(b"retry-after", b"7"), (b"retry-after-ms", b"6500")]
    assert retry.retry_after_s(both, NOW) == 6.5
    assert retry.retry_after_s([(b"date", b"7")], NOW) is None


@given(st.binary(max_size=40))
def test_any_header_is_a_pause_or_none(value: bytes) -> None:
    """What a provider sends there never fails a call, and is never negative or without end."""
    for name in (b"retry-after", b"retry-after-ms"):
        found = retry.retry_after_s([(name, value)], NOW)
        assert found is None or 0 <= found < 1e21


@pytest.mark.parametrize(
    ("text", "seconds"), [(b"30", 30), (b"1.5", 1.5), (b"30s", 30), (b"1500ms", 1.5), (b" 2m ", 120)]
)
def test_a_client_may_limit_its_call(text: bytes, seconds: float) -> None:
    assert retry.own_limit_s(text) == seconds


@pytest.mark.parametrize(
    "text", [b"", b"0", b"0s", b"-1", b"nan", b"inf", b"1e3", b"soon", b"1_0", b"\xff", b"5 s s"]
)
def test_what_is_no_time_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest, match="x-llmgw-timeout"):
        retry.own_limit_s(text)
