"""Which conversations hold thoughts that their own API cannot use."""

from __future__ import annotations

import pytest

from llmgw.canonical import Chat, Message, Part, Text, Thought, ToolCall
from llmgw.dialects.origin import holds_foreign, may_hold_foreign


def chat(dialect: str, *parts: Part) -> Chat:
    return Chat(dialect=dialect, model="m", messages=(Message(role="assistant", parts=parts),))


@pytest.mark.parametrize(
    ("dialect", "part", "foreign"),
    [
        ("anthropic", Thought(signature="s"), False),
        ("anthropic", Thought(signature="s", native={"dialect": "anthropic"}), False),
        ("anthropic", Thought(signature="s", native={"dialect": "gemini"}), True),
        ("anthropic", Text(text="a", signature="s"), True),
        ("openai_responses", ToolCall(id="c", name="f", arguments="{}", signature="s"), True),
        ("openai_responses", ToolCall(id="c", name="f", arguments="{}"), False),
        ("gemini", ToolCall(id="c", name="f", arguments="{}", signature="s"), False),
        ("gemini", Thought(redacted="s", native={"dialect": "openai_responses"}), True),
    ],
)
def test_whose_thought_it_is(dialect: str, part: Part, foreign: bool) -> None:
    """A thought says its maker where it is another's; only Gemini signs calls and texts."""
    assert holds_foreign(chat(dialect, Text(text="a"), part)) is foreign


@pytest.mark.parametrize(
    ("dialect", "raw", "found"),
    [
        ("anthropic", b'{"signature":"llmgw:gemini:x"}', True),
        ("openai_responses", b'{"encrypted_content":"llmgw:anthropic:s:x"}', True),
        ("gemini", b'{"thoughtSignature":"bGxtZ3c6YW50aHJvcGljOnt9"}', True),
        ("gemini", b'{"text":"llmgw:"}', False),
        ("anthropic", b'{"signature":"EqQ"}', False),
        ("openai_chat", b'{"content":"llmgw:"}', False),
    ],
)
def test_the_bytes_are_searched_first(dialect: str, raw: bytes, found: bool) -> None:
    """Chat completions have no opaque member: hosts take thoughts by their `format`, so there is nothing to find."""
    assert may_hold_foreign(raw, dialect) is found
