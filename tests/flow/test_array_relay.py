"""A JSON array relayed as it comes."""

from __future__ import annotations

import json

import pytest

from llmgw.dialects.gemini.dialect import STREAM_ARRAY, Gemini
from llmgw.errors import UpstreamFailed, UpstreamTimeout
from llmgw.flow.array_relay import ArrayRelay

CHUNKS = [
    {"candidates": [{"content": {"role": "model", "parts": [{"text": 'one "}{'}]}}]},
    {"candidates": [{"content": {"parts": [{"text": " two"}]}, "finishReason": "STOP"}], "usageMetadata": {}},
]
STREAM = b"[ " + b" ,\r\n".join(json.dumps(chunk, indent=1).encode() for chunk in CHUNKS) + b"\n]\n"
EMPTY = json.dumps({"candidates": [{"content": {"parts": [{"text": ""}]}}]}).encode()


def made() -> ArrayRelay:
    return ArrayRelay(Gemini(), STREAM_ARRAY)


def test_every_byte_passes_however_it_is_cut() -> None:
    """Whole, byte by byte and cut in two at every place, odd whitespace included."""
    cuts = [[STREAM], [bytes([byte]) for byte in STREAM]]
    cuts += [[STREAM[:at], STREAM[at:]] for at in range(1, len(STREAM))]
    for pieces in cuts:
        relay = made()
        passed = b"".join(map(relay.feed, pieces))
        rest, error = relay.end()
        assert (passed + rest, error, relay.ended) == (STREAM, None, True)


def test_start_up_is_held_until_content() -> None:
    """What says nothing yet is held, so that the call can still fail."""
    relay = made()
    assert relay.feed(b"[" + EMPTY) == b"" and not relay.has_content
    assert relay.feed(b"," + json.dumps(CHUNKS[0]).encode()).startswith(b"[" + EMPTY)
    assert relay.has_content


def test_an_error_before_content_fails_the_call() -> None:
    """An error element is the call's error as long as nothing was sent."""
    with pytest.raises(UpstreamFailed, match="overloaded"):
        made().feed(b'[{"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}')


@pytest.mark.parametrize("at", [len(STREAM) // 2, len(STREAM) - 3])
def test_a_cut_array_never_parses(at: int) -> None:
    """However it breaks off, what the client has is no complete JSON."""
    relay = made()
    passed = relay.feed(STREAM[:at])
    rest, error = relay.end()
    assert error is not None
    with pytest.raises(json.JSONDecodeError):
        json.loads(passed + rest + relay.broken(error, "req_1"))


def test_a_break_between_elements_is_told() -> None:
    """The error is an element of its own, and the array stays open."""
    relay = made()
    passed = relay.feed(b"[" + json.dumps(CHUNKS[0]).encode())
    whole = passed + relay.broken(UpstreamTimeout("too slow"), "req_1")
    assert json.loads(whole + b"]")[1]["error"]["message"] == "too slow"
