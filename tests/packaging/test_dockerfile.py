"""The Dockerfile, without a Docker engine: linted, and its promises read from its instructions."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Instruction = tuple[str, str]


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, continuation lines joined, comments left out."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def of(stage: list[Instruction], name: str) -> list[str]:
    return [rest for instruction, rest in stage if instruction == name]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps `path` out of the build; the last pattern that matches decides."""
    answer = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        wanted, pattern = pattern.startswith("!"), pattern.removeprefix("!").removeprefix("**/")
        parents = [path, *(str(parent) for parent in Path(path).parents)]
        if any(fnmatch(part, pattern) or fnmatch(Path(part).name, pattern) for part in parents):
            answer = not wanted
    return answer


def test_it_lints() -> None:
    """hadolint finds nothing."""
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint has no wheel for this platform")
    done = subprocess.run(
        [hadolint, "--failure-threshold", "style", "Dockerfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_base_has_a_tag_and_the_last_one_is_not_the_builder() -> None:
    """Two stages on a named release of Python: nothing that builds is in the image that runs."""
    bases = [of(stage, "FROM")[0] for stage in stages()]
    assert len(bases) == 2
    assert all(re.match(r"python:3\.\d+-slim(\s|$)", base) for base in bases)
    assert of(stages()[-1], "COPY") == ["--from=build /opt/llmgw /opt/llmgw"]


def test_what_is_copied_exists_and_is_sent_to_the_engine() -> None:
    """Each source of a COPY is in the project and not kept out by .dockerignore."""
    for stage in stages():
        for copy in of(stage, "COPY"):
            words = copy.split()
            if words[0].startswith("--from"):
                continue
            for source in words[:-1]:
                assert (ROOT / source).exists(), source
                assert not ignored(source), source


@pytest.mark.parametrize(
    "path", [".env", "llmgw.yaml", "llmgw.keyring", "llmgw.db", ".git/config", ".venv/bin/python"]
)
def test_secrets_are_not_even_sent_to_the_engine(path: str) -> None:
    """What an operator has lying in the folder stays out of the build."""
    assert ignored(path)


def test_it_runs_as_nobody_in_particular() -> None:
    """The user is a number above those of the system, which owns the one folder that is written to."""
    stage = stages()[-1]
    (user,) = of(stage, "USER")
    uid, _, gid = user.partition(":")
    assert int(uid) >= 10000
    assert int(gid) >= 10000
    assert of(stage, "VOLUME") == ["/data"]
    (run,) = of(stage, "RUN")
    assert run.startswith("install ")
    assert f"--owner {uid}" in run


def test_it_starts_the_gateway_without_a_shell() -> None:
    """Signals reach the process, and a word after `docker run` is a command of llmgw."""
    stage = stages()[-1]
    assert of(stage, "ENTRYPOINT") == ['["llmgw"]']
    assert of(stage, "CMD")[0].startswith('["serve"')
    assert " CMD [" in of(stage, "HEALTHCHECK")[0]


def test_there_is_no_secret_and_nothing_from_elsewhere_in_it() -> None:
    """No ADD, no build argument, no variable that looks like a secret, no download but locked packages."""
    text = (ROOT / "Dockerfile").read_text()
    for stage in stages():
        assert not of(stage, "ADD")
        assert not of(stage, "ARG")
        for variables in of(stage, "ENV"):
            assert not re.search(r"KEY|SECRET|TOKEN|PASSWORD", variables)
    assert not re.search(r"curl|wget|apt-get|\bsh -c|\beval\b", text)
    for install in re.findall(r"pip .*?install (.*?)(?:&&|\n)", re.sub(r"\\\n\s*", " ", text)):
        assert "--require-hashes" in install or "--no-index" in install, install
