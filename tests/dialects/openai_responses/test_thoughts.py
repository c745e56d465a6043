"""Thoughts and signatures of other providers on their way through a client of this API, and back to their maker."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from llmgw.canonical import (
    Answer,
    Chat,
    Choice,
    End,
    Event,
    Finish,
    FinishEvent,
    Message,
    Part,
    Start,
    Text,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolCall,
    ToolDelta,
)
from llmgw.dialects.anthropic.codec import CODEC as ANTHROPIC
from llmgw.dialects.gemini.codec import CODEC as GEMINI
from llmgw.dialects.openai_responses.codec import CODEC
from tests.dialects.openai_responses.exchange import (
    answered,
    ask,
    items,
    losses,
    own_losses,
    read,
    stream,
    tell,
    to,
    told,
    write,
)

CASES: Final[dict[str, tuple[str, tuple[Part, ...]]]] = {
    "a signed thought": ("anthropic", (Thought(text="hm", signature="c2ln"), Text(text="a"))),
    "an encrypted thought": ("anthropic", (Thought(redacted="ENC"), Text(text="a"))),
    "a signed call": ("gemini", (ToolCall(id="c", name="f", arguments="{}", signature="SIG"),)),
    "the second of two calls": (
        "gemini",
        (
            ToolCall(id="c", name="f", arguments="{}"),
            ToolCall(id="d", name="f", arguments="{}", signature="SIG"),
        ),
    ),
    "a signed text": ("gemini", (Thought(text="hm"), Text(text="a", signature="SIG"))),
    "a signature alone": ("gemini", (Text(text="a"), Text(text="", signature="SIG"))),
    "its own": ("openai_responses", (Thought(text="hm", redacted="gAA", id="rs_1"), Text(text="a"))),
}


def sent_back(output: list[Any]) -> tuple[Message, ...]:
    """What is read when a client sends the items of an answer back."""
    return items(*output).messages


def expected(origin: str, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The same parts with the maker of each thought; a foreign thought without proof is the client's own."""
    return tuple(
        Thought(text=part.text, signature=part.signature, redacted=part.redacted, native={"dialect": origin})
        if isinstance(part, Thought) and origin != "openai_responses" and (part.signature or part.redacted)
        else part
        for part in parts
    )


def bare(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Thoughts without the ids that the gateway makes."""
    return tuple(
        Thought(text=part.text, signature=part.signature, redacted=part.redacted, native=part.native)
        if isinstance(part, Thought)
        else part
        for part in parts
    )


@pytest.mark.parametrize("case", CASES)
def test_a_plain_answer_comes_back(case: str) -> None:
    """All that its maker needs is in the items, and is read from them again."""
    origin, parts = CASES[case]
    answer = Answer(dialect=origin, choices=(Choice(parts=parts, finish=Finish(reason="stop")),))
    (message,) = sent_back(tell(answer)["output"])
    assert bare(message.parts) == bare(expected(origin, parts))


@pytest.mark.parametrize("case", CASES)
def test_a_streamed_answer_comes_back(case: str) -> None:
    """The same of the response that ends a stream."""
    origin, parts = CASES[case]
    deltas: list[Event] = [Start(dialect=origin)]
    for block, part in enumerate(parts):
        if isinstance(part, Thought):
            deltas.append(ThoughtDelta(text=part.text, block=block))
            deltas.append(ThoughtDelta(signature=part.signature, redacted=part.redacted, block=block))
        elif isinstance(part, ToolCall):
            deltas.append(
                ToolDelta(
                    id=part.id,
                    name=part.name,
                    arguments=part.arguments,
                    signature=part.signature,
                    block=block,
                )
            )
        elif isinstance(part, Text):
            deltas.append(TextDelta(text=part.text, signature=part.signature, block=block))
    body = stream(*deltas, FinishEvent(finish=Finish(reason="stop")), End())
    (message,) = sent_back(told(body)[-1]["response"]["output"])
    assert bare(message.parts) == bare(expected(origin, parts))


def test_the_next_request_has_the_signature_where_it_was() -> None:
    """Anthropic gets its thinking block again, Gemini the signature of its call."""
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    chat = items(
        {"role": "user", "content": "hi"},
        {**thought, "id": "rs_1", "encrypted_content": "llmgw:anthropic:s:c2ln"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "go on"},
    )
    lost = own_losses()
    body = json.loads(ANTHROPIC.write_request(chat, to(), lost))
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    assert lost.dropped == []
    chat = items(
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "llmgw:gemini:c:U0lH"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "42"},
    )
    body = json.loads(GEMINI.write_request(chat, to(), lost))
    assert body["contents"][1]["parts"][0]["thoughtSignature"] == "U0lH"
    assert lost.dropped == []


def test_thoughts_of_others_are_not_sent_to_openai() -> None:
    """It could not read them, so they are left out and reported."""
    lost = own_losses()
    foreign = {"type": "reasoning", "id": "x", "summary": [], "encrypted_content": "llmgw:anthropic:e:ENC"}
    kept = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAA"}
    asked = {"role": "user", "content": "hi"}
    body = write(items(asked, foreign, kept), lost=lost)
    assert body["input"] == [asked, kept], "all else is as it came"
    assert "store" not in body
    assert lost.dropped == ["input.reasoning"]


def test_openais_thoughts_come_back_from_another_client() -> None:
    """With their encryption and id where the client's API could keep them; unsealed ones are useless."""
    own = {"dialect": "openai_responses"}
    lost = losses()
    body = write(
        ask(answered(Thought(redacted="gAA", native=own), Thought(text="hm", native=own))), lost=lost
    )
    assert body["input"] == [{"type": "reasoning", "id": "rs_0", "summary": [], "encrypted_content": "gAA"}]
    assert lost.dropped == ["part.thought"]


@pytest.mark.parametrize("encrypted", ["gAA", "llmgw:x", "llmgw:anthropic:z:y", "llmgw", ""])
def test_what_is_no_seal_of_ours_is_the_providers(encrypted: str) -> None:
    """It is kept as it is."""
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted}
    (message,) = items(item).messages
    assert message.parts == (Thought(redacted=encrypted, id="rs_1"),)


def test_a_providers_thought_is_never_opened() -> None:
    """Another gateway as the provider may seal in the same way: that is its own affair."""
    sealed = "llmgw:anthropic:s:c2ln"
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
    body = {"output": [item], "status": "completed"}
    found = CODEC.read_answer(json.dumps(body).encode())
    assert found.choices[0].parts == (Thought(redacted=sealed, id="rs_1"),)


def test_a_seal_without_what_it_signs_is_left_out() -> None:
    """A client may have cut the history."""
    seal = {"type": "reasoning", "id": "x", "summary": [], "encrypted_content": "llmgw:gemini:c:SIG"}
    chat: Chat = items(seal, {"role": "user", "content": "hi"})
    assert [message.role for message in chat.messages] == ["user"]
    assert read().messages == chat.messages
