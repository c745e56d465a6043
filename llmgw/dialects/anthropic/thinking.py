"""`thinking` and `output_config.effort`, which together say how much a Claude model may think.

Models up to 4.5 take a budget of tokens, later ones think adaptively and take an effort (platform.claude.com,
"Extended thinking", "Adaptive thinking", "Effort"). What an Anthropic client says goes to Anthropic unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast, get_args

from llmgw.canonical import Chat, Effort, Json, Reasoning
from llmgw.dialects import reasoning as steps
from llmgw.dialects.anthropic.spelling import NAME
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.members import Members

EFFORTS: Final[tuple[Effort, ...]] = ("low", "medium", "high", "xhigh", "max")
ROOM: Final = 4096
"""Tokens for the answer itself where the client set no limit and the model's is not known."""
_KNOWN: Final = frozenset(get_args(Effort))
_SHOWN: Final[Mapping[Json, bool]] = {"summarized": True, "omitted": False}
_DEFAULT_BUDGET: Final = 8192
"""For a wish to think that says not how much: `medium`, which is OpenAI's default too."""


def read(thinking: Members | None, config: Members | None) -> tuple[Reasoning | None, Mapping[str, Json]]:
    """What the client wants, and what is left of `thinking` for `native`."""
    effort = config.whole().get("effort") if config is not None else None
    if effort is not None and type(effort) is not str:
        assert config is not None
        raise config.wrong("effort", "a string")
    known = effort if effort in _KNOWN else None
    if known is not None and config is not None:
        del config.whole()["effort"]
    wanted = cast(Effort | None, known)
    if thinking is None:
        return (None if wanted is None else Reasoning(effort=wanted)), {}
    said = thinking.whole()
    kind = said.get("type")
    if type(kind) is not str:
        raise thinking.wrong("type", "a string")
    if kind not in ("enabled", "disabled", "adaptive"):
        return (None if wanted is None else Reasoning(effort=wanted)), dict(said)
    del said["type"]
    display = said.get("display")
    shown = _SHOWN.get(display) if type(display) is str else None
    if shown is not None:
        del said["display"]
    budget: int | None = None
    if kind == "enabled":
        budget = thinking.integer("budget_tokens")
        if budget is None or budget < 1:
            raise thinking.wrong("budget_tokens", "a whole number above 0")
    elif kind == "disabled":
        budget = 0
    made = Reasoning(effort=wanted, budget_tokens=budget, adaptive=kind == "adaptive", show=shown)
    return made, thinking.rest()


def write(chat: Chat, to: Recipient, losses: Losses, written: dict[str, Json]) -> None:
    """Put `thinking` and the effort into `written`, which has `max_tokens` already."""
    wish = chat.reasoning
    if wish is None:
        return
    style = to.capabilities.reasoning
    tokens = steps.budget(wish)
    if style == "none":
        if tokens != 0 and (tokens or wish.adaptive or wish.show):
            losses.refuse("reasoning", "the model does not think")
        return
    if chat.dialect == NAME:
        _unchanged(wish, written)
    elif tokens == 0:
        written["thinking"] = {"type": "disabled"}
    elif tokens is not None or wish.adaptive or wish.show or wish.summary is not None:
        show = True if wish.show is None and wish.summary is not None else wish.show
        if style == "adaptive":
            _adaptively(wish, show, written)
        else:
            _by_budget(tokens or _DEFAULT_BUDGET, show, chat.max_tokens, to, losses, written)


def _unchanged(wish: Reasoning, written: dict[str, Json]) -> None:
    if wish.effort is not None:
        written["output_config"] = {"effort": wish.effort}
    thinking: dict[str, Json] = {}
    if wish.adaptive:
        thinking = {"type": "adaptive"}
    elif wish.budget_tokens == 0:
        thinking = {"type": "disabled"}
    elif wish.budget_tokens is not None:
        thinking = {"type": "enabled", "budget_tokens": wish.budget_tokens}
    if thinking:
        written["thinking"] = _displayed(thinking, wish.show)


def _adaptively(wish: Reasoning, show: bool | None, written: dict[str, Json]) -> None:
    written["thinking"] = _displayed({"type": "adaptive"}, show)
    effort = steps.effort(wish, EFFORTS)
    if effort is not None:
        written["output_config"] = {"effort": effort}


def _by_budget(
    tokens: int, show: bool | None, limit: int | None, to: Recipient, losses: Losses, written: dict[str, Json]
) -> None:
    tokens = max(tokens, steps.LEAST_BUDGET)
    if limit is None and to.capabilities.max_output is None:
        written["max_tokens"] = tokens + ROOM
    most = written["max_tokens"] - 1
    if most < steps.LEAST_BUDGET:
        losses.refuse(
            "reasoning", f"it thinks with at least {steps.LEAST_BUDGET} tokens, and max_tokens is no more"
        )
        return
    # Summaries are what these models show by themselves.
    written["thinking"] = _displayed(
        {"type": "enabled", "budget_tokens": min(tokens, most)}, False if show is False else None
    )


def _displayed(thinking: dict[str, Json], show: bool | None) -> dict[str, Json]:
    if show is not None:
        thinking["display"] = "summarized" if show else "omitted"
    return thinking
