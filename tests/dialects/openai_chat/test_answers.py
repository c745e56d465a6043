"""Whole answers: read from hosts, unchanged for clients of the same API, and other APIs' answers for its clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmgw.canonical import (
    Answer,
    Choice,
    Citation,
    Finish,
    Inline,
    Media,
    NativePart,
    Part,
    Reason,
    Refusal,
    Text,
    Thought,
    ToolCall,
    Usage,
)
from llmgw.dialects.openai_chat.codec import CODEC
from llmgw.errors import UpstreamFailed
from tests.dialects.openai_chat.exchange import (
    ANSWERED,
    answer,
    choice,
    losses,
    message,
    read,
    tell,
)
from tests.translation import sdk

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CITED = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.b", "title": "t", "start_index": 0, "end_index": 2},
}
TOKEN = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}

SAME: list[dict[str, Any]] = [
    {},
    {"system_fingerprint": "fp", "service_tier": "default", "unheard_of": [1]},
    {"id": "", "service_tier": "", "system_fingerprint": ""},
    {"choices": [choice(content=None, refusal="no")]},
    {"choices": [choice("tool_calls", content=None, tool_calls=[CALL, {**CALL, "index": 1}])]},
    {"choices": [choice("tool_calls", content="", tool_calls=[{**CALL, "unheard_of": 1}])]},
    {"choices": [choice(content="", tool_calls=[{**CALL, "function": {"name": "f", "arguments": ""}}])]},
    {
        "choices": [
            choice(
                "tool_calls",
                tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "n", "input": "x"}}],
            )
        ]
    },
    {"choices": [choice("tool_calls", tool_calls=[{"id": "c", "type": "mcp", "mcp": {"name": "n"}}])]},
    {"choices": [choice("function_call", content=None, function_call={"name": "f", "arguments": "{}"})]},
    {"choices": [choice("eos", content="a"), choice("length", 1, content="b")]},
    {"choices": [choice("", content="a", refusal="", audio={"id": "", "data": ""}, annotations=[])]},
    {"choices": [choice(content="Hi", annotations=[CITED])]},
    {"choices": [choice(content="Hi", annotations=[{"type": "file", "file": {"hash": "x"}}])]},
    {"choices": [choice(content="Hi", reasoning_content="hm")]},
    {
        "choices": [
            choice(content="Hi", reasoning="hm", reasoning_details=[{"type": "reasoning.text", "text": "hm"}])
        ]
    },
    {
        "choices": [
            choice(content="Hi", extra_content={"google": {"thought_signature": "s", "thought": True}})
        ]
    },
    {"choices": [choice(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "x"}]}])]},
    {
        "choices": [
            choice(content=[{"type": "text", "text": "x"}, {"type": "reference", "reference_ids": [1]}])
        ]
    },
    {"choices": [choice(content=[{"type": "refusal", "refusal": "no"}])]},
    {
        "choices": [
            choice(content=None, audio={"id": "a", "data": "AA==", "expires_at": 1, "transcript": "x"})
        ]
    },
    {
        "choices": [
            choice(
                content="", images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
            )
        ]
    },
    {"choices": [{**choice(content="Hi"), "logprobs": {"content": [TOKEN], "refusal": None}}]},
    {"choices": [{**choice(refusal="no"), "logprobs": {"content": None, "refusal": [TOKEN]}, "seed": 1}]},
    {"citations": ["https://a.b"], "search_results": [{"url": "https://a.b", "title": "t"}]},
    {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "queue_time": 0.1}},
]


@pytest.mark.parametrize("members", SAME, ids=lambda members: json.dumps(members)[:60])
def test_to_its_own_client_an_answer_is_unchanged(members: dict[str, Any]) -> None:
    """Every member, known or not, is the client's as the host gave it; null is absent."""
    lost = losses()
    assert bare(tell(answer(**members), lost=lost)) == bare({**ANSWERED, **members})
    assert lost.dropped == []


def bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: bare(member) for name, member in value.items() if member is not None}
    return [bare(member) for member in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("members", "parts"),
    [
        ({"content": "Hi"}, (Text(text="Hi"),)),
        ({"content": ""}, ()),
        ({"content": None, "refusal": "no"}, (Refusal(text="no"),)),
        ({"tool_calls": [CALL]}, (ToolCall(id="call_1", name="f", arguments='{"a": 1}'),)),
        ({"reasoning": "hm", "content": "Hi"}, (Thought(text="hm"), Text(text="Hi"))),
        ({"reasoning_content": "hm", "content": "Hi"}, (Thought(text="hm"), Text(text="Hi"))),
        (
            {
                "content": "",
                "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
            },
            (Media(kind="image", source=Inline(media_type="image/png", data="AA==")),),
        ),
    ],
)
def test_messages_are_read(members: dict[str, Any], parts: tuple[Part, ...]) -> None:
    """Each member is the part of the neutral model that means it."""
    assert message(**members).choices[0].parts == parts


def test_what_a_host_signs_is_opaque() -> None:
    """A detail goes back to the host that gave it, so that to others it is one opaque text with its format in it."""
    detail = {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}
    (thought,) = message(reasoning_details=[detail], reasoning="hm").choices[0].parts
    assert isinstance(thought, Thought)
    assert thought.text == "hm"
    assert json.loads(thought.signature or "") == {
        name: detail[name] for name in ("type", "signature", "format")
    }


def test_missing_things_are_not_made_up() -> None:
    """No usage, no id, no reason and no index stay absent."""
    given = CODEC.read_answer(b'{"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}')
    assert (given.id, given.model, given.created, given.usage) == (None, None, None, None)
    assert [(one.index, one.finish) for one in given.choices] == [(0, None), (1, None)]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("model_length", "context_length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("", "other"),
        ("unheard_of", "other"),
    ],
)
def test_reasons_are_read(word: str, reason: Reason) -> None:
    """The host's word is kept beside the neutral reason."""
    assert message(word, content="a").choices[0].finish == Finish(reason=reason, said=word)


USAGES: list[tuple[dict[str, Any], Usage]] = [
    (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 10, "cache_write_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 5},
        },
        Usage(
            input=25, cache_read=60, cache_write_5m=5, input_audio=10, output=15, reasoning=30, output_audio=5
        ),
    ),
    # xAI counts reasoning beside the completion
    (
        {
            "prompt_tokens": 12,
            "completion_tokens": 2,
            "total_tokens": 354,
            "completion_tokens_details": {"reasoning_tokens": 340},
        },
        Usage(input=12, output=2, reasoning=340),
    ),
    # Gemini's compatible endpoint has thoughts in the total only
    ({"prompt_tokens": 66, "completion_tokens": 6, "total_tokens": 100}, Usage(input=66, output=34)),
    # DeepSeek, Mistral and Together
    (
        {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4, "completion_tokens": 1},
        Usage(input=5, cache_read=4, output=1),
    ),
    (
        {"prompt_tokens": 9, "num_cached_tokens": 4, "completion_tokens": 1},
        Usage(input=5, cache_read=4, output=1),
    ),
    (
        {"prompt_tokens": 9, "cached_tokens": 4, "completion_tokens": 1},
        Usage(input=5, cache_read=4, output=1),
    ),
    # more is said to be cached than there was
    ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 20}}, Usage(input=0, cache_read=9)),
    ({"completion_tokens": 3}, Usage(output=3)),
]


@pytest.mark.parametrize(("raw", "usage"), USAGES)
def test_tokens_are_in_disjoint_buckets(raw: dict[str, Any], usage: Usage) -> None:
    """What is part of a count is taken out of it, none is negative, and the sum is the total."""
    given = answer(usage=raw).usage
    assert given is not None
    assert {name: getattr(given, name) for name in BUCKETS} == {
        name: getattr(usage, name) for name in BUCKETS
    }


BUCKETS = [name for name in Usage.__struct_fields__ if name != "native"]


def test_sources_beside_the_choices_are_citations() -> None:
    """Perplexity lists what it has read; another API's client is told of it with the text."""
    given = answer(
        citations=["https://a.b", "https://c.d"],
        search_results=[{"url": "https://a.b", "title": "t", "snippet": "s"}],
    )
    (text,) = given.choices[0].parts
    assert isinstance(text, Text)
    assert [(one.url, one.title, one.quote) for one in text.citations] == [
        ("https://a.b", "t", "s"),
        ("https://c.d", None, None),
    ]
    assert dict(given.native) == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "choices"),
        (b'{"choices": []}', "choices"),
        (b'{"choices": {}}', "choices"),
        (b'{"choices": [{}]}', "choices[0].message"),
        (b'{"choices": [{"message": {"content": 1}}]}', "choices[0].message.content"),
        (b'{"choices": [{"index": -1, "message": {}}]}', "choices[0].index"),
        (b'{"choices": [{"message": {"tool_calls": [{"function": {}}]}}]}', "function.name"),
        (b'{"choices": [{"message": {}}], "usage": {"prompt_tokens": -1}}', "usage.prompt_tokens"),
        (
            b'{"choices": [{"message": {}}], "usage": {"prompt_tokens_details": 1}}',
            "usage.prompt_tokens_details",
        ),
        (b'{"choices": [{"message": {}, "logprobs": []}]}', "logprobs"),
        (b'{"choices": [{"message": {"content": "\xff"}}]}', "not JSON"),
        (b'{"error": {"message": "too hot", "code": 400}}', "too hot"),
        (b'{"error": "too hot"}', "too hot"),
        (b'{"object": "error", "message": "too hot"}', "too hot"),
        (b'{"choices": [{"error": {"message": "too hot", "code": 502}}]}', "too hot"),
    ],
)
def test_what_is_no_answer_says_what_was_wrong(body: bytes, said: str) -> None:
    """A provider's failure, whatever it sent with status 200."""
    with pytest.raises(UpstreamFailed) as failed:
        CODEC.read_answer(body)
    assert said in failed.value.message


# Other APIs' answers for this one's clients


def foreign(*parts: Part, finish: Finish | None = None, dialect: str = "anthropic", **fields: Any) -> Answer:
    found = Choice(parts=parts, finish=finish or Finish(reason="stop", said="end_turn"))
    return Answer(dialect=dialect, id="msg_1", model="claude", choices=(found,), **fields)


def test_another_apis_answer_has_this_ones_shape() -> None:
    """Ids and times come from the stamp where they are not of this API; nothing optional is made up."""
    lost = losses()
    written = tell(foreign(Text(text="Hel"), Text(text="lo")), lost=lost)
    assert written == {
        "id": "chatcmpl-0193b1c2",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "claude",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }
    assert sdk.answer_faults("openai_chat", written) == []
    assert lost.dropped == []


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        (Finish(reason="stop_sequence", sequence="x"), "stop"),
        (Finish(reason="context_length"), "length"),
        (Finish(reason="refusal"), "content_filter"),
        (Finish(reason="pause"), "stop"),
        (Finish(reason="malformed_tool_call"), "stop"),
        (Finish(reason="other", said="SOMETHING"), "stop"),
    ],
)
def test_reasons_are_told_in_five_words(finish: Finish, word: str) -> None:
    """OpenAI's clients know five."""
    assert tell(foreign(Text(text="a"), finish=finish))["choices"][0]["finish_reason"] == word


def test_a_refusal_explained_at_the_end_is_told() -> None:
    """Anthropic's explanation is this API's `refusal`."""
    ended = Finish(reason="refusal", said="refusal", message="Not this.")
    found = tell(foreign(finish=ended))["choices"][0]
    assert (found["finish_reason"], found["message"]["refusal"]) == ("content_filter", "Not this.")


def test_calls_end_with_their_own_word() -> None:
    """Gemini ends calls with STOP; this API's clients look for `tool_calls`, and for ids."""
    calls = (ToolCall(id=None, name="f", arguments="{}"), ToolCall(id=None, name="f", arguments="{}"))
    found = tell(foreign(*calls, dialect="gemini"))["choices"][0]
    assert found["finish_reason"] == "tool_calls"
    assert found["message"]["content"] is None
    assert [one["id"] for one in found["message"]["tool_calls"]] == ["call_0193b1c2_0", "call_0193b1c2_1"]


def test_an_id_given_twice_is_given_once() -> None:
    """Each call of an answer has an id of its own."""
    calls = (ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="a", name="f", arguments="{}"))
    found = tell(foreign(*calls))["choices"][0]["message"]["tool_calls"]
    assert [one["id"] for one in found] == ["a", "call_0193b1c2_0"]


def test_a_client_of_the_older_functions_gets_the_older_member() -> None:
    """With the finish reason that goes with it; there is room for one call, so the others are named."""
    chat = read(functions=[{"name": "f"}])
    lost = losses()
    calls = tuple(ToolCall(id=str(number), name="f", arguments="{}") for number in range(2))
    found = tell(foreign(*calls), chat, lost)["choices"][0]
    assert found["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in found["message"]
    assert found["finish_reason"] == "function_call"
    assert lost.dropped == ["part.tool_call"]


def test_thoughts_are_shown_and_packed_for_their_replay() -> None:
    """`reasoning_content` to read, `reasoning_details` with their origin to send back."""
    written = tell(foreign(Thought(text="hm", signature="s"), Thought(redacted="d"), Text(text="a")))
    spoken = written["choices"][0]["message"]
    assert spoken["reasoning_content"] == "hm"
    assert spoken["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "index": 0,
            "text": "hm",
            "signature": "s",
            "format": "anthropic-claude-v1",
        },
        {"type": "reasoning.encrypted", "index": 1, "data": "d", "format": "anthropic-claude-v1"},
    ]


def test_thoughts_come_back_as_they_were() -> None:
    """What a client sends back of an answer has every thought, signature and its origin."""
    parts: tuple[Part, ...] = (
        Thought(text="hm", signature="s"),
        Thought(redacted="d"),
        Text(text="a", signature="t"),
        ToolCall(id="c", name="f", arguments="{}", signature="u"),
    )
    spoken = tell(foreign(*parts, dialect="anthropic"))["choices"][0]["message"]
    back = read(messages=[spoken]).messages[0].parts
    origin = {"dialect": "anthropic"}
    assert back == (
        Thought(text="hm", signature="s", native=origin),
        Thought(redacted="d", native=origin),
        *parts[2:],
    )


def test_citations_point_into_the_joined_text() -> None:
    """A source of the second text is cited where that stands among all the text; one without a URL is named."""
    lost = losses()
    parts = (
        Text(text="Hello "),
        Text(text="you", citations=(Citation(url="https://a.b", title="t"), Citation(quote="page 3"))),
    )
    spoken = tell(foreign(*parts), lost=lost)["choices"][0]["message"]
    assert spoken["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://a.b", "title": "t", "start_index": 6, "end_index": 9},
        }
    ]
    assert lost.dropped == ["part.citations"]


def test_usage_is_told_in_this_apis_accounting() -> None:
    """Cached and written tokens are part of the prompt, reasoning of the completion."""
    used = Usage(input=1, cache_read=2, cache_write_5m=4, cache_write_1h=8, output=16, reasoning=32)
    assert tell(foreign(usage=used))["usage"] == {
        "prompt_tokens": 15,
        "completion_tokens": 48,
        "total_tokens": 63,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 12},
        "completion_tokens_details": {"reasoning_tokens": 32},
    }


def test_log_probabilities_have_their_frame() -> None:
    """The neutral list stands under `content`."""
    found = Answer(dialect="gemini", choices=(Choice(parts=(Text(text="Hi"),), logprobs=[TOKEN]),))
    assert tell(found)["choices"][0]["logprobs"] == {"content": [TOKEN], "refusal": None}


def test_what_cannot_be_shown_is_named() -> None:
    """Parts and members of another API, a tier this one has not, the stop sequence that was met."""
    lost = losses()
    given = foreign(
        NativePart(dialect="anthropic", kind="server_tool_use", data={}),
        Media(kind="audio", source=Inline(media_type="audio/wav", data="AA==")),
        ToolCall(id="c", name="f", arguments="{}", native={"caller": {"type": "direct"}}),
        finish=Finish(reason="stop_sequence", sequence="x"),
        native={"container": {"id": "c"}, "stop_details": None},
        usage=Usage(input=1, output=1, native={"server_tool_use": {"web_search_requests": 1}}),
        service_tier="batch",
    )
    tell(given, lost=lost)
    assert sorted(lost.dropped) == [
        "container",
        "part.audio",
        "part.caller",
        "part.server_tool_use",
        "service_tier",
        "stop_sequence",
        "usage.server_tool_use",
    ]


def test_images_that_a_model_drew_are_shown() -> None:
    """In the member that OpenRouter's clients know."""
    image = Media(kind="image", source=Inline(media_type="image/png", data="AA=="))
    spoken = tell(foreign(image, dialect="gemini"))["choices"][0]["message"]
    assert spoken["images"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}, "index": 0}
    ]
