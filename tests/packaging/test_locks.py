"""The lock files: every package by hash, from the public index, fit for what pyproject.toml asks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(name: str) -> dict[str, set[str]]:
    """The versions of each package in a lock file, by name; markers may make several."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE
    ):
        found.setdefault(canonicalize_name(package), set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_has_a_hash_and_no_address(lock: Path) -> None:
    """pip refuses what does not match, and asks the index that its user has configured."""
    text = lock.read_text()
    entries = re.split(r"\n(?=[a-zA-Z0-9])", text.partition("\n")[2])
    assert all("--hash=sha256:" in entry for entry in entries if re.match(r"[a-zA-Z0-9]", entry))
    assert not re.search(r"file:|https?:|--index|--find-links|-e |^/", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("lock", "asked"),
    [
        ("requirements.lock", PYPROJECT["project"]["dependencies"]),
        ("requirements-dev.lock", PYPROJECT["project"]["dependencies"]),
        ("requirements-dev.lock", PYPROJECT["dependency-groups"]["dev"]),
        ("requirements-dev.lock", PYPROJECT["dependency-groups"]["build"]),
        ("requirements-build.lock", PYPROJECT["dependency-groups"]["build"]),
        ("requirements-peers.lock", PYPROJECT["dependency-groups"]["peers"]),
    ],
    ids=["runtime", "dev-runtime", "dev", "dev-build", "build", "peers"],
)
def test_what_is_asked_for_is_locked(lock: str, asked: list[object]) -> None:
    """A dependency that was added or raised without `make lock` fails here, not on a user's machine."""
    locked = pins(lock)
    for line in asked:
        if isinstance(line, str):
            wanted = Requirement(line)
            versions = locked.get(canonicalize_name(wanted.name), set())
            assert any(wanted.specifier.contains(version) for version in versions), line


def test_tests_run_on_what_users_run() -> None:
    """The versions of the runtime are the same in both lock files."""
    runtime, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: dev.get(name) for name in runtime} == runtime
