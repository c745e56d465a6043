"""Which limits a call stands under."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from llmgw.config.budget import NANO, Budget
from llmgw.config.limits import KeyLimits
from llmgw.rules import limits
from llmgw.rules.access import KeyRecord
from llmgw.rules.demand import Limit
from tests.config.support import HEAD, config_of

NOW = 1_760_000_000.0
DAY_S = 86400


def key(**settings: Any) -> KeyRecord:
    given = {"id": "key_1", "public_id": "p", "org_id": "org_1", "org": "acme", "name": "ci", "terms": ()}
    return KeyRecord(**{**given, **settings})


def applicable(settings: dict[str, Any], of: KeyRecord, now: float = NOW, **tags: str) -> dict[str, Limit]:
    """By counter, for a call of `gpt` at `p`."""
    text = HEAD + "providers: {p: {dialect: simulator}}\nmodels: {gpt: {targets: [p/gpt]}}\n"
    config = config_of(text + yaml.safe_dump({"limits": settings}))
    found = limits.applicable(limits.read(config.limits), of, tags, "gpt", "p", now)
    return {limit.counter: limit for limit in found.limits}


def test_nothing_is_limited_unless_said() -> None:
    """No setting, no limit."""
    assert applicable({}, key()) == {}


def test_a_keys_own_limits_go_before_the_defaults_one_by_one() -> None:
    """A key with an rpm of its own still has the default tpm; its budget replaces the default budgets."""
    settings = {"default_key": {"rpm": 10, "tpm": 100, "max_parallel": 3, "budget": "5/day"}}
    found = applicable(settings, key(limits=KeyLimits(rpm=7), budget=Budget.parse("25/month")))
    assert {counter: limit.amount for counter, limit in found.items()} == {
        "key:key_1:requests:1m": 7,
        "key:key_1:tokens:1m": 100,
        "key:key_1:parallel:": 3,
        "key:key_1:usd:month": 25 * NANO,
    }


def test_every_scope_counts_beside_the_others() -> None:
    """Key, tag, organisation, model and provider each have a counter."""
    settings = {
        "default_key": {"rpm": 1},
        "orgs": {"acme": {"rpm": 2, "windows": [{"per": "10s", "requests": 5}]}},
        "tags": {"team=red": {"rpm": 3}, "user=*": {"budget": "1/30d"}},
        "models": {"gpt": {"tpd": 4}},
        "providers": {"p": {"rpd": 5}},
    }
    found = applicable(settings, key(), team="red", user="eve", other="x")
    assert {counter: (limit.amount, limit.window_s) for counter, limit in found.items()} == {
        "key:key_1:requests:1m": (1, 60),
        "tag:org_1/team=red:requests:1m": (3, 60),
        "tag:org_1/user=eve:usd:30d": (NANO, 30 * DAY_S),
        "org:org_1:requests:1m": (2, 60),
        "org:org_1:requests:10s": (5, 10),
        "model:gpt:tokens:1d": (4, DAY_S),
        "provider:p:requests:1d": (5, DAY_S),
    }


def test_the_same_tag_of_two_organisations_is_two_counters() -> None:
    """One organisation's calls never use up what another has by the same tag."""
    settings = {"tags": {"team=red": {"rpm": 3}}}
    one = applicable(settings, key(), team="red")
    other = applicable(settings, key(org_id="org_2"), team="red")
    assert len(one) == len(other) == 1 and not one.keys() & other.keys()


def test_an_organisation_that_is_not_named_has_the_default() -> None:
    """`default_org` is for those that are not among `orgs`, each for itself."""
    settings = {"default_org": {"rpm": 9}, "orgs": {"acme": {"tpm": 1}}}
    assert list(applicable(settings, key())) == ["org:org_1:tokens:1m"]
    assert list(applicable(settings, key(org="other", org_id="org_2"))) == ["org:org_2:requests:1m"]


def test_two_settings_of_one_counter_are_the_smaller() -> None:
    """`rpm` and a window of a minute are the same counter, which must not count a request twice."""
    found = applicable({"default_key": {"rpm": 10, "windows": [{"per": "60s", "requests": 4}]}}, key())
    assert [limit.amount for limit in found.values()] == [4]


def test_an_override_holds_until_its_day_ends() -> None:
    """The other amount holds through its last day in UTC, and the moment it ends is told."""
    budget = {"budget": "5/month", "override": {"amount": "50", "until": "2025-10-09"}}
    config = config_of(HEAD + yaml.safe_dump({"limits": {"default_key": {"budgets": [budget]}}}))
    rules = limits.read(config.limits)
    ends = 1_760_054_400.0  # 2025-10-10T00:00:00Z
    before = limits.applicable(rules, key(), {}, "gpt", "p", ends - 1)
    after = limits.applicable(rules, key(), {}, "gpt", "p", ends)
    assert [limit.amount for limit in before.limits] == [50 * NANO] and before.until == ends
    assert [limit.amount for limit in after.limits] == [5 * NANO] and after.until == float("inf")
    assert before.limits[0].counter == after.limits[0].counter


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("25/month", "25/month"),
        ("0.50/day", "0.5/day"),
        ("1/720h", "1/30d"),
        ("0.000000001/total", "0.000000001/total"),
    ],
)
def test_a_budget_reads_as_it_is_written(text: str, shown: str) -> None:
    """Text to value and back, exactly."""
    assert str(Budget.parse(text)) == shown
    assert Budget.parse(shown) == Budget.parse(text)
