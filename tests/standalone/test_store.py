"""The SQLite file: how it is made, migrated, and what an operator hears when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from llmgw.control import keys, orgs
from llmgw.errors import OperatorError, StoreUnavailable
from llmgw.standalone import migrations, store
from llmgw.standalone.lock import StoreLock
from llmgw.standalone.registry import SqliteRegistry
from tests.standalone.conftest import Stored, process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty file for a store."""
    store.create(tmp_path / "llmgw.db")
    return tmp_path / "llmgw.db"


def test_a_new_store_is_private(stored: Stored) -> None:
    """The file and those that SQLite keeps beside it have mode 0600: even sealed rows are not for all."""
    with SqliteRegistry(stored.path) as registry:
        orgs.create(registry, "globex")
        files = list(stored.path.parent.glob("llmgw.db*"))
        assert len(files) == 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_an_existing_store_is_kept(stored: Stored) -> None:
    """Making it again changes nothing."""
    before = stored.path.read_bytes()
    assert store.create(stored.path) is False
    assert stored.path.read_bytes() == before


def test_migrating_twice_does_nothing_the_second_time(path: Path) -> None:
    """`up` returns the steps it took; `status` names those taken and those to come."""
    before = migrations.status(path)
    assert (before.current, before.applied) == (0, [])
    assert len(before.pending) == before.latest
    taken = migrations.up(path)
    assert [step.number for step in taken] == list(range(1, before.latest + 1))
    assert migrations.up(path) == []
    after = migrations.status(path)
    assert (after.current, after.pending, after.applied) == (after.latest, [], taken)


def test_two_processes_that_migrate_at_once_take_each_step_once(path: Path) -> None:
    """Both succeed; the steps stand once in the table."""
    code = (
        "import sys; from pathlib import Path; from llmgw.standalone import migrations; "
        "print('ready', flush=True); input(); migrations.up(Path(sys.argv[1]))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for one in running:
        assert one.stdout is not None
        one.stdout.readline()
    for one in running:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    for one in running:
        one.communicate(timeout=30)
        assert one.returncode == 0
    status = migrations.status(path)
    assert (status.pending, len(status.applied)) == ([], status.latest)


def test_a_step_that_fails_leaves_nothing(path: Path) -> None:
    """A table in the way makes the step fail as a whole."""
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE virtual_keys (x)")
    foreign.close()
    with pytest.raises(StoreUnavailable, match="virtual_keys already exists"):
        migrations.up(path)
    with sqlite3.connect(path) as foreign:
        names = {name for (name,) in foreign.execute("SELECT name FROM sqlite_schema")}
    foreign.close()
    assert names == {"virtual_keys"}


def change(path: Path, sql: str) -> None:
    """What another llmgw, or a person, does to the file."""
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("INSERT INTO migrations VALUES (999, 'future', 'x', 0)", "newer llmgw"),
        ("UPDATE migrations SET checksum = 'x'", "not the one this llmgw knows"),
        ("DELETE FROM migrations", "llmgw migrate up"),
    ],
)
def test_a_store_of_another_schema_is_refused(stored: Stored, sql: str, says: str) -> None:
    """A newer one, one that other code migrated, and one that is behind: each with its own way out."""
    change(stored.path, sql)
    with pytest.raises(StoreUnavailable, match=says):
        SqliteRegistry(stored.path)


def test_opening_makes_no_file(tmp_path: Path) -> None:
    """A mistyped path is told, and does not become an empty store."""
    with pytest.raises(StoreUnavailable, match="does not exist; 'llmgw init'"):
        SqliteRegistry(tmp_path / "mistyped.db")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreUnavailable, match="No such file or directory"):
        store.create(tmp_path / "missing" / "llmgw.db")


def test_a_path_with_odd_characters_is_that_file(tmp_path: Path) -> None:
    """Question marks, hashes and percent signs mean nothing in a store's path."""
    path = tmp_path / "a?mode=memory#b%20.db"
    store.create(path)
    migrations.up(path)
    with SqliteRegistry(path) as registry:
        orgs.create(registry, "acme")
    assert path.stat().st_size > 0


@pytest.mark.parametrize("content", [b"\x7fELF" * 1024, b"SQLite format 3\0" + b"\xa5" * 4096])
def test_garbage_is_told_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    """What is no database, or no longer one, says so and names the backup."""
    path = tmp_path / "llmgw.db"
    path.write_bytes(content)
    for use in (SqliteRegistry, migrations.up, migrations.status):
        with pytest.raises(StoreUnavailable, match="backup"):
            use(path)


@pytest.mark.slow
def test_a_write_waits_for_a_lock_and_then_gives_up(stored: Stored) -> None:
    """While another process writes, a command waits up to 5 s, then exits with 4 and one sentence."""
    code = f"""
import sqlite3
sqlite3.connect({str(stored.path)!r}).execute("BEGIN EXCLUSIVE"); print("held", flush=True); input()
"""
    with SqliteRegistry(stored.path) as registry:
        with process(code):
            assert keys.show(registry, stored.key.id).name == "key"
            began = monotonic()
            with pytest.raises(StoreUnavailable, match="locked by another process") as caught:
                keys.revoke(registry, stored.key.id)
            assert 4 < monotonic() - began < 7
            assert caught.value.exit_code == 4
        assert keys.revoke(registry, stored.key.id).revoked_at is not None


def test_a_write_succeeds_when_the_lock_is_freed_in_time(stored: Stored) -> None:
    """A short wait is no failure."""
    code = f"""
import sqlite3, time
c = sqlite3.connect({str(stored.path)!r}); c.execute("BEGIN EXCLUSIVE"); print("held", flush=True)
time.sleep(0.5); c.rollback(); input()
"""
    with process(code), SqliteRegistry(stored.path) as registry:
        assert keys.revoke(registry, stored.key.id).revoked_at is not None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB; needs the right to mount."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(registry: SqliteRegistry, count: int) -> None:
    """Make keys until something breaks."""
    for number in range(count):
        keys.create(registry, org="acme", name=f"k{number}", metadata={"pad": "x" * 256})


def test_a_full_disk_is_told_and_breaks_nothing(small_disk: Path) -> None:
    """Writes fail with a sentence; what was written can be read, and space makes writing work again."""
    path = small_disk / "llmgw.db"
    store.create(path)
    migrations.up(path)
    with SqliteRegistry(path) as registry:
        orgs.create(registry, "acme")
        with pytest.raises(OSError, match="space"):
            (small_disk / "ballast").write_bytes(bytes(1024 * 1024))
        with pytest.raises(StoreUnavailable, match="disk is full"):
            fill(registry, 1000)
        written = len(keys.list_(registry, limit=1000).items)
        assert orgs.show(registry, "acme").name == "acme"
        (small_disk / "ballast").unlink()
        keys.create(registry, org="acme", name="after")
        assert len(keys.list_(registry, limit=1000).items) == written + 1


def test_a_read_only_disk_is_told(small_disk: Path) -> None:
    """Writing to a store on a read-only file system names the permissions."""
    path = small_disk / "llmgw.db"
    store.create(path)
    migrations.up(path)
    with SqliteRegistry(path) as registry:
        orgs.create(registry, "acme")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreUnavailable, match=r"permissions|read-only"), SqliteRegistry(path) as registry:
        orgs.create(registry, "globex")


def test_a_file_size_limit_is_told_and_breaks_nothing(stored: Stored) -> None:
    """Without the right to mount, the limit of a process shows the same: a sentence, and an intact store."""
    code = f"""
import resource, signal
from pathlib import Path
from llmgw.control import keys
from llmgw.errors import StoreUnavailable
from llmgw.standalone.registry import SqliteRegistry
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
registry = SqliteRegistry(Path({str(stored.path)!r}))
try:
    for number in range(5000):
        keys.create(registry, org="acme", name=f"k{{number}}", metadata={{"pad": "x" * 256}})
except StoreUnavailable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert "The store" in done.stdout
    check = sqlite3.connect(stored.path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()
    with SqliteRegistry(stored.path) as registry:
        assert keys.show(registry, stored.key.id).name == "key"
        keys.create(registry, org="acme", name="after")


def test_a_store_that_vanishes_under_a_command_keeps_its_words(stored: Stored) -> None:
    """A damaged row is a sentence too."""
    connection = sqlite3.connect(stored.path)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("UPDATE virtual_keys SET metadata = '[]'")
    connection.commit()
    connection.close()
    with SqliteRegistry(stored.path) as registry, pytest.raises(StoreUnavailable, match="damaged"):
        keys.show(registry, stored.key.id)


def test_every_control_write_raises_the_revision(stored: Stored) -> None:
    """Also one that is made with the sqlite3 shell: that is how running servers notice."""

    def revision() -> int:
        connection = sqlite3.connect(stored.path)
        value = connection.execute("SELECT value FROM revision").fetchone()[0]
        connection.close()
        assert isinstance(value, int)
        return value

    for sql in (
        "UPDATE orgs SET suspended_at = 1",
        "UPDATE virtual_keys SET revoked_at = 1",
        "UPDATE virtual_key_terms SET expires_at = 1",
        "UPDATE data_keys SET kek_term = 'x'",
        "DELETE FROM credentials",
        "INSERT INTO orgs VALUES ('o', 'o', 1, NULL)",
    ):
        before = revision()
        change(stored.path, sql)
        assert revision() > before, sql


def test_a_second_server_is_refused_and_commands_are_not(stored: Stored) -> None:
    """The lock names its holder; the end of that process, however it ends, frees it."""
    code = f"""
from pathlib import Path
from llmgw.standalone.lock import StoreLock
lock = StoreLock(Path({str(stored.path)!r})); lock.__enter__(); print("serving", flush=True); input()
"""
    with process(code) as server:
        with pytest.raises(OperatorError, match=f"process {server.pid}"), StoreLock(stored.path):
            pass
        with SqliteRegistry(stored.path) as registry:
            keys.revoke(registry, stored.key.id)
    for _ in range(2):
        with StoreLock(stored.path), pytest.raises(OperatorError, match=f"process {os.getpid()}"):
            StoreLock(stored.path).__enter__()
