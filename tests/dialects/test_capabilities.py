"""What is known of models, by the names that hosts give them."""

from __future__ import annotations

import pytest

from llmgw.dialects.capabilities import UNKNOWN, of


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        ("gpt-4o", "vision", True),
        ("gpt-4o-2024-08-06", "json_schema", True),
        ("gpt-4o-mini", "reasoning", "none"),
        ("gpt-4", "vision", False),
        ("gpt-3.5-turbo-0125", "vision", False),
        ("gpt-5", "reasoning", "effort"),
        ("gpt-5.2-codex", "max_output", 128_000),
        ("o3", "sampling", False),
        ("o4-mini-2025-04-16", "vision", True),
        ("o1-mini", "tools", False),
        ("claude-3-5-sonnet-20241022", "reasoning", "none"),
        ("claude-3-7-sonnet-latest", "reasoning", "budget"),
        ("claude-sonnet-4-20250514", "max_output", 64_000),
        ("claude-sonnet-4-20250514", "json_schema", False),
        ("claude-sonnet-4-5-20250929", "json_schema", True),
        ("claude-opus-4-6", "reasoning", "adaptive"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "reasoning", "budget"),
        ("anthropic/claude-opus-4.5", "reasoning", "budget"),
        ("claude-haiku-4-5@20251001", "max_output", 64_000),
        ("models/gemini-2.5-flash", "reasoning", "budget"),
        ("gemini-3.1-flash-lite", "reasoning", "level"),
        ("google/gemini-2.0-flash-001", "max_output", 8192),
        ("meta-llama/Llama-3.3-70B-Instruct", "vision", False),
        ("meta-llama/Llama-3.2-11B-Vision-Instruct", "vision", True),
        ("deepseek-reasoner", "vision", False),
    ],
)
def test_known_families(model: str, field: str, value: object) -> None:
    """Family and version decide, whatever stands before and behind."""
    assert getattr(of(model), field) == value


@pytest.mark.parametrize(
    "model", ["llama4", "my-gpt-4o", "gpt-4o-realtime-preview", "qwen3-vl", "", "turbo3"]
)
def test_unknown_models_are_let_through(model: str) -> None:
    """Nothing is refused for a model that the table does not know."""
    assert of(model) == UNKNOWN
