"""What a user gets who installs the project."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from llmgw import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip install .` installs."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", *options, str(ROOT)],
        check=True,
        timeout=110,
        stdin=subprocess.DEVNULL,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_everything_and_nothing_else(wheel: Path) -> None:
    """Every file of the package, its types' marker and the licence; no tests, no caches."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())
    package = ROOT / "llmgw"
    files = {
        str(path.relative_to(ROOT))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == files
    assert "llmgw/py.typed" in names


@pytest.mark.slow
def test_the_installed_command_runs(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, beside our dependencies, the console script starts and knows its version."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True, timeout=60
    )
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            str(wheel),
        ],
        check=True,
        timeout=110,
    )
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    # The dependencies of this environment, without its editable installation of the project.
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(paths))
    script = "import llmgw, sys; sys.exit(0 if llmgw.__file__.startswith(sys.prefix) else llmgw.__file__)"
    subprocess.run([python, "-I", "-c", script], check=True, timeout=60)
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "llmgw", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == __version__


def test_the_version_is_written_once() -> None:
    """pyproject.toml takes it from the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]


def test_the_changelog_knows_the_version() -> None:
    """The version that the package has stands in CHANGELOG.md."""
    assert __version__ in (ROOT / "CHANGELOG.md").read_text()
