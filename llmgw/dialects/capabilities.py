"""What a model can do, by family and version, so that a request it cannot serve is refused before it is sent.

One table of patterns over the model's id, the first match wins. Ids come in many dresses (`models/…`,
`us.anthropic.…-v1:0`, `meta-llama/…`, `…:free`), so the patterns look for the family's name anywhere behind a
separator. None means not known here: then the request goes out and the provider decides. A wrong "no" would refuse
a request that works, so "no" stands only where the provider's documentation says so.

Sources: the model pages of platform.openai.com, docs.claude.com and ai.google.dev, as of 2026-11.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

ReasoningStyle = Literal["none", "effort", "budget", "adaptive", "level"]
"""How a model is told to think: not at all; by an effort (OpenAI); by a token budget (Claude up to 4.5, Gemini
2.5); adaptively with an effort (Claude from 4.6); by a level (Gemini from 3)."""


class Capabilities(Struct, frozen=True, kw_only=True):
    """One model's abilities. Every field can be set in the configuration (`capabilities:`)."""

    vision: bool | None = None
    audio: bool | None = None
    """Takes audio as input."""
    documents: bool | None = None
    tools: bool | None = None
    json_schema: bool | None = None
    reasoning: ReasoningStyle | None = None
    sampling: bool | None = None
    """Takes temperature and top_p (OpenAI's reasoning models do not)."""
    max_output: int | None = None
    """Tokens."""


UNKNOWN: Final = Capabilities()


def _claude(max_output: int, reasoning: ReasoningStyle, *, json_schema: bool | None = None) -> Capabilities:
    return Capabilities(
        vision=True,
        audio=False,
        documents=True,
        tools=True,
        json_schema=json_schema,
        reasoning=reasoning,
        max_output=max_output,
    )


def _gpt(
    max_output: int,
    reasoning: ReasoningStyle,
    *,
    vision: bool = True,
    audio: bool | None = False,
    tools: bool = True,
    json_schema: bool = True,
) -> Capabilities:
    return Capabilities(
        vision=vision,
        audio=audio,
        documents=vision,
        tools=tools,
        json_schema=json_schema,
        reasoning=reasoning,
        sampling=reasoning == "none",
        max_output=max_output,
    )


def _gemini(max_output: int, reasoning: ReasoningStyle) -> Capabilities:
    return Capabilities(
        vision=True,
        audio=True,
        documents=True,
        tools=True,
        json_schema=True,
        reasoning=reasoning,
        max_output=max_output,
    )


_TABLE: Final[tuple[tuple[str, Capabilities], ...]] = (
    # Claude. Structured outputs came with 4.5 (4.1 for Opus); adaptive thinking with 4.6.
    (r"claude-(opus|sonnet|haiku|mythos|fable)-(4-[6-9]|[5-9])", _claude(64_000, "adaptive", json_schema=True)),
    (r"claude-(opus|sonnet|haiku)-4-5", _claude(64_000, "budget", json_schema=True)),
    (r"claude-opus-4-1", _claude(32_000, "budget", json_schema=True)),
    (r"claude-opus-4", _claude(32_000, "budget", json_schema=False)),
    (r"claude-sonnet-4", _claude(64_000, "budget", json_schema=False)),
    (r"claude-3-7", _claude(64_000, "budget", json_schema=False)),
    (r"claude-3-5", _claude(8192, "none", json_schema=False)),
    (r"claude-3", _claude(4096, "none", json_schema=False)),
    # OpenAI. The chat variants of GPT-5 do not let their reasoning be steered.
    (r"gpt-audio|gpt-4o(-mini)?-audio", _gpt(16_384, "none", vision=False, audio=True, json_schema=False)),
    (r"gpt-4o(-mini)?-(search|realtime|transcribe|tts)", UNKNOWN),
    (r"gpt-5(\.\d+)?-chat", Capabilities(vision=True, audio=False, max_output=16_384)),
    (r"gpt-5", Capabilities(vision=True, audio=False, documents=True, tools=True, json_schema=True,
                            reasoning="effort", max_output=128_000)),
    (r"gpt-4\.1", _gpt(32_768, "none")),
    (r"gpt-4o", _gpt(16_384, "none")),
    (r"gpt-4-turbo", Capabilities(audio=False, tools=True, json_schema=False, reasoning="none", max_output=4096)),
    (r"gpt-4(-0613|-0314|-32k.*)?$", _gpt(8192, "none", vision=False, json_schema=False)),
    (r"gpt-3\.5-turbo", _gpt(4096, "none", vision=False, json_schema=False)),
    (r"gpt-oss", Capabilities(vision=False, audio=False, tools=True, reasoning="effort")),
    (r"o1-mini", _gpt(65_536, "none", vision=False, tools=False, json_schema=False)),
    (r"o1-preview", _gpt(32_768, "none", vision=False, tools=False, json_schema=False)),
    (r"o3-mini", Capabilities(vision=False, audio=False, tools=True, json_schema=True, reasoning="effort",
                              sampling=False, max_output=100_000)),
    (r"o(1|3|4)(-mini|-pro|-deep-research)?(-20\d\d-\d\d-\d\d)?$",
     Capabilities(vision=True, audio=False, tools=True, json_schema=True, reasoning="effort", sampling=False,
                  max_output=100_000)),
    # Gemini.
    (r"gemini-(3|[4-9])[\d.]*-.*image", UNKNOWN),
    (r"gemini-(3|[4-9])", _gemini(65_536, "level")),
    (r"gemini-2\.5-.*(image|tts|live|audio|computer)", UNKNOWN),
    (r"gemini-2\.5", _gemini(65_536, "budget")),
    (r"gemini-2\.0-flash-thinking", UNKNOWN),
    (r"gemini-2\.0", _gemini(8192, "none")),
    (r"gemini-1\.5", _gemini(8192, "none")),
    # DeepSeek's own API takes text alone.
    (r"deepseek-(chat|reasoner|r1|v3)", Capabilities(vision=False, audio=False, documents=False)),
    (r"grok-4", Capabilities(vision=True, audio=False, tools=True, json_schema=True)),
    (r"grok-3", Capabilities(vision=False, audio=False, tools=True, json_schema=True)),
    (r"pixtral|mistral-(medium|small)-(3|2[56])", Capabilities(vision=True, tools=True)),
    (r"codestral|open-mistral|open-mixtral|ministral-[38]b-2410", Capabilities(vision=False, audio=False)),
    (r"llama-?3\.2-(11|90)b", Capabilities(vision=True, audio=False)),
    (r"llama-?3(\.[13])?-", Capabilities(vision=False, audio=False)),
    (r"amazon\.nova-micro", Capabilities(vision=False, audio=False, documents=False, tools=True)),
    (r"text-embedding-|embed-", Capabilities(tools=False, json_schema=False, reasoning="none")),
)  # fmt: skip

_PATTERNS: Final = tuple(
    (re.compile(r"(?:^|[/.:_~])(?:" + pattern + ")", re.IGNORECASE).search, known)
    for pattern, known in _TABLE
)


@lru_cache(maxsize=4096)
def of(model: str) -> Capabilities:
    """What is known of a model by its id."""
    name = re.sub(r"(claude-[a-z]+-\d)\.(\d)", r"\1-\2", model.removesuffix(":free"))
    name = re.sub(r"claude-(\d)[.-](\d)-(opus|sonnet|haiku)", r"claude-\1-\2", name)
    for matches, known in _PATTERNS:
        if matches(name) is not None:
            return known
    return UNKNOWN
