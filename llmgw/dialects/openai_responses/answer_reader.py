"""Reads a provider's whole response: the object of a plain answer, which also ends a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Answer, Choice, Finish, Json, Part, Reason, ToolCall, Usage
from llmgw.dialects import members
from llmgw.dialects.members import Members
from llmgw.dialects.openai_responses import failure, item_reader, logprobs
from llmgw.dialects.openai_responses import usage as counts
from llmgw.dialects.openai_responses.seal import Seal
from llmgw.dialects.openai_responses.spelling import NAME, Said
from llmgw.errors import UpstreamFailed

_REASONS: Final[Mapping[str, Reason]] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
"""`incomplete_details.reason`."""
_ECHO: Final = frozenset(
    {
        "object",
        "background",
        "billing",
        "completed_at",
        "conversation",
        "frequency_penalty",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "output_text",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
"""Members that repeat the request, or what stands elsewhere: none of them is a part of the answer."""


def read(body: bytes) -> Answer:
    """Read the answer.

    Raises:
        UpstreamFailed: it is none, or says that it failed.
    """
    of = members.answer(body)
    error = of.any("error")
    if error is not None or of.whole().get("status") == "failed":
        raise UpstreamFailed(f"The provider reported an error: {failure.within(error).message}")
    if "output" not in of:
        raise of.wrong("output", "an array of items")
    parts, tokens = output(of)
    created = of.number("created_at")
    ended = finish(of, called=any(isinstance(part, ToolCall) for part in parts))
    return Answer(
        dialect=NAME,
        id=of.text("id"),
        model=of.text("model"),
        created=None if created is None else int(created),
        usage=used(of),
        service_tier=of.text("service_tier"),
        choices=(Choice(parts=tuple(parts), finish=ended, logprobs=tokens or None),),
        native=Said({name: value for name, value in of.rest().items() if name not in _ECHO}, body),
    )


def output(of: Members) -> tuple[list[Part], list[Json]]:
    """The parts of the response's `output`, and the log-probabilities of its tokens."""
    parts: list[Part] = []
    tokens: list[Json] = []
    for item in of.objects("output"):
        for found in logprobs.of_message(item):
            tokens += found or ()
        parts += [part for part in item_reader.read(item)[1] if not isinstance(part, Seal)]
    return parts, tokens


def used(of: Members) -> Usage | None:
    """The response's usage, where it has any yet."""
    usage = of.object("usage")
    return None if usage is None else counts.read(usage)


def finish(of: Members, *, called: bool) -> Finish:
    """Why the response ended; `called`: whether there are calls in it, which do not show in its status."""
    status = of.text("status")
    details = of.object("incomplete_details")
    said = None if details is None else details.text("reason")
    if status == "incomplete" or said is not None:
        return Finish(reason=_REASONS.get(said or "", "other"), said=said)
    if status not in (None, "completed"):
        return Finish(reason="other", said=status)
    return Finish(reason="tool_calls" if called else "stop", said=status)
