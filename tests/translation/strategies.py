"""Requests and streams as each API can express them, for property tests.

A strategy makes only what its API has words for: what a translation must refuse is the business of test_requests.
Where an API has one spelling for two values (a tool result of one text, a call's arguments), the strategy takes the
one its reader gives back.
"""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec import Struct

from llmgw.canonical import (
    Chat,
    Effort,
    End,
    Event,
    Finish,
    FinishEvent,
    Inline,
    JsonFormat,
    Link,
    Media,
    Message,
    Part,
    Reason,
    Reasoning,
    Start,
    Text,
    TextDelta,
    ThoughtDelta,
    Tool,
    ToolCall,
    ToolChoice,
    ToolDelta,
    ToolResult,
    Usage,
    UsageEvent,
)

WORDS: Final = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12
)
"""Any text that JSON can carry, line ends and emoji included."""
NAMES: Final = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
IDS: Final = st.from_regex(r"call_[a-zA-Z0-9]{6,12}", fullmatch=True)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
ARGUMENTS: Final = st.dictionaries(NAMES, VALUES, max_size=3).map(
    lambda one: json.dumps(one, separators=(",", ":"))
)
SCHEMA: Final = st.dictionaries(
    NAMES,
    st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]),
    min_size=1,
    max_size=3,
).map(lambda members: {"type": "object", "properties": members, "required": sorted(members)})
PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Api(Struct, frozen=True, kw_only=True):
    """What one API has words for."""

    reasons: tuple[Reason, ...]
    """Ends of an answer without calls."""
    buckets: tuple[str, ...]
    fields: dict[str, SearchStrategy[Any]]
    """Of `Chat`; each may also be absent."""
    efforts: tuple[Effort, ...] = ()
    system: bool = True
    """Instructions stand outside of the turns."""
    instructions: tuple[str, ...] = ()
    """Roles of instructions within the turns."""
    links: bool = True
    ids: bool = True
    """Every call has an id."""
    names: bool = False
    """Tool results name their function."""
    errors: bool = False
    """A tool's result can be an error."""
    free_order: bool = True
    """Texts, thoughts and calls of an answer stand in the order they were said."""
    signatures: bool = False
    choices: int = 1


TEMPERATURES: Final = st.sampled_from((0.0, 0.25, 0.5, 1.0))
PENALTIES: Final = st.sampled_from((-1.5, -0.5, 0.5, 2.0))
STOPS: Final = st.lists(WORDS, min_size=1, max_size=4, unique=True).map(tuple)
COUNTS: Final = st.integers(1, 100_000)
FORMATS: Final = st.builds(JsonFormat, schema=SCHEMA, name=NAMES, strict=st.booleans())
BARE_FORMATS: Final = st.builds(JsonFormat, schema=SCHEMA)

APIS: Final[dict[str, Api]] = {
    "openai_chat": Api(
        reasons=("stop", "length", "content_filter"),
        buckets=("input", "cache_read", "output", "reasoning", "input_audio", "output_audio"),
        fields={
            "temperature": TEMPERATURES,
            "top_p": TEMPERATURES,
            "stop": STOPS,
            "n": st.integers(2, 8),
            "seed": st.integers(-(2**63), 2**63 - 1),
            "presence_penalty": PENALTIES,
            "frequency_penalty": PENALTIES,
            "max_tokens": COUNTS,
            "user": WORDS,
            "metadata": st.dictionaries(NAMES, WORDS, min_size=1, max_size=3),
            "cache_key": WORDS,
            "verbosity": st.sampled_from(("low", "medium", "high")),
            "service_tier": st.sampled_from(("auto", "default", "flex", "priority")),
            "parallel_tool_calls": st.booleans(),
            "format": FORMATS,
        },
        efforts=("none", "minimal", "low", "medium", "high", "xhigh"),
        system=False,
        instructions=("system", "developer"),
        free_order=False,
        choices=3,
    ),
    "openai_responses": Api(
        reasons=("stop", "length", "content_filter"),
        buckets=("input", "cache_read", "output", "reasoning"),
        fields={
            "temperature": TEMPERATURES,
            "top_p": TEMPERATURES,
            "max_tokens": COUNTS,
            "user": WORDS,
            "metadata": st.dictionaries(NAMES, WORDS, min_size=1, max_size=3),
            "cache_key": WORDS,
            "verbosity": st.sampled_from(("low", "medium", "high")),
            "service_tier": st.sampled_from(("auto", "default", "flex", "priority")),
            "parallel_tool_calls": st.booleans(),
            "format": FORMATS,
        },
        efforts=("none", "minimal", "low", "medium", "high", "xhigh"),
        instructions=("system", "developer"),
    ),
    "anthropic": Api(
        reasons=("stop", "stop_sequence", "length", "context_length", "pause", "refusal"),
        buckets=("input", "cache_read", "cache_write_5m", "cache_write_1h", "output"),
        fields={
            "temperature": TEMPERATURES,
            "top_p": TEMPERATURES,
            "top_k": COUNTS,
            "stop": STOPS,
            "user": WORDS,
            "format": BARE_FORMATS,
        },
        errors=True,
        signatures=True,
    ),
    "gemini": Api(
        reasons=("stop", "length", "content_filter", "malformed_tool_call", "other"),
        buckets=("input", "cache_read", "output", "reasoning"),
        fields={
            "temperature": TEMPERATURES,
            "top_p": TEMPERATURES,
            "top_k": COUNTS,
            "stop": STOPS,
            "seed": st.integers(-(2**31), 2**31 - 1),
            "n": st.integers(2, 8),
            "presence_penalty": PENALTIES,
            "frequency_penalty": PENALTIES,
            "max_tokens": COUNTS,
            "format": BARE_FORMATS,
        },
        ids=False,
        links=False,
        names=True,
        choices=3,
    ),
}


# Requests


@st.composite
def chats(draw: Any, dialect: str) -> Chat:
    """A request in the words of one API."""
    api = APIS[dialect]
    fields = {name: draw(strategy) for name, strategy in api.fields.items() if draw(st.booleans())}
    tools = tuple(draw(st.lists(_tools(), max_size=2, unique_by=lambda tool: tool.name)))
    if tools:
        fields["tools"] = tools
        fields["tool_choice"] = draw(st.none() | _choices(tools))
    else:
        fields.pop("parallel_tool_calls", None)
    if api.efforts and draw(st.booleans()):
        fields["reasoning"] = Reasoning(effort=draw(st.sampled_from(api.efforts)))
    if dialect == "anthropic":
        fields["max_tokens"] = draw(COUNTS)
    if api.system and draw(st.booleans()):
        fields["system"] = (Text(text=draw(WORDS)),)
    turns = draw(st.lists(_turns(api), min_size=1, max_size=4))
    return Chat(dialect=dialect, model="m", messages=tuple(one for turn in turns for one in turn), **fields)


def _tools() -> SearchStrategy[Tool]:
    return st.builds(Tool, name=NAMES, description=st.none() | WORDS, parameters=SCHEMA)


def _choices(tools: tuple[Tool, ...]) -> SearchStrategy[ToolChoice]:
    return st.sampled_from(
        [
            ToolChoice(mode="none"),
            ToolChoice(mode="required"),
            *(ToolChoice(mode="required", names=(tool.name,)) for tool in tools),
        ]
    )


@st.composite
def _turns(draw: Any, api: Api) -> list[Message]:
    """What the user says and what comes of it: an answer, perhaps with calls and their results."""
    said: list[Part] = [Text(text=draw(WORDS))]
    if draw(st.booleans()):
        said.append(draw(_images(api)))
    turn = [Message(role="user", parts=tuple(said))]
    if api.instructions and draw(st.booleans()):
        turn.insert(0, Message(role=draw(st.sampled_from(api.instructions)), parts=(Text(text=draw(WORDS)),)))
    if draw(st.booleans()):
        calls = draw(st.lists(_calls(api), max_size=2, unique_by=lambda call: call.id or call.name))
        turn.append(Message(role="assistant", parts=(Text(text=draw(WORDS)), *calls)))
        turn += [Message(role="tool", parts=(draw(_results(api, call)),)) for call in calls]
    return turn


def _images(api: Api) -> SearchStrategy[Media]:
    inline = st.just(Inline(media_type="image/png", data=PNG))
    link = st.just(Link(url="https://example.com/a.png"))
    return st.builds(Media, kind=st.just("image"), source=(inline | link) if api.links else inline)


def _calls(api: Api) -> SearchStrategy[ToolCall]:
    return st.builds(ToolCall, id=IDS if api.ids else st.none() | IDS, name=NAMES, arguments=ARGUMENTS)


def _results(api: Api, call: ToolCall) -> SearchStrategy[ToolResult]:
    return st.builds(
        ToolResult,
        call_id=st.just(call.id),
        name=st.just(call.name) if api.names else st.none(),
        parts=st.tuples(st.builds(Text, text=WORDS)),
        is_error=st.booleans() if api.errors else st.just(False),
    )


# Streams


@st.composite
def streams(draw: Any, dialect: str) -> list[Event]:
    """A whole stream of events in the words of one API."""
    api = APIS[dialect]
    events: list[Event] = [Start(dialect=dialect, id=draw(IDS), model=draw(NAMES), created=1_760_000_000)]
    for choice in range(draw(st.integers(1, api.choices))):
        events += draw(_choice(api, choice))
    counts = {bucket: draw(st.integers(0, 10_000)) for bucket in api.buckets}
    return [*events, UsageEvent(usage=Usage(**counts)), End()]


@st.composite
def _choice(draw: Any, api: Api, choice: int) -> list[Event]:
    kinds = draw(_kinds(api))
    events: list[Event] = []
    for block, kind in enumerate(kinds):
        pieces = draw(st.lists(WORDS, min_size=1, max_size=3))
        if kind == "text":
            events += [TextDelta(text=piece, choice=choice, block=block) for piece in pieces]
        elif kind == "thought":
            events += [ThoughtDelta(text=piece, choice=choice, block=block) for piece in pieces]
            if api.signatures:
                events.append(ThoughtDelta(signature=draw(IDS), choice=choice, block=block))
        else:
            events += draw(_call_deltas(choice, block))
    reason: Reason = "tool_calls" if "call" in kinds else draw(st.sampled_from(api.reasons))
    sequence = draw(WORDS) if reason == "stop_sequence" else None
    return [*events, FinishEvent(finish=Finish(reason=reason, sequence=sequence), choice=choice)]


def _kinds(api: Api) -> SearchStrategy[list[str]]:
    """Kinds of blocks; two of one kind next to each other would be one to an API that has no block marks."""
    if not api.free_order:
        return st.tuples(
            st.sampled_from(([], ["thought"])), st.sampled_from(([], ["text"])), st.integers(0, 3)
        ).map(lambda made: [*made[0], *made[1], *["call"] * made[2]])
    return st.lists(st.sampled_from(("thought", "text", "call")), max_size=5).map(
        lambda kinds: [
            kind for at, kind in enumerate(kinds) if kind == "call" or at == 0 or kinds[at - 1] != kind
        ]
    )


@st.composite
def _call_deltas(draw: Any, choice: int, block: int) -> list[Event]:
    arguments = draw(ARGUMENTS)
    cut = draw(st.integers(0, len(arguments)))
    first = ToolDelta(id=f"call_{choice}_{block}", name=draw(NAMES), arguments="", choice=choice, block=block)
    rest = [
        ToolDelta(arguments=one, choice=choice, block=block) for one in (arguments[:cut], arguments[cut:])
    ]
    return [first, *(one for one in rest if one.arguments)]
