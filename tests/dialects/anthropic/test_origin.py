"""Other providers' thoughts and signatures, to an Anthropic client and back."""

from __future__ import annotations

import json

import pytest

from llmgw.canonical import (
    Answer,
    Choice,
    End,
    Event,
    Finish,
    FinishEvent,
    Part,
    Start,
    Text,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolCall,
    ToolDelta,
)
from llmgw.dialects.anthropic import origin
from tests.dialects.anthropic.parties import (
    asking,
    got,
    losses,
    read,
    sdk_plain,
    sdk_streamed,
    sent,
    streamed,
)

CASES: list[tuple[str, tuple[Part, ...]]] = [
    ("gemini", (Thought(text="hm", signature="AbC="), Text(text="so"))),
    ("gemini", (Thought(signature="AbC="), Text(text="so"))),
    (
        "gemini",
        (
            ToolCall(id="a", name="f", arguments="{}", signature="AbC="),
            ToolCall(id="b", name="f", arguments="{}"),
        ),
    ),
    ("gemini", (Text(text="so", signature="AbC="), ToolCall(id="b", name="f", arguments="{}"))),
    ("gemini", (Text(text="so"), Text(text="", signature="AbC="))),
    ("openai_responses", (Thought(text="hm", redacted="gAAA=", id="rs_1"), Text(text="so"))),
    ("openai_responses", (Thought(redacted="gAAA=", id="rs_1"), Text(text="so"))),
    ("openai_responses", (Thought(id="rs_1"), Text(text="so"))),
    ("openai_chat", (Thought(text="hm"), Text(text="so"))),
    ("bedrock", (Thought(redacted="d"), Thought(text="hm", signature="with:colon"), Text(text="so"))),
]


def events_of(dialect: str, parts: tuple[Part, ...]) -> list[Event]:
    """The answer as another dialect might stream it: texts and arguments first, signatures last."""
    events: list[Event] = [Start(dialect=dialect)]
    for block, part in enumerate(parts):
        if isinstance(part, Thought):
            if part.id:
                events.append(ThoughtDelta(id=part.id, block=block))
            if part.text:
                events.append(ThoughtDelta(text=part.text, block=block))
            events.append(ThoughtDelta(signature=part.signature, redacted=part.redacted, block=block))
        elif isinstance(part, Text):
            events.append(TextDelta(text=part.text, block=block, signature=part.signature))
        elif isinstance(part, ToolCall):
            events.append(ToolDelta(id=part.id, name=part.name, block=block, signature=part.signature))
            events.append(ToolDelta(arguments=part.arguments, block=block))
    return [*events, FinishEvent(finish=Finish(reason="stop")), End()]


def own(part: Part, dialect: str) -> Part:
    """`part` as an Anthropic client's request has it."""
    if not isinstance(part, Thought):
        return part
    return Thought(
        text=part.text,
        signature=part.signature,
        redacted=part.redacted,
        id=part.id,
        native={"dialect": dialect},
    )


@pytest.mark.parametrize(("dialect", "parts"), CASES)
def test_what_a_provider_needs_again_comes_back(dialect: str, parts: tuple[Part, ...]) -> None:
    """Plain or streamed, the SDK's message sent back gives the very parts, with their origin."""
    account = losses()
    body = got(Answer(dialect=dialect, choices=(Choice(parts=parts, finish=Finish(reason="stop")),)), account)
    assert account.dropped == []
    plain = sdk_plain(json.dumps(body).encode(), beta=False)
    stream = sdk_streamed(streamed(events_of(dialect, parts)), beta=False)
    for message in (plain, stream):
        chat = read(asking(messages=[{"role": "assistant", "content": message["content"]}]))
        assert chat.messages[0].parts == tuple(own(part, dialect) for part in parts)
    assert stream["content"] == plain["content"]


def test_foreign_thoughts_do_not_reach_anthropic() -> None:
    """It would refuse a signature that it did not make."""
    body = got(Answer(dialect="gemini", choices=(Choice(parts=CASES[0][1]),)))
    account = losses()
    written = sent(
        read(asking(messages=[{"role": "assistant", "content": body["content"]}])), account=account
    )
    assert written["messages"] == [{"role": "assistant", "content": "so"}]
    assert account.dropped == ["messages.content.thinking"]


def test_anthropics_thoughts_of_another_api_stay_its_own() -> None:
    """A host of OpenAI's API that serves Claude passes its signatures."""
    thought = Thought(text="hm", signature="s", redacted="d", native={"dialect": "anthropic"})
    body = got(Answer(dialect="openai_chat", choices=(Choice(parts=(thought,)),)))
    assert body["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ]


def test_a_signature_whose_call_is_gone_is_a_thought() -> None:
    """A client may drop blocks; nothing is put on the wrong part."""
    blocks = [
        {"type": "redacted_thinking", "data": origin.tag("gemini", "one")},
        {"type": "redacted_thinking", "data": origin.tag("gemini", "two")},
        {"type": "text", "text": "so"},
        {"type": "redacted_thinking", "data": origin.tag("gemini", "three")},
    ]
    parts = read(asking(messages=[{"role": "assistant", "content": blocks}])).messages[0].parts
    lost = [Thought(signature=one, native={"dialect": "gemini"}) for one in ("one", "two", "three")]
    assert parts == (lost[0], lost[1], Text(text="so"), lost[2])


def test_a_thought_with_everything_takes_two_blocks() -> None:
    """Readable text with its signature, and what is encrypted beside it."""
    thought = Thought(text="hm", signature="s", redacted="d", id="1")
    body = got(Answer(dialect="bedrock", choices=(Choice(parts=(thought,)),)))
    chat = read(asking(messages=[{"role": "assistant", "content": body["content"]}]))
    assert chat.messages[0].parts == (
        Thought(text="hm", signature="s", id="1", native={"dialect": "bedrock"}),
        Thought(redacted="d", id="1", native={"dialect": "bedrock"}),
    )


def test_a_late_signature_of_a_call_comes_back_to_it() -> None:
    """A stream may bring it after the call's arguments."""
    said: list[Event] = [
        Start(dialect="gemini"),
        ToolDelta(id="a", name="f", arguments="{}"),
        ToolDelta(signature="AbC="),
        FinishEvent(finish=Finish(reason="tool_calls")),
        End(),
    ]
    message = sdk_streamed(streamed(said), beta=False)
    chat = read(asking(messages=[{"role": "assistant", "content": message["content"]}]))
    assert chat.messages[0].parts == (ToolCall(id="a", name="f", arguments="{}", signature="AbC="),)
