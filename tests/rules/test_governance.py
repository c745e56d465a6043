"""Which policies a call violates, and whether it is refused for them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.canonical.traits import Shape
from llmgw.config.budget import NANO
from llmgw.config.providers import Provider
from llmgw.rules.condition import Failure
from llmgw.rules.governance import KNOWN_LIMIT, PASSES, Policies, Served, Verdict, Violation
from llmgw.rules.region import region
from tests.rules.calls import Looked, call, configured, key


def policies(*written: dict[str, Any], **governance: Any) -> Policies:
    named = [{"name": f"p{n}", "deny": f"reason {n}", **one} for n, one in enumerate(written)]
    config = configured(policies=named, governance=governance)
    return Policies(config.policies, config.governance)


def served(**own: Any) -> Served:
    default = {"chosen": "gpt", "provider": "p", "model": "gpt-1", "region": None, "cost_nano_usd": None}
    return Served(**{**default, **own})


def names(verdict: Verdict) -> list[str]:
    return [one.policy for one in verdict.violations]


def test_without_policies_everything_passes() -> None:
    """Nothing is judged, and nothing made for it."""
    of = policies()
    assert not of
    assert of.judge(call()) is PASSES
    assert of.judge(call(), served()) is PASSES


def test_a_policy_without_requirements_refuses_what_it_is_for() -> None:
    """With the reason as it is written; other calls pass."""
    of = policies({"when": {"model": "*-preview", "org": ["acme"]}})
    verdict = of.judge(call(model="gpt-preview"))
    assert verdict == Verdict((Violation("p0", "reason 0", None),), denied=True)
    assert verdict.reason == "reason 0"
    assert of.judge(call(model="gpt")) is PASSES
    assert of.judge(call(model="gpt-preview", of=key(org="beta"))) is PASSES


def test_every_violated_policy_is_told() -> None:
    """Not the first alone; a reason that two share is said once."""
    of = policies({"deny": "no"}, {"when": {"tools": True}}, {"when": {"tools": False}}, {"deny": "no"})
    verdict = of.judge(call(source=Looked(of_shape=Shape())))
    assert names(verdict) == ["p0", "p2", "p3"]
    assert verdict.reason == "no; reason 2"


def test_a_model_is_refused_by_all_its_names() -> None:
    """Neither an alias, nor provider/model, nor a route leads around a policy on a model."""
    of = policies({"when": {"model": "gpt-preview"}})
    facts = call(model="smart")
    assert of.judge(facts) is PASSES
    for name in ({"chosen": "gpt-preview"}, {"model": "gpt-preview"}, {}):
        assert of.judge(facts, served(**name)).denied is bool(name)
    assert policies({"when": {"model": "p/gpt-1"}}).judge(facts, served()).denied


def test_the_name_asked_for_counts_at_every_target() -> None:
    """What is required of calls for a model is required wherever a route sends them."""
    of = policies({"when": {"model": "smart"}, "require": {"providers": ["p"]}})
    assert of.judge(call(model="smart"), served(provider="q")).denied
    assert of.judge(call(model="gpt"), served(provider="q")) is PASSES


REQUIREMENTS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], tuple[str, str, str]]] = [
    # requirement, a target that has it, one that has not, and what is said of that
    ({"models": ["gpt*"]}, {}, {"chosen": "smart", "model": "o3"}, ("require.models", "gpt*", "smart = p/o3 = o3")),
    ({"models": ["smart"]}, {"chosen": "smart"}, {}, ("require.models", "smart", "gpt = p/gpt-1 = gpt-1")),
    ({"models": ["p/*"]}, {}, {"provider": "q"}, ("require.models", "p/*", "gpt = q/gpt-1 = gpt-1")),
    ({"providers": ["p"]}, {}, {"provider": "q"}, ("require.providers", "p", "q")),
    ({"regions": ["eu-*", "eu"]}, {"region": "eu-west-1"}, {"region": "us-east-1"}, ("require.regions", "eu-* or eu", "us-east-1")),
    ({"regions": ["*"]}, {"region": "eu"}, {"region": None}, ("require.regions", "*", "not known")),
    ({"max_cost": "0.50"}, {"cost_nano_usd": NANO // 2}, {"cost_nano_usd": NANO // 2 + 1}, ("require.max_cost", "0.5 USD", "up to 0.500000001 USD")),
    ({"max_cost": 1}, {"cost_nano_usd": 0}, {"cost_nano_usd": None}, ("require.max_cost", "1 USD", "not known")),
]  # fmt: skip


@pytest.mark.parametrize(("require", "has", "lacks", "said"), REQUIREMENTS)
def test_what_is_required_of_a_target(
    require: dict[str, Any], has: dict[str, Any], lacks: dict[str, Any], said: tuple[str, str, str]
) -> None:
    """A candidate that lacks it is refused, and what it lacks is told; the call alone is not judged by it."""
    of = policies({"require": require})
    assert of.judge(call()) is PASSES
    assert of.judge(call(), served(**has)) is PASSES
    [violation] = of.judge(call(), served(**lacks)).violations
    assert violation.lacks == Failure(*said)


def test_what_is_required_of_a_call() -> None:
    """Tags and size are judged at admission, and not again for each target."""
    of = policies({"require": {"tags": {"team": "*", "app": "cli"}, "max_body": "1KiB"}})
    assert of.judge(call(tags={"team": "red", "app": "cli"}, body_bytes=1024)) is PASSES
    for facts, said in (
        (call(tags={"app": "cli"}), ("require.tags.team", "*", "absent")),
        (call(tags={"team": "red", "app": "web"}), ("require.tags.app", "cli", "web")),
        (call(tags={"team": "red", "app": "cli"}, body_bytes=1025), ("require.max_body", "1KiB", "1025B")),
    ):
        [violation] = of.judge(facts).violations
        assert violation.lacks == Failure(*said)
        assert of.judge(facts, served()) is PASSES


def test_a_requirement_is_of_the_calls_that_its_condition_is_for() -> None:
    """Others need not have it."""
    of = policies({"when": {"org": ["acme"]}, "require": {"tags": {"team": "*"}}})
    assert of.judge(call()).denied
    assert of.judge(call(of=key(org="beta"))) is PASSES


def test_audit_lets_pass_and_tells() -> None:
    """The violations are the same; the call is not refused. An organisation can be governed more strictly."""
    of = policies({}, mode="audit", orgs={"beta": {"mode": "strict"}})
    audited, refused = of.judge(call()), of.judge(call(of=key(org="beta")))
    assert audited.violations == refused.violations != ()
    assert (audited.denied, refused.denied) == (False, True)
    assert (of.mode("acme"), of.mode("beta")) == ("audit", "strict")


def test_a_policy_is_recorded_once() -> None:
    """What the call violates and what it violates at its target are joined by policy."""
    of = policies({"when": {"model": "gpt*"}}, {"require": {"providers": ["p"]}}, mode="audit")
    both = of.judge(call()).joined(of.judge(call(), served(provider="p")))
    assert names(both) == ["p0"]
    assert PASSES.joined(both) == both


def test_whether_a_price_is_asked_for_is_known() -> None:
    """Nobody computes what a call may cost where no policy asks."""
    assert policies({"require": {"max_cost": 1}}).asks_cost
    assert not policies({"require": {"providers": ["p"]}}, {}).asks_cost


def test_a_changed_key_is_judged_anew() -> None:
    """What is kept for a key holds for that record of it alone."""
    of = policies({"when": {"key": ["ci"]}})
    assert of.judge(call(of=key(name="ci"))).denied
    assert of.judge(call(of=key(name="renamed"))) is PASSES


def test_what_is_kept_is_bounded() -> None:
    """Names that clients make up do not fill the memory, and each is judged as the first."""
    of, one = policies({"when": {"model": "*-preview"}}), key()
    for n in range(KNOWN_LIMIT + 5):
        assert of.judge(call(model=f"p/{n}-preview", of=one)).denied
    assert len(of._cases) <= KNOWN_LIMIT


@settings(max_examples=25)
@given(
    st.lists(
        st.sampled_from(
            [{}, {"when": {"model": "gpt"}}, {"when": {"org": ["beta"]}}, {"require": {"providers": ["p"]}}]
        ),
        max_size=4,
    ),
    st.sampled_from(["p", "q"]),
)
def test_more_policies_never_allow_more(written: list[dict[str, Any]], provider: str) -> None:
    """A policy that is added refuses or does nothing."""
    at = served(provider=provider)
    for n in range(len(written)):
        fewer, more = policies(*written[:n]), policies(*written[: n + 1])
        assert set(names(fewer.judge(call()))) <= set(names(more.judge(call())))
        assert set(names(fewer.judge(call(), at))) <= set(names(more.judge(call(), at)))


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        (Provider(dialect="openai"), "gpt-4o", None),
        (Provider(dialect="gemini", host="vertex", project="x", location="europe-west4"), "gemini-2.5-pro", "europe-west4"),
        (Provider(dialect="gemini", host="vertex", project="x", location="global"), "gemini-2.5-pro", "global"),
        (Provider(dialect="bedrock", region="eu-central-1"), "anthropic.claude-haiku-4-5-20251001-v1:0", "eu-central-1"),
        (Provider(dialect="bedrock", region="eu-central-1"), "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "eu"),
        (Provider(dialect="bedrock", region="eu-central-1"), "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "global"),
        (Provider(dialect="bedrock", region="us-east-1"), "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0", "us"),
        (Provider(dialect="bedrock", region="us-east-1"), "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2", None),
        (Provider(dialect="bedrock", base_url="https://bedrock-runtime.us-west-2.amazonaws.com"), "amazon.nova-lite-v1:0", "us-west-2"),
        (Provider(dialect="bedrock", base_url="https://bedrock.example.com", region="eu-west-1"), "moonshot.kimi-k2.5", "eu-west-1"),
    ],
)  # fmt: skip
def test_where_a_model_runs(provider: Provider, model: str, expected: str | None) -> None:
    """As the provider's settings say, unless a profile of Bedrock spreads its calls over more than its region."""
    assert region(provider, model) == expected
