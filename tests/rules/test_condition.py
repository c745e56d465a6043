"""Whether a call is what a condition asks for, and what is said where it is not."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.canonical.traits import Prompt, Shape
from llmgw.config.routing import RouteCondition
from llmgw.rules import condition
from llmgw.rules.condition import Failure, order_of
from llmgw.rules.facts import Facts
from tests.rules.calls import Looked, call, configured, key

HARD = Prompt(text="Prove the theorem and derive the equation, step by step.", turns=1)


def when(**settings: Any) -> RouteCondition:
    return configured(routes=[{"name": "r", "to": "cheap", "when": settings}]).routes[0].when


def failure(facts: Facts, **settings: Any) -> Failure | None:
    given = when(**settings)
    tests = (*condition.of_model(given), *condition.of_caller(given), *condition.compile(given, "r"))
    return condition.first_failure(tests, facts)


def source(**settings: Any) -> Facts:
    return call(source=Looked(**settings))


CASES: list[tuple[dict[str, Any], Facts, Facts, tuple[str, str, str]]] = [
    # settings, a call that is meant, one that is not, and what is said of that
    ({"model": "gpt"}, call(), call(model="gpt-4"), ("model", "gpt", "gpt-4")),
    ({"model": "gpt*"}, call(model="gpt-4"), call(model="o3"), ("model", "gpt*", "o3")),
    ({"model": "*-mini"}, call(model="o3-mini"), call(model="mini"), ("model", "*-mini", "mini")),
    ({"org": ["acme", "beta"]}, call(), call(of=key(org="gamma")), ("org", "acme or beta", "gamma")),
    ({"key": ["ci"]}, call(), call(of=key(name="cd", id="key_2")), ("key", "ci", "cd (key_2)")),
    ({"key": ["key_1"]}, call(), call(of=key(name="cd", id="key_2")), ("key", "key_1", "cd (key_2)")),
    ({"tags": {"team": "red"}}, call(tags={"team": "red"}), call(tags={"team": "blue"}), ("tags.team", "red", "blue")),
    ({"tags": {"team": "*"}}, call(tags={"team": "red"}), call(tags={"tea": "red"}), ("tags.team", "*", "absent")),
    ({"headers": {"X-App": "cli"}}, call(headers={b"x-app": b"cli"}), call(), ("headers.x-app", "cli", "absent")),
    ({"headers": {"user-agent": "claude-cli/*"}}, call(headers={b"user-agent": b"claude-cli/2.0 (x)"}), call(headers={b"user-agent": b"curl"}), ("headers.user-agent", "claude-cli/*", "curl")),
    ({"hours": [{"days": ["thu"], "zone": "Asia/Tokyo"}]}, call(), call(now=1_760_100_000), ("hours", "thu 00:00-24:00 Asia/Tokyo", "fri 21:40 Asia/Tokyo")),
    ({"min_input_tokens": 100}, call(), source(tokens=99), ("min_input_tokens", "100", "99")),
    ({"max_input_tokens": 100}, call(), source(tokens=101), ("max_input_tokens", "100", "101")),
    ({"max_input_tokens": 0}, source(tokens=0), source(tokens=1), ("max_input_tokens", "0", "1")),
    ({"tools": True}, source(of_shape=Shape(tools=True)), call(), ("tools", "true", "false")),
    ({"tools": False}, call(), source(of_shape=Shape(tools=True)), ("tools", "false", "true")),
    ({"images": False}, call(), source(of_shape=Shape(images=True)), ("images", "false", "true")),
    ({"json_schema": True}, source(of_shape=Shape(json_schema=True)), call(), ("json_schema", "true", "false")),
    ({"complexity": "simple"}, call(), source(of_prompt=HARD), ("complexity", "simple", "0.70 (thinking +0.70)")),
    ({"complexity": "complex"}, source(of_prompt=HARD), call(), ("complexity", "complex", "0.00 (routine -0.08)")),
    ({"min_complexity": 0.5}, source(of_prompt=HARD), call(), ("min_complexity", "0.5", "0.00 (routine -0.08)")),
    ({"max_complexity": 0.5}, call(), source(of_prompt=HARD), ("max_complexity", "0.5", "0.70 (thinking +0.70)")),
    ({"min_budget_used": 0.8}, source(used=0.8), source(used=0.79), ("min_budget_used", "0.8", "0.79")),
    ({"min_budget_used": 0.8}, source(used=1.2), source(used=None), ("min_budget_used", "0.8", "0")),
    ({"max_budget_used": 0.5}, source(used=None), source(used=0.51), ("max_budget_used", "0.5", "0.51")),
    ({"traffic": 50}, call(draw=0.49, source=Looked(conversation=None)), call(draw=0.5, source=Looked(conversation=b"")), ("traffic", "50 %", "at 50.00 %")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "meant", "other", "said"),
    CASES,
    ids=[f"{n}-{next(iter(case[0]))}" for n, case in enumerate(CASES)],
)
def test_each_setting(
    settings: dict[str, Any], meant: Facts, other: Facts, said: tuple[str, str, str]
) -> None:
    """It holds for the one call and not for the other, of which setting, expected and found are told."""
    assert failure(meant, **settings) is None
    assert failure(other, **settings) == Failure(*said)


def test_every_setting_has_a_case() -> None:
    """No condition is without its test above."""
    assert {name for settings, *_ in CASES for name in settings} == set(RouteCondition.__struct_fields__)


def test_nothing_asked_is_everything_meant() -> None:
    """A condition without settings has no tests, but that embeddings are left alone."""
    assert failure(call()) is None
    assert condition.compile(RouteCondition(), "r") == ()


def test_what_names_no_model_is_not_for_embeddings() -> None:
    """A rule for all of an organisation's calls leaves its embeddings; one that names their model takes them."""
    embeds = call(model="gpt", embeds=True)
    assert failure(embeds, org=["acme"]) == Failure(
        "model", "named, for a call that asks for embeddings", "gpt"
    )
    assert failure(embeds, model="gpt") is None
    assert failure(embeds, model="*") is None


def test_what_costs_something_is_asked_for_once_and_late() -> None:
    """A call that the head of its request rules out costs no look at its body; one that is looked at, one."""
    looked = Looked(asked=[])
    facts = call(source=looked)
    settings = {
        "tags": {"team": "red"},
        "tools": False,
        "images": False,
        "min_input_tokens": 1,
        "complexity": "simple",
    }
    assert failure(facts, **settings) == Failure("tags.team", "red", "absent")
    assert looked.asked == []
    del settings["tags"]
    for _ in range(3):
        assert failure(facts, **settings, min_budget_used=0, traffic=100) is None
    assert looked.asked == ["input_tokens", "shape", "prompt"]
    assert failure(facts, max_budget_used=0.1, traffic=99.9) is None
    assert looked.asked[3:] == ["budget_used", "session"]


def test_an_unknown_fact_is_a_slip() -> None:
    """Facts are those of the list, and no others."""
    with pytest.raises(AttributeError, match="inptu_tokens"):
        call().inptu_tokens  # noqa: B018


def test_a_conversation_stays_on_its_side() -> None:
    """Its share is drawn from key and session alone: turns, bodies and times make no difference."""
    places = {
        condition.place(
            call(now=now, draw=draw, source=Looked(conversation=b"x", tokens=tokens)), order_of("r")
        )
        for now, draw, tokens in ((0.0, 0.1, 1), (9e9, 0.9, 2), (1.0, 0.5, 3))
    }
    assert len(places) == 1


def test_conversations_spread_evenly_and_each_rule_in_its_own_order() -> None:
    """Of 4,000 conversations each tenth of one rule holds a tenth of those of another."""
    one = [condition.place(source(conversation=b"%d" % n), order_of("one")) for n in range(4000)]
    two = [condition.place(source(conversation=b"%d" % n), order_of("two")) for n in range(4000)]
    for tenth in range(10):
        inside = [other for place, other in zip(one, two, strict=True) if place // 0.1 == tenth]
        assert 330 < len(inside) < 470
        assert 0.4 < sum(inside) / len(inside) < 0.6


def test_keys_do_not_share_their_draw() -> None:
    """The same session of two keys is two conversations."""
    assert condition.place(call(of=key(id="key_a")), order_of("r")) != condition.place(
        call(of=key(id="key_b")), order_of("r")
    )


def test_a_long_name_of_a_rule_is_a_name() -> None:
    """A name longer than a hash takes as its key still draws."""
    assert 0 <= condition.place(call(), order_of("é" * 500)) < 1


@given(st.text(alphabet="ab*?[]!-/.", max_size=8), st.text(alphabet="ab[]!-/.*\n", max_size=8))
def test_globs_are_shell_globs(pattern: str, text: str) -> None:
    """The short ways for plain, `*` and `x*` patterns say what the library says."""
    assert condition.glob(pattern)(text) is fnmatchcase(text, pattern)


@given(st.binary(max_size=20))
def test_no_header_breaks_a_condition(value: bytes) -> None:
    """Bytes that are no text are compared, matched and shown as well as they can be."""
    facts = call(headers={b"x-a": value})
    failure(facts, headers={"x-a": "a*b"})
    failure(facts, headers={"x-a": "ab"})
