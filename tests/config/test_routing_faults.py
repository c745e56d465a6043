"""What is wrong with routes and policies is said at its line; what can never hold is warned of."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.routing_faults import _covers
from tests.config.support import HEAD, config_of, faults

MODELS = (
    "providers: {p: {dialect: simulator}}\n"
    "models: {gpt: {targets: [p/gpt]}, cheap: {targets: [p/cheap]}}\n"
    "flags: {f: {default: false}}\n"
)
WHEN = "routes:\n  - {name: r, to: cheap, when: {%s}}"
NEVER = "can never hold: "

ERRORS = [
    ("routes:\n  - {name: r, to: chep}", 6, "routes[0].to", "names a model that does not exist; did you mean 'cheap'?"),
    ("routes:\n  - {name: r, to: q/x}", 6, "routes[0].to", "names a model that does not exist"),
    ("routes:\n  - {name: r, to: p/}", 6, "routes[0].to", "names a model that does not exist"),
    ("routes:\n  - {name: r, to: cheap, flag: g}", 6, "routes[0].flag", "names a flag that does not exist; known are: f."),
    ("routes:\n  - {name: r, to: cheap, when: {tools: true}}\n  - {name: r, to: cheap}", 7, "routes[1].name", "is the name of an earlier one"),
    ("policies:\n  - {name: r, deny: x, when: {tools: true}}\n  - {name: r, deny: x, when: {tools: false}}", 7, "policies[1].name", "is the name of an earlier one"),
    ("routes:\n  - {name: r, to: cheap, mode: off}", 6, "routes[0].mode", "must be enforce or shadow"),
    (WHEN % "traffic: 101", 6, "routes[0].when.traffic", "must be a number from 0 to 100"),
    (WHEN % "traffic: 10%", 6, "routes[0].when.traffic", "must be a number from 0 to 100"),
    (WHEN % "min_budget_used: 80", 6, "routes[0].when.min_budget_used", "must be a number from 0 to 1"),
    (WHEN % "complexity: easy", 6, "routes[0].when.complexity", "must be complex or simple"),
    (WHEN % "tools: yes", 6, "routes[0].when.tools", "must be true or false"),
    (WHEN % "headers: {Authorization: '*'}", 6, "routes[0].when.headers.Authorization", "carries a secret, which no rule may look at"),
    (WHEN % "headers: {x-api-key: a}", 6, "routes[0].when.headers.x-api-key", "carries a secret"),
    (WHEN % "headers: {x-goog-api-key: a}", 6, "routes[0].when.headers.x-goog-api-key", "carries a secret"),
    (WHEN % "headers: {cookie: a}", 6, "routes[0].when.headers.cookie", "carries a secret"),
    (WHEN % "headers: {'x team': a}", 6, "routes[0].when.headers.x team", "is no name of a header"),
    (WHEN % "hours: [{days: [monday]}]", 6, "routes[0].when.hours[0].days[0]", "must be fri or mon or sat"),
    (WHEN % "hours: [{from: '25:00'}]", 6, "routes[0].when.hours[0].from", "must be a time of the day"),
    (WHEN % "hours: [{from: 9:00, to: '9'}]", 6, "routes[0].when.hours[0].from", "must be a time of the day"),
    (WHEN % "hours: [{to: noon}]", 6, "routes[0].when.hours[0].to", "must be a time of the day"),
    (WHEN % "hours: [{from: '24:00', to: '06:00'}]", 6, "routes[0].when.hours[0].from", "must be before 24:00"),
    (WHEN % "hours: [{from: '06:00', to: '06:00'}]", 6, "routes[0].when.hours[0].to", "is where it begins"),
    (WHEN % "hours: [{zone: Europe/Berln}]", 6, "routes[0].when.hours[0].zone", "must be an IANA time zone, such as Europe/Berlin or UTC; did you mean 'Europe/Berlin'?"),
    (WHEN % "hours: [{zone: ../etc/passwd}]", 6, "routes[0].when.hours[0].zone", "must be an IANA time zone"),
    (WHEN % "hours: [{zone: Europe}]", 6, "routes[0].when.hours[0].zone", "must be an IANA time zone"),
    ("policies:\n  - {name: x, deny: no, when: {headers: {Cookie: a}}}", 6, "policies[0].when.headers.Cookie", "carries a secret"),
    ("policies:\n  - {name: x, deny: no, require: {providers: [q]}}", 6, "policies[0].require.providers[0]", "names a provider that does not exist; known are: p."),
    ("policies:\n  - {name: x, deny: no, require: {max_cost: $5}}", 6, "policies[0].require.max_cost", "must be US dollars, such as 0.50."),
    ("policies:\n  - {name: x, deny: no, require: {max_body: 5MB}}", 6, "policies[0].require.max_body", "must be a size"),
    ("policies:\n  - {name: x, deny: no, require: {price: 5}}", 6, "policies[0].require.price", "is not a setting"),
    ("governance:\n  orgs: {acme: {mode: audit}}", 6, "governance.orgs.acme.mode", "must be strict, as governance.mode is"),
    ("governance:\n  mode: strict\n  orgs: {acme: {mode: loose}}", 7, "governance.orgs.acme.mode", "must be audit or strict"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "line", "path", "message"), ERRORS, ids=[case[2] for case in ERRORS])
def test_each_fault_at_its_line(section: str, line: int, path: str, message: str) -> None:
    """One slip is one message, with what to do, where it stands."""
    found = faults(HEAD + MODELS + section)
    fault = found[0]
    assert (fault.line, fault.path) == (line, path)
    assert message in fault.message
    assert {fault.path for fault in found} <= {path, "routes[0].when.hours[0].to"}
    assert fault.message.endswith((".", "?"))


def warned(section: str) -> list[tuple[int, str, str]]:
    """The warnings that are about rules."""
    found = faults(HEAD + MODELS + section, "warning")
    config_of(HEAD + MODELS + section)
    return [
        (fault.line, fault.path, fault.message)
        for fault in found
        if "has no effect in this version" not in fault.message
    ]


IN_VAIN = [
    (WHEN % "min_input_tokens: 9, max_input_tokens: 8", "routes[0].when.min_input_tokens", f"{NEVER}it is above max_input_tokens."),
    (WHEN % "min_budget_used: 0.9, max_budget_used: 0.8", "routes[0].when.min_budget_used", f"{NEVER}it is above max_budget_used."),
    (WHEN % "min_complexity: 0.9, max_complexity: 0.8", "routes[0].when.min_complexity", f"{NEVER}it is above max_complexity."),
    (WHEN % "complexity: simple, min_complexity: 0.9", "routes[0].when.min_complexity", f"{NEVER}a prompt is simple below 0.2."),
    (WHEN % "complexity: complex, max_complexity: 0.1", "routes[0].when.max_complexity", f"{NEVER}a prompt is complex from 0.2 on."),
    (WHEN % "traffic: 0", "routes[0].when.traffic", f"{NEVER}0 per cent is nobody."),
    (WHEN % "model: gtp", "routes[0].when.model", f"{NEVER}a call can ask for a model of this file, or for provider/model; did you mean 'gpt'?"),
    (WHEN % "model: 'q/*'", "routes[0].when.model", f"{NEVER}a call can ask for a model of this file, or for provider/model."),
    (WHEN % "model: 'p/'", "routes[0].when.model", f"{NEVER}a call can ask for a model of this file, or for provider/model"),
    (WHEN % "model: 'p/x'" + "\nmodels_only: true", "routes[0].when.model", f"{NEVER}no model of this file is called so, and models_only: true refuses all others."),
    (WHEN % "model: cheap", "routes[0].to", "is the model that was asked for: this changes nothing, but that no later route is tried."),
    ("policies:\n  - {name: x, deny: no}", "policies[0]", "refuses every call; give it when: or require:, if that is not meant."),
    ("policies:\n  - {name: x, deny: no, require: {}}", "policies[0].require", "requires nothing, so that the policy never refuses a call."),
    ("policies:\n  - {name: x, deny: no, when: {traffic: 0}}", "policies[0].when.traffic", f"{NEVER}0 per cent is nobody."),
]  # fmt: skip


@pytest.mark.parametrize(("section", "path", "message"), IN_VAIN, ids=[case[0] for case in IN_VAIN])
def test_what_never_holds_is_warned_of(section: str, path: str, message: str) -> None:
    """The file is valid; its author learns that the rule does nothing, and why."""
    [(line, at, said)] = warned(section)
    assert (line, at) == (6, path)
    assert said.startswith(message)


@pytest.mark.parametrize("model", ["gpt", "g*", "*", "p/x", "p/*", "*-mini", "?/x", "[p]/x", "p*"])
def test_models_that_can_be_asked_for(model: str) -> None:
    """Names of the file, provider/model, and globs that stand for one of them."""
    assert warned(WHEN % f"model: '{model}'") == []


@pytest.mark.parametrize(
    "when",
    ["min_input_tokens: 8, max_input_tokens: 8", "complexity: simple, min_complexity: 0.19", "traffic: 0.1"],
)
def test_what_can_hold_is_not_warned_of(when: str) -> None:
    """Narrow is not impossible."""
    assert warned(WHEN % when) == []


@pytest.mark.parametrize(("wide", "narrow"), [("a?", "a*"), ("[ab]", "a"), ("?", "[ab]"), ("*", "[ab]")])
def test_globs_that_are_not_plain_are_not_compared(wide: str, narrow: str) -> None:
    """Where one has more than stars, nothing is said of both."""
    assert not _covers(wide, narrow)


def behind(first: str, second: str) -> str | None:
    """What is said of a route with the condition `second` behind one with `first`."""
    found = warned(f"routes:\n  - {{name: one, to: cheap, {first}}}\n  - {{name: two, to: p/x, {second}}}")
    if not found:
        return None
    [(line, path, message)] = found
    assert (line, path) == (7, "routes[1]")
    return message


WIDER = [
    ("when: {min_input_tokens: 10}", "when: {min_input_tokens: 10, tools: true}"),
    ("when: {}", "when: {tags: {a: b}}"),
    ("when: {model: gpt}", "when: {model: gpt, tools: true}"),
    ("when: {model: 'g*'}", "when: {model: gpt}"),
    ("when: {model: 'g*'}", "when: {model: 'gp*'}"),
    ("when: {org: [a, b]}", "when: {org: [b]}"),
    ("when: {key: [a]}", "when: {key: [a], org: [b]}"),
    ("when: {tags: {a: '*'}}", "when: {tags: {a: b, c: d}}"),
    ("when: {headers: {X-A: b}}", "when: {headers: {x-a: b}}"),
    ("when: {min_input_tokens: 10}", "when: {min_input_tokens: 11}"),
    ("when: {max_input_tokens: 10}", "when: {max_input_tokens: 10, min_input_tokens: 3}"),
    ("when: {min_budget_used: 0.5}", "when: {min_budget_used: 0.6}"),
    ("when: {tools: true}", "when: {tools: true, images: false}"),
    ("when: {complexity: simple}", "when: {complexity: simple, traffic: 50}"),
    ("when: {traffic: 100}", "when: {traffic: 50}"),
    ("when: {hours: [{days: [mon]}, {days: [tue]}]}", "when: {hours: [{days: [tue]}]}"),
    ("when: {org: [a]}", "when: {org: [a]}, mode: shadow"),
    ("when: {org: [a]}", "when: {org: [a]}, flag: f"),
]


@pytest.mark.parametrize(("first", "second"), WIDER)
def test_a_route_behind_a_wider_one_is_never_taken(first: str, second: str) -> None:
    """The route before it is named."""
    message = behind(first, second)
    assert message is not None
    assert message.startswith("is never taken: the route 'one' before it takes every call that it is for.")


def test_a_wider_route_leaves_embeddings() -> None:
    """A route that names no model is not for embeddings, so one that names theirs still has its use."""
    message = behind("when: {}", "when: {model: gpt}")
    assert message is not None
    assert message.startswith("is never taken, but for embeddings: ")


NOT_WIDER = [
    ("when: {model: gpt}", "when: {model: 'g*'}"),
    ("when: {model: gpt}", "when: {}"),
    ("when: {org: [a]}", "when: {org: [a, b]}"),
    ("when: {org: [a]}", "when: {}"),
    ("when: {tags: {a: b}}", "when: {tags: {a: '*'}}"),
    ("when: {tags: {a: b}}", "when: {tags: {c: d}}"),
    ("when: {min_input_tokens: 10}", "when: {min_input_tokens: 9}"),
    ("when: {min_input_tokens: 10}", "when: {max_input_tokens: 9}"),
    ("when: {max_input_tokens: 10}", "when: {max_input_tokens: 11}"),
    ("when: {tools: true}", "when: {tools: false}"),
    ("when: {tools: false}", "when: {}"),
    ("when: {complexity: simple}", "when: {}"),
    ("when: {traffic: 50}", "when: {traffic: 50}"),
    ("when: {traffic: 99}", "when: {tools: true}"),
    ("when: {hours: [{days: [mon]}]}", "when: {}"),
    ("when: {hours: [{days: [mon]}]}", "when: {hours: [{days: [tue]}]}"),
    ("mode: shadow", "when: {org: [a]}"),
    ("flag: f", "when: {org: [a]}"),
    ("when: {max_input_tokens: 10}", "when: {complexity: simple}"),
]


@pytest.mark.parametrize(("first", "second"), NOT_WIDER)
def test_a_route_that_can_be_taken_is_left_alone(first: str, second: str) -> None:
    """No warning where the route before it is narrower, in shadow, hangs on a flag, or is for other calls."""
    assert behind(first, second) is None


def test_one_slip_is_one_message() -> None:
    """A condition with a value at fault, which is left out, is not taken for one that holds everything."""
    text = (
        "routes:\n  - {name: a, to: cheap, when: {traffic: 900}}\n  - {name: b, to: cheap, when: {org: [x]}}"
    )
    text += "\npolicies: [{name: x, deny: no, when: {tools: maybe}}]"
    found = [*faults(HEAD + MODELS + text), *faults(HEAD + MODELS + text, "warning")]
    about = [fault.path for fault in found if "no effect in this version" not in fault.message]
    assert about == ["routes[0].when.traffic", "policies[0].when.tools"]


@given(st.text("ab*?[]", max_size=5), st.text("ab*?[]", max_size=5), st.text("ab[]?", max_size=6))
def test_a_glob_that_covers_another_stands_for_all_that_it_does(wide: str, narrow: str, text: str) -> None:
    """Nothing that the narrow one stands for is missed by the wide one."""
    if _covers(wide, narrow) and fnmatchcase(text, narrow):
        assert fnmatchcase(text, wide)
