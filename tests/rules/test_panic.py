"""What panic means for a call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules import panic
from llmgw.rules.access import KeyRecord
from llmgw.rules.panic import Entry

KEY = KeyRecord(id="key_1", public_id="pub", org_id="org_1", org="acme", name="app", terms=())
names = st.sampled_from(
    [
        "acme",
        "org_1",
        "key_1",
        "pub",
        "app",
        "acme/app",
        "other/app",
        "gpt-4o",
        "gpt-*",
        "openai",
        "openai/*",
        "other",
    ]
)
entries = st.builds(
    Entry,
    scope=st.sampled_from(panic.KINDS),
    name=names,
    action=st.sampled_from(["block", "passthrough"]),
    reason=st.just("r"),
    actor=st.just("a"),
    since=st.just(0.0),
)


@given(st.lists(entries, max_size=6))
def test_what_blocks_goes_first_and_only_its_own_calls(found: list[Entry]) -> None:
    """A call is blocked exactly where an entry that is for it blocks, whatever else is on and in whatever order."""

    def concerns(entry: Entry) -> bool:
        return (
            entry.scope == "all"
            or (entry.scope == "org" and entry.name in ("acme", "org_1"))
            or (entry.scope == "key" and entry.name in ("key_1", "pub", "app", "acme/app"))
            or (entry.scope == "model" and entry.name in ("gpt-4o", "gpt-*"))
        )

    blocks, passes = panic.of_call(found, KEY, "gpt-4o")
    assert (blocks is not None) == any(concerns(one) and one.action == "block" for one in found)
    assert passes == any(concerns(one) and one.action == "passthrough" for one in found)
    for one in found:
        at_target = panic.concerns_target(one, "openai", "gpt-4o")
        expected = (one.scope == "provider" and one.name == "openai") or (
            one.scope == "model" and one.name in ("gpt-4o", "gpt-*", "openai/*")
        )
        assert at_target == expected
    stops = [one for one in found if one.action == "block" and (concerns(one) or at_it(one))]
    assert (panic.stops(found, KEY, "gpt-4o", "openai", "gpt-4o") in stops) == bool(stops)


def at_it(entry: Entry) -> bool:
    return panic.concerns_target(entry, "openai", "gpt-4o")
