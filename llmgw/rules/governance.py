"""Which policies a call violates, and what becomes of it. Pure.

A policy is violated by a call that its condition is for and that lacks something it requires; one that requires
nothing, by every call that its condition is for. What it asks of the call itself is judged once, at admission; what it
asks of the target is judged for each candidate, so that a call goes to one that it may go to, and is refused where
there is none. A policy's `model` is every name that the call goes by: the one asked for, the one that a route made of
it, and the target's own, or a model could be had by another of its names.

What is not known does not satisfy a requirement: a provider without a region is in none, and a call without a price may
cost anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from llmgw.config import units
from llmgw.config.budget import dollars, dollars_text
from llmgw.config.routing import Governance, Mode, Policy, Requirement
from llmgw.rules import condition
from llmgw.rules.access import KeyRecord
from llmgw.rules.condition import Failure, Test, glob
from llmgw.rules.facts import Facts


class Served(Struct, frozen=True, kw_only=True):
    """A target that a call may go to."""

    chosen: str
    """The model of the file that it belongs to, which may be a route's choice; or `provider/model`."""
    provider: str
    model: str
    """Its id at the provider."""
    region: str | None
    cost_nano_usd: int | None
    """What the call may cost there at most; None where the price is not known."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that it is called."""
        return self.chosen, f"{self.provider}/{self.model}", self.model


class TargetTest(Struct, frozen=True):
    """One requirement of a target."""

    setting: str
    expected: str
    holds: Callable[[Served], bool]
    found: Callable[[Served], str]


class Rule(Struct, frozen=True, kw_only=True):
    """One policy, read once."""

    name: str
    reason: str
    caller: tuple[Test, ...]
    """Of its condition: organisation and key."""
    model: Callable[[str], bool] | None
    """Of its condition; None: any."""
    when: tuple[Test, ...]
    """The rest of its condition."""
    requires: bool
    """Whether it requires anything; if not, all that its condition is for is violation."""
    call: tuple[Test, ...]
    """What it requires of the call itself."""
    target: tuple[TargetTest, ...]
    """What it requires of the target, whatever the call."""
    cost: TargetTest | None
    """What it requires of the call at the target."""


class Violation(Struct, frozen=True):
    """A policy that a call violates."""

    policy: str
    reason: str
    """As its author wrote it, for the client."""
    lacks: Failure | None
    """The requirement that is not met, for the operator; None of a policy without requirements."""


class Verdict(Struct, frozen=True):
    """What the policies say of a call, or of a call at a target."""

    violations: tuple[Violation, ...] = ()
    denied: bool = False
    """Whether it is refused; with violations and without this, it passes and they are recorded."""

    @property
    def reason(self) -> str:
        """What the client is told: each reason once, as it is written."""
        return "; ".join(dict.fromkeys(one.reason for one in self.violations))

    @property
    def policies(self) -> tuple[str, ...]:
        """The names of those that are violated."""
        return tuple([one.policy for one in self.violations])

    def joined(self, other: Verdict) -> Verdict:
        """Both together; a policy that is in both, once."""
        known = {one.policy for one in self.violations}
        added = tuple(one for one in other.violations if one.policy not in known)
        return Verdict(self.violations + added, self.denied or other.denied) if added else self


PASSES: Final = Verdict()
KNOWN_LIMIT: Final = 10_000
"""So many keys, models and targets are remembered together; then it begins anew."""


_Case = tuple[Rule, Failure | None]
"""A policy that a call may violate, and what its target lacks for it already."""
_Place = tuple[str | None, ...]


class Policies:
    """The policies of one configuration.

    Which of them can be violated at all by a key's calls for a model, at a target, is always the same, and is kept:
    most often it is none.
    """

    def __init__(self, settings: tuple[Policy, ...], governance: Governance) -> None:
        self.all = tuple(_read(one) for one in settings)
        self._governance = governance
        self._cases: dict[_Place, tuple[KeyRecord, tuple[_Case, ...]]] = {}
        self.asks_cost = any(rule.cost is not None for rule in self.all)
        """Whether any of them asks for `Served.cost_nano_usd`."""

    def __bool__(self) -> bool:
        return bool(self.all)

    def mode(self, org: str) -> Mode:
        """What becomes of an organisation's calls that violate a policy."""
        own = self._governance.orgs.get(org)
        return self._governance.mode if own is None else own.mode

    def judge(self, facts: Facts, served: Served | None = None) -> Verdict:
        """Every policy that a call violates: by itself, before it is known where it goes; or with `served`, at a
        target, by what the policies say that look at targets."""
        if not self.all:
            return PASSES
        place: _Place = (facts.key.id, facts.model)
        if served is not None:
            place += (served.chosen, served.provider, served.model, served.region)
        known = self._cases.get(place)
        if known is None or known[0] is not facts.key:
            if len(self._cases) >= KNOWN_LIMIT:
                self._cases.clear()
            known = self._cases[place] = facts.key, tuple(_cases(self.all, facts, served))
        found = [violation for case in known[1] if (violation := _violation(case, facts, served)) is not None]
        return Verdict(tuple(found), self.mode(facts.key.org) == "strict") if found else PASSES


def _cases(rules: tuple[Rule, ...], facts: Facts, served: Served | None) -> Iterator[_Case]:
    names = (facts.model,) if served is None else (facts.model, *served.names)
    for rule in rules:
        looks_at_target = rule.model is not None or rule.target or rule.cost is not None
        if served is not None and not looks_at_target:
            continue  # it was judged when the call was
        if not all(test.holds(facts) for test in rule.caller):
            continue
        if rule.model is not None and not any(rule.model(name) for name in names):
            continue
        lack = None if served is None else _first_lack(rule.target, served)
        asks_more = rule.call or (served is not None and rule.cost is not None)
        if lack is not None or asks_more or not rule.requires:
            yield rule, lack


def _violation(case: _Case, facts: Facts, served: Served | None) -> Violation | None:
    rule, lack = case
    for test in rule.when:
        if not test.holds(facts):
            return None
    if not rule.requires:
        return Violation(rule.name, rule.reason, None)
    lacks = condition.first_failure(rule.call, facts) or lack
    if lacks is None and served is not None and rule.cost is not None:
        lacks = _first_lack((rule.cost,), served)
    return None if lacks is None else Violation(rule.name, rule.reason, lacks)


def _read(one: Policy) -> Rule:
    require = one.require
    return Rule(
        name=one.name,
        reason=one.deny,
        model=None if one.when.model is None else glob(one.when.model),
        caller=condition.of_caller(one.when),
        when=condition.compile(one.when, one.name),
        call=() if require is None else tuple(_of_call(require)),
        target=() if require is None else tuple(_of_target(require)),
        requires=require is not None,
        cost=None if require is None or require.max_cost is None else _cost(dollars(require.max_cost) or 0),
    )


def _first_lack(tests: tuple[TargetTest, ...], served: Served) -> Failure | None:
    for test in tests:
        if not test.holds(served):
            return Failure(test.setting, test.expected, test.found(served))
    return None


def _of_call(require: Requirement) -> Iterator[Test]:
    yield from condition.tag_tests(require.tags, "require.tags")
    if require.max_body_bytes is not None:
        most = require.max_body_bytes
        yield Test(
            "require.max_body",
            units.size_text(most),
            lambda facts: facts.body_bytes <= most,
            lambda facts: f"{facts.body_bytes}B",
        )


def _of_target(require: Requirement) -> Iterator[TargetTest]:
    if require.models:
        model = _any_of(require.models)
        yield TargetTest(
            "require.models",
            " or ".join(require.models),
            lambda served: any(model(name) for name in served.names),
            lambda served: " = ".join(dict.fromkeys(served.names)),
        )
    if require.providers:
        providers = frozenset(require.providers)
        yield TargetTest(
            "require.providers",
            " or ".join(require.providers),
            lambda served: served.provider in providers,
            lambda served: served.provider,
        )
    if require.regions:
        region = _any_of(require.regions)
        yield TargetTest(
            "require.regions",
            " or ".join(require.regions),
            lambda served: served.region is not None and region(served.region),
            lambda served: served.region or "not known",
        )


def _cost(most: int) -> TargetTest:
    def found(served: Served) -> str:
        cost = served.cost_nano_usd
        return "not known" if cost is None else f"up to {dollars_text(cost)} USD"

    return TargetTest(
        "require.max_cost",
        f"{dollars_text(most)} USD",
        lambda served: served.cost_nano_usd is not None and served.cost_nano_usd <= most,
        found,
    )


def _any_of(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    matches = tuple(glob(pattern) for pattern in patterns)
    return lambda text: any(one(text) for one in matches)
