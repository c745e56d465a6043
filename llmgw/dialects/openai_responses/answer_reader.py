"""Reads a provider's whole response: the object of a plain answer, which also ends a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Answer, Choice, Finish, Json, Part, Reason, ToolCall, Usage
from llmgw.dialects import members
from llmgw.dialects.members import Members
from llmgw.dialects.openai_responses import failure, item_reader
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
    parts, logprobs = output(of)
    created = of.number("created_at")
    return Answer(
        dialect=NAME,
        id=of.text("id"),
        model=of.text("model"),
        created=None if created is None else int(created),
        usage=used(of),
        service_tier=of.text("service_tier"),
        choices=(Choice(parts=tuple(parts), finish=finish(of, parts), logprobs=logprobs or None),),
        native=Said(of.rest(), body),
    )


def output(of: Members) -> tuple[list[Part], list[Json]]:
    """The parts of the response's `output`, and the log-probabilities of its tokens."""
    parts: list[Part] = []
    logprobs: list[Json] = []
    signature: Seal | None = None
    for item in of.objects("output"):
        for content in _listed(item.whole().get("content")):
            found = content.get("logprobs") if isinstance(content, dict) else None
            if isinstance(found, list):
                logprobs += found
        _, said = item_reader.read(item)
        if signature is not None:
            said = item_reader.signed(said, signature)
            signature = None
        for part in said:
            if isinstance(part, Seal):
                signature = part
            else:
                parts.append(part)
    return parts, logprobs


def used(of: Members) -> Usage | None:
    """The response's usage, where it has any yet."""
    usage = of.object("usage")
    return None if usage is None else counts.read(usage)


def finish(of: Members, parts: list[Part]) -> Finish:
    """Why the response ended: calls do not show in its status."""
    status = of.text("status")
    details = of.object("incomplete_details")
    said = None if details is None else details.text("reason")
    if status == "incomplete" or said is not None:
        return Finish(reason=_REASONS.get(said or "", "other"), said=said)
    if status not in (None, "completed"):
        return Finish(reason="other", said=status)
    if any(isinstance(part, ToolCall) for part in parts):
        return Finish(reason="tool_calls", said=status)
    return Finish(reason="stop", said=status)


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
