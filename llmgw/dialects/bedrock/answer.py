"""A whole answer of `POST /model/{modelId}/converse`.

It has neither an id nor the model's name; those of a client's answer are made of what the gateway knows. Metrics, a
guardrail's trace and the model's own fields stand in `native`.
"""

from __future__ import annotations

from llmgw.canonical import Answer, Choice
from llmgw.dialects.bedrock import block_reader, finish, spelling, usage
from llmgw.dialects.bedrock.spelling import NAME
from llmgw.dialects.members import Members


def read(body: bytes) -> Answer:
    """The provider's answer.

    Raises:
        UpstreamFailed: it is no such answer; says what was wrong with it.
    """
    of = spelling.answer(body)
    output = of.object("output")
    if output is None:
        raise of.wrong("output", "an object")
    message = output.object("message")
    if message is None:
        raise output.wrong("message", "an object")
    message.any("role")
    parts = block_reader.content(message)
    ended = finish.read(of)
    counted = of.object("usage")
    return Answer(
        dialect=NAME,
        choices=(Choice(parts=parts, finish=ended, native=message.rest()),),
        usage=None if counted is None else usage.read(counted),
        service_tier=tier(of),
        native={**of.rest(), **output.rest()},
    )


def tier(of: Members) -> str | None:
    """The service tier, taken out: OpenAI's words are the same, but for `reserved`."""
    said = of.object("serviceTier")
    return None if said is None else said.text("type")
