"""The documentation says what is true: links lead somewhere, commands exist, tables are complete."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from llmgw import errors
from llmgw.config.read import read
from llmgw.config.schema import Config
from tests.gateway import COMMAND

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
ENV = {
    "OPENAI_API_KEY": "sk-a",
    "ANTHROPIC_API_KEY": "sk-b",
    "GEMINI_API_KEY": "sk-c",
    "OPENAI_SECOND_KEY": "sk-d",
    "POSTGRES_PASSWORD": "p",
    "REDIS_PASSWORD": "p",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file of the project."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def commands() -> list[str]:
    """Every llmgw command that a code block shows."""
    found = set()
    for page in PAGES:
        for block in re.findall(r"```[a-z]*\n(.*?)```", page.read_text(), re.DOTALL):
            found |= {
                match.strip()
                for match in re.findall(r"(?:^|\| )llmgw ((?:[a-z]+ ?){1,2})", block, re.MULTILINE)
            }
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_commands_in_the_docs_exist(command: str) -> None:
    """What a reader copies is known to the command line."""
    words = command.split()
    done = subprocess.run(
        [*COMMAND, words[0], "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, command
    if len(words) > 1 and "COMMAND" in done.stdout:
        done = subprocess.run(
            [*COMMAND, *words, "--help"], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_configurations_in_the_docs_are_valid(page: Path) -> None:
    """Every YAML block is a configuration, or a piece of one, without an error."""
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        piece = yaml.safe_load(block)
        if not set(piece) <= set(Config.__struct_fields__):
            piece = {"providers": piece}
        text = yaml.safe_dump({"version": 1, **piece})
        assert [str(fault) for fault in read(text, ENV).faults if fault.severity == "error"] == []


def test_every_error_code_is_documented() -> None:
    """docs/http.md lists each code with its status."""
    page = (ROOT / "docs" / "http.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    for error in errors.CallError.__subclasses__():
        assert any(str(error.status) in row and f"`{error.code}`" in row for row in rows), error.code


def test_make_targets_in_the_docs_exist() -> None:
    """`make x` in a page is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert (target[0] or target[1]) in targets, (page, target)
