"""The keyring's file: made safely, refused when it is not safe."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from llmgw.errors import AlreadyExists, IntegrityError, OperatorError, StoreUnavailable
from llmgw.kms import local
from llmgw.kms.local import LocalKms


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A keyring, freshly made."""
    local.create(tmp_path / "llmgw.keyring")
    return tmp_path / "llmgw.keyring"


def test_a_new_keyring_is_private_whatever_the_umask(tmp_path: Path) -> None:
    """Mode 0600 under a careless umask and under a harsh one, and nothing else is left in the folder."""
    for umask in (0o000, 0o777):
        path = tmp_path / f"{umask:o}.keyring"
        before = os.umask(umask)
        try:
            local.create(path)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        LocalKms.load(path)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_existing_file_is_never_replaced(path: Path, tmp_path: Path) -> None:
    """A keyring cannot be made again, so what is there stays, be it a dangling link."""
    text = path.read_bytes()
    with pytest.raises(AlreadyExists):
        local.create(path)
    assert path.read_bytes() == text
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(AlreadyExists):
        local.create(tmp_path / "link")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    """No traceback of the operating system."""
    with pytest.raises(OperatorError, match="No such file or directory"):
        local.create(tmp_path / "missing" / "llmgw.keyring")


def test_what_one_process_wraps_another_unwraps(path: Path) -> None:
    """The file carries the keys: two loads open each other's bytes, under the same context only."""
    term, wrapped = LocalKms.load(path).wrap(b"k" * 32, b"context")
    assert LocalKms.load(path).unwrap(term, wrapped, b"context") == b"k" * 32
    with pytest.raises(IntegrityError):
        LocalKms.load(path).unwrap(term, wrapped, b"another")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610, 0o601])
def test_a_file_that_others_can_reach_is_refused(path: Path, mode: int) -> None:
    """The message is the command that mends it."""
    path.chmod(mode)
    with pytest.raises(OperatorError, match=f"chmod 600 {path}"):
        LocalKms.load(path)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_file_is_accepted(path: Path, mode: int) -> None:
    """Also one that its owner has made read-only."""
    path.chmod(mode)
    assert LocalKms.load(path).current == "local:1"


def test_a_secret_as_kubernetes_mounts_it_is_accepted(path: Path, tmp_path: Path) -> None:
    """A link to a file in a folder that is a link too, all in a folder with the sticky bit that anyone may write to."""
    volume = tmp_path / "volume"
    (volume / "..2026_01_31").mkdir(parents=True)
    volume.chmod(0o1777)
    path.rename(volume / "..2026_01_31" / "llmgw.keyring")
    (volume / "..data").symlink_to("..2026_01_31")
    (volume / "llmgw.keyring").symlink_to("..data/llmgw.keyring")
    assert LocalKms.load(volume / "llmgw.keyring").current == "local:1"


def test_a_link_may_be_absolute_and_lead_upwards(path: Path, tmp_path: Path) -> None:
    """Each step is taken from where the link before it has led."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "up").symlink_to(f"../../{path.name}")
    (tmp_path / "absolute").symlink_to(inner / "up")
    assert LocalKms.load(tmp_path / "absolute").current == "local:1"


def test_a_link_that_others_could_change_is_refused(path: Path, tmp_path: Path) -> None:
    """In a folder without the sticky bit that anyone may write to; the message names the file to use instead."""
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "link").symlink_to(path)
    folder.chmod(0o777)
    (tmp_path / "first").symlink_to(folder / "link")
    for link in (folder / "link", tmp_path / "first"):
        with pytest.raises(OperatorError, match=f"symbolic link .*/open/link.*other users.*{path}"):
            LocalKms.load(link)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give links away")
def test_another_users_link_is_refused(path: Path, tmp_path: Path) -> None:
    """Whoever owns a link in a folder with the sticky bit can replace it."""
    (tmp_path / "link").symlink_to(path)
    os.chown(tmp_path / "link", 12345, -1, follow_symlinks=False)
    with pytest.raises(OperatorError, match=r"symbolic link .*belongs to another user"):
        LocalKms.load(tmp_path / "link")


def test_what_a_link_leads_to_is_checked_like_any_file(path: Path, tmp_path: Path) -> None:
    """A link makes nothing safe that others can read."""
    (tmp_path / "link").symlink_to(path)
    path.chmod(0o644)
    with pytest.raises(OperatorError, match="can be reached by other users"):
        LocalKms.load(tmp_path / "link")


def test_links_in_a_circle_and_links_to_nothing_are_told(tmp_path: Path) -> None:
    """One sentence each, and no endless search."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OperatorError, match="leads nowhere"):
        LocalKms.load(tmp_path / "a")
    (tmp_path / "dangling").symlink_to("nothing")
    with pytest.raises(StoreUnavailable, match="does not exist"):
        LocalKms.load(tmp_path / "dangling")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("owner", "group", "mode", "accepted"),
    [
        (0, 10001, 0o440, True),  # a secret's mount in a pod with fsGroup
        (0, 10001, 0o640, True),
        (0, 10001, 0o460, False),
        (0, 10001, 0o444, False),
        (10001, 10001, 0o440, False),  # ours: nobody had to give it to the group
        (12345, 10001, 0o440, False),
    ],
)
def test_root_may_give_the_keyring_to_the_groups_of_the_process(
    owner: int, group: int, mode: int, accepted: bool
) -> None:
    """Group 10001 may read what root has given it; nobody else may, and nobody may write."""
    code = (
        "import os, sys; from pathlib import Path; from llmgw.kms.local import LocalKms; from llmgw.errors import OperatorError\n"
        "os.setgroups([]); os.setgid(10001); os.setuid(10001)\n"
        "try: LocalKms.load(Path(sys.argv[1]))\n"
        "except OperatorError as error: sys.exit(str(error))"
    )
    with tempfile.TemporaryDirectory() as folder:  # pytest's own lets no other user in
        Path(folder).chmod(0o711)
        path = Path(folder) / "llmgw.keyring"
        local.create(path)
        os.chown(path, owner, group)
        path.chmod(mode)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.returncode == 0) is accepted, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_file_is_refused(path: Path) -> None:
    """Its owner could replace it."""
    os.chown(path, 12345, -1)
    with pytest.raises(OperatorError, match="belongs to user 12345"):
        LocalKms.load(path)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A folder, and a FIFO, which must not hang the command."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises(OperatorError):
            LocalKms.load(path)


def test_a_missing_keyring_is_an_unreachable_dependency(tmp_path: Path) -> None:
    """Exit code 4, and the way out."""
    with pytest.raises(StoreUnavailable, match="backup"):
        LocalKms.load(tmp_path / "llmgw.keyring")


KEY = base64.b64encode(b"k" * 32).decode()
TERM = {"version": 1, "created_at": "2026-01-31T12:00:00Z", "key": KEY}
FILE = {"format": "llmgw-keyring/1", "current": 1, "terms": [TERM]}


DAMAGED: dict[str, bytes | dict[str, Any]] = {
    "empty": b"",
    "not text": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "nothing in it": b"{}",
    "huge": b" " * 2_000_000,
    "another format": {**FILE, "format": "llmgw-keyring/2"},
    "no current term": {**FILE, "current": 2},
    "no terms": {**FILE, "terms": []},
    "a term twice": {**FILE, "terms": [TERM, TERM]},
    "term zero": {**FILE, "terms": [{**TERM, "version": 0}], "current": 0},
    "a short key": {**FILE, "terms": [{**TERM, "key": KEY[:-4]}]},
    "no base64": {**FILE, "terms": [{**TERM, "key": "not base64!"}]},
    "more than we know": {**FILE, "more": 1},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_keyring_is_refused_without_showing_it(tmp_path: Path, damage: str) -> None:
    """One sentence that names the file; nothing of a key in it."""
    path = tmp_path / "llmgw.keyring"
    content = DAMAGED[damage]
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    path.chmod(0o600)
    with pytest.raises(OperatorError, match="is not a keyring") as caught:
        LocalKms.load(path)
    assert KEY[:-4] not in str(caught.value)


def test_older_terms_still_unwrap(tmp_path: Path) -> None:
    """A keyring of two terms wraps under the current one and opens what either wrapped."""
    path = tmp_path / "llmgw.keyring"
    second = {**TERM, "version": 2, "key": base64.b64encode(b"2" * 32).decode()}
    path.touch(0o600)
    path.write_text(json.dumps(FILE))
    old = LocalKms.load(path).wrap(b"d" * 32, b"")
    path.write_text(json.dumps({**FILE, "terms": [TERM, second], "current": 2}))
    both = LocalKms.load(path)
    assert both.terms() == ["local:1", "local:2"]
    assert both.wrap(b"d" * 32, b"")[0] == both.current == "local:2"
    assert both.unwrap(*old, b"") == b"d" * 32
