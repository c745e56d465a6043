"""Why an answer ended, in Anthropic's words and in neutral ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Finish, Json, Reason

_REASONS: Final[Mapping[str, Reason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "context_length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}
_WORDS: Final[Mapping[Reason, str]] = {
    **{reason: word for word, reason in _REASONS.items()},
    "content_filter": "refusal",
    "malformed_tool_call": "end_turn",
}


def read(said: str | None, sequence: str | None, details: Json) -> Finish | None:
    """The neutral reason; None where the provider gives none."""
    if said is None:
        return None
    message = details.get("explanation") if isinstance(details, dict) else None
    return Finish(
        reason=_REASONS.get(said, "other"),
        sequence=sequence,
        said=said,
        message=message if isinstance(message, str) else None,
    )


def write(finish: Finish | None, *, own: bool, called: bool, refused: bool) -> dict[str, Json]:
    """`stop_reason`, `stop_sequence` and `stop_details`.

    Args:
        finish: the neutral reason.
        own: the answer is Anthropic's own.
        called: it has a tool call. Hosts end such an answer with `stop` too, and this API's clients rely on
            `tool_use`.
        refused: it has words of refusal, which OpenAI ends with `stop`.
    """
    if finish is None:
        return {"stop_reason": None, "stop_sequence": None}
    reason = finish.reason
    if reason == "stop" and not own:
        reason = "tool_calls" if called else "refusal" if refused else "stop"
    word = _WORDS.get(reason)
    if word is None and own:
        word = (
            finish.said
        )  # a reason newer than this table; of another dialect it would be no word of this API
    written: dict[str, Json] = {"stop_reason": word, "stop_sequence": finish.sequence}
    if word == "refusal" and finish.message is not None:
        written["stop_details"] = {"type": "refusal", "category": None, "explanation": finish.message}
    return written
