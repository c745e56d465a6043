"""Why a candidate ended: Gemini's words and numbers against the neutral reasons.

Sources: the published schema and both of Google's protocol buffers. `google.ai.generativelanguage` and
`google.cloud.aiplatform` number the reasons alike up to 5 only, and a client that asks for numbers does not say
which it is, so a larger number stays a number.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import Finish, Json, Reason
from llmgw.dialects.gemini.spelling import Fields

REASONS: Final[dict[str, Reason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "malformed_tool_call",
    "UNEXPECTED_TOOL_CALL": "malformed_tool_call",
}
"""Every other word is `other`."""

NUMBERS: Final = ("FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER")

_WORDS: Final[dict[Reason, str]] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "context_length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "OTHER",
    "malformed_tool_call": "MALFORMED_FUNCTION_CALL",
    "other": "OTHER",
}


def read(candidate: Fields, *, calls: bool) -> Finish | None:
    """Why `candidate` ended; None where it does not say, so that it has not.

    Args:
        calls: whether it holds function calls, which end with STOP like everything else.
    """
    value = candidate.any("finishReason")
    message = candidate.text("finishMessage")
    if value is None:
        return None if message is None else Finish(reason="other", message=message)
    said = _word(value)
    if said is None:
        raise candidate.wrong("finishReason", "a string or a small whole number")
    if said == NUMBERS[0]:
        return None
    reason = REASONS.get(said, "other")
    if calls and reason == "stop":
        reason = "tool_calls"
    return Finish(reason=reason, said=said, message=message)


def _word(value: Json) -> str | None:
    if type(value) is str:
        return value
    if type(value) is not int or not 0 <= value < 100:
        return None
    return NUMBERS[value] if value < len(NUMBERS) else str(value)


def blocked(feedback: Json) -> Finish | None:
    """The end of an answer whose prompt was refused (`promptFeedback`), which has no candidates."""
    if not isinstance(feedback, dict):
        return None
    reason = feedback.get("blockReason")
    if not reason or type(reason) not in (str, int):
        return None
    message = feedback.get("blockReasonMessage")
    return Finish(
        reason="content_filter",
        said=str(reason),
        message=message if type(message) is str else f"The provider refused the prompt ({reason}).",
    )


def write(finish: Finish, own: bool) -> dict[str, Json]:
    """The members of a candidate that say how it ended.

    Args:
        own: whether `said` is Gemini's.
    """
    members: dict[str, Json] = {"finishReason": _WORDS[finish.reason]}
    if own and finish.said is not None:
        members["finishReason"] = int(finish.said) if finish.said.isdigit() else finish.said
    message = finish.message
    if message is None and finish.sequence is not None:
        message = f"Met the stop sequence {finish.sequence!r}."
    if message is not None:
        members["finishMessage"] = message
    return members
