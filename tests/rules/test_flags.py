"""Who has a flag on."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.flags import Flag
from llmgw.rules import flags
from llmgw.rules.access import KeyRecord
from llmgw.rules.flags import Change, Definition, bucket, is_on, of_change, of_config

names = st.text(min_size=1, max_size=80)
ids = st.text(max_size=40)
percentages = st.floats(0, 100)


def key(id: str = "key_1", org: str = "acme") -> KeyRecord:
    return KeyRecord(id=id, public_id="pub_" + id, org_id="org_" + org, org=org, name="n" + id, terms=())


@given(names, ids, percentages, percentages)
def test_who_is_in_a_share_is_in_every_larger_one(name: str, id: str, one: float, other: float) -> None:
    """A key that has a flag on at 10 per cent keeps it at 20."""
    less, more = sorted((one, other))
    if is_on(Definition(flag=name, everyone=False, percentage=less), key(id)):
        assert is_on(Definition(flag=name, everyone=False, percentage=more), key(id))


@given(names, ids)
def test_nobody_and_everybody(name: str, id: str) -> None:
    """0 per cent is no key, 100 is every one, wherever it stands."""
    assert 0 <= bucket(name, id) < 100
    assert not is_on(Definition(flag=name, everyone=False, percentage=0), key(id))
    assert is_on(Definition(flag=name, everyone=False, percentage=100), key(id))


def test_a_share_is_about_as_large_as_it_says() -> None:
    """Of 10,000 keys, and another flag draws others."""
    found = {
        name: {n for n in range(10_000) if bucket(name, f"key_{n}") < 10}
        for name in ("cheap-routing", "hedge")
    }
    for chosen in found.values():
        assert 900 < len(chosen) < 1100
    assert len(found["cheap-routing"] & found["hedge"]) < 200


def test_another_process_draws_the_same() -> None:
    """Nothing of it is this process' own, as `hash` of a text would be; the numbers are for ever."""
    assert round(bucket("cheap-routing", "key_1"), 6) == BUCKET
    code = "from llmgw.rules.flags import bucket; print(round(bucket('cheap-routing', 'key_1'), 6))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert float(done.stdout) == BUCKET


BUCKET = 45.199534


def test_who_is_named_has_it_on() -> None:
    """Organisations by name and id, keys by id, public id and name; nobody else, at 0 per cent."""
    for orgs, keys in (
        (("acme",), ()),
        (("org_acme",), ()),
        ((), ("key_1",)),
        ((), ("pub_key_1",)),
        ((), ("nkey_1",)),
    ):
        definition = of_config("f", Flag(orgs=orgs, keys=keys))
        assert is_on(definition, key()) and definition.fixed is None
        assert not is_on(definition, key("key_2", "other"))


def test_a_default_of_true_is_everyone() -> None:
    assert of_config("f", Flag(default=True)).fixed is True
    assert of_config("f", Flag()).fixed is False
    assert (of_config("f", Flag(percentage=25)).share, of_config("f", Flag(default=True)).share) == (
        0.25,
        1.0,
    )


def change(state: flags.State, **given: object) -> Change:
    return Change(flag="f", state=state, actor="ann", reason="r", time=1.0, **given)  # type: ignore[arg-type]


def test_what_was_set_stands_in_place_of_the_configuration() -> None:
    """On is everyone, unless it names who; off is nobody; cleared says nothing."""
    on, off = of_change(change("on")), of_change(change("off", orgs=("acme",)))
    some = of_change(change("on", orgs=("acme",)))
    assert on is not None and on.fixed is True
    assert off is not None and off.fixed is False
    assert some is not None and is_on(some, key()) and not is_on(some, key(org="other"))
    assert of_change(change("cleared")) is None
