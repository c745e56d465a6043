"""Sealing: what is sealed opens in its own place and nowhere else."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.errors import IntegrityError
from llmgw.keyring import envelope
from llmgw.keyring.envelope import DataKey, SealedSecret
from llmgw.keyring.ring import Keyring, Term
from llmgw.kms.local import LocalKms
from llmgw.secret import Secret

KMS = LocalKms(Keyring.generate())
ACME = envelope.new_data_key(KMS.wrap, "org_acme", 1, 0.0)
OTHER = envelope.new_data_key(KMS.wrap, "org_other", 1, 0.0)


def sealed(name: str, secret: str, key: DataKey = ACME) -> SealedSecret:
    """A stored credential of the data key's organisation."""
    return SealedSecret(
        id="cred_1",
        org_id=key.org_id,
        name=name,
        data_key_term=key.term,
        sealed=envelope.seal_secret(KMS.unwrap, key, name, Secret(secret)),
        created_at=0.0,
        updated_at=0.0,
    )


@given(
    st.text(alphabet=st.characters(codec="latin-1"), min_size=1), st.text(min_size=1).filter(str.isprintable)
)
def test_a_sealed_secret_opens(secret: str, name: str) -> None:
    """What was sealed comes back, whatever its characters and its name."""
    assert envelope.open_secret(KMS.unwrap, ACME, sealed(name, secret)).reveal() == secret


@given(st.data())
def test_any_flipped_bit_or_lost_byte_is_named(data: st.DataObject) -> None:
    """A change anywhere in the blob, version byte and nonce included, is an IntegrityError naming the row."""
    row = sealed("openai", "sk-secret")
    place = data.draw(st.integers(0, len(row.sealed) - 1))
    flipped = bytearray(row.sealed)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    for blob in (bytes(flipped), row.sealed[:place], row.sealed + b"\0"):
        with pytest.raises(IntegrityError, match="credential 'openai' of organisation org_acme"):
            envelope.open_secret(KMS.unwrap, ACME, msgspec.structs.replace(row, sealed=blob))


def test_a_row_opens_only_in_its_own_place() -> None:
    """Another name, another organisation, another data-key term: each is refused."""
    row = sealed("openai", "sk-secret")
    second = envelope.new_data_key(KMS.wrap, "org_acme", 2, 0.0)
    for moved, key in (
        (msgspec.structs.replace(row, name="anthropic"), ACME),
        (msgspec.structs.replace(row, org_id="org_other"), OTHER),
        (msgspec.structs.replace(row, org_id="org_other"), ACME),
        (msgspec.structs.replace(row, data_key_term=2), second),
        (msgspec.structs.replace(row, data_key_term=2), ACME),
        (row, second),
        (row, None),
    ):
        with pytest.raises(IntegrityError, match="credential"):
            envelope.open_secret(KMS.unwrap, key, moved)


def test_a_data_key_moved_to_another_organisation_does_not_unwrap() -> None:
    """Whoever can write rows cannot lend one organisation's data key to another, nor renumber it."""
    for moved in (
        msgspec.structs.replace(ACME, org_id="org_other"),
        msgspec.structs.replace(ACME, term=2),
        msgspec.structs.replace(ACME, kek_term="local:2"),
        msgspec.structs.replace(ACME, kek_term=""),
        msgspec.structs.replace(ACME, wrapped=b""),
    ):
        with pytest.raises(IntegrityError, match=f"data key {moved.term} of organisation {moved.org_id}"):
            envelope.unwrap_data_key(KMS.unwrap, moved)


@given(st.lists(st.text()), st.lists(st.text()))
def test_an_identity_is_unambiguous(one: list[str], other: list[str]) -> None:
    """Different fields never have the same encoding, however they are split."""
    assert (envelope.identity_of(*one) == envelope.identity_of(*other)) == (one == other)


def test_a_keyring_refuses_what_is_no_keyring() -> None:
    """Lost current term, repeated or unordered versions and short keys are found when the ring is made."""
    now = datetime.now(UTC)
    first, second = Term(1, now, secrets.token_bytes(32)), Term(2, now, secrets.token_bytes(32))
    assert Keyring((first, second), 1).current == 1
    for terms, current in (((), 1), ((first,), 2), ((first, first), 1), ((second, first), 1)):
        with pytest.raises(ValueError, match="term"):
            Keyring(terms, current)
    with pytest.raises(ValueError, match="31 bytes"):
        Term(1, now, secrets.token_bytes(31))


def test_a_printed_keyring_is_redacted() -> None:
    """Key bytes are not in the textual form."""
    ring = Keyring.generate()
    assert repr(ring.terms[0].key) not in repr(ring)
    assert "[redacted]" in repr(ring)
