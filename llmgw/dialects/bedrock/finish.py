"""Why an answer ended, in the Converse API's words and in neutral ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Finish, Reason
from llmgw.dialects.members import Members

_REASONS: Final[Mapping[str, Reason]] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_tool_use": "malformed_tool_call",
    "model_context_window_exceeded": "context_length",
}
"""`malformed_model_output`, which no other API has, is `other`."""
FIELDS: Final = "additionalModelResponseFields"
SEQUENCE: Final = "stop_sequence"
"""Claude's name for the sequence that was met; the request asks for it by its path."""


def read(of: Members) -> Finish | None:
    """The reason, taken out of an answer or of a stream's `messageStop`; None where the provider gives none."""
    said = of.text("stopReason")
    sequence = _sequence(of)
    if said is None:
        return None
    return Finish(reason=_REASONS.get(said, "other"), sequence=sequence, said=said)


def _sequence(of: Members) -> str | None:
    """The stop sequence, taken out of the model's own fields; these go where nothing else is in them."""
    fields = of.whole().get(FIELDS)
    if type(fields) is not dict:
        return None
    sequence = fields.get(SEQUENCE)
    if sequence is None or type(sequence) is str:
        left = {name: value for name, value in fields.items() if name != SEQUENCE}
        of.any(FIELDS)
        if left:
            of.whole()[FIELDS] = left
    return sequence if type(sequence) is str else None
