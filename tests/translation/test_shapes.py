"""Streams that no recording has: odd orders, missing pieces, parts that a client's API shows in its own way.

Each is told to every client as a stream and as a plain answer; both are valid and say the same.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pytest

from llmgw.canonical import (
    Citation,
    CitationDelta,
    End,
    Event,
    Finish,
    FinishEvent,
    Inline,
    Media,
    MediaDelta,
    Reason,
    RefusalDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    Usage,
    UsageEvent,
)
from llmgw.errors import UpstreamFailed
from tests.translation import schemas, sdk, views
from tests.translation.corpus import CLIENTS, STAMP, asked_by, codec, losses, write_stream
from tests.translation.views import sse_objects
from tests.translation.whole import answer_of

PROOF: Final = base64.b64encode(b"a proof of thought").decode()
HI: Final = TextDelta(text="hi")
USED: Final = UsageEvent(usage=Usage(input=3, output=1))


def end(reason: Reason, **said: Any) -> list[Event]:
    return [FinishEvent(finish=Finish(reason=reason, **said)), End()]


def call(name: str, arguments: str, block: int = 0, call_id: str | None = "call_x") -> ToolDelta:
    return ToolDelta(id=call_id and f"{call_id}{block}", name=name, arguments=arguments, block=block)


SHAPES: Final[dict[str, list[Event]]] = {
    "no usage": [HI, *end("stop")],
    "no content": [USED, *end("stop")],
    "usage after the finish": [
        HI,
        USED,
        FinishEvent(finish=Finish(reason="length")),
        UsageEvent(usage=Usage(input=3, output=2)),
        End(),
    ],
    "refusal": [RefusalDelta(text="no"), USED, *end("refusal")],
    "filtered before the first word": [USED, *end("content_filter", message="blocked")],
    "pause": [HI, USED, *end("pause")],
    "two texts": [HI, TextDelta(text=" there", block=1), USED, *end("stop")],
    "text after a call": [call("f", "{}"), TextDelta(text="then", block=1), USED, *end("tool_calls")],
    "calls that interleave": [
        call("f", '{"a"', 0),
        call("g", '{"b":', 1),
        ToolDelta(arguments=":1}", block=0),
        ToolDelta(arguments="2}", block=1),
        USED,
        *end("tool_calls"),
    ],
    "calls without arguments": [call("f", "", 0), call("g", "", 1), USED, *end("tool_calls")],
    "calls without ids": [call("f", "{}", 0, None), call("f", "{}", 1, None), USED, *end("tool_calls")],
    "call that the provider ends with stop": [call("f", "{}"), USED, *end("stop")],
    "citation": [
        TextDelta(text="abc"),
        CitationDelta(citation=Citation(url="https://example.com", title="t", start=0, end=3, quote="q")),
        USED,
        *end("stop"),
    ],
    "image": [
        MediaDelta(media=Media(kind="image", source=Inline(media_type="image/png", data=PROOF))),
        USED,
        *end("stop"),
    ],
    "signed thought": [
        ThoughtDelta(text="hm"),
        ThoughtDelta(signature=PROOF),
        TextDelta(text="x", block=1),
        USED,
        *end("stop"),
    ],
    "encrypted thought": [ThoughtDelta(redacted=PROOF), TextDelta(text="x", block=1), USED, *end("stop")],
    "signed call": [
        ToolDelta(id="call_1", name="f", arguments="{}", signature=PROOF),
        USED,
        *end("tool_calls"),
    ],
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("source", CLIENTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_told_to_every_client(shape: str, source: str, client: str) -> None:
    """Every event and the plain answer are valid, and the SDK makes the same of both."""
    events = [Start(dialect=source, id="x", model="m", created=1_760_000_000), *SHAPES[shape]]
    written = write_stream(client, asked_by(client), events)
    said: set[str] = set()
    for event in sse_objects(written):
        said.update(sdk.event_faults(client, event) if event.get("type") != "ping" else ())
        said.update(
            schemas.complaints(schemas.EVENTS[client], event, client) if event.get("type") != "ping" else ()
        )
    assert said == set()
    lost = losses(client, source, drop=True)
    plain = codec(client).write_answer(answer_of(events), asked_by(client), STAMP, lost)
    assert sdk.answer_faults(client, json.loads(plain)) == []
    assert views.of_client(client, written, streamed=True) == views.of_client(client, plain, streamed=False)


@pytest.mark.parametrize("client", ["anthropic", "gemini"])
def test_arguments_that_are_no_json_are_the_providers_failure(client: str) -> None:
    """Where a call's arguments must be an object, broken ones end the call with an error and are not made up."""
    events: list[Event] = [
        Start(dialect="openai_chat", id="x", model="m"),
        call("f", '{"a":'),
        *end("tool_calls"),
    ]
    with pytest.raises(UpstreamFailed):
        write_stream(client, asked_by(client), events)
    lost = losses(client, "openai_chat", drop=True)
    with pytest.raises(UpstreamFailed):
        codec(client).write_answer(answer_of(events), asked_by(client), STAMP, lost)
