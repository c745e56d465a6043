"""The single-file executable, on a machine that, as far as it can tell, has no Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmgw import __version__

ROOT = Path(__file__).resolve().parents[2]


def build(folder: Path) -> Path:
    """`dist/llmgw`, as `make binary` builds it, in a folder of its own; skips where it cannot be built."""
    if sys.platform == "linux" and shutil.which("objdump") is None:
        pytest.skip("PyInstaller needs objdump (Debian: apt install binutils)")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"),
            *("--distpath", str(folder / "dist"), "--workpath", str(folder / "build")),
            "packaging/llmgw.spec",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=800,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if "PythonLibraryNotFoundError" in done.stderr:
        pytest.skip("PyInstaller needs a Python that was built with --enable-shared")
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "dist" / "llmgw"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_file_is_the_whole_product(tmp_path: Path) -> None:
    """With an empty PATH it knows its version, runs the demo, and sets up an installation with a key."""
    binary = build(tmp_path)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [binary, *arguments],
            cwd=tmp_path,
            env={"PATH": ""},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run("--version").strip() == __version__
    assert "A streamed request" in run("demo", "--once")
    assert json.loads(run("init", "--org", "acme", "--json"))["org"]
    key = json.loads(run("keys", "create", "--org", "acme", "--name", "first", "--json"))
    assert key["key"].startswith("sk-llmgw-")
