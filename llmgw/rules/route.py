"""Which route a call takes: the first whose conditions hold, of those that may be taken. Pure.

A route in shadow that matches is noted and the looking goes on, so that it never changes what happens. A route whose
flag is off is passed over, and so is one to a model that the key may not use: routing is no way around access. Routes
look at the model that was asked for, once; where they lead to, no route looks again.

A hundred routes must not cost a hundred tests. What a route asks of model, organisation and key comes out the same for
all calls of a key for a model, so it is kept; of what is left, routes that begin with one exact tag or header are found
by its value, and the others are tried in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct

from llmgw.config import routing
from llmgw.rules import condition
from llmgw.rules.access import KeyRecord
from llmgw.rules.condition import Failure, Test
from llmgw.rules.facts import Facts

Outcome = Literal["taken", "shadow", "no_match", "flag_off", "not_usable", "not_reached"]
IsOn = Callable[[str], bool]
"""Whether a flag is on, for the call in question."""
Unusable = Callable[[str], str | None]
"""Why a call cannot go to a model, `pool` or `provider/model`; None where it can."""
KNOWN_LIMIT: Final = 10_000
"""So many keys and models are remembered together; then it begins anew."""


class Route(Struct, frozen=True, kw_only=True):
    """One route, read once."""

    name: str
    to: str
    shadow: bool
    flag: str | None
    fixed: tuple[Test, ...]
    """Of model, organisation and key."""
    tests: tuple[Test, ...]
    """Of everything else."""


class Passed(Struct, frozen=True):
    """A route that matched and was passed over."""

    route: str
    why: Outcome
    """`flag_off` or `not_usable`."""
    detail: str | None
    """The flag, or the reason."""


class Decision(Struct, frozen=True):
    """What routing decides for a call."""

    route: Route | None = None
    """The one to take; None: the model as asked."""
    shadows: tuple[Route, ...] = ()
    """Those in shadow that would have been taken, had they been in force; the first is what would have happened."""
    passed: tuple[Passed, ...] = ()


class Trial(Struct, frozen=True):
    """What came of one route, for an explanation."""

    route: str
    to: str
    mode: Literal["enforce", "shadow"]
    outcome: Outcome
    failed: Failure | None = None
    """With `no_match`."""
    detail: str | None = None
    """With `flag_off` and `not_usable`: the flag, and the reason."""


AS_ASKED: Final = Decision()

_Holds = Callable[[Facts], bool]
_Step = tuple[_Holds, tuple[_Holds, ...], Route]
"""The first test of a route, the others, and the route."""
_Table = tuple[Callable[[Facts], str | bytes | None], dict[str | bytes, tuple[int, ...]]]
"""What of a call to look up, and the steps by its value."""


class _Plan(Struct, frozen=True):
    """The routes that are for a key's calls of a model at all."""

    key: KeyRecord
    steps: tuple[_Step, ...]
    tried: tuple[int, ...]
    """Which of the steps are tried one by one."""
    tables: tuple[_Table, ...]
    """How the others are found."""

    def of(self, facts: Facts) -> Iterable[_Step]:
        """What may hold, in order."""
        if not self.tables:
            return self.steps
        found = self.tried
        for look, steps in self.tables:
            value = look(facts)
            if value is not None:
                found += steps.get(value, ())
        return [self.steps[n] for n in sorted(found)] if found else ()


class Routes:
    """The routes of one configuration."""

    def __init__(self, settings: tuple[routing.Route, ...]) -> None:
        self.all = tuple(_read(one) for one in settings)
        self._plans: dict[tuple[str, str, bool], _Plan] = {}

    def __bool__(self) -> bool:
        return bool(self.all)

    def decide(self, facts: Facts, is_on: IsOn, unusable: Unusable) -> Decision:
        """Where a call goes."""
        shadows: tuple[Route, ...] = ()
        passed: tuple[Passed, ...] = ()
        for first, others, route in self._plan(facts).of(facts):
            if not first(facts) or not all(holds(facts) for holds in others):
                continue
            outcome, detail = _outcome(route, is_on, unusable)
            if outcome == "taken":
                return Decision(route, shadows, passed)
            if outcome == "shadow":
                shadows += (route,)
            else:
                passed += (Passed(route.name, outcome, detail),)
        return Decision(None, shadows, passed) if shadows or passed else AS_ASKED

    def explain(self, facts: Facts, is_on: IsOn, unusable: Unusable) -> tuple[Trial, ...]:
        """The same decision, and what came of each route."""
        trials: list[Trial] = []
        taken = False
        for route in self.all:
            outcome: Outcome = "not_reached"
            failed, detail = None, None
            if not taken:
                failed = condition.first_failure((*route.fixed, *route.tests), facts)
                outcome, detail = ("no_match", None) if failed else _outcome(route, is_on, unusable)
                taken = outcome == "taken"
            mode: Literal["enforce", "shadow"] = "shadow" if route.shadow else "enforce"
            trials.append(Trial(route.name, route.to, mode, outcome, failed, detail))
        return tuple(trials)

    def _plan(self, facts: Facts) -> _Plan:
        place = (facts.model, facts.key.id, facts.embeds)
        plan = self._plans.get(place)
        if plan is None or plan.key is not facts.key:
            meant = [route for route in self.all if all(test.holds(facts) for test in route.fixed)]
            if len(self._plans) >= KNOWN_LIMIT:
                self._plans.clear()
            plan = self._plans[place] = _planned(facts.key, meant)
        return plan


def _outcome(route: Route, is_on: IsOn, unusable: Unusable) -> tuple[Outcome, str | None]:
    """Of a route whose conditions hold."""
    if route.flag is not None and not is_on(route.flag):
        return "flag_off", route.flag
    why = unusable(route.to)
    if why is not None:
        return "not_usable", why
    return ("shadow" if route.shadow else "taken"), None


def _planned(key: KeyRecord, meant: Sequence[Route]) -> _Plan:
    tried: list[int] = []
    tables: dict[str, _Table] = {}
    for n, route in enumerate(meant):
        lookup = route.tests[0].lookup if route.tests else None
        if lookup is None:
            tried.append(n)
        else:
            _, steps = tables.setdefault(route.tests[0].setting, (lookup.of, {}))
            steps[lookup.value] = (*steps.get(lookup.value, ()), n)
    return _Plan(key, tuple(_step(route) for route in meant), tuple(tried), tuple(tables.values()))


def _step(route: Route) -> _Step:
    holds = tuple(test.holds for test in route.tests)
    return (holds[0] if holds else _always), holds[1:], route


def _always(_: Facts) -> bool:
    return True


def _read(one: routing.Route) -> Route:
    return Route(
        name=one.name,
        to=one.to,
        shadow=one.mode == "shadow",
        flag=one.flag,
        fixed=(*condition.of_model(one.when), *condition.of_caller(one.when)),
        tests=condition.compile(one.when, one.name),
    )
