"""Calls for the tests of rules: facts without a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from msgspec import Struct

from llmgw.canonical.traits import Prompt, Shape
from llmgw.config.schema import Config
from llmgw.rules.access import KeyRecord
from llmgw.rules.facts import Facts
from tests.config.support import HEAD, config_of

NOW = 1_760_000_000.0  # Thursday 2025-10-09 08:53:20 UTC
MODELS = """
providers: {p: {dialect: simulator}}
models: {gpt: {targets: [p/gpt]}, cheap: {targets: [p/cheap]}, other: {targets: [p/other]}}
flags: {f: {default: false}}
"""


class Looked(Struct, kw_only=True):
    """A source of facts that remembers what it was asked for."""

    of_shape: Shape = Shape()
    of_prompt: Prompt = Prompt(text="hello", turns=1, context_bytes=100)
    tokens: int = 100
    used: float | None = None
    conversation: bytes | None = b"c1"
    asked: list[str] = []

    def shape(self) -> Shape:
        self.asked.append("shape")
        return self.of_shape

    def prompt(self) -> Prompt:
        self.asked.append("prompt")
        return self.of_prompt

    def input_tokens(self) -> int:
        self.asked.append("input_tokens")
        return self.tokens

    def budget_used(self) -> float | None:
        self.asked.append("budget_used")
        return self.used

    def session(self) -> bytes | None:
        self.asked.append("session")
        return self.conversation


def key(**settings: Any) -> KeyRecord:
    given = {"id": "key_1", "public_id": "p", "org_id": "org_1", "org": "acme", "name": "ci", "terms": ()}
    return KeyRecord(**{**given, **settings})


KEY = key()


def call(
    *,
    model: str = "gpt",
    of: KeyRecord = KEY,
    tags: Mapping[str, str] | None = None,
    headers: Mapping[bytes, bytes] | None = None,
    body_bytes: int = 1000,
    embeds: bool = False,
    now: float = NOW,
    draw: float = 0.5,
    source: Looked | None = None,
) -> Facts:
    return Facts(
        model=model,
        key=of,
        tags=tags or {},
        headers=headers or {},
        body_bytes=body_bytes,
        embeds=embeds,
        now=now,
        draw=draw,
        source=Looked() if source is None else source,
    )


def configured(**sections: Any) -> Config:
    """A configuration with these sections and the models gpt, cheap and other of the provider p."""
    return config_of(HEAD + MODELS + yaml.safe_dump(sections))
