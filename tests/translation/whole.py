"""Events put together to the answer they stream, and the rules that every stream of events keeps.

The rules are those of `canonical`: Start first and once; End or Failure last and once; blocks of a choice count up
from 0 in order of first appearance and each has one kind; a call's name comes with its first delta and only there; a
choice finishes once, after its last delta; no bucket of usage is negative.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from llmgw.canonical import (
    Answer,
    Choice,
    Citation,
    CitationDelta,
    End,
    Event,
    Failure,
    Finish,
    FinishEvent,
    MediaDelta,
    NativeDelta,
    NativePart,
    Part,
    Refusal,
    RefusalDelta,
    Start,
    Text,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolCall,
    ToolDelta,
    Usage,
    UsageEvent,
)

KINDS = (TextDelta, RefusalDelta, ThoughtDelta, ToolDelta, MediaDelta)


class _Block(Struct):
    kind: type
    text: list[str] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)


class _Choice(Struct):
    blocks: dict[int, _Block] = field(default_factory=dict)
    finish: Finish | None = None
    logprobs: list[Any] = field(default_factory=list)


def answer_of(events: list[Event]) -> Answer:
    """The answer that the events stream. Asserts the rules on the way."""
    check_order(events)
    choices: dict[int, _Choice] = {}
    usage: Usage | None = None
    start = events[0]
    assert isinstance(start, Start)
    for event in events:
        if isinstance(event, UsageEvent):
            usage = event.usage
        elif isinstance(event, FinishEvent):
            choices.setdefault(event.choice, _Choice()).finish = event.finish
        elif isinstance(event, (*KINDS, CitationDelta)):
            _add(choices.setdefault(event.choice, _Choice()), event)
    return Answer(
        dialect=start.dialect,
        id=start.id,
        model=start.model,
        created=start.created,
        service_tier=start.service_tier,
        usage=usage,
        choices=tuple(
            Choice(
                index=index,
                parts=tuple(_part(choice.blocks[block]) for block in sorted(choice.blocks)),
                finish=choice.finish,
                logprobs=choice.logprobs or None,
            )
            for index, choice in sorted(choices.items())
        ),
    )


def _add(choice: _Choice, event: Any) -> None:
    kind = TextDelta if isinstance(event, CitationDelta) else type(event)
    block = choice.blocks.setdefault(event.block, _Block(kind))
    assert block.kind is kind, f"block {event.block} is {block.kind.__name__} and {kind.__name__}"
    if isinstance(event, CitationDelta):
        block.citations.append(event.citation)
        return
    if isinstance(event, MediaDelta):
        block.seen["media"] = event.media
        return
    if isinstance(event, ToolDelta):
        assert (event.name is not None) == ("name" not in block.seen), "a call is named once, when it begins"
        block.text.append(event.arguments)
    else:
        block.text.append(event.text)
    if isinstance(event, TextDelta) and event.logprobs:
        choice.logprobs += event.logprobs
    for member in ("id", "name", "custom", "signature", "redacted"):
        value = getattr(event, member, None)
        if value is not None:
            block.seen.setdefault(member, value)


def _part(block: _Block) -> Part:
    text, seen = "".join(block.text), block.seen
    if block.kind is TextDelta:
        return Text(text=text, citations=tuple(block.citations), signature=seen.get("signature"))
    if block.kind is RefusalDelta:
        return Refusal(text=text)
    if block.kind is ThoughtDelta:
        return Thought(
            text=text, signature=seen.get("signature"), redacted=seen.get("redacted"), id=seen.get("id")
        )
    if block.kind is ToolDelta:
        return ToolCall(
            id=seen.get("id"),
            name=seen["name"],
            arguments=text or ("" if seen["custom"] else "{}"),
            custom=seen["custom"],
            signature=seen.get("signature"),
        )
    media: Part = seen["media"]
    return media


def check_order(events: list[Event]) -> None:
    """Assert the rules that concern the order of events."""
    assert isinstance(events[0], Start), "Start comes first"
    assert isinstance(events[-1], End | Failure), "End or Failure comes last"
    assert sum(isinstance(event, Start) for event in events) == 1
    assert sum(isinstance(event, End | Failure) for event in events) == 1
    finished: set[int] = set()
    blocks: dict[int, list[int]] = {}
    for event in events:
        if isinstance(event, FinishEvent):
            assert event.choice not in finished, "a choice finishes once"
            finished.add(event.choice)
        elif isinstance(event, (*KINDS, CitationDelta, NativeDelta)):
            assert event.choice not in finished or isinstance(event, NativeDelta), "a delta after the finish"
            seen = blocks.setdefault(event.choice, [])
            if event.block not in seen:
                seen.append(event.block)
        elif isinstance(event, UsageEvent):
            check_usage(event.usage)
    for choice, seen in blocks.items():
        assert seen == sorted(seen), f"blocks of choice {choice} appear as {seen}"
        assert seen == list(range(len(seen))), f"blocks of choice {choice} are {seen}"


BUCKETS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "input_audio",
    "output",
    "reasoning",
    "output_audio",
)


def check_usage(usage: Usage) -> None:
    """Assert that the buckets are counts."""
    for bucket in BUCKETS:
        count = getattr(usage, bucket)
        assert count is None or (type(count) is int and count >= 0), f"{bucket} is {count!r}"


def tokens_of(usage: Usage) -> int | None:
    """The sum of all buckets; None where none was reported."""
    counts = [getattr(usage, bucket) for bucket in BUCKETS]
    said = [count for count in counts if count is not None]
    return sum(said) if said else None


def natives_of(answer: Answer) -> list[NativePart]:
    """The parts that only the answer's dialect has."""
    return [part for choice in answer.choices for part in choice.parts if isinstance(part, NativePart)]
