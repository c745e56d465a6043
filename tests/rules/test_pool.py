"""The order in which a pool's targets are tried, how fast they are held to be, and where conversations stay."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.models import Strategy
from llmgw.rules.affinity import IDLE_S, LIMIT, Pins, digest, family, is_one_family, session
from llmgw.rules.pace import FORGOTTEN_S, HALF_S, Mean, Pace
from llmgw.rules.pool import Leaf, Standing, Tree, ordered

STRATEGIES: list[Strategy] = ["fallback", "weighted", "cheapest", "fastest", "least_busy"]
leaves = st.builds(Leaf, st.sampled_from("abcdefgh"), st.floats(0, 5))
trees = st.recursive(
    st.builds(Tree, st.sampled_from(STRATEGIES), st.lists(leaves, min_size=1, max_size=4).map(tuple)),
    lambda inner: st.builds(
        Tree, st.sampled_from(STRATEGIES), st.lists(leaves | inner, min_size=1, max_size=4).map(tuple)
    ),
    max_leaves=12,
)
standings = st.builds(
    Standing,
    cost_nano_usd=st.none() | st.integers(0, 10**9),
    first_token_s=st.none() | st.floats(0, 10),
    tokens_per_s=st.none() | st.floats(0, 500),
    in_flight=st.integers(0, 9),
)


def names(tree: Tree) -> set[str]:
    return {
        name
        for member in tree.members
        for name in ({member.name} if isinstance(member, Leaf) else names(member))
    }


def order(strategy: Strategy, seed: int = 1, **known: Standing) -> list[str]:
    tree = Tree(strategy, tuple(Leaf(name) for name in known))
    return [one.name for one in ordered(tree, known.__getitem__, random.Random(seed).random)]


@given(trees, st.dictionaries(st.sampled_from("abcdefgh"), standings), st.randoms(use_true_random=False))
def test_every_target_has_one_place(tree: Tree, known: dict[str, Standing], dice: random.Random) -> None:
    """Whatever the strategies and what is known: none is lost, none is there twice, each says why."""
    found = ordered(tree, lambda name: known.get(name, Standing()), dice.random)
    assert sorted(one.name for one in found) == sorted(names(tree))
    assert all(one.why for one in found)


def test_fallback_is_the_order_of_the_file() -> None:
    assert order("fallback", b=Standing(), a=Standing(), c=Standing()) == ["b", "a", "c"]


def test_weights_are_shares() -> None:
    """Three to one, measured over many draws; without weight, last."""
    tree = Tree("weighted", (Leaf("zero", 0), Leaf("often", 3), Leaf("rarely", 1)))
    dice = random.Random(7)
    firsts: Counter[str] = Counter()
    for _ in range(4_000):
        found = [one.name for one in ordered(tree, lambda name: Standing(), dice.random)]
        firsts[found[0]] += 1
        assert found[-1] == "zero"
    assert firsts["zero"] == 0 and 2.7 < firsts["often"] / firsts["rarely"] < 3.3


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e6])
def test_weights_are_shares_of_any_size(unit: float) -> None:
    """Only their ratio counts, however small or large they are."""
    tree = Tree("weighted", (Leaf("often", 3 * unit), Leaf("rarely", unit)))
    dice = random.Random(7)
    firsts = Counter(ordered(tree, lambda name: Standing(), dice.random)[0].name for _ in range(4_000))
    assert 2.7 < firsts["often"] / firsts["rarely"] < 3.3


def test_the_cheapest_comes_first_and_what_has_no_price_last() -> None:
    known = {"a": Standing(), "b": Standing(cost_nano_usd=3), "c": Standing(cost_nano_usd=2)}
    assert order("cheapest", 1, **known) == ["c", "b", "a"]


def test_the_fastest_is_drawn_from_two() -> None:
    """The slowest of three is never first, the fastest most often; what nothing is known of is tried."""
    known = {
        name: Standing(first_token_s=wait_s, tokens_per_s=100)
        for name, wait_s in (("a", 3), ("b", 1), ("c", 2))
    }
    firsts = Counter(order("fastest", seed, **known)[0] for seed in range(300))
    assert firsts["a"] == 0 and firsts["b"] > firsts["c"] > 0
    assert order("fastest", a=Standing(first_token_s=0.1), b=Standing()) == ["b", "a"]
    # Sooner to begin and slower to write.
    known = {
        "a": Standing(first_token_s=0.1, tokens_per_s=20),
        "b": Standing(first_token_s=1, tokens_per_s=200),
    }
    assert order("fastest", 1, **known) == ["b", "a"]


def test_one_call_at_a_time_finds_out_how_fast_a_target_is() -> None:
    """Others that come meanwhile go where it is known, and are spread where it is known of none."""
    fast, busy = Standing(first_token_s=0.1, tokens_per_s=100), Standing(in_flight=1)
    assert order("fastest", known=fast, unknown=Standing()) == ["unknown", "known"]
    assert order("fastest", known=fast, unknown=busy) == ["known", "unknown"]
    assert order("fastest", busy=Standing(in_flight=2), less=busy) == ["less", "busy"]


def test_reasons_are_told_from_the_outermost_pool_inwards() -> None:
    """In words, from the numbers that the decision was made by."""
    tree = Tree("fallback", (Tree("cheapest", (Leaf("a"), Leaf("b"))),))
    known = {"a": Standing(), "b": Standing(cost_nano_usd=1_500_000)}
    assert [(one.name, one.why) for one in ordered(tree, known.__getitem__, random.random)] == [
        ("b", "number 1 in the file; about 0.001500 USD"),
        ("a", "number 1 in the file; its price is not known"),
    ]


def test_the_least_busy_comes_first() -> None:
    assert order("least_busy", a=Standing(in_flight=3), b=Standing(in_flight=1), c=Standing(in_flight=2)) == [
        "b",
        "c",
        "a",
    ]


def test_an_inner_pool_stands_as_its_first_member_does() -> None:
    """By its own strategy within, by the outer one among the others."""
    inner = Tree("cheapest", (Leaf("dear"), Leaf("cheap")))
    tree = Tree("cheapest", (Leaf("middle"), inner))
    costs = {"dear": 9, "middle": 5, "cheap": 1}
    found = ordered(tree, lambda name: Standing(cost_nano_usd=costs[name]), random.random)
    assert [one.name for one in found] == ["cheap", "dear", "middle"]


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=50))
def test_a_mean_is_within_what_was_measured(measured: list[tuple[float, float]]) -> None:
    mean, now = Mean(), 0.0
    for value, wait_s in measured:
        now += wait_s
        mean.add(value, now)
    values = [value for value, _ in measured]
    found = mean.read(now)
    assert found is not None and min(values) - 1e-6 <= found <= max(values) + 1e-6


def test_what_is_old_counts_less_and_then_nothing() -> None:
    """After one half-life a value weighs half of a new one."""
    mean = Mean()
    mean.add(0.0, 100.0)
    mean.add(3.0, 100.0 + HALF_S)
    assert mean.read(100.0 + HALF_S) == pytest.approx(2.0)
    assert mean.read(100.0 + HALF_S + FORGOTTEN_S + 1) is None
    assert Mean().read(0.0) is None


def test_made_up_targets_do_not_fill_the_memory() -> None:
    pace = Pace()
    pace.of("busy").in_flight = 1
    for n in range(25_000):
        pace.of(f"p/{n}")
    assert len(pace._targets) <= 10_000 and pace.of("busy").in_flight == 1


def test_a_conversation_stays_until_it_is_over() -> None:
    pins = Pins()
    name = digest("pool", "key_1", b"session")
    assert pins.find(name, 0) is None
    pins.put(name, "a", 0)
    assert pins.find(name, IDLE_S) == "a" and pins.find(name, IDLE_S + 1) is None
    pins.put(name, "b", IDLE_S + 2)
    assert pins.find(name, IDLE_S + 3) == "b"


def test_pins_are_bounded_and_the_longest_unused_goes() -> None:
    pins = Pins()
    for n in range(LIMIT + 10):
        pins.put(b"%d" % n, "a", n * 1e-3)
    assert pins.find(b"9", LIMIT * 1e-3) is None and pins.find(b"10", LIMIT * 1e-3) == "a"


def test_sessions_are_a_keys_own() -> None:
    """Another key with the same session, or another pool, has a pin of its own."""
    assert len({digest("p", "k1", b"s"), digest("p", "k2", b"s"), digest("q", "k1", b"s")}) == 3


def test_clients_name_their_sessions() -> None:
    assert session({b"x-claude-code-session-id": b"abc"}) == b"abc"
    assert session({b"session_id": b"s", b"x-llmgw-session": b"ours"}) == b"ours"
    assert session({b"x-session-affinity": b"opencode, to a provider of the user's"}) is not None
    assert session({b"x-llmgw-session": b""}) is None


@pytest.mark.parametrize(
    ("models", "same"),
    [
        (("gpt-4o", "gpt-4o-2024-08-06"), True),
        (("gpt-4o", "gpt-4o-mini"), False),
        (("gpt-4o", "gpt-4.1"), False),
        (
            (
                "claude-sonnet-4-5",
                "claude-sonnet-4-5-20250929",
                "claude-sonnet-4-5@20250929",
                "anthropic.claude-sonnet-4-5-20250929-v1:0",
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "anthropic/claude-sonnet-4.5",
            ),
            True,
        ),
        (("claude-sonnet-4-5", "claude-opus-4-5"), False),
        (("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"), True),
        (("llama-3.3-70b", "meta-llama/llama-3.3-70b"), True),
        (("gemini-2.5-flash", "gemini-2.5-flash-lite"), False),
        (("deepseek-v3", "accounts/fireworks/models/deepseek-v3"), True),
        (("deepseek-v2", "deepseek-v3"), False),
        (("llama3.1:8b", "llama3.1:70b"), False),
        (("ft:gpt-4o-mini:acme::a1", "ft:gpt-4o-mini:acme::b2"), False),
        (("deepseek/deepseek-r1:free", "deepseek-r1"), True),
    ],
)
def test_one_model_by_the_names_of_its_hosts(models: tuple[str, ...], same: bool) -> None:
    assert is_one_family(models) == same, [family(model) for model in models]
