"""Interleaved blocks come out one after another, and nothing waits without need."""

from __future__ import annotations

import pytest

from llmgw.canonical import (
    Citation,
    CitationDelta,
    Event,
    Finish,
    FinishEvent,
    TextDelta,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.dialects.sequence import InSequence
from llmgw.errors import UpstreamFailed

DONE = FinishEvent(finish=Finish(reason="tool_calls"))


def call(block: int, arguments: str, name: str | None = None) -> ToolDelta:
    return ToolDelta(block=block, arguments=arguments, name=name, id=name)


def test_in_order_nothing_waits() -> None:
    """Each event comes out as it goes in."""
    events: list[Event] = [
        TextDelta(text="a"),
        call(1, "", "f"),
        call(1, '{"x":'),
        call(1, "1}"),
        call(2, "{}", "g"),
        UsageEvent(usage=Usage(input=1)),
        DONE,
    ]
    sequence = InSequence()
    assert [sequence.push(event) for event in events] == [[event] for event in events]


def test_interleaved_calls_are_put_in_order() -> None:
    """Deltas of the second call wait until the first is a whole JSON document, not longer."""
    first, second = call(0, "", "f"), call(1, "", "g")
    sequence = InSequence()
    assert sequence.push(first) == [first]
    assert sequence.push(second) == []
    assert sequence.push(call(1, '{"b"')) == []
    assert sequence.push(call(0, '{"a":1')) == [call(0, '{"a":1')]
    assert sequence.push(call(0, "}")) == [call(0, "}"), second, call(1, '{"b"')]
    assert sequence.push(call(1, ":2}")) == [call(1, ":2}")]
    assert sequence.push(DONE) == [DONE]


def test_the_end_releases_what_waits() -> None:
    """A call without arguments holds the next one back until the choice finishes."""
    sequence = InSequence()
    sequence.push(call(0, "", "f"))
    assert sequence.push(call(1, "{}", "g")) == []
    assert sequence.push(DONE) == [call(1, "{}", "g"), DONE]


def test_a_closed_block_takes_nothing() -> None:
    """A late delta is the provider's error; a late citation is left out."""
    sequence = InSequence()
    for event in (TextDelta(text="a"), call(1, "{}", "f"), call(2, "{}", "g")):
        sequence.push(event)
    assert sequence.push(CitationDelta(citation=Citation(url="https://example.com"))) == []
    with pytest.raises(UpstreamFailed, match="after it was complete"):
        sequence.push(call(1, "{}"))
