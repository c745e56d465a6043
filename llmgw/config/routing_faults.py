"""What is wrong with routes, policies and governance beyond their types, and which routes can never be taken.

A rule that can never hold is a warning, not an error: it does no harm, and whoever wrote it thinks that it does
something. One condition is wider than another where every call that the other is for is one for it, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal

from msgspec import Struct

from llmgw.config import hours
from llmgw.config.budget import dollars
from llmgw.config.faults import Place, nearest
from llmgw.config.routing import SECRET_HEADERS, SIMPLE_BELOW, Requirement, Route, RouteCondition
from llmgw.config.schema import Config


class Finding(Struct, frozen=True):
    """Where it stands, and what to say of it."""

    place: Place
    message: str
    severity: Literal["error", "warning"] = "error"


class Names(Struct, frozen=True):
    """The names that a file gives, those of faulty values among them; None where a section is no mapping."""

    models: frozenset[str] | None
    providers: frozenset[str] | None
    flags: frozenset[str] | None


_ALL: Final = RouteCondition()
_header: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
"""A field name (RFC 9110 section 5.1)."""


def find(config: Config, names: Names, sound: Callable[[Place], bool]) -> Iterator[Finding]:
    """Every fault.

    Args:
        sound: whether nothing at a place or below it is at fault already; of what is, nothing is warned.
    """
    yield from _repeated("routes", [route.name for route in config.routes])
    yield from _repeated("policies", [policy.name for policy in config.policies])
    before: list[Route] = []
    for n, route in enumerate(config.routes):
        yield from _route(("routes", n), route, names)
        yield from _condition(("routes", n, "when"), route.when)
        if sound(("routes", n)):
            yield from _in_vain(("routes", n), route, before, config.models_only, names)
            before.append(route)
    for n, policy in enumerate(config.policies):
        place: Place = ("policies", n)
        yield from _condition((*place, "when"), policy.when)
        if policy.require is not None:
            yield from _requirement((*place, "require"), policy.require, names)
        elif policy.when == _ALL and sound(place):
            yield _warning(place, "refuses every call; give it when: or require:, if that is not meant.")
        if sound(place):
            yield from _never((*place, "when"), policy.when)
    for name, org in config.governance.orgs.items():
        if org.mode == "audit" and config.governance.mode == "strict" and sound(("governance",)):
            yield Finding(
                ("governance", "orgs", name, "mode"),
                "must be strict, as governance.mode is: an organisation can be governed more strictly than the rest, "
                "never less. For one in strict among others in audit, write governance.mode: audit.",
            )


def _warning(place: Place, message: str) -> Finding:
    return Finding(place, message, "warning")


def _repeated(section: str, given: Sequence[str]) -> Iterator[Finding]:
    for n, name in enumerate(given):
        if name in given[:n]:
            yield Finding((section, n, "name"), "is the name of an earlier one; choose another.")


def _route(place: Place, route: Route, names: Names) -> Iterator[Finding]:
    provider, _, model = route.to.partition("/")
    direct = bool(model) and (names.providers is None or provider in names.providers)
    if not direct and names.models is not None and route.to not in names.models:
        yield Finding((*place, "to"), "names a model that does not exist" + nearest(route.to, names.models))
    if route.flag is not None and names.flags is not None and route.flag not in names.flags:
        yield Finding((*place, "flag"), "names a flag that does not exist" + nearest(route.flag, names.flags))


def _in_vain(
    place: Place, route: Route, before: Sequence[Route], models_only: bool, names: Names
) -> Iterator[Finding]:
    """Why a route is never taken, or makes no difference."""
    never = tuple(_never((*place, "when"), route.when))
    unheard = _unheard_of(route.when.model, models_only, names)
    if never:
        yield from never
    elif unheard is not None:
        yield _warning((*place, "when", "model"), unheard)
    else:
        yield from _behind(place, route, before)
    if route.to == route.when.model:
        yield _warning(
            (*place, "to"),
            "is the model that was asked for: this changes nothing, but that no later route is tried.",
        )


def _condition(place: Place, when: RouteCondition) -> Iterator[Finding]:
    for name in when.headers:
        there = (*place, "headers", name)
        if name.lower() in SECRET_HEADERS:
            yield Finding(
                there,
                "carries a secret, which no rule may look at; ask for key:, or for a header of your own.",
            )
        elif not _header(name):
            yield Finding(there, "is no name of a header; write letters, digits and dashes.")
    for n, one in enumerate(when.hours):
        yield from _hours((*place, "hours", n), one)


def _hours(place: Place, one: hours.Hours) -> Iterator[Finding]:
    times = {name: hours.minute(text) for name, text in (("from", one.start), ("to", one.end))}
    for name, minute in times.items():
        if minute is None:
            yield Finding((*place, name), "must be a time of the day in quotes, from '00:00' to '24:00'.")
    if times["from"] == hours.DAY_MINUTES:
        yield Finding((*place, "from"), "must be before 24:00; midnight, at which a day begins, is 00:00.")
    elif times["from"] is not None and times["from"] == times["to"]:
        yield Finding((*place, "to"), "is where it begins; leave both out for the whole day.")
    if hours.zone(one.zone) is None:
        yield Finding((*place, "zone"), _no_zone(one.zone))


def _no_zone(name: str) -> str:
    known = hours.zones()
    if not known:
        return "cannot be looked up, for this machine has no time zones; install its package tzdata."
    region = name.partition("/")[0].capitalize()
    return "must be an IANA time zone, such as Europe/Berlin or UTC" + nearest(
        name, {zone for zone in known if zone.partition("/")[0] == region} or {"UTC"}
    )


def _never(place: Place, when: RouteCondition) -> Iterator[Finding]:
    """Settings that nothing satisfies together."""
    for name in ("input_tokens", "budget_used", "complexity"):
        least, most = getattr(when, f"min_{name}"), getattr(when, f"max_{name}")
        if least is not None and most is not None and least > most:
            yield _warning((*place, f"min_{name}"), f"can never hold: it is above max_{name}.")
    if when.complexity == "simple" and (when.min_complexity or 0) >= SIMPLE_BELOW:
        yield _warning(
            (*place, "min_complexity"), f"can never hold: a prompt is simple below {SIMPLE_BELOW}."
        )
    if (
        when.complexity == "complex"
        and when.max_complexity is not None
        and when.max_complexity < SIMPLE_BELOW
    ):
        yield _warning(
            (*place, "max_complexity"), f"can never hold: a prompt is complex from {SIMPLE_BELOW} on."
        )
    if when.traffic == 0:
        yield _warning((*place, "traffic"), "can never hold: 0 per cent is nobody.")


def _unheard_of(model: str | None, models_only: bool, names: Names) -> str | None:
    """Why no call can ask for such a model; None where one can, or where that is not known."""
    if model is None or names.models is None or names.providers is None:
        return None
    if any(fnmatchcase(name, model) for name in names.models):
        return None
    if models_only:
        return "can never hold: no model of this file is called so, and models_only: true refuses all others."
    beginning = re.split(r"[*?\[]", model, maxsplit=1)[0]
    whole = beginning == model
    for provider in names.providers:
        own = f"{provider}/"
        if (beginning.startswith(own) and (beginning != own or not whole)) or (
            not whole and own.startswith(beginning)
        ):
            return None
    return "can never hold: a call can ask for a model of this file, or for provider/model" + (
        nearest(model, names.models) if whole else "."
    )


def _behind(place: Place, route: Route, before: Sequence[Route]) -> Iterator[Finding]:
    """Whether a route before this one takes all its calls; what hangs on a flag or is in shadow does not, for sure."""
    for other in before:
        if other.mode == "enforce" and other.flag is None and _is_wider(other.when, route.when):
            # A route that names no model takes no embeddings.
            all_but = other.when.model is None and route.when.model is not None
            yield _warning(
                place,
                f"is never taken{', but for embeddings' if all_but else ''}: the route {other.name!r} before it takes "
                "every call that it is for. Put this one first, or make that one narrower.",
            )
            return


def _is_wider(wide: RouteCondition, narrow: RouteCondition) -> bool:
    return (
        (wide.model is None or (narrow.model is not None and _covers(wide.model, narrow.model)))
        and _any_of(wide.org, narrow.org)
        and _any_of(wide.key, narrow.key)
        and _all_of(wide.tags, narrow.tags)
        and _all_of(_lower(wide.headers), _lower(narrow.headers))
        and all(
            getattr(wide, name) is None or getattr(wide, name) == getattr(narrow, name)
            for name in ("tools", "images", "json_schema", "complexity")
        )
        and (not wide.hours or (bool(narrow.hours) and set(narrow.hours) <= set(wide.hours)))
        and all(_spans(wide, narrow, name) for name in ("input_tokens", "budget_used", "complexity"))
        and (wide.traffic is None or wide.traffic == 100)
    )


def _any_of(wide: Collection[str], narrow: Collection[str]) -> bool:
    return not wide or (bool(narrow) and set(narrow) <= set(wide))


def _all_of(wide: dict[str, str], narrow: dict[str, str]) -> bool:
    return all(name in narrow and _covers(value, narrow[name]) for name, value in wide.items())


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _covers(wide: str, narrow: str) -> bool:
    """Whether a glob stands for all that another one does; False where that is not plain."""
    if wide == narrow:
        return True
    # The star of the narrow one, taken as a letter, is something that only a star of the wide one stands for.
    return not any(sign in wide + narrow for sign in "?[") and fnmatchcase(narrow, wide)


def _spans(wide: RouteCondition, narrow: RouteCondition, name: str) -> bool:
    least, most = getattr(wide, f"min_{name}"), getattr(wide, f"max_{name}")
    inner_least, inner_most = getattr(narrow, f"min_{name}"), getattr(narrow, f"max_{name}")
    return (not least or (inner_least is not None and inner_least >= least)) and (
        most is None or (inner_most is not None and inner_most <= most)
    )


def _requirement(place: Place, require: Requirement, names: Names) -> Iterator[Finding]:
    if require == Requirement():
        yield _warning(place, "requires nothing, so that the policy never refuses a call.")
    for n, provider in enumerate(require.providers):
        if names.providers is not None and provider not in names.providers:
            yield Finding(
                (*place, "providers", n),
                "names a provider that does not exist" + nearest(provider, names.providers),
            )
    if require.max_cost is not None and dollars(require.max_cost) is None:
        yield Finding((*place, "max_cost"), "must be US dollars, such as 0.50.")
