"""Sampling, limits, format and thinking as Gemini's `generationConfig`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Chat, Effort, Json, Reasoning
from llmgw.dialects import reasoning as convert
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.gemini.config_reader import PREFIX
from llmgw.dialects.gemini.schema import described
from llmgw.dialects.gemini.spelling import NAME

_DIRECT: Final = {
    "max_tokens": "maxOutputTokens",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_SAMPLING: Final = {"temperature": "temperature", "top_p": "topP", "top_k": "topK"}

_LEVELS: Final[tuple[tuple[re.Pattern[str], tuple[Effort, ...]], ...]] = (
    (re.compile(r"gemini-3(\.0)?-pro"), ("low", "high")),
    (re.compile(r"gemini-\d+(\.\d+)?-pro"), ("low", "medium", "high")),
)
"""The levels of models that do not take all of them (ai.google.dev, "Gemini thinking")."""
_ALL_LEVELS: Final[tuple[Effort, ...]] = ("minimal", "low", "medium", "high")

_BUDGETS: Final = (
    (re.compile(r"gemini-2\.5-pro"), 128, 32768),
    (re.compile(r"gemini-2\.5-flash-lite"), 512, 24576),
    (re.compile(r"gemini-2\.5"), 1, 24576),
)
"""Least and greatest budgets (the same page)."""
_NEVER_OFF: Final = re.compile(r"gemini-2\.5-pro").search


def write(chat: Chat, to: Recipient, losses: Losses, words: Mapping[str, Json]) -> dict[str, Json]:
    """The members of `generationConfig`; `words` are Gemini's own, as its client said them."""
    config: dict[str, Json] = {}
    limit = to.capabilities.max_output
    for field, name in _DIRECT.items():
        value = getattr(chat, field)
        if value is None:
            continue
        if field == "max_tokens" and limit is not None and value > limit:
            losses.refuse(field, f"it gives at most {limit} tokens")
        else:
            config[name] = value
    for field, name in _SAMPLING.items():
        value = getattr(chat, field)
        if value is None:
            continue
        if to.capabilities.sampling is False:
            losses.refuse(field, "its sampling cannot be set")
        else:
            config[name] = value
    if chat.stop:
        config["stopSequences"] = list(chat.stop)
    _format(chat, to, losses, words, config)
    if chat.reasoning is not None:
        own = chat.dialect == NAME
        thinking = _as_said(chat.reasoning, words) if own else _thinking(chat.reasoning, to, losses)
        if thinking:
            config["thinkingConfig"] = thinking
    return config


def _format(
    chat: Chat, to: Recipient, losses: Losses, words: Mapping[str, Json], config: dict[str, Json]
) -> None:
    wanted = chat.format
    if wanted is None:
        return
    if wanted.schema is not None and to.capabilities.json_schema is False:
        losses.refuse("format", "it cannot be held to a schema")
        return
    config["responseMimeType"] = "application/json"
    if wanted.schema is not None and PREFIX + "responseSchema" not in words:
        # Whether `strict` or not, the answer is held to the schema; its name is a label that no model sees.
        config["responseJsonSchema"] = described(wanted.schema, wanted.description)


def _thinking(reasoning: Reasoning, to: Recipient, losses: Losses) -> dict[str, Json]:
    if reasoning.summary in ("concise", "detailed"):
        losses.advise("reasoning.summary")
    show = reasoning.show if reasoning.summary is None else True
    budget = convert.budget(reasoning)
    thinks = reasoning.adaptive or bool(budget)
    style = to.capabilities.reasoning or _style(to.model)
    if style == "none":
        if thinks or show:
            losses.refuse("reasoning", "it does not think")
        return {}
    if budget == 0:
        return _off(style, to, losses)
    written: dict[str, Json] = {}
    if show is not None:
        written["includeThoughts"] = show
    if reasoning.adaptive and budget is None:
        # To think as much as it sees fit is what a model does that is told nothing; a budget of -1 says so.
        if style == "budget":
            written["thinkingBudget"] = -1
    elif budget is not None and style == "budget":
        written["thinkingBudget"] = (
            budget if reasoning.budget_tokens is not None else _within(budget, to.model)
        )
    elif budget is not None:
        level = convert.effort(reasoning, _levels(to.model))
        written["thinkingLevel"] = None if level is None else level.upper()
    return written


def _as_said(reasoning: Reasoning, words: Mapping[str, Json]) -> dict[str, Json]:
    written: dict[str, Json] = {}
    if reasoning.show is not None:
        written["includeThoughts"] = reasoning.show
    if reasoning.adaptive:
        written["thinkingBudget"] = -1
    elif reasoning.budget_tokens is not None:
        written["thinkingBudget"] = reasoning.budget_tokens
    elif reasoning.effort is not None and PREFIX + "thinkingConfig.thinkingLevel" not in words:
        written["thinkingLevel"] = reasoning.effort.upper()
    return written


def _style(model: str) -> str:
    """How a model that nothing is known of is told to think, by the number in its name."""
    return "budget" if re.search(r"gemini-2\b", model) else "level"


def _off(style: str, to: Recipient, losses: Losses) -> dict[str, Json]:
    """A model that is not to think."""
    if style == "budget" and not _NEVER_OFF(to.model):
        return {"thinkingBudget": 0}
    if style != "budget" and "minimal" in _levels(to.model):
        return {"thinkingLevel": "MINIMAL"}  # documented as no thinking for most requests; there is no less
    losses.refuse("reasoning", "it cannot be told not to think")
    return {}


def _within(budget: int, model: str) -> int:
    """A budget that stands for an effort, within what the model takes."""
    for pattern, least, greatest in _BUDGETS:
        if pattern.search(model):
            return min(max(budget, least), greatest)
    return budget


def _levels(model: str) -> tuple[Effort, ...]:
    for pattern, levels in _LEVELS:
        if pattern.search(model):
            return levels
    return _ALL_LEVELS
