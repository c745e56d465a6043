"""In which order the targets of a pool are tried. Pure: what is known of them and a source of random numbers go in.

A pool in a pool keeps its own strategy for its members, and stands in the outer one as its first member does. Which of
them may be called just now is the breakers' to say, one by one, when their turn comes.

Why a target stands where it does is kept as numbers and written only for those who ask: a call that is served does not
pay for the words.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log1p
from typing import Final

from msgspec import Struct

from llmgw.config.models import Strategy

ANSWER_TOKENS: Final = 256
"""How fast a target is, is how long it takes to this many tokens."""
EXPLORING_S: Final = 1e9
"""Behind all that were measured, those first that have fewer calls under way."""

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


class Reason(Struct, frozen=True):
    """What put a member of a pool in its place."""

    strategy: Strategy
    number: int
    """In the file, from 0."""
    weight: float
    standing: Standing

    def __str__(self) -> str:
        return _WORDS[self.strategy](self)


class Ranked(Struct, frozen=True):
    """A target in its place."""

    name: str
    reasons: tuple[Reason, ...]
    """In each pool that it is in, the outermost first."""

    @property
    def why(self) -> str:
        """As a person reads it."""
        return "; ".join(map(str, self.reasons))


def ordered(tree: Tree, standing: Callable[[str], Standing], draw: Draw) -> list[Ranked]:
    """The targets in the order in which they are tried, none twice."""
    found: dict[str, Ranked] = {}
    for one in _order(tree, standing, draw, ()):
        found.setdefault(one.name, one)
    return list(found.values())


def _order(
    tree: Tree, standing: Callable[[str], Standing], draw: Draw, outer: tuple[Reason, ...]
) -> list[Ranked]:
    strategy, rank = tree.strategy, _RANKS[tree.strategy]
    groups: list[list[Ranked]] = []
    keyed: list[tuple[float, int]] = []
    for n, member in enumerate(tree.members):
        if isinstance(member, Leaf):
            known = standing(member.name)
            group = [Ranked(member.name, (*outer, Reason(strategy, n, member.weight, known)))]
        else:
            inner = _order(member, standing, draw, ())
            known = standing(inner[0].name)
            reasons = (*outer, Reason(strategy, n, member.weight, known))
            group = [Ranked(one.name, (*reasons, *one.reasons)) for one in inner]
        groups.append(group)
        keyed.append((n if rank is None else rank(member.weight, known, draw), n))
    if strategy == "fastest" and len(keyed) > 2:
        keyed = _two_choices(keyed, draw)
    elif rank is not None:
        keyed.sort()
    return [one for _, n in keyed for one in groups[n]]


def _two_choices(keyed: list[tuple[float, int]], draw: Draw) -> list[tuple[float, int]]:
    """The faster one of two drawn at random goes first, the others by their speed: callers who all know the same would
    all run to the same target (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing")."""
    one = int(draw() * len(keyed))
    other = int(draw() * (len(keyed) - 1))
    other += other >= one
    first = min(keyed[one], keyed[other])
    keyed.remove(first)
    keyed.sort()
    return [first, *keyed]


def _weighted(weight: float, standing: Standing, draw: Draw) -> float:
    # Without replacement, each next one by its weight (Efraimidis and Spirakis 2006, as arrivals: the power of their
    # paper underflows for small weights); without weight, last.
    return inf if weight <= 0 else -log1p(-draw()) / weight


def _cheapest(weight: float, standing: Standing, draw: Draw) -> float:
    return inf if standing.cost_nano_usd is None else standing.cost_nano_usd


def _fastest(weight: float, standing: Standing, draw: Draw) -> float:
    if standing.first_token_s is None:
        # One call finds out; all the others that come meanwhile would find the same.
        return EXPLORING_S + standing.in_flight if standing.in_flight else -1.0
    writing_s = 0.0 if not standing.tokens_per_s else ANSWER_TOKENS / standing.tokens_per_s
    return standing.first_token_s + writing_s


def _least_busy(weight: float, standing: Standing, draw: Draw) -> float:
    return standing.in_flight + draw()


_RANKS: Final[dict[Strategy, Callable[[float, Standing, Draw], float] | None]] = {
    "fallback": None,
    "weighted": _weighted,
    "cheapest": _cheapest,
    "fastest": _fastest,
    "least_busy": _least_busy,
}
"""What a member is sorted by, the least first; None: as they stand in the file."""


def _speed(reason: Reason) -> str:
    known = reason.standing
    if known.first_token_s is None:
        return "nothing is known of its speed, so " + (
            "another call is finding it out" if known.in_flight else "it is tried"
        )
    return f"{known.first_token_s:.3f} s to the first token, {known.tokens_per_s or 0:.0f} tokens/s"


def _price(reason: Reason) -> str:
    cost = reason.standing.cost_nano_usd
    return "its price is not known" if cost is None else f"about {cost / 1e9:.6f} USD"


_WORDS: Final[dict[Strategy, Callable[[Reason], str]]] = {
    "fallback": lambda reason: f"number {reason.number + 1} in the file",
    "weighted": lambda reason: f"drawn by its weight of {reason.weight:g}",
    "cheapest": _price,
    "fastest": _speed,
    "least_busy": lambda reason: f"{reason.standing.in_flight} calls under way",
}
