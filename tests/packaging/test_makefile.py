"""The Makefile's promises to somebody who has only Python, pip and make."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKE = shutil.which("make")

pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not on PATH")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run our Makefile in a folder without an environment."""
    # What a surrounding make passes on (jobs, flags, the interpreter) must not reach the one under test.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))
    }
    return subprocess.run(
        [str(MAKE), "-f", str(ROOT / "Makefile"), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The lock files and nothing else."""
    for lock in ROOT.glob("requirements*.lock"):
        (tmp_path / lock.name).write_text(lock.read_text())
    return tmp_path


def interpreter(folder: Path, version: str, *, new_enough: bool = True, has_venv: bool = True) -> Path:
    """A stand-in that claims to be a certain Python."""
    path = folder / "some-python"
    path.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        f'  --version) echo "Python {version}" ;;\n'
        f"  *version_info*) exit {0 if new_enough else 1} ;;\n"
        f"  *ensurepip*) exit {0 if has_venv else 1} ;;\n"
        "  *) exit 7 ;;\n"
        "esac\n"
    )
    path.chmod(0o755)
    return path


def test_make_alone_lists_every_target(tmp_path: Path) -> None:
    """The default target changes nothing and names all the others."""
    done = make(tmp_path)
    assert done.returncode == 0
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    assert targets == set(re.findall(r"^  make (\S+)", done.stdout, re.MULTILINE))
    assert targets == set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())


def test_no_python_is_told_in_a_sentence(folder: Path) -> None:
    """It says what to install and how to name another."""
    done = make(folder, "setup", "PYTHON=no-such-python")
    assert done.returncode == 2
    assert "There is no no-such-python on PATH. Install Python 3.11 or newer" in done.stderr


def test_an_old_python_is_told_in_a_sentence(folder: Path) -> None:
    """It says which one was found and how to name another."""
    done = make(folder, "setup", f"PYTHON={interpreter(folder, '3.9.2', new_enough=False)}")
    assert done.returncode == 2
    assert "llmgw needs Python 3.11 or newer" in done.stderr
    assert "is Python 3.9.2" in done.stderr


def test_a_python_without_venv_is_told_in_a_sentence(folder: Path) -> None:
    """Debian keeps the module in a package of its own; nothing half-made is left."""
    done = make(folder, "setup", f"PYTHON={interpreter(folder, '3.11.2', has_venv=False)}")
    assert done.returncode == 2
    assert "apt install python3-venv" in done.stderr
    assert not (folder / ".venv").exists()


def test_the_pipeline_runs_what_the_readme_says() -> None:
    """`.ci/run` calls the checks and the test command of the README, and can be executed."""
    script = ROOT / ".ci" / "run"
    commands = [line for line in script.read_text().splitlines() if line.startswith("make ")]
    assert commands == ["make check", "make test"]
    assert "make test" in (ROOT / "README.md").read_text()
    assert os.access(script, os.X_OK)
