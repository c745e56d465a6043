"""The first route that holds and may be taken wins; the rest is told."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmgw.canonical.traits import Shape
from llmgw.config.routing import Route, RouteCondition
from llmgw.rules.condition import Failure
from llmgw.rules.facts import Facts
from llmgw.rules.route import AS_ASKED, KNOWN_LIMIT, Decision, Passed, Routes, Trial
from tests.rules.calls import Looked, call, configured, key


def routes(*written: dict[str, Any]) -> Routes:
    named = ({"name": f"r{n}", "to": "cheap", **one} for n, one in enumerate(written))
    return Routes(configured(routes=list(named)).routes)


def decide(of: Routes, facts: Facts, *, on: bool = True, barred: str = "") -> Decision:
    return of.decide(facts, lambda flag: on, lambda to: "may not" if to == barred else None)


def taken(decision: Decision) -> str | None:
    return None if decision.route is None else decision.route.name


def test_no_route_no_change() -> None:
    """Without routes, and without one that holds, the model is as it was asked for."""
    assert decide(routes(), call()) is AS_ASKED
    assert not routes()
    assert decide(routes({"when": {"model": "other"}}), call()) is AS_ASKED


def test_the_first_that_holds_is_taken() -> None:
    """Order decides, whatever kind of test a route begins with."""
    of = routes(
        {"when": {"tags": {"team": "blue"}}},
        {"when": {"min_input_tokens": 1000}},
        {"when": {"headers": {"x-a": "1"}, "max_input_tokens": 50}},
        {"when": {"tags": {"team": "red"}}},
        {"when": {}},
    )
    assert taken(decide(of, call(tags={"team": "red"}))) == "r3"
    assert taken(decide(of, call(tags={"team": "red"}, headers={b"x-a": b"1"}))) == "r3"
    assert (
        taken(decide(of, call(tags={"team": "red"}, headers={b"x-a": b"1"}, source=Looked(tokens=9)))) == "r2"
    )
    assert taken(decide(of, call(tags={"team": "blue"}, source=Looked(tokens=5000)))) == "r0"
    assert taken(decide(of, call())) == "r4"


def test_a_shadow_route_changes_nothing_and_is_noted() -> None:
    """What happens is what happens without it; what would have happened is known."""
    of = routes({"mode": "shadow"}, {"mode": "shadow", "to": "other"}, {"when": {"tools": True}})
    decision = decide(of, call())
    assert decision.route is None
    assert [route.to for route in decision.shadows] == ["cheap", "other"]
    decision = decide(of, call(source=Looked(of_shape=Shape(tools=True))))
    assert (taken(decision), len(decision.shadows)) == ("r2", 2)


def test_what_lies_behind_the_one_taken_is_not_looked_at() -> None:
    """A shadow route behind it has not come to its turn."""
    assert decide(routes({}, {"mode": "shadow"}), call()).shadows == ()


def test_a_route_whose_flag_is_off_is_passed_over() -> None:
    """The next one has its turn; the flag is asked for only where all else holds."""
    of = routes({"flag": "f", "when": {"tools": True}}, {"flag": "f"}, {"to": "other"})
    asked: list[str] = []

    def is_off(flag: str) -> bool:
        asked.append(flag)
        return False

    decision = of.decide(call(), is_off, lambda to: None)
    assert asked == ["f"]
    assert (taken(decision), decision.passed) == ("r2", (Passed("r1", "flag_off", "f"),))
    assert taken(decide(of, call(), on=True)) == "r1"


def test_no_route_leads_around_access() -> None:
    """One to a model that the key may not use is passed over, in shadow as well, and the reason is kept."""
    of = routes({}, {"mode": "shadow"}, {"to": "other"})
    decision = decide(of, call(), barred="cheap")
    assert (taken(decision), decision.shadows) == ("r2", ())
    assert decision.passed == (Passed("r0", "not_usable", "may not"), Passed("r1", "not_usable", "may not"))


def test_a_changed_key_is_looked_at_anew() -> None:
    """What is kept for a key holds for that record of it alone."""
    of = routes({"when": {"key": ["ci"]}})
    assert taken(decide(of, call(of=key(name="ci")))) == "r0"
    assert taken(decide(of, call(of=key(name="renamed")))) is None


def test_embeddings_and_text_of_one_model_are_kept_apart() -> None:
    """What is known of a key's calls for text says nothing of its embeddings."""
    of, one = routes({}), key()
    assert taken(decide(of, call(of=one))) == "r0"
    assert taken(decide(of, call(of=one, embeds=True))) is None


def test_names_that_clients_make_up_do_not_fill_the_memory() -> None:
    """What is kept is bounded."""
    of, one = routes({"when": {"model": "p/*"}}), key()
    for n in range(KNOWN_LIMIT + 10):
        assert taken(decide(of, call(model=f"p/{n}", of=one))) == "r0"
    assert len(of._plans) <= KNOWN_LIMIT


def test_an_explanation_tells_of_each_route() -> None:
    """Why it was not taken, the first thing that did not hold, and what was not come to."""
    of = routes(
        {"when": {"org": ["beta"], "tools": True}},
        {"flag": "f"},
        {"to": "other"},
        {"mode": "shadow"},
        {},
        {"when": {"tools": True}},
    )
    trials = of.explain(call(), lambda flag: False, lambda to: "may not" if to == "other" else None)
    assert trials == (
        Trial("r0", "cheap", "enforce", "no_match", Failure("org", "beta", "acme")),
        Trial("r1", "cheap", "enforce", "flag_off", None, "f"),
        Trial("r2", "other", "enforce", "not_usable", None, "may not"),
        Trial("r3", "cheap", "shadow", "shadow"),
        Trial("r4", "cheap", "enforce", "taken"),
        Trial("r5", "cheap", "enforce", "not_reached"),
    )


CONDITIONS = st.builds(
    RouteCondition,
    model=st.sampled_from([None, "gpt", "gpt*", "*", "other"]),
    org=st.sampled_from([(), ("acme",), ("beta",), ("acme", "beta")]),
    key=st.sampled_from([(), ("ci",), ("cd",)]),
    tags=st.dictionaries(st.sampled_from("ab"), st.sampled_from(["1", "2", "*"]), max_size=2),
    headers=st.dictionaries(st.sampled_from(["x-a", "X-B"]), st.sampled_from(["1", "2", "1*"]), max_size=2),
    min_input_tokens=st.sampled_from([None, 0, 100, 200]),
    tools=st.sampled_from([None, True, False]),
    traffic=st.sampled_from([None, 0.0, 50.0, 100.0]),
)
ROUTES = st.builds(
    Route,
    name=st.uuids().map(str),
    to=st.sampled_from(["cheap", "other"]),
    when=CONDITIONS,
    mode=st.sampled_from(["enforce", "shadow"]),
    flag=st.sampled_from([None, "on", "off"]),
)
CALLS = st.builds(
    call,
    model=st.sampled_from(["gpt", "gpt-4", "other"]),
    of=st.sampled_from([key(), key(id="key_2", name="cd", org="beta")]),
    tags=st.dictionaries(st.sampled_from("ab"), st.sampled_from("123"), max_size=2),
    headers=st.dictionaries(
        st.sampled_from([b"x-a", b"x-b"]), st.sampled_from([b"1", b"12", b"2"]), max_size=2
    ),
    embeds=st.booleans(),
    source=st.builds(
        Looked,
        tokens=st.sampled_from([0, 100, 150]),
        of_shape=st.builds(Shape, tools=st.booleans()),
        conversation=st.sampled_from([None, b"x", b"y"]),
    ),
)


@given(st.lists(ROUTES, max_size=12), st.lists(CALLS, min_size=1, max_size=4), st.booleans())
def test_the_decision_is_the_explanations(
    given_routes: list[Route], calls: list[Facts], barred: bool
) -> None:
    """The fast way and the way that tries each test of each route in order come to the same, for any routes and calls."""
    of = Routes(tuple(given_routes))

    def unusable(to: str) -> str | None:
        return "may not" if barred and to == "other" else None

    for facts in calls:
        decision = of.decide(facts, "on".__eq__, unusable)
        trials = of.explain(facts, "on".__eq__, unusable)
        assert [t.route for t in trials if t.outcome == "taken"] == (
            [taken(decision)] if decision.route else []
        )
        assert [t.route for t in trials if t.outcome == "shadow"] == [
            route.name for route in decision.shadows
        ]
        passed = [(t.route, t.outcome) for t in trials if t.outcome in ("flag_off", "not_usable")]
        assert passed == [(one.route, one.why) for one in decision.passed]


@given(st.lists(ROUTES, max_size=8), CALLS)
def test_shadow_routes_never_change_the_outcome(given_routes: list[Route], facts: Facts) -> None:
    """With them and without them, the same route is taken."""
    with_them, without = (
        Routes(tuple(route for route in given_routes if all_of_them or route.mode == "enforce"))
        for all_of_them in (True, False)
    )
    assert taken(decide(with_them, facts)) == taken(decide(without, facts))
