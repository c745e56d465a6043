"""What a later version will act on is known, and never silently without effect."""

from __future__ import annotations

import pytest

from llmgw.config.not_yet import NOT_YET
from tests.config.support import HEAD, config_of, faults

BASE = "\nproviders: {p: {dialect: simulator}}"
MODEL = "\nmodels: {m: {targets: [p/a], "
SECTIONS = [
    ("admin: {enabled: true}", "admin"),
    ("telemetry: {otlp_endpoint: 'http://x'}", "telemetry.otlp_endpoint"),
    ("telemetry: {sample: 1}", "telemetry.sample"),
    ("telemetry: {content: full}", "telemetry.content"),
]


@pytest.mark.parametrize(("section", "path"), SECTIONS)
def test_one_warning_each_at_its_line(section: str, path: str) -> None:
    """It says that the setting is checked and has no effect, and what happens instead."""
    text = HEAD + section
    [warning] = faults(text, "warning")
    assert warning.path == path
    assert warning.line == text[: text.index(path.rpartition(".")[2] + ":")].count("\n") + 1
    assert warning.message.startswith("is checked, but has no effect in this version: ")
    config_of(text)


def test_every_row_is_tested() -> None:
    """No row of the table is without its case above."""
    written = {path.replace(".q.", ".*.").replace(".m.", ".*.") for _, path in SECTIONS}
    assert written == {".".join(str(step) for step in place) for place in NOT_YET}


def test_defaults_written_out_are_no_matter() -> None:
    """Nothing is missing where a file asks for what happens anyway."""
    text = HEAD + "telemetry: {otlp_endpoint: '', sample: 0.01, content: none, queue: 5}"
    assert faults(text + f"{MODEL} strategy: fallback}}}}{BASE}", "warning") == []


def test_what_is_not_acted_on_is_checked() -> None:
    """A mistake in such a section is an error as anywhere."""
    assert [fault.path for fault in faults(HEAD + "breakers: {failures: many}")] == ["breakers.failures"]
