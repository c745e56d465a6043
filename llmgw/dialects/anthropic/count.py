"""The answer of `POST /v1/messages/count_tokens`."""

from __future__ import annotations

from llmgw.dialects import json_text, members
from llmgw.dialects.members import Members, of_provider


def read(body: bytes) -> int:
    """The tokens that the provider counted.

    Raises:
        UpstreamFailed: it is no such answer.
    """
    of = Members(members.answer_object(body), "", of_provider)
    tokens = of.integer("input_tokens")
    if tokens is None or tokens < 0:
        raise of.wrong("input_tokens", "a count of tokens")
    return tokens


def write(tokens: int) -> bytes:
    """The body of the answer."""
    return json_text.to_client({"input_tokens": tokens})
