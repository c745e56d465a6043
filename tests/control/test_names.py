"""Names, ids, times and budgets: what operators may write."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw import ids
from llmgw.config.budget import NANO, Budget
from llmgw.control import names, times
from llmgw.errors import UsageError

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    "name", ["a", "x" * 64, "Bob's key", "Zürich", "東京", "🚀", "a_b-c.d:e@f", "key", "organ"]
)
def test_a_readable_name_is_accepted(name: str) -> None:
    """Letters of every script, signs, and spaces inside."""
    assert names.checked(name, "a key") == name


@pytest.mark.parametrize(
    "name",
    ["", "x" * 65, " a", "a ", "a/b", "a\nb", "a\tb", "a\0b", "a\x7fb", "a\u202eb", "a\u200bb", "a\u00a0b",
     "a\u2028b", "a\ud800b", "key_1", "org_x", "tok_", "cred_" + "0" * 26],
)  # fmt: skip
def test_a_misleading_name_is_refused(name: str) -> None:
    """What does not show, turns the text around, ends in a space, is a path or looks like an id."""
    with pytest.raises(UsageError, match="name of a key"):
        names.checked(name, "a key")


def test_one_name_typed_in_two_ways_is_one_name() -> None:
    """A letter with a combining accent is stored as the composed letter."""
    assert names.checked("Zu\u0308rich", "a key") == "Zürich" == names.normal("Zu\u0308rich")


@given(st.text())
def test_no_name_raises_anything_else(name: str) -> None:
    """Any text is a name or a UsageError, and a name stays the same when it is checked again."""
    try:
        checked = names.checked(name, "a key")
    except UsageError:
        return
    assert names.checked(checked, "a key") == checked


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_ids_sort_by_their_time(one: float, other: float) -> None:
    """Ids made at different milliseconds are in the order of those."""
    if int(one * 1000) < int(other * 1000):
        assert ids.new("key", one) < ids.new("key", other)


def test_ids_of_one_moment_differ() -> None:
    """80 random bits follow the time."""
    made = {ids.new("org", NOW) for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(one) == 30 and one.startswith("org_") for one in made)


@pytest.mark.parametrize(
    ("text", "nano", "period"),
    [
        ("25/month", 25 * NANO, "month"),
        ("0.5/day", NANO // 2, "day"),
        ("0.000000001/hour", 1, "hour"),
        ("999999999.999999999/total", 10**18 - 1, "total"),
        ("007.10/week", 7_100_000_000, "week"),
    ],
)
def test_a_budget_is_exact(text: str, nano: int, period: str) -> None:
    """Dollars become whole nano-dollars without rounding, and text again."""
    budget = Budget.parse(text)
    assert (budget.amount_nano_usd, budget.period) == (nano, period)
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    "text",
    ["", "25", "/month", "25/", "25/year", "25 /month", "-1/day", "0/day", "0.0/day", "1e3/day", "nan/day",
     ".5/day", "0.0000000001/day", "9999999999/day", "25/month\n", "٢٥/month", "25,5/day"],
)  # fmt: skip
def test_a_budget_that_is_not_understood_says_how(text: str) -> None:
    """Nothing is guessed; the message shows the form."""
    with pytest.raises(UsageError, match="25/month"):
        Budget.parse(text)


@given(st.integers(1, 10**18 - 1))
def test_a_budgets_text_is_read_back(nano: int) -> None:
    """Every amount survives being shown and typed again."""
    budget = Budget(nano, "month")
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("45s", NOW + 45),
        ("30m", NOW + 1800),
        ("24h", NOW + 86400),
        ("90d", NOW + 90 * 86400),
        ("2w", NOW + 14 * 86400),
        ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC).timestamp()),
        ("2030-01-31T12:00", datetime(2030, 1, 31, 12, tzinfo=UTC).timestamp()),
        ("2030-01-31T12:00:00Z", datetime(2030, 1, 31, 12, tzinfo=UTC).timestamp()),
        ("2030-01-31T12:00:00+02:00", datetime(2030, 1, 31, 10, tzinfo=UTC).timestamp()),
    ],
)
def test_an_expiry_is_a_span_or_a_date(text: str, at: float) -> None:
    """Spans count from now; what has no offset is UTC."""
    assert times.expiry(text, NOW) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0d",
        "90",
        "90 d",
        "-1d",
        "1y",
        "soon",
        "2030-13-01",
        "2020-01-01",
        "999999999w",
        "٣d",
        "9999-12-31",
    ],
)
def test_an_expiry_that_cannot_be_is_refused(text: str) -> None:
    """Unreadable, past, never or beyond the calendar: a UsageError that names the text."""
    with pytest.raises(UsageError, match="expiry"):
        times.expiry(text, NOW)
