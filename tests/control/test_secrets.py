"""Credentials, their encryption at rest, and what `verify` finds when the database was tampered with."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmgw.control import credentials, install, keys, orgs
from llmgw.control import kms as encryption
from llmgw.control.orgs import OrgView
from llmgw.errors import IntegrityError, NotFound, OperatorError, UsageError
from llmgw.keyring import envelope
from llmgw.keyring.ring import Keyring, Term
from llmgw.kms.local import LocalKms
from llmgw.ports import Kms, Registry
from llmgw.secret import Secret


def stored(registry: Registry, kms: Kms, org: OrgView, name: str) -> str:
    """The secret, decrypted from its row."""
    row = registry.credential(name, org.id)
    assert row is not None
    return envelope.open_secret(kms.unwrap, registry.data_key(org.id, row.data_key_term), row).reveal()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("sk-1", "sk-1"),
        ("sk-1\n", "sk-1"),
        ("sk-1\r\n", "sk-1"),
        ("s k", "s k"),
        ("ÿ", "ÿ"),
        ("x" * 65536, "x" * 65536),
    ],
)
def test_a_secret_is_kept_as_given_but_for_one_newline(
    registry: Registry, kms: Kms, acme: OrgView, given: str, kept: str
) -> None:
    """What decrypts is what was given; the newline that `echo` adds is not part of it."""
    credentials.set_(registry, kms, org="acme", name="openai", secret=Secret(given))
    assert stored(registry, kms, acme, "openai") == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "\n",
        " ",
        " sk-lead",
        "sk-trail ",
        "a\n\n",
        "a\nb",
        "a\r",
        "a\0",
        "a\tb",
        "a\x7f",
        "a\x85",
        "€",
        "\ud800",
        "x" * 65537,
    ],
)
def test_a_secret_that_no_header_can_carry_is_refused(
    registry: Registry, kms: Kms, acme: OrgView, given: str
) -> None:
    """Empty, of several lines, with control characters, outside Latin-1, too long; the message is silent."""
    with pytest.raises(UsageError) as caught:
        credentials.set_(registry, kms, org="acme", name="openai", secret=Secret(given))
    assert given.strip() == "" or given not in str(caught.value)
    assert credentials.list_(registry).items == []


def test_setting_again_replaces(registry: Registry, kms: Kms, acme: OrgView, globex: OrgView) -> None:
    """The id and the creation stay; another organisation's of that name is another."""
    first = credentials.set_(registry, kms, org="acme", name="openai", secret=Secret("one"))
    credentials.set_(registry, kms, org="globex", name="openai", secret=Secret("theirs"))
    again = credentials.set_(registry, kms, org="acme", name="openai", secret=Secret("two"))
    assert (again.id, again.created_at) == (first.id, first.created_at)
    assert stored(registry, kms, acme, "openai") == "two"
    assert stored(registry, kms, globex, "openai") == "theirs"


def test_a_deleted_credential_is_gone(registry: Registry, kms: Kms, acme: OrgView, globex: OrgView) -> None:
    """For its organisation by name or id, and never through another's."""
    made = credentials.set_(registry, kms, org="acme", name="openai", secret=Secret("one"))
    for name in ("openai", made.id):
        with pytest.raises(NotFound):
            credentials.delete(registry, name, org="globex")
    assert credentials.delete(registry, made.id).id == made.id
    with pytest.raises(NotFound, match="There is no credential 'openai'"):
        credentials.verify(registry, kms, "openai", org="acme")


def test_no_secret_stands_in_any_file(
    registry: Registry, kms: Kms, acme: OrgView, path: Path, tmp_path: Path
) -> None:
    """Neither key, token nor credential is in the bytes of the database and its log, nor in a view's text."""
    installed = install.init(registry)
    assert installed.token is not None
    secret = "sk-" + secrets.token_urlsafe(40)
    view = credentials.set_(registry, kms, org="acme", name="openai", secret=Secret(secret))
    key = keys.create(registry, org="acme", name="k")
    rotated = keys.rotate(registry, key.id, grace="1h")
    everything = b"".join(file.read_bytes() for file in path.parent.glob("llmgw.db*"))
    assert b"openai" in everything  # it is the right file
    for one in (secret, key.key.reveal(), rotated.key.reveal(), installed.token.reveal()):
        for part in (one, one[-32:], one[-20:-8]):
            assert part.encode() not in everything
        assert one not in repr((view, key, rotated, installed, registry.data_keys()))


Tamper = Callable[[sqlite3.Connection, str, str], object]


def flip(table: str, column: str, start: int) -> Tamper:
    """Change one byte of a blob, 1-based from its beginning or, negative, from its end."""

    def tamper(db: sqlite3.Connection, acme: str, globex: str) -> None:
        read, write = (
            "SELECT COLUMN FROM TABLE WHERE org_id = ?",
            "UPDATE TABLE SET COLUMN = ? WHERE org_id = ?",
        )
        named = [sql.replace("COLUMN", column).replace("TABLE", table) for sql in (read, write)]
        (blob,) = db.execute(named[0], [acme]).fetchone()
        place = start - 1 if start > 0 else len(blob) + start
        changed = blob[:place] + bytes([blob[place] ^ 0x40]) + blob[place + 1 :]
        db.execute(named[1], [changed, acme])

    return tamper


def sql(text: str) -> Tamper:
    """Run a statement with :acme and :globex bound."""
    return lambda db, acme, globex: db.execute(text, {"acme": acme, "globex": globex})


SEALED = {
    "version byte": flip("credentials", "sealed", 1),
    "nonce": flip("credentials", "sealed", 2),
    "ciphertext": flip("credentials", "sealed", 14),
    "tag": flip("credentials", "sealed", -1),
    "cut to nothing": sql("UPDATE credentials SET sealed = x'' WHERE org_id = :acme"),
    "cut short": sql(
        "UPDATE credentials SET sealed = CAST(substr(sealed, 1, 20) AS BLOB) WHERE org_id = :acme"
    ),
    "lost its last byte": sql(
        "UPDATE credentials SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) AS BLOB) "
        "WHERE org_id = :acme"
    ),
    "renamed": sql("UPDATE credentials SET name = 'renamed' WHERE org_id = :acme"),
    "another organisation's bytes": sql(
        "UPDATE credentials SET sealed = (SELECT sealed FROM credentials WHERE org_id = :globex) "
        "WHERE org_id = :acme"
    ),
    "term that is not there": sql("UPDATE credentials SET data_key_term = 2 WHERE org_id = :acme"),
}
DATA_KEY = {
    "version byte": flip("data_keys", "wrapped", 1),
    "nonce": flip("data_keys", "wrapped", 5),
    "ciphertext": flip("data_keys", "wrapped", 20),
    "tag": flip("data_keys", "wrapped", -1),
    "cut": sql("UPDATE data_keys SET wrapped = x'01' WHERE org_id = :acme"),
    "another organisation's": sql(
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE org_id = :globex) "
        "WHERE org_id = :acme"
    ),
    "unknown term": sql("UPDATE data_keys SET kek_term = 'local:7' WHERE org_id = :acme"),
}


def tampered(path: Path, tamper: Tamper, acme: OrgView, globex: OrgView) -> None:
    """Do it behind the store's back, without its foreign keys."""
    db = sqlite3.connect(path)
    with db:
        tamper(db, acme.id, globex.id)
    db.close()


@pytest.fixture
def two(registry: Registry, kms: Kms, acme: OrgView, globex: OrgView) -> None:
    """A credential in each of two organisations; all is well."""
    for org in ("acme", "globex"):
        credentials.set_(registry, kms, org=org, name="openai", secret=Secret(f"sk-{org}"))
    report = encryption.verify(registry, kms)
    assert (report.ok, report.data_keys, report.secrets, report.faults) == (True, 2, 2, [])


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("what", SEALED)
def test_a_tampered_credential_is_found_and_named(
    registry: Registry, kms: Kms, acme: OrgView, globex: OrgView, path: Path, what: str
) -> None:
    """Exactly that row fails, by name and organisation; its neighbour still opens."""
    tampered(path, SEALED[what], acme, globex)
    report = encryption.verify(registry, kms)
    (fault,) = report.faults
    assert not report.ok
    assert (fault.kind, fault.org, fault.org_id) == ("credential", "acme", acme.id)
    assert fault.name in fault.problem and acme.id in fault.problem
    state = credentials.verify(registry, kms, fault.name, org="acme")
    assert (state.ok, state.problem) == (False, fault.problem)
    assert credentials.verify(registry, kms, "openai", org="globex").ok
    assert stored(registry, kms, globex, "openai") == "sk-globex"


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("what", DATA_KEY)
def test_a_tampered_data_key_is_found_with_what_it_seals(
    registry: Registry, kms: Kms, acme: OrgView, globex: OrgView, path: Path, what: str
) -> None:
    """The data key and each credential under it are listed; nothing new is sealed under a broken key."""
    tampered(path, DATA_KEY[what], acme, globex)
    report = encryption.verify(registry, kms)
    assert [(fault.kind, fault.org, fault.name) for fault in report.faults] == [
        ("data_key", "acme", "1"),
        ("credential", "acme", "openai"),
    ]
    with pytest.raises(IntegrityError, match="data key 1"):
        credentials.set_(registry, kms, org="acme", name="new", secret=Secret("sk"))
    assert stored(registry, kms, globex, "openai") == "sk-globex"


@pytest.mark.usefixtures("two")
def test_a_lost_data_key_is_found(
    registry: Registry, kms: Kms, acme: OrgView, globex: OrgView, path: Path
) -> None:
    """What it sealed is named."""
    tampered(path, sql("DELETE FROM data_keys WHERE org_id = :acme"), acme, globex)
    (fault,) = encryption.verify(registry, kms).faults
    assert (fault.kind, fault.name, fault.org) == ("credential", "openai", "acme")
    assert "not in the store" in fault.problem


@pytest.mark.usefixtures("two")
def test_rows_swapped_between_organisations_do_not_open(
    registry: Registry, kms: Kms, acme: OrgView, globex: OrgView, path: Path
) -> None:
    """Each in the other's place, with its data key too: neither opens."""
    for table in ("credentials", "data_keys"):
        for step in (
            "UPDATE TABLE SET org_id = 'x' WHERE org_id = :acme",
            "UPDATE TABLE SET org_id = :acme WHERE org_id = :globex",
            "UPDATE TABLE SET org_id = :globex WHERE org_id = 'x'",
        ):
            tampered(path, sql(step.replace("TABLE", table)), acme, globex)
    report = encryption.verify(registry, kms)
    assert sorted((fault.kind, fault.org) for fault in report.faults) == [
        ("credential", "acme"), ("credential", "globex"), ("data_key", "acme"), ("data_key", "globex"),
    ]  # fmt: skip


@pytest.mark.usefixtures("two")
def test_another_keyring_opens_nothing(registry: Registry) -> None:
    """A new keyring has the same term names and none of the keys: every row is listed."""
    report = encryption.verify(registry, LocalKms(Keyring.generate()))
    assert (report.data_keys, report.secrets, len(report.faults)) == (2, 2, 4)


@pytest.mark.usefixtures("two")
def test_a_keyring_that_lost_a_term_is_told(registry: Registry, kms: Kms) -> None:
    """`status` shows the term that the store needs and the keyring lacks; `verify` says so of each row."""
    lost = LocalKms(Keyring((Term(2, datetime.now(UTC), secrets.token_bytes(32)),), 2))
    rows = {(term.term, term.current, term.available, term.data_keys, term.secrets)
            for term in encryption.status(registry, lost).terms}  # fmt: skip
    assert rows == {("local:2", True, True, 0, 0), ("local:1", False, False, 2, 2)}
    assert all("local:1" in fault.problem for fault in encryption.verify(registry, lost).faults)
    (term,) = encryption.status(registry, kms).terms
    assert (term.term, term.current, term.available, term.data_keys, term.secrets) == (
        "local:1",
        True,
        True,
        2,
        2,
    )


def test_verify_goes_through_all_of_many(registry: Registry, kms: Kms, acme: OrgView, path: Path) -> None:
    """More rows than one batch holds are all tried."""
    credentials.set_(registry, kms, org="acme", name="first", secret=Secret("sk"))
    db = sqlite3.connect(path)
    with db:
        db.executemany(
            "INSERT INTO credentials SELECT ?, org_id, ?, data_key_term, sealed, 0, 0 FROM credentials "
            "WHERE name = 'first'",
            [(f"cred_x{number:04}", f"copy {number}") for number in range(1200)],
        )
    db.close()
    report = encryption.verify(registry, kms)
    assert (report.secrets, len(report.faults)) == (1201, 1200)


def test_init_makes_what_is_missing_and_keeps_what_is_there(registry: Registry) -> None:
    """The token is shown the first time only; another name makes another organisation with its own token."""
    first = install.init(registry)
    assert first.org.name == "default"
    assert first.token is not None and first.token.reveal().startswith("llmgw-adm-")
    again = install.init(registry)
    assert (again.org, again.token) == (first.org, None)
    other = install.init(registry, org="acme")
    assert (other.org.name, other.token is None) == ("acme", False)
    assert install.init(registry, org="acme").token is None
    assert len(orgs.list_(registry).items) == 2
    (token,) = registry.tokens(first.org.id)
    assert (token.role, token.revoked_at, len(token.digest)) == ("owner", None, 32)


def test_init_gives_an_organisation_without_owner_a_token(registry: Registry, acme: OrgView) -> None:
    """One that was made by `orgs create` is taken, by name or as the first there is."""
    installed = install.init(registry)
    assert installed.org == acme
    assert installed.token is not None


def test_init_refuses_a_bad_name_and_leaves_nothing(registry: Registry) -> None:
    """All or nothing."""
    with pytest.raises(UsageError):
        install.init(registry, org="a/b")
    assert orgs.list_(registry).items == []


def test_a_new_keyring_beside_sealed_secrets_is_refused(registry: Registry, kms: Kms, acme: OrgView) -> None:
    """It could not open them; without sealed secrets there is nothing to lose."""
    install.require_nothing_sealed(registry)
    credentials.set_(registry, kms, org="acme", name="openai", secret=Secret("sk"))
    with pytest.raises(OperatorError, match=r"local:1.*backup"):
        install.require_nothing_sealed(registry)
