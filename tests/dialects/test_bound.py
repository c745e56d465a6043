"""What a call can use at most, before anybody has counted."""

from __future__ import annotations

import json
import statistics
from typing import Any

import pytest

from llmgw.dialects import bound, reported
from llmgw.dialects.bound import Asked
from llmgw.dialects.reported import Tally
from tests.dialects.test_reported import PLAIN, STREAMED, pieces
from tests.provider.recordings import Recording, load, select
from tests.translation.corpus import dialect_of

OWN_TOOLS = ("server_tool", "mcp", "web_search", "cachedContent")
"""What a provider's own tools read is input too, and stands in no request; so does what it has stored."""


def input_of(recording: Recording) -> int:
    """All tokens in that the provider reports; 0 where it reports none."""
    name = dialect_of(recording)
    assert name is not None
    body = recording.answer("compact").body
    if recording.streaming:
        tally = Tally(STREAMED[name])
        for piece in pieces(body):
            tally.note(piece)
        report = tally.report()
    else:
        report = reported.of_answer(PLAIN[name], body)
    buckets = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio")
    return 0 if report is None else sum(getattr(report.usage, bucket) or 0 for bucket in buckets)


def body_of(recording: Recording) -> bytes:
    return json.dumps(recording.request["body"], ensure_ascii=False, separators=(",", ":")).encode()


MEASURED = [
    recording.id
    for recording in select()
    if recording.response["status"] == 200
    and dialect_of(recording) is not None
    and recording.request
    and recording.request.get("body")
    and input_of(recording)
]
needs_recordings = pytest.mark.skipif(not MEASURED, reason="the recorded traffic is not here")


@needs_recordings
@pytest.mark.parametrize("recording_id", MEASURED)
def test_no_recorded_call_used_more_input_than_its_bound(recording_id: str) -> None:
    """But for what a provider's own tools read, which the request does not hold."""
    recording = load(recording_id)
    raw = body_of(recording)
    if (
        any(mark in feature for mark in OWN_TOOLS for feature in recording.features)
        or b"cachedContent" in raw
    ):
        pytest.skip("the provider's own tools or storage")
    model = str(recording.request["body"].get("model") or recording.request["path"])
    assert bound.input_bound(raw, model) >= input_of(recording)


@needs_recordings
def test_the_estimate_is_of_the_right_size() -> None:
    """Half of the recorded calls lie between a third and three times of what was reported."""
    ratios = [bound.input_estimate(body_of(load(one))) / input_of(load(one)) for one in MEASURED]
    assert 0.5 < statistics.median(ratios) < 2.5


def request(**members: Any) -> bytes:
    return json.dumps({"model": "m", **members}).encode()


def test_media_do_not_count_by_their_length() -> None:
    """A megabyte of image is a few thousand tokens; of a document, of text and of sound it is in proportion."""
    data = "A" * 1_000_000
    image = request(messages=[{"content": [{"image_url": {"url": "data:image/png;base64," + data}}]}])
    document = request(source={"type": "base64", "media_type": "application/pdf", "data": data})
    sound = request(input_audio={"format": "wav", "type": "audio", "data": data})
    text = request(messages=[{"content": data}])
    assert bound.input_bound(image, "gpt-4o") < 15_000
    assert 300_000 < bound.input_bound(document, "claude") < 400_000
    assert 5_000 < bound.input_bound(sound, "gpt-audio") < 20_000
    assert bound.input_bound(text, "m") > 500_000
    assert bound.input_bound(image, "gpt-4o-mini") > 48_000


def test_scripts_of_several_bytes_count_more() -> None:
    """Chinese has about a token for each character, which is three bytes."""
    text = "你好世界" * 1000
    raw = json.dumps({"content": text}, ensure_ascii=False).encode()
    escaped = json.dumps({"content": text}).encode()
    assert bound.input_bound(raw, "m") >= 1.5 * len(text)
    assert bound.input_bound(escaped, "m") >= 1.5 * len(text)


ABSURD: list[object] = [-1, 0, 1.5, "7", None, True, [5], {}]
ASKED = [
    ({"max_tokens": 5}, Asked(5, 1, None)),
    ({"max_tokens": 5, "max_completion_tokens": 7, "n": 3}, Asked(21, 3, None)),
    ({"max_output_tokens": 9, "service_tier": "flex"}, Asked(9, 1, "flex")),
    ({"generationConfig": {"maxOutputTokens": 4, "candidateCount": 2}}, Asked(8, 2, None)),
    ({}, Asked(None, 1, None)),
    ({"max_tokens": 10**30}, Asked(bound.MOST, 1, None)),
    ({"max_tokens": 5, "n": 10**30}, Asked(640, 128, None)),
    *(({"max_tokens": absurd}, Asked(None, 1, None)) for absurd in ABSURD),
    ({"n": -3, "service_tier": 7}, Asked(None, 1, None)),
    ({"generationConfig": []}, Asked(None, 1, None)),
]


@pytest.mark.parametrize(("members", "expected"), ASKED)
def test_what_a_request_says_of_its_output(members: dict[str, Any], expected: Asked) -> None:
    """Limits by every endpoint's name, times the alternatives; what cannot be meant is as if it were absent."""
    assert bound.asked(request(**members)) == expected


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b'{"max_tokens":', b"{" * 2000])
def test_no_body_breaks_the_bounds(raw: bytes) -> None:
    """Bodies that are refused later are bounded all the same."""
    assert bound.input_bound(raw, "m") > 0 and bound.input_estimate(raw) > 0
    assert bound.asked(raw) == Asked(None, 1, None)


def test_an_answer_of_unknown_length_is_a_share_of_the_longest() -> None:
    """Of the model's, or of an ordinary one's where that is not known."""
    assert bound.output_assumed(64_000, 0.25) == 16_000
    assert bound.output_assumed(None, 0.5) == bound.OUTPUT // 2
    assert bound.output_assumed(64_000, 0.0) == 1
