"""Why an answer ended: the five words of this API and those of its hosts, against the neutral reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Finish, Reason

_REASONS: Final[Mapping[str, Reason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "eos": "stop",  # Together
    "end_turn": "stop",  # hosts that pass Anthropic's word on
    "model_length": "context_length",  # Mistral
    "context_window_exceeded": "context_length",
}
"""Every other word is `other`."""

_WORDS: Final[Mapping[Reason, str]] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context_length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "malformed_tool_call": "stop",
    "other": "stop",
}


def read(said: str) -> Finish:
    """The neutral reason. An empty word, which some hosts send, says nothing and is `other`."""
    return Finish(reason=_REASONS.get(said, "other"), said=said)


def write(finish: Finish | None, *, own: bool, called: bool, legacy: bool) -> str | None:
    """The word for a client; None where the provider gave no reason.

    The API requires a word in a plain answer. APIs that always say why an answer ended fail in their readers where
    they do not, so only a host of this API that left its own out comes without one, and none is made up for it. A
    reason that none of the five words fits is `stop`.

    Args:
        finish: the neutral reason.
        own: `said` is a word of this API.
        called: the answer has a tool call. Others end such an answer like any other, and clients of this API
            rely on `tool_calls`.
        legacy: the client uses `functions`, which have a word of their own.
    """
    if finish is None or (finish.reason == "other" and finish.said is None):
        return None
    if own and finish.said is not None:
        word = finish.said
    elif finish.reason == "stop":
        word = "tool_calls" if called else "stop"
    else:
        word = _WORDS[finish.reason]
    return "function_call" if legacy and word == "tool_calls" else word


def refusal(finish: Finish | None) -> str | None:
    """Words for a refusal that the provider explains at the end instead of in the answer."""
    return finish.message if finish is not None and finish.reason == "refusal" else None
