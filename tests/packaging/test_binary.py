"""The single-file executable: built once, run on a machine that, as far as it can tell, has no Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from llmgw import __version__

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("binary")]


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`dist/llmgw`, as `make binary` builds it, in a folder of its own."""
    if sys.platform != "linux" and sys.platform != "darwin":
        pytest.skip("the executable is built for Linux and macOS")
    if not sysconfig.get_config_var("Py_ENABLE_SHARED") and not _is_static_with_library():
        pytest.skip(
            "PyInstaller needs a Python with a shared library (pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)"
        )
    if sys.platform == "linux" and shutil.which("objdump") is None:
        pytest.skip("PyInstaller needs objdump (Debian: apt install binutils)")
    folder = tmp_path_factory.mktemp("binary")
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
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "dist" / "llmgw"


def _is_static_with_library() -> bool:
    """Debian's python3 is linked statically and has its shared library beside it, which PyInstaller finds."""
    library = sysconfig.get_config_var("LDLIBRARY") or ""
    folder = sysconfig.get_config_var("LIBDIR") or ""
    found = [*Path(folder).glob("libpython3*.so*"), *Path(folder).glob("*/libpython3*.so*")]
    return bool(found) or library.endswith((".so", ".dylib"))


def run(binary: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it with an empty environment: no PATH, no home, nothing of ours."""
    return subprocess.run(
        [binary, *arguments],
        cwd=folder,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_it_knows_its_version(binary: Path, tmp_path: Path) -> None:
    """The executable starts and says which release it is."""
    done = run(binary, tmp_path, "--version")
    assert (done.returncode, done.stdout.strip()) == (0, __version__), done.stderr


def test_it_runs_the_demo(binary: Path, tmp_path: Path) -> None:
    """The whole product works from that one file: store, keyring, server, simulated provider, two requests."""
    done = run(binary, tmp_path, "demo", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "A streamed request" in done.stdout


def test_it_serves_what_it_set_up(binary: Path, tmp_path: Path) -> None:
    """`init` and the commands behind it work as well."""
    done = run(binary, tmp_path, "init", "--org", "acme", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(binary, tmp_path, "keys", "create", "--org", "acme", "--name", "first", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"sk-llmgw-' in done.stdout
