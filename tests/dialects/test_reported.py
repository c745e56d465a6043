"""What is read beside a relay: usage and the length of what was said, of every recorded answer."""

from __future__ import annotations

import pytest

from llmgw.canonical import TextDelta, ThoughtDelta, ToolDelta, Usage, UsageEvent
from llmgw.dialects import openai, reported, sse
from llmgw.dialects.anthropic import dialect as anthropic
from llmgw.dialects.dialect import Endpoint
from llmgw.dialects.gemini import dialect as gemini
from llmgw.dialects.gemini.json_array import ArraySplitter
from llmgw.dialects.known import CODECS
from llmgw.dialects.reported import Tally
from llmgw.errors import UpstreamFailed
from tests.provider.recordings import Recording, load, select
from tests.translation.corpus import dialect_of

PLAIN = {
    "openai_chat": openai.CHAT_COMPLETIONS,
    "openai_responses": openai.RESPONSES,
    "anthropic": anthropic.MESSAGES,
    "gemini": gemini.GENERATE_CONTENT,
}
STREAMED = {**PLAIN, "gemini": gemini.STREAM_EVENTS}
ANSWERS = [
    recording.id
    for recording in select()
    if recording.response["status"] == 200 and dialect_of(recording) is not None
]
needs_recordings = pytest.mark.skipif(not ANSWERS, reason="the recorded traffic is not here")


def buckets(usage: Usage | None) -> dict[str, int]:
    """The buckets that say something."""
    if usage is None:
        return {}
    return {name: n for name in usage.__struct_fields__ if name != "native" and (n := getattr(usage, name))}


def by_codec(recording: Recording, endpoint: Endpoint, body: bytes) -> tuple[Usage | None, int]:
    """The usage and the length of the text as the endpoint's codec reads them."""
    codec = CODECS[endpoint.name]
    if not recording.streaming:
        return codec.read_answer(body).usage, 0
    reader = codec.stream_reader()
    events = reader.feed(body)
    try:
        events += reader.end()
    except UpstreamFailed:
        pytest.skip("the recorded stream is not complete")
    usage = [event.usage for event in events if isinstance(event, UsageEvent)]
    said = sum(len(event.text.encode()) for event in events if isinstance(event, TextDelta | ThoughtDelta))
    said += sum(len(event.arguments) for event in events if isinstance(event, ToolDelta))
    return usage[-1] if usage else None, said


def pieces(body: bytes) -> list[bytes]:
    """A stream's events, or the elements of its array."""
    if body.lstrip().startswith(b"["):
        return ArraySplitter().feed(body)
    return [event + b"\n\n" for event in body.replace(b"\r\n", b"\n").split(b"\n\n")]


@needs_recordings
@pytest.mark.parametrize("recording_id", ANSWERS)
def test_reports_what_the_codec_reads(recording_id: str) -> None:
    """Beside an unchanged relay the same tokens are read, bucket for bucket, as by a translation."""
    recording = load(recording_id)
    name = dialect_of(recording)
    assert name is not None
    endpoint = (STREAMED if recording.streaming else PLAIN)[name]
    body = recording.answer("odd").body
    try:
        usage, said = by_codec(recording, endpoint, body)
    except UpstreamFailed:
        pytest.skip("the recorded answer cannot be translated")
    if not recording.streaming:
        report = reported.of_answer(endpoint, body)
        assert buckets(usage) == buckets(None if report is None else report.usage)
        return
    tally = Tally(endpoint)
    for piece in pieces(body):
        tally.note(piece)
    report = tally.report()
    assert buckets(usage) == buckets(None if report is None else report.usage)
    if said > 100 and name != "gemini":
        assert 0.9 * said <= tally.said_bytes <= 3 * said


def test_hides_the_usage_chunk_alone() -> None:
    """The chunk with nothing but usage goes; a host's usage beside the last words stays."""
    words = b'data: {"choices":[{"delta":{"content":"hi"}}],"usage":null}\n\n'
    beside = b'data: {"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\n\n'
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\r\n\r\n'
    done = b"data: [DONE]\n\n"
    assert reported.without_usage_chunk(words + usage + done) == words + done
    assert reported.without_usage_chunk(usage) == b""
    assert reported.without_usage_chunk(words + beside + done) == words + beside + done


def test_a_quoted_usage_chunk_is_text() -> None:
    """A model that writes JSON like a usage chunk is not cut."""
    piece = (
        b'data: {"choices":[{"delta":{"content":"{\\"choices\\":[],\\"usage\\":{}}"}}],"usage":{"a":1}}\n\n'
    )
    assert reported.without_usage_chunk(piece) == piece


def test_the_end_of_a_large_answer_reports() -> None:
    """Of an answer too large to keep, the last bytes are enough."""
    tail = b'0.25,0.5]}],"model":"e","usage":{"prompt_tokens":7,"total_tokens":7,"prompt_tokens_details":{"x":0}}}'
    report = reported.of_tail(openai.EMBEDDINGS, tail)
    assert report is not None and buckets(report.usage) == {"input": 7}
    assert reported.of_tail(openai.EMBEDDINGS, b'"usage":{"prompt_tok') is None
    assert reported.of_tail(openai.EMBEDDINGS, b"0.25,0.5]") is None


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"usage":null}',
        b'{"usage":7}',
        b'{"usage":{"prompt_tokens":-1,"completion_tokens":1}}',
        b'{"usage":{"prompt_tokens":"many"}}',
        b'{"usage":{"prompt_tokens":1e400}}',
        b'{"usage":\xff}',
    ],
)
@pytest.mark.parametrize("endpoint", [*STREAMED.values(), anthropic.COUNT_TOKENS])
def test_what_cannot_be_understood_is_no_report(endpoint: Endpoint, body: bytes) -> None:
    """Damaged or absurd reports are none; they never break the relay beside which they are read."""
    tally = Tally(endpoint)
    tally.note(b"data: " + body + b"\n\n")
    for report in (reported.of_answer(endpoint, body), reported.of_tail(endpoint, body), tally.report()):
        assert report is None or not buckets(report.usage)


def test_later_counts_replace_earlier_ones() -> None:
    """Anthropic's last counts replace its first ones, and those that it does not repeat stay."""
    tally = Tally(anthropic.MESSAGES)
    tally.note(
        b'data: {"type":"message_start","message":{"usage":{"input_tokens":5,"cache_read_input_tokens":9,'
        b'"output_tokens":1,"service_tier":"standard"}}}\n\n'
    )
    assert buckets(getattr(tally.report(), "usage", None)) == {"input": 5, "cache_read": 9, "output": 1}
    tally.note(b'data: {"type":"message_delta","usage":{"output_tokens":20}}\n\n')
    report = tally.report()
    assert report is not None and report.service_tier == "default"
    assert buckets(report.usage) == {"input": 5, "cache_read": 9, "output": 20}


def test_pieces_of_any_size_say_the_same() -> None:
    """What was said is counted once, however the events are joined."""
    events = [b'data: {"choices":[{"delta":{"content":"w%d "}}]}\n\n' % n for n in range(20)]
    whole, apart = Tally(openai.CHAT_COMPLETIONS), Tally(openai.CHAT_COMPLETIONS)
    whole.note(b"".join(events))
    for event in events:
        apart.note(event)
    assert whole.said_bytes == apart.said_bytes == sum(len(f"w{n} ") for n in range(20))
    assert sse.complete_until(b"".join(events)) == len(b"".join(events))
