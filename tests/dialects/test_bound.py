"""What a call can use at most, before anybody has counted."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


COUNTED = json.loads(Path(__file__).with_name("counted.json").read_text())
"""Texts of many classes, and the tokens that eleven vocabularies make of each. Counted with the vocabularies that the
packages named under `vocabularies` ship: o200k and cl100k of OpenAI, Gemini, Llama 2 and 3, DeepSeek V3, Qwen 3,
Mistral v3 and Tekken, and a reconstruction of Claude 3 and Claude 4.8 that was made from counts of its API."""
TEXTS: dict[str, dict[str, Any]] = COUNTED["texts"]
ENDS = 3
"""Tokens before and behind a text, such as the space that some vocabularies begin with. Counted once in a request."""
WIDE = {"english": 3.3, "english letter": 3.3, "python": 3.7, "json, indented": 3.3}
either_way = pytest.mark.parametrize("escaped", [False, True], ids=["utf-8", "escaped"])


def of_text(text: str, *, escaped: bool = False) -> int:
    """What a text adds to the bound of a request."""

    def body(content: str) -> bytes:
        return json.dumps({"messages": [{"content": content}]}, ensure_ascii=escaped).encode()

    return bound.input_bound(body(text), "m") - bound.input_bound(body(""), "m")


@either_way
@pytest.mark.parametrize("name", TEXTS)
def test_no_vocabulary_makes_more_tokens_of_a_text(name: str, escaped: bool) -> None:
    """Whatever it is made of, and however its body was encoded."""
    most = of_text(TEXTS[name]["text"], escaped=escaped) + ENDS
    assert {who: count for who, count in TEXTS[name]["tokens"].items() if count > most} == {}


@pytest.mark.parametrize("name", WIDE)
def test_the_bound_of_ordinary_text_is_not_absurd(name: str) -> None:
    """Or else budgets and limits stop calls that they have room for."""
    assert of_text(TEXTS[name]["text"]) <= WIDE[name] * min(TEXTS[name]["tokens"].values())


@given(st.text(), st.text(), st.booleans())
def test_more_text_is_never_less(text: str, more: str, escaped: bool) -> None:
    """Adding to a text does not lower its bound."""
    assert of_text(text + more, escaped=escaped) >= of_text(text, escaped=escaped)


@given(st.text(), st.booleans())
def test_no_text_is_worth_less_than_half_its_bytes(text: str, escaped: bool) -> None:
    """So that a text which was made up against a vocabulary of bytes gets past by twice its bound at most."""
    assert 2 * of_text(text, escaped=escaped) + 1 >= len(text.encode())


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0xFFFF, exclude_categories=["Cs"])))
def test_escapes_count_as_what_they_stand_for(text: str) -> None:
    """The same text has the same bound, whether its client escapes what is not ASCII or not."""
    assert of_text(text, escaped=True) == of_text(text)


@pytest.mark.parametrize("raw", [b'"\\\\u4f60"', b'"\\u4f', b'"\\uzzzz"', b'"\\ud83d"', b'"\\U0010ffff"'])
def test_what_only_looks_like_an_escape_breaks_nothing(raw: bytes) -> None:
    """An escaped backslash before a u, a half escape, no hexadecimal, half a pair, another language's escape."""
    assert bound.input_bound(raw, "m") >= bound.REQUEST + 2


@pytest.mark.parametrize("size", [1, 16_383, 16_384, 16_385, 100_000])
def test_long_texts_are_summed_whole(size: int) -> None:
    """A digit is one and a half tokens, however many of them there are."""
    assert abs(of_text("7" * size) - 1.5 * size) <= 1


DATA = "QUJD" * 2_500
PLAIN_TEXT: dict[str, dict[str, Any]] = {
    "an address of data in a text": {"content": f'<img src="data:image/png;base64,{DATA}"/>'},
    "a text that is an address of data": {"content": f"data:image/png;base64,{DATA}"},
    "a document of plain text": {"source": {"type": "text", "data": "7 8 9 " * 1_700}},
    "an argument of a tool": {"input": {"image": "x", "data": "7,8,9\n" * 1_700}},
}


@pytest.mark.parametrize("name", PLAIN_TEXT)
def test_text_is_no_medium_for_what_it_quotes(name: str) -> None:
    """What a model reads as text counts as text, whatever it looks like."""
    assert bound.input_bound(request(**PLAIN_TEXT[name]), "m") >= 9_500


def test_a_medium_may_have_its_slashes_escaped() -> None:
    """As some clients' JSON does."""
    raw = request(image_url={"url": f"data:image/png;base64,{DATA}///"}).replace(b"/", b"\\/")
    assert bound.input_bound(raw, "m") < 3_500


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
