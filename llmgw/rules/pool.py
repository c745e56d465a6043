"""In which order the targets of a pool are tried. Pure: what is known of them and a source of random numbers go in.

A pool in a pool keeps its own strategy for its members, and stands in the outer one as its first member does. Which of
them may be called just now is the breakers' to say, one by one, when their turn comes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from msgspec import Struct

from llmgw.config.models import Strategy

ANSWER_TOKENS: Final = 256
"""How fast a target is, is how long it takes to this many tokens."""

Draw = Callable[[], float]
"""A random number in [0, 1), another one each time."""


class Standing(Struct, frozen=True, kw_only=True):
    """What is known of a target when a call comes. Times are seconds."""

    cost_nano_usd: int | None = None
    """About what the call costs there; None where the price is not known."""
    first_token_s: float | None = None
    """None where nothing is known of late."""
    tokens_per_s: float | None = None
    in_flight: int = 0


class Leaf(Struct, frozen=True):
    """A target, by its name."""

    name: str
    weight: float = 1.0


class Tree(Struct, frozen=True):
    """A pool."""

    strategy: Strategy
    members: tuple[Leaf | Tree, ...]
    weight: float = 1.0


class Ranked(Struct, frozen=True):
    """A target in its place, and what put it there, as a person reads it."""

    name: str
    why: str


def ordered(tree: Tree, standing: Callable[[str], Standing], draw: Draw) -> list[Ranked]:
    """The targets in the order in which they are tried, none twice."""
    found: dict[str, Ranked] = {}
    for one in _order(tree, standing, draw):
        found.setdefault(one.name, one)
    return list(found.values())


def _order(tree: Tree, standing: Callable[[str], Standing], draw: Draw) -> list[Ranked]:
    groups = [
        ([Ranked(member.name, "")] if isinstance(member, Leaf) else _order(member, standing, draw))
        for member in tree.members
    ]
    rank = _RANKS[tree.strategy]
    keyed = []
    for n, (member, group) in enumerate(zip(tree.members, groups, strict=True)):
        key, why = rank(n, member.weight, standing(group[0].name), draw)
        keyed.append((key, n, why))
    if tree.strategy == "fastest" and len(keyed) > 2:
        keyed = _two_choices(keyed, draw)
    else:
        keyed.sort()
    return [
        Ranked(one.name, f"{why}; {one.why}" if one.why else why) for _, n, why in keyed for one in groups[n]
    ]


_Keyed = tuple[float, int, str]


def _two_choices(keyed: list[_Keyed], draw: Draw) -> list[_Keyed]:
    """The faster one of two drawn at random goes first, the others by their speed: callers who all know the same would
    all run to the same target (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing")."""
    one = int(draw() * len(keyed))
    other = int(draw() * (len(keyed) - 1))
    other += other >= one
    first = min(keyed[one], keyed[other])
    return [first, *sorted(entry for entry in keyed if entry is not first)]


def _fallback(n: int, weight: float, standing: Standing, draw: Draw) -> tuple[float, str]:
    return n, f"number {n + 1} in the file"


def _weighted(n: int, weight: float, standing: Standing, draw: Draw) -> tuple[float, str]:
    # Without replacement, each next one by its weight (Efraimidis and Spirakis 2006); without weight, last.
    key = inf if weight <= 0 else -((1.0 - draw()) ** (1.0 / weight))
    return key, f"drawn by its weight of {weight:g}"


def _cheapest(n: int, weight: float, standing: Standing, draw: Draw) -> tuple[float, str]:
    cost = standing.cost_nano_usd
    if cost is None:
        return inf, "its price is not known"
    return cost, f"about {cost / 1e9:.6f} USD"


def _fastest(n: int, weight: float, standing: Standing, draw: Draw) -> tuple[float, str]:
    if standing.first_token_s is None:
        return -1.0, "nothing is known of its speed, so it is tried"
    writing_s = 0.0 if not standing.tokens_per_s else ANSWER_TOKENS / standing.tokens_per_s
    return standing.first_token_s + writing_s, (
        f"{standing.first_token_s:.3f} s to the first token, {standing.tokens_per_s or 0:.0f} tokens/s"
    )


def _least_busy(n: int, weight: float, standing: Standing, draw: Draw) -> tuple[float, str]:
    return standing.in_flight + draw(), f"{standing.in_flight} calls under way"


_RANKS: Final[dict[Strategy, Callable[[int, float, Standing, Draw], tuple[float, str]]]] = {
    "fallback": _fallback,
    "weighted": _weighted,
    "cheapest": _cheapest,
    "fastest": _fastest,
    "least_busy": _least_busy,
}
"""What a member is sorted by, the least first, and why."""
