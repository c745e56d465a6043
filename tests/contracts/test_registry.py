"""What every registry guarantees (`ports.Registry`)."""

from __future__ import annotations

import msgspec
import pytest

from llmgw import ids
from llmgw.config.budget import Budget
from llmgw.config.limits import KeyLimits
from llmgw.control.orgs import OrgView
from llmgw.errors import AlreadyExists
from llmgw.keyring.envelope import DataKey, SealedSecret
from llmgw.ports import Org, Registry, Token, VirtualKey
from llmgw.rules.access import KeyTerm
from tests.contracts.conftest import Backend


def a_key(org: OrgView, name: str, at: float = 1000.0) -> VirtualKey:
    """A key with every field set."""
    return VirtualKey(
        id=ids.new("key", at),
        public_id=ids.new("key", at)[-12:],
        org_id=org.id,
        org=org.name,
        name=name,
        terms=(KeyTerm(b"2" * 32), KeyTerm(b"1" * 32, 1234.5)),
        models=("gpt-*", "claude-ü"),
        expires_at=2000.25,
        limits=KeyLimits(rpm=1, tpm=2, max_parallel=3),
        budget=Budget(1, "total"),
        metadata={"team": "ünïcode"},
        created_at=at,
        updated_at=at + 1,
    )


def a_credential(org: OrgView, name: str, at: float = 1000.0) -> SealedSecret:
    return SealedSecret(
        id=ids.new("cred", at),
        org_id=org.id,
        name=name,
        data_key_term=1,
        sealed=bytes(range(256)),
        created_at=at,
        updated_at=at,
    )


def a_data_key(org: OrgView, term: int) -> DataKey:
    return DataKey(org_id=org.id, term=term, kek_term="local:1", wrapped=b"\0\xff", created_at=1.5)


def a_token(org: OrgView) -> Token:
    return Token(
        id=ids.new("tok", 1.0),
        public_id="abc",
        org_id=org.id,
        role="admin",
        name="ci",
        digest=b"d" * 32,
        created_at=1.0,
        revoked_at=2.0,
    )


def test_an_organisation_is_found_by_id_and_by_name(registry: Registry) -> None:
    """What was written is read, every field of it; what was not written is None."""
    org = Org(id="org_1", name="açme", created_at=12.5, suspended_at=13.5)
    registry.insert_org(org)
    assert registry.org("org_1") == registry.org("açme") == org
    assert registry.org("acme") is None


def test_a_name_is_taken_once(registry: Registry, acme: OrgView) -> None:
    """A second organisation, key or credential of one name is refused and leaves nothing behind."""
    with pytest.raises(AlreadyExists, match="acme"):
        registry.insert_org(Org(id="org_2", name="acme", created_at=1))
    assert registry.org("org_2") is None
    registry.insert_key(a_key(acme, "k"))
    twin = a_key(acme, "k")
    with pytest.raises(AlreadyExists, match="'k'"):
        registry.insert_key(twin)
    assert registry.key(twin.id, None) is None
    registry.insert_data_key(a_data_key(acme, 1))
    registry.put_credential(a_credential(acme, "c"))
    with pytest.raises(AlreadyExists, match="'c'"):
        registry.put_credential(a_credential(acme, "c"))


def test_two_organisations_share_names(registry: Registry, acme: OrgView, globex: OrgView) -> None:
    """Names of one organisation mean nothing in another, and its objects are not there by id either."""
    for org in (acme, globex):
        registry.insert_key(a_key(org, "k"))
        registry.insert_data_key(a_data_key(org, 1))
        registry.put_credential(a_credential(org, "c"))
    ours, theirs = registry.key("k", acme.id), registry.key("k", globex.id)
    assert ours is not None and theirs is not None and ours.id != theirs.id
    assert registry.key(ours.id, acme.id) == registry.key(ours.id, None) == ours
    assert registry.key(ours.id, globex.id) is None
    assert registry.key("k", None) is None
    credential = registry.credential("c", acme.id)
    assert credential is not None and credential.org_id == acme.id
    assert registry.credential(credential.id, globex.id) is None
    assert registry.credential(credential.id, None) == credential
    assert registry.credential("c", None) is None


def test_a_key_is_read_as_it_was_written(registry: Registry, acme: OrgView) -> None:
    """Every field and every term in its order, with and without the optional ones."""
    full = a_key(acme, "full")
    bare = VirtualKey(
        id="key_b", public_id="b", org_id=acme.id, org="acme", name="bare", terms=(KeyTerm(b"b" * 32),),
        created_at=1.0, updated_at=1.0,
    )  # fmt: skip
    for key in (full, bare):
        registry.insert_key(key)
        assert registry.key(key.id, None) == key
    changed = msgspec.structs.replace(
        bare, id=full.id, public_id=full.public_id, name="new", revoked_at=7.0, updated_at=9.0
    )
    registry.update_key(changed)
    assert registry.key(full.id, None) == changed


def test_a_key_cannot_take_anothers_name(registry: Registry, acme: OrgView) -> None:
    """A rename into a name in use is refused and changes nothing."""
    one, two = a_key(acme, "one"), a_key(acme, "two")
    registry.insert_key(one)
    registry.insert_key(two)
    with pytest.raises(AlreadyExists, match="'one'"):
        registry.update_key(msgspec.structs.replace(two, name="one", terms=(KeyTerm(b"x" * 32),)))
    assert registry.key("two", acme.id) == two


def test_a_revoked_keys_name_is_free(registry: Registry, acme: OrgView) -> None:
    """By name, the key in force comes before revoked ones, and of those the newest."""
    first, second = a_key(acme, "k", 1000), a_key(acme, "k", 2000)
    registry.insert_key(first)
    registry.update_key(msgspec.structs.replace(first, revoked_at=1500.0))
    registry.insert_key(second)
    assert registry.key("k", acme.id) == second
    registry.update_key(msgspec.structs.replace(second, revoked_at=2500.0))
    found = registry.key("k", acme.id)
    assert found is not None and found.id == second.id
    third = a_key(acme, "k", 500)
    registry.insert_key(third)
    assert registry.key("k", acme.id) == third


def test_a_keys_organisation_shows_its_suspension(registry: Registry) -> None:
    """The key's record says so, for the data plane refuses it."""
    registry.insert_org(Org(id="org_s", name="suspended", created_at=1.0, suspended_at=2.0))
    org = registry.org("org_s")
    assert org is not None
    registry.insert_key(
        VirtualKey(
            id="key_s", public_id="s", org_id="org_s", org="suspended", name="k", terms=(KeyTerm(b"b" * 32),),
            created_at=1.0, updated_at=1.0,
        )
    )  # fmt: skip
    found = registry.key("key_s", None)
    assert found is not None and found.org_suspended


def test_lists_come_in_pages_in_order_of_creation(registry: Registry, acme: OrgView, globex: OrgView) -> None:
    """Going on behind the last id shows everything once, of one organisation or of all."""
    for org in (acme, globex):
        registry.insert_data_key(a_data_key(org, 1))
    for number in range(7):
        org = acme if number % 2 else globex
        registry.insert_org(Org(id=f"zorg_{number}", name=f"o{number}", created_at=1.0))
        registry.insert_key(a_key(org, f"k{number}", 1000.0 + number))
        registry.put_credential(a_credential(org, f"c{number}", 1000.0 + number))

    def read(org_id: str | None) -> tuple[list[str], list[str]]:
        keys: list[VirtualKey] = []
        while page := registry.keys(org_id, keys[-1].id if keys else None, 2):
            assert len(page) <= 2
            keys += page
        credentials: list[SealedSecret] = []
        while found := registry.credentials(org_id, credentials[-1].id if credentials else None, 2):
            credentials += found
        return [key.name for key in keys], [row.name for row in credentials]

    assert read(None) == ([f"k{n}" for n in range(7)], [f"c{n}" for n in range(7)])
    assert read(acme.id) == (["k1", "k3", "k5"], ["c1", "c3", "c5"])
    orgs = registry.orgs(None, 5)
    assert [org.name for org in [*orgs, *registry.orgs(orgs[-1].id, 5)]] == [
        *sorted(["acme", "globex"], key=lambda name: acme.id if name == "acme" else globex.id),
        *(f"o{number}" for number in range(7)),
    ]


def test_the_newest_data_key_is_the_one_to_seal_with(
    registry: Registry, acme: OrgView, globex: OrgView
) -> None:
    """Older terms stay to open what they sealed; another organisation's do not count."""
    assert registry.data_key(acme.id) is None
    for term in (1, 2, 10):
        registry.insert_data_key(a_data_key(acme, term))
    registry.insert_data_key(a_data_key(globex, 11))
    assert registry.data_key(acme.id) == a_data_key(acme, 10)
    assert registry.data_key(acme.id, 2) == a_data_key(acme, 2)
    assert registry.data_key(acme.id, 3) is None
    assert {(key.org_id, key.term) for key in registry.data_keys()} == {
        (acme.id, 1), (acme.id, 2), (acme.id, 10), (globex.id, 11),
    }  # fmt: skip


def test_a_credential_is_replaced_and_deleted(registry: Registry, acme: OrgView) -> None:
    """The same id takes new bytes and keeps its time of creation; a deleted one is gone."""
    registry.insert_data_key(a_data_key(acme, 1))
    row = a_credential(acme, "c")
    registry.put_credential(row)
    new = msgspec.structs.replace(row, sealed=b"new", updated_at=5000.0)
    registry.put_credential(new)
    assert registry.credentials(None, None, 10) == [new]
    registry.delete_credential(row.id)
    assert registry.credential("c", acme.id) is None


def test_a_token_is_read_as_it_was_written(registry: Registry, acme: OrgView, globex: OrgView) -> None:
    """Tokens belong to one organisation; revoked ones are listed too."""
    registry.insert_token(a_token(acme))
    (found,) = registry.tokens(acme.id)
    assert msgspec.structs.replace(found, id="") == msgspec.structs.replace(a_token(acme), id="")
    assert registry.tokens(globex.id) == []


def test_a_transaction_is_all_or_nothing(backend: Backend, registry: Registry, acme: OrgView) -> None:
    """Another connection sees none of it before the end, all of it after, and none of one that failed."""
    with backend.registry() as other:
        with registry.transaction():
            registry.insert_key(a_key(acme, "one"))
            registry.insert_key(a_key(acme, "two"))
            assert other.keys(None, None, 10) == []
        assert len(other.keys(None, None, 10)) == 2

        def half_done() -> None:
            with registry.transaction():
                registry.insert_key(a_key(acme, "three"))
                registry.insert_key(a_key(acme, "one"))

        with pytest.raises(AlreadyExists):
            half_done()
        assert other.key("three", acme.id) is None
    registry.insert_key(a_key(acme, "three"))  # and the connection is fit for use
