"""The sliding window against a log that forgets nothing and adds everything up again each time.

The log reckons in whole 2^-64 seconds, which hold every float that the window gets: no rounding is forgiven.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from llmgw.rules.window import EXACT, Entry, Window

NOW = 1_767_225_600.0
LENGTHS = st.sampled_from([60.0, 3600.0, 0.1, 86400.0, 7.3])


def exact(seconds: float) -> int:
    """In 2^-64 seconds."""
    numerator, denominator = seconds.as_integer_ratio()
    return numerator * ((1 << 64) // denominator)


class Taken(Struct):
    """One amount in the log."""

    time: int
    amount: int
    held: int
    ticket: Entry


class Log:
    """The window under test and every amount it ever took."""

    def __init__(self, length_s: float) -> None:
        self.window = Window(length_s)
        self.length_s = length_s
        self.length = exact(length_s)
        self.now = NOW
        self.all: list[Taken] = []

    def tick(self, by: float) -> None:
        self.now = max(self.now, self.now + by)

    def take(self, amount: int) -> None:
        ticket = self.window.take(self.now, amount)
        self.all.append(Taken(exact(self.now), amount, amount, ticket))

    def replace(self, which: int, amount: int) -> None:
        taken = self.all[which % len(self.all)]
        self.window.replace(taken.ticket, taken.held, amount if taken.held else amount - taken.amount)
        taken.held, taken.amount = 0, amount

    def last(self, length: int) -> int:
        """What was taken in the `length` that ends now, the moment that it begins at left out."""
        start = exact(self.now) - length
        return sum(one.amount for one in self.all if one.time > start)

    def most(self) -> int:
        """What was taken in the fullest window, half open, at any position."""
        return max(
            (
                sum(other.amount for other in self.all if one.time <= other.time < one.time + self.length)
                for one in self.all
            ),
            default=0,
        )


class Step(Struct, frozen=True):
    """So many times: wait for a share of the window's length, then ask for an amount; then replace an older one."""

    times: int
    wait: float
    amount: int
    which: int | None
    by: int


WAITS = st.one_of(
    st.just(0.0),
    st.floats(0.0, 1 / 64),
    st.sampled_from([1 / 64, 1 / 128, 1 / 65, 1 / 63, 0.5, 1.0, 65 / 64, -1.0]),
    st.floats(0.0, 2.0),
)
STEPS = st.lists(
    st.builds(
        Step,
        times=st.one_of(st.just(1), st.integers(1, 90)),
        wait=WAITS,
        amount=st.integers(0, 50),
        which=st.none() | st.integers(0, 10**6),
        by=st.integers(0, 50),
    ),
    max_size=12,
)


def run(log: Log, steps: list[Step], limit: int, *, overshoot: bool) -> None:
    """Ask for everything; what fits is taken."""
    grown = log.length + log.length // 64
    for step in steps:
        for _ in range(step.times):
            log.tick(step.wait * log.length_s)
            taken = log.window.taken(log.now)
            assert log.last(log.length) <= taken <= log.last(grown)
            if taken + step.amount <= limit:
                log.take(step.amount)
            assert len(log.window) <= EXACT + 65
            assert log.window.settled >= 0 and log.window.held >= 0
        if step.which is not None and log.all:
            which = step.which % len(log.all)
            log.replace(which, step.by if overshoot else min(step.by, log.all[which].amount))


@given(LENGTHS, STEPS, st.integers(0, 2000))
def test_no_window_ever_holds_more_than_the_limit(length_s: float, steps: list[Step], limit: int) -> None:
    """Whatever is asked, refused and replaced by less, in whatever order and rhythm, at any position of a window."""
    log = Log(length_s)
    run(log, steps, limit, overshoot=False)
    assert log.most() <= limit


@given(LENGTHS, STEPS, st.integers(0, 2000))
def test_it_counts_no_less_than_the_window_and_no_more_than_a_64th_longer_one(
    length_s: float, steps: list[Step], limit: int
) -> None:
    """So it passes nothing that it must not, and refuses nothing that would fit into 65/64 of its length; amounts
    that were replaced by larger ones are no exception."""
    run(Log(length_s), steps, limit, overshoot=True)


@given(LENGTHS, st.lists(st.floats(0.0, 1 / 40), min_size=1, max_size=20), st.integers(1, 80), st.booleans())
def test_a_dense_stream_is_counted_as_tightly(
    length_s: float, waits: list[float], amount: int, even: bool
) -> None:
    """The same, where many amounts share an entry; at every moment of a stream and at every one after it."""
    log = Log(length_s)
    grown = log.length + log.length // 64
    for number in range(260):
        log.tick(waits[0 if even else number % len(waits)] * length_s)
        log.take(amount)
        assert log.last(log.length) <= log.window.taken(log.now) <= log.last(grown)
        assert len(log.window) <= EXACT + 65
    free_s = log.window.free_in(log.now, amount, log.window.taken(log.now))
    assert free_s is not None
    oldest = log.window.taken(log.now)
    assert log.window.taken(log.now + free_s - length_s * 1e-4) == oldest
    while log.window.taken(log.now) > 0:
        log.tick(length_s / 1000)
        assert log.last(log.length) <= log.window.taken(log.now) <= log.last(grown)


@given(LENGTHS, st.lists(st.tuples(WAITS, st.integers(0, 50)), max_size=EXACT))
def test_few_amounts_are_counted_exactly(length_s: float, asked: list[tuple[float, int]]) -> None:
    """Up to 64 at a time leave to the instant."""
    log = Log(length_s)
    for wait, amount in asked:
        log.tick(wait * length_s)
        log.take(amount)
        assert log.window.taken(log.now) == log.last(log.length)


@given(LENGTHS, STEPS, st.integers(0, 300), st.integers(1, 400))
def test_it_says_when_an_amount_fits(length_s: float, steps: list[Step], limit: int, amount: int) -> None:
    """At that moment it does, not before it, and None means never."""
    log = Log(length_s)
    run(log, steps, limit, overshoot=False)
    free_s = log.window.free_in(log.now, amount, limit)
    if amount > limit:
        assert free_s is None
        return
    assert free_s is not None and 0 <= free_s <= length_s
    assert (free_s == 0) == (log.window.taken(log.now) + amount <= limit)
    if free_s > 1e-3:
        assert log.window.taken(log.now + free_s - 1e-3) + amount > limit
    # Half a microsecond: what a float can tell of a time of this century.
    assert log.window.taken(log.now + free_s + 5e-7) + amount <= limit


@given(LENGTHS, STEPS, st.integers(0, 300))
def test_it_says_when_it_is_empty(length_s: float, steps: list[Step], limit: int) -> None:
    """At that moment nothing is in it, and before it something was."""
    log = Log(length_s)
    run(log, steps, limit, overshoot=False)
    empty_s = log.window.empty_in(log.now)
    assert (empty_s == 0) == (log.window.taken(log.now) == 0)
    if empty_s > 1e-3:
        assert log.window.taken(log.now + empty_s - 1e-3) > 0
    assert log.window.taken(log.now + empty_s + 5e-7) == 0


@given(LENGTHS, STEPS, st.lists(st.integers(0, 10**6), max_size=8), st.integers(0, 300))
def test_asking_takes_nothing(length_s: float, steps: list[Step], asks: list[int], limit: int) -> None:
    """A window that was asked a lot and refused is the same as one that was never asked."""
    asked, quiet = Log(length_s), Window(length_s)
    for step in steps:
        asked.tick(step.wait * length_s)
        for ask in asks:
            asked.window.taken(asked.now)
            asked.window.free_in(asked.now, ask, limit)
            asked.window.empty_in(asked.now)
        for _ in range(step.times):
            asked.window.take(asked.now, step.amount)
            quiet.take(asked.now, step.amount)
    for share in range(140):
        later = asked.now + length_s * share / 128
        assert asked.window.taken(later) == quiet.taken(later)


def test_a_burst_of_few_leaves_as_it_came() -> None:
    """64 amounts within a second have left a minute later, one after the other."""
    window = Window(60.0)
    for number in range(EXACT):
        window.take(NOW + number / EXACT, 1)
    for number in range(EXACT):
        assert window.taken(NOW + 60 + number / EXACT) == EXACT - 1 - number


def test_a_stream_of_many_leaves_in_steps_of_a_64th() -> None:
    """Beyond that, amounts of one 64th leave together with the last of them; the next 64th is its own."""
    window = Window(64.0)
    for _ in range(EXACT):
        window.take(NOW, 1)
    for eighth in range(1, 17):
        window.take(NOW + eighth / 8, 1)
    left = {eighth: window.taken(NOW + 64 + eighth / 8) for eighth in range(17)}
    assert left == {**dict.fromkeys(range(7), 17), **dict.fromkeys(range(7, 15), 9), 15: 1, 16: 0}


def test_a_window_is_half_open() -> None:
    """What was taken exactly one length ago has left."""
    window = Window(60.0)
    window.take(NOW, 5)
    assert window.taken(NOW + 59.999999) == 5
    assert window.taken(NOW + 60.0) == 0


def test_held_and_settled_are_apart() -> None:
    """A ticket's amount moves from one to the other, at the time when it was taken."""
    window = Window(60.0)
    ticket = window.take(NOW, 100)
    assert (window.settled, window.held) == (0, 100)
    window.replace(ticket, 100, 30)
    assert (window.settled, window.held) == (30, 0)
    assert window.taken(NOW + 60) == 0


def test_a_ticket_of_what_has_left_does_nothing() -> None:
    """Whether the window has noticed that by then or not."""
    for noticed in (True, False):
        window = Window(60.0)
        ticket = window.take(NOW, 100)
        if noticed:
            assert window.taken(NOW + 60) == 0
        window.replace(ticket, 100, 70)
        assert window.taken(NOW + 60) == 0
        assert (window.settled, window.held) == (0, 0)


@pytest.mark.parametrize("back_s", [0.001, 3600.0, 10**9])
def test_a_clock_that_goes_back_stands_still(back_s: float) -> None:
    """What is taken then counts as taken at the latest time seen, and leaves one length after that."""
    window = Window(60.0)
    window.take(NOW, 1)
    window.take(NOW - back_s, 2)
    assert window.taken(NOW - back_s) == 3
    assert window.free_in(NOW - back_s, 3, 3) == 60.0
    assert window.taken(NOW + 59.9) == 3
    assert window.taken(NOW + 60.0) == 0


def test_a_clock_that_goes_an_hour_forward_empties_it() -> None:
    """Nothing breaks, also for tickets from before."""
    window = Window(60.0)
    tickets = [window.take(NOW + second / 100, 10) for second in range(1000)]
    assert window.taken(NOW + 3600) == 0
    for ticket in tickets:
        window.replace(ticket, 10, 20)
    assert window.taken(NOW + 3600) == 0
    assert len(window) == 0


def test_many_takes_are_few_entries() -> None:
    """Memory does not grow with the rate, and amounts may be as large as they like."""
    window = Window(60.0)
    most = 0
    for number in range(200_000):
        window.take(NOW + number / 2000, 10**15)
        most = max(most, len(window))
    assert most <= EXACT + 65
    assert window.taken(NOW + 100) >= 60 * 2000 * 10**15 - 10**15
