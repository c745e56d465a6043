"""What the tests of the configuration share."""

from __future__ import annotations

from pathlib import Path

from llmgw.config.faults import Fault
from llmgw.config.read import read
from llmgw.config.schema import Config

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "config.example.yaml").read_text(encoding="utf-8")
ENV = {"OPENAI_API_KEY": "sk-a", "ANTHROPIC_API_KEY": "sk-b", "GEMINI_API_KEY": "sk-c"}
HEAD = "version: 1\n"


def config_of(text: str, env: dict[str, str] | None = None) -> Config:
    """The configuration that a text is; fails where it has an error."""
    reading = read(text, ENV if env is None else env)
    assert reading.config is not None, reading.faults
    return reading.config


def faults(text: str, severity: str = "error", env: dict[str, str] | None = None) -> list[Fault]:
    """The faults of a text, in the order of the file."""
    return [fault for fault in read(text, ENV if env is None else env).faults if fault.severity == severity]
