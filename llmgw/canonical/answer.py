"""A whole answer, or the error that came in its place."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from llmgw.canonical.parts import NOTHING, Json, Native, Part
from llmgw.canonical.usage import Usage

Reason = Literal[
    "stop",
    "stop_sequence",
    "length",
    "context_length",  # the model's window is full, which is not the client's limit
    "tool_calls",
    "content_filter",
    "refusal",
    "pause",  # a long turn to be continued by sending the answer back (Anthropic's pause_turn)
    "malformed_tool_call",
    "other",
]


class Finish(Struct, frozen=True, kw_only=True):
    """Why a choice ended."""

    reason: Reason
    sequence: str | None = None
    """The stop sequence that was met."""
    said: str | None = None
    """The provider's own word."""
    message: str | None = None
    """Its explanation, where it gives one."""


class Choice(Struct, frozen=True, kw_only=True):
    """One of the alternatives asked for by `n`."""

    index: int = 0
    parts: tuple[Part, ...] = ()
    finish: Finish | None = None
    """None: the provider calls the answer whole and does not say why it ended."""
    logprobs: Json = None
    """OpenAI's shape: a list of `{"token", "logprob", "bytes", "top_logprobs"}`."""
    native: Native = NOTHING


class Answer(Struct, frozen=True, kw_only=True):
    """A whole answer."""

    dialect: str
    id: str | None = None
    model: str | None = None
    created: int | None = None
    """Unix seconds."""
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    service_tier: str | None = None
    native: Native = NOTHING


class ProviderError(Struct, frozen=True, kw_only=True):
    """What a provider said when it refused or failed, in an answer of its own or within a stream."""

    status: int
    """HTTP status; of an error inside a stream the one its type stands for, 502 where that is unknown."""
    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None
