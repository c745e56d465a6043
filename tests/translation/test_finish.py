"""Why an answer ended is never made up: who does not say it is not complete, or is told on as saying nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmgw.canonical import Answer, Choice, End, Event, Finish, FinishEvent, Start, Text, TextDelta
from llmgw.errors import UpstreamFailed
from tests.translation.corpus import STAMP, asked_by, codec, losses, write_stream
from tests.translation.views import sse_objects

UNFINISHED: dict[str, dict[str, Any]] = {
    "anthropic": {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "a"}],
        "stop_reason": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "gemini": {"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}}]},
}


@pytest.mark.parametrize("dialect", UNFINISHED)
def test_an_answer_without_a_reason_is_not_complete(dialect: str) -> None:
    """Anthropic and Gemini always say why a whole answer ended; one that does not was cut short."""
    with pytest.raises(UpstreamFailed, match="not complete"):
        codec(dialect).read_answer(json.dumps(UNFINISHED[dialect]).encode())


def test_a_stream_of_anthropic_without_a_reason_is_not_complete() -> None:
    """The same where the stream ends as it should."""
    events = (
        {"type": "message_start", "message": {**UNFINISHED["anthropic"], "content": []}},
        {"type": "message_stop"},
    )
    body = b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)  # type: ignore[attr-defined]
    reader = codec("anthropic").stream_reader()
    with pytest.raises(UpstreamFailed, match="not complete"):
        reader.feed(body)


@pytest.mark.parametrize("finish", [None, Finish(reason="other")])
@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic"])
def test_no_reason_is_told_as_none(dialect: str, finish: Finish | None) -> None:
    """A host of OpenAI's API that gives no reason gets no `stop` put in its mouth."""
    answer = Answer(dialect=dialect, choices=(Choice(parts=(Text(text="a"),), finish=finish),))
    lost = losses("openai_chat", "openai_chat", drop=True)
    written = json.loads(codec("openai_chat").write_answer(answer, asked_by("openai_chat"), STAMP, lost))
    assert written["choices"][0]["finish_reason"] is None


def test_no_reason_is_told_as_none_in_a_stream() -> None:
    """`[DONE]` without a reason before it stays without one."""
    host = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunk = json.dumps({**host, "choices": [{"index": 0, "delta": {"content": "a"}}]}).encode()
    reader = codec("openai_chat").stream_reader()
    events = [*reader.feed(b"data: " + chunk + b"\n\ndata: [DONE]\n\n"), *reader.end()]
    assert FinishEvent(finish=Finish(reason="other")) in events
    made: list[Event] = [
        Start(dialect="anthropic"),
        TextDelta(text="a"),
        FinishEvent(finish=Finish(reason="other")),
        End(),
    ]
    for given in (events, made):
        written = write_stream("openai_chat", asked_by("openai_chat"), given)
        said = [choice["finish_reason"] for chunk in sse_objects(written) for choice in chunk["choices"]]
        assert said and set(said) == {None}


def test_a_reason_that_this_api_has_no_word_for_is_a_stop() -> None:
    """OpenAI has five words; a provider's other one (Gemini's RECITATION) is the plainest of them."""
    finish = Finish(reason="other", said="RECITATION")
    answer = Answer(dialect="gemini", choices=(Choice(parts=(Text(text="a"),), finish=finish),))
    lost = losses("openai_chat", "gemini", drop=True)
    written = json.loads(codec("openai_chat").write_answer(answer, asked_by("openai_chat"), STAMP, lost))
    assert written["choices"][0]["finish_reason"] == "stop"
