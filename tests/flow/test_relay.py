"""The relay: bytes pass as they came, a truncated stream never looks complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.dialects.anthropic.dialect import MESSAGES, Anthropic
from llmgw.dialects.dialect import Dialect, Endpoint
from llmgw.dialects.openai import CHAT_COMPLETIONS, RESPONSES, OpenAI
from llmgw.errors import UpstreamFailed, UpstreamTimeout
from llmgw.flow import relay as relays
from llmgw.flow.relay import StreamRelay

OPENAI, ANTHROPIC = OpenAI(), Anthropic()

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
TEXT = b'data: {"choices":[{"index":0,"delta":{"content":"Hi [DONE] \\n\\ndata: [DONE]"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
CHAT = ROLE + TEXT + STOP + DONE

START = b'event: message_start\ndata: {"type":"message_start","message":{"id":"m"}}\n\n'
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
OPEN = b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"message_stop"}}\n\n'
END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
MESSAGE = START + PING + OPEN + DELTA + END

CREATED = b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n'
OUTPUT = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,"delta":"response.completed"}\n\n'
COMPLETED = b'event: response.completed\ndata: {"type":"response.completed","sequence_number":2}\n\n'
RESPONSE = CREATED + OUTPUT + COMPLETED

STREAMS = [
    pytest.param(OPENAI, CHAT_COMPLETIONS, CHAT, id="chat"),
    pytest.param(OPENAI, RESPONSES, RESPONSE, id="responses"),
    pytest.param(ANTHROPIC, MESSAGES, MESSAGE, id="messages"),
    pytest.param(OPENAI, CHAT_COMPLETIONS, CHAT.replace(b"\n\n", b"\r\n\r\n"), id="chat-crlf"),
    pytest.param(OPENAI, CHAT_COMPLETIONS, b": OPENROUTER PROCESSING\n\n" + CHAT, id="comments"),
    pytest.param(OPENAI, CHAT_COMPLETIONS, ROLE + TEXT + STOP, id="no-done-but-finished"),
    pytest.param(OPENAI, CHAT_COMPLETIONS, CHAT[:-2], id="no-blank-line-at-the-end"),
]


def feed(relay: StreamRelay, pieces: list[bytes]) -> tuple[bytes, UpstreamFailed | None]:
    sent = b"".join(relay.feed(piece) for piece in pieces)
    rest, error = relay.end()
    return sent + rest, error


@pytest.mark.parametrize(("dialect", "endpoint", "stream"), STREAMS)
def test_bytes_pass_unchanged_however_they_are_cut(
    dialect: Dialect, endpoint: Endpoint, stream: bytes
) -> None:
    """Fed whole, at every pair of cuts and byte by byte, the client gets the very bytes, and no error."""
    assert feed(StreamRelay(dialect, endpoint), [stream]) == (stream, None)
    assert feed(StreamRelay(dialect, endpoint), [bytes([byte]) for byte in stream]) == (stream, None)
    for cut in range(1, len(stream)):
        assert feed(StreamRelay(dialect, endpoint), [stream[:cut], stream[cut:]]) == (stream, None)


@given(st.data())
def test_bytes_pass_unchanged_at_random_cuts(data: st.DataObject) -> None:
    """Property: the pieces the network makes are of no consequence."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(MESSAGE)), max_size=20)))
    pieces = [MESSAGE[a:b] for a, b in zip([0, *cuts], [*cuts, len(MESSAGE)], strict=True)]
    assert feed(StreamRelay(ANTHROPIC, MESSAGES), pieces) == (MESSAGE, None)


@pytest.mark.parametrize(
    ("dialect", "endpoint", "start_up", "content"),
    [
        (OPENAI, CHAT_COMPLETIONS, ROLE, TEXT),
        (OPENAI, CHAT_COMPLETIONS, b'data: {"choices":[],"prompt_filter_results":[]}\n\n' + ROLE, TEXT),
        (OPENAI, CHAT_COMPLETIONS, b": keep-alive\n\n", TEXT),
        (OPENAI, RESPONSES, CREATED, OUTPUT),
        (ANTHROPIC, MESSAGES, START + PING + OPEN, DELTA),
        (
            OPENAI,
            CHAT_COMPLETIONS,
            b"",
            b'data: {"choices":[{"delta":{"role":"assistant","content":"x"}}]}\n\n',
        ),
        (OPENAI, CHAT_COMPLETIONS, b"", b'data: {"choices":[{"delta":{"reasoning_content":""}}]}\n\n'),
        (OPENAI, CHAT_COMPLETIONS, b"", b"data: not json\n\n"),
    ],
)
def test_start_up_is_held_until_content(
    dialect: Dialect, endpoint: Endpoint, start_up: bytes, content: bytes
) -> None:
    """Nothing is sent before the first content, so that the call may still fail with a status of its own."""
    relay = StreamRelay(dialect, endpoint)
    assert relay.feed(start_up) == b""
    assert not relay.has_content
    assert relay.feed(content) == start_up + content
    assert relay.has_content


def test_start_up_is_held_only_up_to_a_limit() -> None:
    """A stream that talks at length before any content is passed on, not collected."""
    relay = StreamRelay(ANTHROPIC, MESSAGES)
    sent = b""
    while not sent:
        sent = relay.feed(PING)
    assert len(sent) <= relays.HOLD_LIMIT + len(PING)


@pytest.mark.parametrize(
    ("dialect", "endpoint", "event"),
    [
        (ANTHROPIC, MESSAGES, b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy"}}\n\n'),
        (OPENAI, CHAT_COMPLETIONS, b'data: {"error":{"message":"Busy","code":"503"}}\n\n'),
        (OPENAI, CHAT_COMPLETIONS, b'data: {"error":"Busy"}\n\n'),
    ],
)  # fmt: skip
def test_an_error_before_content_is_a_failure_of_the_call(
    dialect: Dialect, endpoint: Endpoint, event: bytes
) -> None:
    """A provider's error as the first event becomes an error answer, with the provider's words."""
    relay = StreamRelay(dialect, endpoint)
    with pytest.raises(UpstreamFailed, match="Busy"):
        relay.feed(event)


@pytest.mark.parametrize(
    ("dialect", "endpoint", "stream", "terminator"),
    [
        (OPENAI, CHAT_COMPLETIONS, ROLE + TEXT, b"data: [DONE]\n\n"),
        (OPENAI, RESPONSES, CREATED + OUTPUT, b"event: response.completed"),
        (ANTHROPIC, MESSAGES, START + OPEN + DELTA, b"event: message_stop"),
    ],
)
def test_a_cut_stream_never_looks_complete(
    dialect: Dialect, endpoint: Endpoint, stream: bytes, terminator: bytes
) -> None:
    """At whatever byte it is cut, the client gets whole events, then an error event, and no terminator."""
    for cut in range(1, len(stream) + 1):
        relay = StreamRelay(dialect, endpoint)
        sent = relay.feed(stream[:cut])
        rest, error = relay.end()
        assert error is not None
        if sent:
            sent += rest + relay.broken(error, "req_1")
            assert terminator not in sent.replace(TEXT, b"").replace(DELTA, b"").replace(OUTPUT, b"")
            assert sent.endswith(b"\n\n")
            assert b'"upstream_error"' in sent
            assert stream.startswith(
                sent[: sent.rindex(b"event: error" if b"event: error" in sent else b'data: {"error"')]
            )


def test_an_error_event_after_a_partial_giant_event_starts_on_its_own_line() -> None:
    """An event too large to hold is passed in parts; the error after it is still an event of its own."""
    relay = StreamRelay(OPENAI, CHAT_COMPLETIONS)
    part = b'data: {"choices":[{"delta":{"content":"' + b"x" * relays.EVENT_LIMIT
    assert relay.feed(TEXT) == TEXT
    assert relay.feed(part) == part
    assert relay.broken(UpstreamTimeout("slow"), "r").startswith(b"\n\ndata: ")


def test_a_giant_event_is_not_collected() -> None:
    """However long an event without end grows, no more than the limit is kept."""
    relay = StreamRelay(OPENAI, CHAT_COMPLETIONS)
    relay.feed(TEXT)
    sent = sum(len(relay.feed(b"x" * 50_000)) for _ in range(40))
    assert sent >= 2_000_000 - relays.EVENT_LIMIT


def test_the_providers_own_error_event_is_passed_and_not_doubled() -> None:
    """After an error event of the provider the stream just ends; it is recorded as failed."""
    event = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"boom"}}\n\n'
    relay = StreamRelay(ANTHROPIC, MESSAGES)
    sent, error = feed(relay, [START + OPEN + DELTA, event])
    assert (sent, error) == (START + OPEN + DELTA + event, None)
    assert relay.provider_error == "boom"


def test_a_responses_error_event_continues_the_sequence() -> None:
    """The Responses API numbers its events; the error takes the next number."""
    relay = StreamRelay(OPENAI, RESPONSES)
    relay.feed(CREATED + OUTPUT)
    assert b'"sequence_number":2' in relay.broken(UpstreamTimeout("slow"), "r")
