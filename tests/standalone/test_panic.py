"""The panic switch's file: who may read it, and what becomes of it when the disk does not help."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmgw.control import panic
from llmgw.errors import StoreUnavailable
from llmgw.standalone.panic import PanicFile, PanicWatch

USER = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llmgw.db.panic"


def on(path: Path, scope: str = "all") -> None:
    panic.on(PanicFile(path), scope, "block", reason="r", actor="a", now=1.0)


def test_a_server_of_another_user_can_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0o077)
    try:
        on(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody who may not read it")
def test_a_switch_that_becomes_readable_is_read(path: Path) -> None:
    """Mending the mode alone is enough: a server that started with everything stopped goes on."""
    on(path)
    panic.off(PanicFile(path), None, reason="", actor="a")
    path.chmod(0)
    for folder in (path.parent, *path.parent.parents[:2]):
        folder.chmod(0o755)
    os.seteuid(USER)
    try:
        watch = PanicWatch(path)
        assert [entry.scope for entry in watch.entries] == ["all"]
    finally:
        os.seteuid(0)
    path.chmod(0o644)
    watch.look()
    assert watch.entries == ()


def test_the_brake_goes_before_its_log(path: Path) -> None:
    """A log that cannot be written is said; the switch is turned."""
    path.with_name(path.name + ".log").mkdir()
    with pytest.raises(StoreUnavailable, match="is changed as you asked"):
        on(path)
    assert len(PanicFile(path).read()) == 1


def test_what_cannot_be_written_changes_nothing(path: Path) -> None:
    """And leaves nothing behind."""
    path.mkdir()
    (path / "x").touch()
    with pytest.raises(StoreUnavailable, match="Nothing was changed"):
        PanicFile(path).change((), did="off", scope="all", actor="a", reason="r")
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_turning_a_scope_on_again_keeps_its_count(path: Path) -> None:
    on(path)
    watch = PanicWatch(path)
    watch.refused(watch.entries[0])
    panic.on(PanicFile(path), "all", "block", reason="other", actor="b", now=2.0)
    watch.look()
    assert [entry.reason for entry in watch.entries] == ["other"]
    assert watch.refusals == {"all": 1} == watch.refused_total
