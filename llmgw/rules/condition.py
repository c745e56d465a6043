"""Whether a call is what a route or a policy asks for.

A condition is compiled once per configuration into `Test`s, one for each setting, in the order of what they cost: what
the head of a request says, then what its body says, then what has to be looked up.

The same tests serve live calls, which only want to know whether all hold, and explanations, which name the first one
that does not, with what it expected and what it found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import translate
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from llmgw.config.routing import SIMPLE_BELOW, RouteCondition
from llmgw.rules import hours
from llmgw.rules.facts import Facts


class Lookup(Struct, frozen=True):
    """How a test for one exact value can be found by that value, among many of the same setting."""

    value: str | bytes
    of: Callable[[Facts], str | bytes | None]


class Test(Struct, frozen=True):
    """One setting of a condition."""

    setting: str
    """As it is written: `min_input_tokens`, `tags.team`."""
    expected: str
    holds: Callable[[Facts], bool]
    found: Callable[[Facts], str]
    lookup: Lookup | None = None


class Failure(Struct, frozen=True):
    """The first test of a condition that does not hold."""

    setting: str
    expected: str
    found: str


def compile(when: RouteCondition, name: str) -> tuple[Test, ...]:
    """The tests of a condition, all of which must hold, without those of `model`, `org` and `key`.

    Args:
        name: of the route or the policy; by it, each draws its own share of the traffic.
    """
    return tuple(_of_head(when)) + tuple(_of_body(when)) + tuple(_looked_up(when, name))


def of_caller(when: RouteCondition) -> tuple[Test, ...]:
    """The tests of `org` and `key`: their outcome is the same for all calls of a key."""
    return tuple(_of_caller(when))


def of_model(when: RouteCondition) -> tuple[Test, ...]:
    """The test of the model asked for. What names no model is not for embeddings: a rule for all of an organisation's
    calls must not send them to a model that writes text."""
    if when.model is None:
        return (_NO_EMBEDDINGS,)
    matches = glob(when.model)
    return (Test("model", when.model, lambda facts: matches(facts.model), lambda facts: facts.model),)


_NO_EMBEDDINGS: Final = Test(
    "model",
    "named, for a call that asks for embeddings",
    lambda facts: not facts.embeds,
    lambda facts: facts.model,
)


def first_failure(tests: tuple[Test, ...], facts: Facts) -> Failure | None:
    """None where all hold."""
    for test in tests:
        if not test.holds(facts):
            return Failure(test.setting, test.expected, test.found(facts))
    return None


def glob(pattern: str) -> Callable[[str], bool]:
    """Whether a text is one that a shell glob stands for."""
    if not any(sign in pattern for sign in "*?["):
        return pattern.__eq__
    if pattern == "*":
        return lambda text: True
    if pattern.endswith("*") and not any(sign in pattern[:-1] for sign in "*?["):
        beginning = pattern[:-1]
        return lambda text: text.startswith(beginning)
    match = re.compile(translate(pattern)).match
    return lambda text: match(text) is not None


def tag_tests(wanted: Mapping[str, str], path: str = "tags") -> Iterator[Test]:
    """Each of these tags, with its value or glob."""
    for name, value in wanted.items():
        yield _tag(name, value, path)


def _of_caller(when: RouteCondition) -> Iterator[Test]:
    if when.org:
        orgs = frozenset(when.org)
        yield Test("org", _listed(when.org), lambda facts: facts.key.org in orgs, lambda facts: facts.key.org)
    if when.key:
        keys = frozenset(when.key)
        yield Test(
            "key",
            _listed(when.key),
            lambda facts: facts.key.id in keys or facts.key.name in keys,
            lambda facts: f"{facts.key.name} ({facts.key.id})",
        )


def _of_head(when: RouteCondition) -> Iterator[Test]:
    yield from tag_tests(when.tags)
    for name, value in when.headers.items():
        yield _header(name.lower(), value)
    if when.hours:
        in_hours = hours.compile(when.hours)
        yield Test(
            "hours",
            "; ".join(hours.text(one) for one in when.hours),
            lambda facts: in_hours(facts.now),
            lambda facts: hours.seen(when.hours, facts.now),
        )


def _tag(name: str, value: str, path: str) -> Test:
    def found(facts: Facts) -> str:
        return facts.tags.get(name, _ABSENT)

    if _is_exact(value):
        lookup = Lookup(value, lambda facts: facts.tags.get(name))
        return Test(f"{path}.{name}", value, lambda facts: facts.tags.get(name) == value, found, lookup)
    matches = glob(value)

    def holds(facts: Facts) -> bool:
        given = facts.tags.get(name)
        return given is not None and matches(given)

    return Test(f"{path}.{name}", value, holds, found)


def _header(name: str, value: str) -> Test:
    field, exact = name.encode(), value.encode()

    def found(facts: Facts) -> str:
        given = facts.headers.get(field)
        return _ABSENT if given is None else given.decode("utf-8", "replace")

    if _is_exact(value):
        lookup = Lookup(exact, lambda facts: facts.headers.get(field))
        return Test(f"headers.{name}", value, lambda facts: facts.headers.get(field) == exact, found, lookup)
    matches = glob(value)

    def holds(facts: Facts) -> bool:
        given = facts.headers.get(field)
        return given is not None and matches(given.decode("utf-8", "replace"))

    return Test(f"headers.{name}", value, holds, found)


def _of_body(when: RouteCondition) -> Iterator[Test]:
    if when.min_input_tokens:
        fewest = when.min_input_tokens
        yield Test("min_input_tokens", str(fewest), lambda facts: facts.input_tokens >= fewest, _found_tokens)
    if when.max_input_tokens is not None:
        most = when.max_input_tokens
        yield Test("max_input_tokens", str(most), lambda facts: facts.input_tokens <= most, _found_tokens)
    if when.tools is not None:
        tools = when.tools
        yield Test(
            "tools", _said(tools), lambda facts: facts.shape.tools is tools, lambda f: _said(f.shape.tools)
        )
    if when.images is not None:
        images = when.images
        yield Test(
            "images",
            _said(images),
            lambda facts: facts.shape.images is images,
            lambda f: _said(f.shape.images),
        )
    if when.json_schema is not None:
        schema = when.json_schema
        yield Test(
            "json_schema",
            _said(schema),
            lambda facts: facts.shape.json_schema is schema,
            lambda facts: _said(facts.shape.json_schema),
        )


def _looked_up(when: RouteCondition, name: str) -> Iterator[Test]:
    if when.complexity is not None:
        simple = when.complexity == "simple"
        yield Test(
            "complexity",
            when.complexity,
            lambda facts: (facts.complexity.score < SIMPLE_BELOW) is simple,
            lambda facts: str(facts.complexity),
        )
    if when.min_complexity:
        lowest = when.min_complexity
        yield Test(
            "min_complexity",
            f"{lowest:g}",
            lambda facts: facts.complexity.score >= lowest,
            lambda facts: str(facts.complexity),
        )
    if when.max_complexity is not None:
        highest = when.max_complexity
        yield Test(
            "max_complexity",
            f"{highest:g}",
            lambda facts: facts.complexity.score <= highest,
            lambda facts: str(facts.complexity),
        )
    if when.min_budget_used:
        least = when.min_budget_used
        yield Test("min_budget_used", f"{least:g}", lambda facts: facts.budget_used >= least, _found_budget)
    if when.max_budget_used is not None:
        most = when.max_budget_used
        yield Test("max_budget_used", f"{most:g}", lambda facts: facts.budget_used <= most, _found_budget)
    if when.traffic is not None and when.traffic < 100:
        share, order = when.traffic / 100, order_of(name)
        yield Test(
            "traffic",
            f"{when.traffic:g} %",
            lambda facts: place(facts, order) < share,
            lambda facts: f"at {place(facts, order) * 100:.2f} %",
        )


_MASK: Final = (1 << 64) - 1
_UNIT: Final = 2.0**-64


def order_of(name: str) -> int:
    """The order in which a rule puts all conversations: an odd number of 64 bits."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") | 1


def place(facts: Facts, order: int) -> float:
    """Where a call's conversation stands among all of them, from 0 to 1; the draw where it belongs to none.

    A conversation stays where it is, so that it does not change its model from turn to turn and what providers cache of
    it stays warm. Each rule has an order of its own, or the first tenth would take part in every experiment: the seed,
    which is hashed once, is multiplied by the rule's odd number, which permutes all seeds (multiply-shift hashing:
    Dietzfelbinger and others, "A Reliable Randomized Algorithm for the Closest-Pair Problem", 1997).
    """
    seed = facts.seed
    return facts.draw if seed is None else (seed * order & _MASK) * _UNIT


_ABSENT: Final = "absent"


def _found_tokens(facts: Facts) -> str:
    return str(facts.input_tokens)


def _found_budget(facts: Facts) -> str:
    return f"{facts.budget_used:.4g}"


def _said(value: bool) -> str:
    return "true" if value else "false"


def _listed(names: tuple[str, ...]) -> str:
    return " or ".join(names)


def _is_exact(pattern: str) -> bool:
    return not any(sign in pattern for sign in "*?[")
