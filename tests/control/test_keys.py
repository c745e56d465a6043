"""The life of a virtual key, from the operator's side."""

from __future__ import annotations

import time

import pytest

from llmgw.control import keys, orgs
from llmgw.control.keys import KeyView, NewKey
from llmgw.control.orgs import OrgView
from llmgw.errors import AlreadyExists, InvalidApiKey, NotFound, OperatorError, UsageError
from llmgw.keyring import virtual_key
from llmgw.ports import Registry
from llmgw.rules import access

LATER_S = 3600


def works(registry: Registry, key: NewKey, at: float | None = None) -> bool:
    """Whether the secret of `key` is accepted at that time (default: now)."""
    presented = virtual_key.parse(key.key.reveal())
    record = registry.key(key.id, None)
    assert presented is not None and record is not None
    try:
        access.authenticate(record, presented.digest, time.time() if at is None else at)
    except InvalidApiKey:
        return False
    return True


def test_a_new_key_works_and_shows_its_secret_once(registry: Registry, acme: OrgView) -> None:
    """What `create` returns authenticates; what `show` and `list` return holds no secret."""
    key = keys.create(registry, org="acme", name="k")
    assert works(registry, key)
    shown = keys.show(registry, "k", org="acme")
    assert not hasattr(shown, "key")
    assert keys.list_(registry).items == [shown]
    assert key.key.reveal() not in repr(key)


def test_every_setting_is_kept(registry: Registry, acme: OrgView) -> None:
    """As given, with the expiry as a moment and the budget in its plain form."""
    keys.create(
        registry, org=acme.id, name="k", rpm=1, tpm=2, max_parallel=3, budget="25.50/month",
        models=["gpt-*", "claude-*", "gpt-*"], expires="2999-01-01", metadata={"team": "ü"},
    )  # fmt: skip
    shown = keys.show(registry, "k", org="acme")
    assert (shown.rpm, shown.tpm, shown.max_parallel, shown.budget) == (1, 2, 3, "25.5/month")
    assert (shown.models, shown.metadata) == (("gpt-*", "claude-*"), {"team": "ü"})
    assert shown.expires_at is not None and shown.expires_at.isoformat() == "2999-01-01T00:00:00+00:00"


def test_update_changes_what_is_given_and_keeps_the_rest(registry: Registry, acme: OrgView) -> None:
    """One setting at a time, the secret untouched."""
    key = keys.create(
        registry, org="acme", name="k", rpm=1, budget="1/day", models=["a"], metadata={"a": "b"}
    )
    changed = keys.update(registry, key.id, tpm=5, name="renamed")
    assert (changed.rpm, changed.tpm, changed.budget, changed.models) == (1, 5, "1/day", ("a",))
    assert changed == keys.show(registry, "renamed", org="acme")
    assert works(registry, key)
    with pytest.raises(NotFound):
        keys.show(registry, "k", org="acme")


def test_update_clears(registry: Registry, acme: OrgView) -> None:
    """None, or nothing in a list or mapping, takes a setting away."""
    keys.create(
        registry, org="acme", name="k", rpm=1, tpm=2, max_parallel=3, budget="1/day", models=["a"],
        expires="1d", metadata={"a": "b"},
    )  # fmt: skip
    changed = keys.update(
        registry, "k", org="acme",
        rpm=None, tpm=None, max_parallel=None, budget=None, models=[], expires=None, metadata={},
    )  # fmt: skip
    assert (changed.rpm, changed.tpm, changed.max_parallel, changed.budget) == (None, None, None, None)
    assert (changed.models, changed.expires_at, changed.metadata) == ((), None, {})


def test_a_rotated_keys_old_secret_stops_at_once(registry: Registry, acme: OrgView) -> None:
    """The id and the public id stay, the new secret works, the old one does not."""
    old = keys.create(registry, org="acme", name="k")
    new = keys.rotate(registry, "k", org="acme")
    assert (new.id, new.public_id) == (old.id, old.public_id)
    assert works(registry, new)
    assert not works(registry, old)


def test_a_rotation_with_grace_lets_the_old_secret_end_later(registry: Registry, acme: OrgView) -> None:
    """Both work until the grace is over, then the new one alone."""
    old = keys.create(registry, org="acme", name="k")
    new = keys.rotate(registry, "k", org="acme", grace="1h")
    now = time.time()
    assert works(registry, old) and works(registry, new)
    assert not works(registry, old, now + LATER_S + 1)
    assert works(registry, new, now + LATER_S + 1)


def test_a_later_rotation_never_prolongs_an_old_secret(registry: Registry, acme: OrgView) -> None:
    """Its end is the earlier of the two; a rotation without grace ends them all."""
    first = keys.create(registry, org="acme", name="k")
    second = keys.rotate(registry, first.id, grace="1h")
    third = keys.rotate(registry, first.id, grace="3h")
    now = time.time()
    assert not works(registry, first, now + LATER_S + 1)
    assert works(registry, second, now + LATER_S + 1)
    last = keys.rotate(registry, first.id)
    assert [works(registry, key) for key in (first, second, third, last)] == [False, False, False, True]


def test_a_revoked_key_is_final(registry: Registry, acme: OrgView) -> None:
    """It stops, stays visible, cannot be changed, and revoking it again changes nothing."""
    key = keys.create(registry, org="acme", name="k")
    revoked = keys.revoke(registry, "k", org="acme")
    assert revoked.revoked_at is not None
    assert not works(registry, key)
    assert keys.revoke(registry, key.id) == revoked
    with pytest.raises(OperatorError, match="revoked"):
        keys.rotate(registry, key.id)
    with pytest.raises(OperatorError, match="revoked"):
        keys.update(registry, key.id, rpm=1)
    again = keys.create(registry, org="acme", name="k")
    assert keys.show(registry, "k", org="acme").id == again.id


def test_a_name_is_taken_once_in_an_organisation(registry: Registry, acme: OrgView, globex: OrgView) -> None:
    """Also when the letters were typed another way; another organisation may use it."""
    keys.create(registry, org="acme", name="Zürich")
    with pytest.raises(AlreadyExists):
        keys.create(registry, org="acme", name="Zu\u0308rich")
    keys.create(registry, org="globex", name="Zürich")
    assert keys.show(registry, "Zu\u0308rich", org="globex").org == "globex"


def test_another_organisations_key_is_not_there(registry: Registry, acme: OrgView, globex: OrgView) -> None:
    """By id or by name, the answer is that of a key that does not exist."""
    key = keys.create(registry, org="acme", name="k")
    for call in (keys.show, keys.rotate, keys.revoke, keys.update):
        for name in (key.id, "k"):
            with pytest.raises(NotFound, match="There is no key"):
                call(registry, name, org="globex")
    assert works(registry, key)


def test_a_name_needs_its_organisation(registry: Registry, acme: OrgView) -> None:
    """Without one, only ids name keys, and the message says so."""
    keys.create(registry, org="acme", name="k")
    with pytest.raises(NotFound, match="needs its organisation"):
        keys.show(registry, "k")


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "key_x"},
        {"rpm": 0},
        {"tpm": -1},
        {"max_parallel": 10**13},
        {"budget": "much"},
        {"models": [""]},
        {"models": ["a b"]},
        {"models": ["a\n"]},
        {"models": ["m"] * 101},
        {"expires": "2000-01-01"},
        {"metadata": {"": "x"}},
        {"metadata": {"k": "x" * 257}},
        {"metadata": {"k": "a\nb"}},
        {"metadata": {str(n): "" for n in range(33)}},
    ],
    ids=str,
)
def test_bad_arguments_are_refused_and_change_nothing(
    registry: Registry, acme: OrgView, bad: dict[str, object]
) -> None:
    """In `create` and in `update` alike, with exit code 2."""
    with pytest.raises(UsageError):
        keys.create(registry, **{"org": "acme", "name": "new", **bad})  # type: ignore[arg-type]  # by name
    assert keys.list_(registry).items == []
    key = keys.create(registry, org="acme", name="k")
    before = keys.show(registry, key.id)
    with pytest.raises(UsageError):
        keys.update(registry, key.id, **bad)  # type: ignore[arg-type]  # by name
    assert keys.show(registry, key.id) == before
    with pytest.raises(UsageError):
        keys.rotate(registry, key.id, grace="long")
    assert works(registry, key)


def test_lists_are_paged(registry: Registry, acme: OrgView, globex: OrgView) -> None:
    """Following `next` shows each key once; the last page's is null; an absurd page size is refused."""
    for number in range(5):
        keys.create(registry, org="acme" if number % 2 else "globex", name=f"k{number}")
        time.sleep(0.002)  # keys of one millisecond have no order
    seen: list[KeyView] = []
    after = None
    while True:
        page = keys.list_(registry, after=after, limit=2)
        seen += page.items
        after = page.next
        if after is None:
            break
    assert [key.name for key in seen] == [f"k{number}" for number in range(5)]
    assert [key.name for key in keys.list_(registry, org="acme").items] == ["k1", "k3"]
    assert keys.list_(registry, limit=5).next is None
    for limit in (0, 1001):
        with pytest.raises(UsageError):
            keys.list_(registry, limit=limit)
    with pytest.raises(NotFound):
        keys.list_(registry, org="nobody")


def test_organisations_are_made_listed_and_shown(registry: Registry) -> None:
    """By id and by name; a name is taken once; none of that name is NotFound."""
    made = orgs.create(registry, "acme")
    assert orgs.show(registry, "acme") == orgs.show(registry, made.id) == made
    assert orgs.list_(registry).items == [made]
    with pytest.raises(AlreadyExists):
        orgs.create(registry, "acme")
    with pytest.raises(UsageError):
        orgs.create(registry, "org_acme")
    with pytest.raises(NotFound, match="There is no organisation 'nobody'"):
        orgs.show(registry, "nobody")
