"""Converts between the ways of saying how much a model may think: an effort or a budget of tokens.

The steps are ours: no provider publishes what its efforts mean in tokens. They are geometric, begin at the
least budget that Anthropic accepts (1,024) and are chosen so that effort -> budget -> effort gives the effort
back.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import Effort, Reasoning

LEAST_BUDGET: Final = 1024
_BUDGETS: Final[dict[Effort, int]] = {
    "none": 0,
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 65536,
}


def budget(reasoning: Reasoning) -> int | None:
    """Tokens the model may think with: 0 turns thinking off, None where the client left it open."""
    if reasoning.budget_tokens is not None:
        return reasoning.budget_tokens
    return None if reasoning.effort is None else _BUDGETS[reasoning.effort]


def effort(reasoning: Reasoning, allowed: tuple[Effort, ...]) -> Effort | None:
    """The effort among `allowed` (least first) that comes nearest; None where the client left it open.

    "none" is chosen only for "none" or a budget of 0, and only where it is allowed.
    """
    tokens = budget(reasoning)
    if tokens is None:
        return None
    if tokens == 0:
        return "none" if "none" in allowed else allowed[0]
    thinking = [one for one in allowed if one != "none"]
    return min(thinking, key=lambda one: abs(_BUDGETS[one] - tokens))
