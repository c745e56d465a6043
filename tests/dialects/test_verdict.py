"""The checks of a cascade: what an answer says of itself, in each client's format, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.dialects import openai
from llmgw.dialects.anthropic import dialect as anthropic
from llmgw.dialects.dialect import Endpoint
from llmgw.dialects.gemini import dialect as gemini
from llmgw.dialects.json_schema import STEPS
from llmgw.dialects.known import CODECS
from llmgw.dialects.verdict import (
    ANSWER_LIMIT,
    TEXT_LIMIT,
    Expected,
    Listener,
    Reason,
    Verdict,
    expected_of,
    of_answer,
    of_read,
)
from llmgw.errors import UpstreamFailed
from tests.provider.recordings import load, select, write_json
from tests.translation.corpus import ASKED, codec, dialect_of

ALL: frozenset[Reason] = frozenset({"refusal", "length", "schema"})
CHAT, RESPONSES, MESSAGES = openai.CHAT_COMPLETIONS, openai.RESPONSES, anthropic.MESSAGES
PLAIN = {
    "openai_chat": CHAT,
    "openai_responses": RESPONSES,
    "anthropic": MESSAGES,
    "gemini": gemini.GENERATE_CONTENT,
}
STREAMED = {**PLAIN, "gemini": gemini.STREAM_EVENTS}
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
GOOD, BAD = '{"n": 1}', '{"n": "one"}'


# Requests: each way of asking for JSON


def asked_plainly(name: str) -> dict[str, Any]:
    plainest = ASKED[name]
    assert isinstance(plainest, dict)
    return plainest


def said(endpoint: Endpoint, **members: Any) -> bytes:
    name = CODECS[endpoint.name].name
    return json.dumps({**asked_plainly(name), **members}).encode()


WITH_SCHEMA = {
    "chat": (CHAT, said(CHAT, response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}})),
    "responses": (RESPONSES, said(RESPONSES, text={"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}})),
    "messages": (MESSAGES, said(MESSAGES, output_config={"format": {"type": "json_schema", "schema": SCHEMA}})),
    "messages, as in the beta": (MESSAGES, said(MESSAGES, output_format={"type": "json_schema", "schema": SCHEMA})),
    "gemini": (
        gemini.GENERATE_CONTENT,
        said(gemini.GENERATE_CONTENT, generationConfig={"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}),
    ),
    "gemini, OpenAPI": (
        gemini.GENERATE_CONTENT,
        said(
            gemini.GENERATE_CONTENT,
            generationConfig={
                "responseMimeType": "application/json",
                "responseSchema": {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]},
            },
        ),
    ),
}  # fmt: skip
WITH_TOOL = {
    "chat": (CHAT, said(CHAT, tools=[{"type": "function", "function": {"name": "w", "parameters": TOOL}}])),
    "responses": (RESPONSES, said(RESPONSES, tools=[{"type": "function", "name": "w", "parameters": TOOL}])),
    "messages": (MESSAGES, said(MESSAGES, tools=[{"name": "w", "input_schema": TOOL}])),
    "gemini": (
        gemini.GENERATE_CONTENT,
        said(gemini.GENERATE_CONTENT, tools=[{"functionDeclarations": [{"name": "w", "parameters": TOOL}]}]),
    ),
}


# Answers, in the smallest form in which each API gives them


def chat(text: str | None = "hi", ended: str | None = "stop", **message: Any) -> bytes:
    message = {"role": "assistant", "content": text, **message}
    return json.dumps(
        {
            "id": "c",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": ended}],
        }
    ).encode()


def response(*items: Any, **members: Any) -> bytes:
    return json.dumps(
        {"id": "r", "object": "response", "status": "completed", "output": list(items), **members}
    ).encode()


def spoken(*parts: Any) -> Any:
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": list(parts)}


def output_text(text: str) -> Any:
    return {"type": "output_text", "text": text, "annotations": []}


def message(*blocks: Any, ended: str | None = "end_turn") -> bytes:
    return json.dumps(
        {"id": "m", "type": "message", "role": "assistant", "content": list(blocks), "stop_reason": ended}
    ).encode()


def block(text: str) -> Any:
    return {"type": "text", "text": text}


def generated(*parts: Any, ended: str | None = "STOP", **members: Any) -> bytes:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": ended}
    return json.dumps({"candidates": [candidate], **members}).encode()


def texts(text: str) -> dict[str, tuple[Endpoint, bytes]]:
    """An answer of this text in every API that can be asked for JSON."""
    return {
        "openai_chat": (CHAT, chat(text)),
        "openai_responses": (RESPONSES, response(spoken(output_text(text)))),
        "anthropic": (MESSAGES, message(block(text))),
        "gemini": (gemini.GENERATE_CONTENT, generated({"text": text})),
    }


def calls(arguments: str) -> dict[str, tuple[Endpoint, bytes]]:
    """A call of the tool in every API; Anthropic's and Gemini's have an object there."""
    decoded = json.loads(arguments)
    call = {"id": "t", "type": "function", "function": {"name": "w", "arguments": arguments}}
    item = {"type": "function_call", "id": "f", "call_id": "t", "name": "w", "arguments": arguments}
    return {
        "openai_chat": (CHAT, chat(None, "tool_calls", tool_calls=[call])),
        "openai_responses": (RESPONSES, response(item)),
        "anthropic": (
            MESSAGES,
            message({"type": "tool_use", "id": "t", "name": "w", "input": decoded}, ended="tool_use"),
        ),
        "gemini": (gemini.GENERATE_CONTENT, generated({"functionCall": {"name": "w", "args": decoded}})),
    }


def streamed(endpoint: Endpoint, body: bytes) -> tuple[Endpoint, bytes]:
    """The same answer as its stream: read, told as events and written by the API's own codec, as a translation does."""
    read = CODECS[endpoint.name]
    events = STREAMS[endpoint.name](json.loads(body))
    return STREAMED[read.name], events


def sse(*events: Any, done: bool = False) -> bytes:
    pieces = []
    for event in events:
        name = f"event: {event['type']}\n" if "type" in event else ""
        pieces.append(f"{name}data: {json.dumps(event)}\n\n")
    return ("".join(pieces) + ("data: [DONE]\n\n" if done else "")).encode()


def chat_stream(whole: Any) -> bytes:
    choice = whole["choices"][0]
    delta = dict(choice["message"])
    text = delta.pop("content") or ""
    for position, call in enumerate(delta.get("tool_calls", ())):
        call["index"] = position
    parts = [{"delta": delta}, *({"delta": {"content": piece}} for piece in text)]
    ended = {"delta": {}, "finish_reason": choice["finish_reason"]}
    chunks = [
        {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, **part}]}
        for part in [*parts, ended]
    ]
    usage = {
        "id": "c",
        "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    return sse(*chunks, usage, done=True)


def response_stream(whole: Any) -> bytes:
    events: list[Any] = [
        {"type": "response.created", "response": {**whole, "output": [], "status": "in_progress"}}
    ]
    for index, item in enumerate(whole["output"]):
        at = {"output_index": index, "item_id": "i"}
        events.append(
            {
                "type": "response.output_item.added",
                "output_index": index,
                "item": {**item, "content": [], "arguments": ""},
            }
        )
        for place, part in enumerate(item.get("content", ())):
            kind = "output_text" if part["type"] == "output_text" else "refusal"
            for piece in part.get("text", part.get("refusal")):
                events.append(
                    {"type": f"response.{kind}.delta", **at, "content_index": place, "delta": piece}
                )
        if "arguments" in item:
            events.append(
                {"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]}
            )
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    kind = "response.incomplete" if whole["status"] == "incomplete" else "response.completed"
    return sse(*events, {"type": kind, "response": whole})


def message_stream(whole: Any) -> bytes:
    start = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    events: list[Any] = [{"type": "message_start", "message": start}]
    for index, one in enumerate(whole["content"]):
        if one["type"] == "text":
            empty, deltas = (
                {**one, "text": ""},
                [{"type": "text_delta", "text": piece} for piece in one["text"]],
            )
        else:
            empty = {**one, "input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": piece} for piece in json.dumps(one["input"])
            ]
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": whole["stop_reason"]},
            "usage": {"output_tokens": 2},
        }
    )
    return sse(*events, {"type": "message_stop"})


def generated_stream(whole: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in generated_chunks(whole))


def generated_array(whole: Any) -> bytes:
    return b"[" + b"\r\n,\r\n".join(json.dumps(chunk).encode() for chunk in generated_chunks(whole)) + b"]"


def generated_chunks(whole: Any) -> list[Any]:
    if not whole.get("candidates"):
        return [whole]
    chunks = []
    for part in whole["candidates"][0].get("content", {}).get("parts", ()):
        pieces = [{"text": piece} for piece in part["text"]] if "text" in part else [part]
        chunks += [{"candidates": [{"content": {"role": "model", "parts": [piece]}}]} for piece in pieces]
    return [
        *chunks,
        {
            **whole,
            "candidates": [
                {"content": {"parts": []}, "finishReason": whole["candidates"][0]["finishReason"]}
            ],
        },
    ]


STREAMS = {
    "chat_completions": chat_stream,
    "responses": response_stream,
    "messages": message_stream,
    "generate_content": generated_stream,
}


def heard(endpoint: Endpoint, stream: bytes, asked: Expected | None = None, *, cut: int = 7) -> Verdict:
    listener = Listener(endpoint, ALL, asked)
    for at in range(0, len(stream), cut):
        listener.feed(stream[at : at + cut])
    return listener.end()


def judged(endpoint: Endpoint, body: bytes, asked: Expected | None = None) -> Verdict:
    """The verdict on the answer, which is the same plain and streamed, however it is cut."""
    plain = of_answer(endpoint, body, ALL, asked)
    at, stream = streamed(endpoint, body)
    for cut in (1, 7, 10**6):
        assert heard(at, stream, asked, cut=cut) == plain
    if at is gemini.STREAM_EVENTS:
        assert heard(gemini.STREAM_ARRAY, generated_array(json.loads(body)), asked) == plain
    return plain


REFUSED = {
    "chat: refusal": (CHAT, chat(None, refusal="I cannot help with that.")),
    "chat: filter": (CHAT, chat("I", "content_filter")),
    "responses: refusal": (RESPONSES, response(spoken({"type": "refusal", "refusal": "No."}))),
    "responses: filter": (
        RESPONSES,
        response(
            spoken(output_text("I")), status="incomplete", incomplete_details={"reason": "content_filter"}
        ),
    ),
    "messages: refusal": (MESSAGES, message(ended="refusal")),
    **{
        f"gemini: {reason}": (gemini.GENERATE_CONTENT, generated(ended=reason))
        for reason in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY")
    },
    "gemini: prompt": (gemini.GENERATE_CONTENT, b'{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}'),
}
CUT = {
    "chat": (CHAT, chat("hi", "length")),
    "responses": (
        RESPONSES,
        response(
            spoken(output_text("hi")), status="incomplete", incomplete_details={"reason": "max_output_tokens"}
        ),
    ),
    "messages": (MESSAGES, message(block("hi"), ended="max_tokens")),
    "messages: window": (MESSAGES, message(block("hi"), ended="model_context_window_exceeded")),
    "gemini": (gemini.GENERATE_CONTENT, generated({"text": "hi"}, ended="MAX_TOKENS")),
    "gemini: number": (gemini.GENERATE_CONTENT, generated({"text": "hi"}, ended=2)),  # type: ignore[arg-type] # some clients ask for enums as numbers
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str) -> None:
    """Every word and part by which an API says that it will not answer."""
    assert judged(*REFUSED[case]) == Verdict(frozenset({"refusal"}))


@pytest.mark.parametrize("case", [*REFUSED, *CUT])
def test_an_answer_that_is_translated_is_judged_as_it_came(case: str) -> None:
    """Not every API has a word for a refusal (OpenAI's is plain text to a client of Gemini's), so what somebody reads in
    order to translate it is judged before it is written, plain and streamed."""
    endpoint, body = {**REFUSED, **CUT}[case]
    own = of_answer(endpoint, body, ALL)
    assert own.reasons
    assert of_read(CODECS[endpoint.name].read_answer(body), ALL) == own
    at, stream = streamed(endpoint, body)
    reader, listener = CODECS[at.name].stream_reader(), Listener(gemini.STREAM_EVENTS, ALL)
    listener.note(reader.feed(stream))
    listener.note(reader.end())
    assert listener.end() == own


@pytest.mark.parametrize("case", CUT)
def test_answers_cut_off(case: str) -> None:
    """Every word by which an API says that the answer is too long."""
    assert judged(*CUT[case]) == Verdict(frozenset({"length"}))


@pytest.mark.parametrize("api", texts(""))
def test_a_good_answer_has_no_reason(api: str) -> None:
    """An answer that sounds like a refusal is none: nothing is guessed from words."""
    assert judged(*texts("I'm sorry, but I can't help with that.")[api]) == Verdict()


@pytest.mark.parametrize("form", WITH_SCHEMA)
def test_json_that_does_not_keep_to_the_schema(form: str) -> None:
    """However a dialect asks for it, and whatever is wrong with the answer."""
    endpoint, request = WITH_SCHEMA[form]
    asked = expected_of(endpoint, request)
    assert asked is not None
    name = CODECS[endpoint.name].name
    for good in (GOOD, ' {"n":1.0}\n'):
        assert judged(*texts(good)[name], asked) == Verdict()
    for bad in (BAD, "{}", "[]", "Here it is: " + GOOD, f"```json\n{GOOD}\n```", '{"n": 1', "NaN"):
        assert judged(*texts(bad)[name], asked) == Verdict(frozenset({"schema"})), bad


@pytest.mark.parametrize("form", WITH_TOOL)
def test_a_call_that_does_not_keep_to_its_tool(form: str) -> None:
    """Arguments are held against the parameters of the tool, and the text beside them against nothing."""
    endpoint, request = WITH_TOOL[form]
    asked = expected_of(endpoint, request)
    assert asked is not None
    name = CODECS[endpoint.name].name
    assert judged(*calls('{"city": "Rome"}')[name], asked) == Verdict()
    assert judged(*calls('{"town": "Rome"}')[name], asked) == Verdict(frozenset({"schema"}))
    assert judged(*texts("It rains in Rome.")[name], asked) == Verdict()
    assert judged(*calls('{"town": "Rome"}')[name]) == Verdict()


@pytest.mark.parametrize("api", texts(""))
def test_a_call_or_a_refusal_in_the_place_of_json(api: str) -> None:
    """Neither is held against the schema of the answer."""
    asked = Expected(expected_of(*WITH_SCHEMA["chat"]).format, {})  # type: ignore[union-attr] # it has one
    assert judged(*calls('{"town": "Rome"}')[api], asked) == Verdict()
    for endpoint, body in REFUSED.values():
        assert judged(endpoint, body, asked) == Verdict(frozenset({"refusal"}))


def test_json_that_was_cut_off_is_both() -> None:
    """Half a document is too long, and no JSON: whichever check is wanted finds it."""
    asked = expected_of(*WITH_SCHEMA["chat"])
    body = chat('{"n":', "length")
    assert judged(CHAT, body, asked).reasons == {"length", "schema"}
    assert of_answer(CHAT, body, frozenset({"schema"}), asked).reasons == {"schema"}
    assert of_answer(CHAT, body, frozenset({"refusal"}), asked) == Verdict()


def test_any_json_is_kept_where_there_is_no_schema() -> None:
    """JSON mode asks for JSON alone."""
    asked = expected_of(CHAT, said(CHAT, response_format={"type": "json_object"}))
    assert judged(CHAT, chat('{"whatever": 1}'), asked) == Verdict()
    assert judged(CHAT, chat("whatever"), asked).reasons == {"schema"}
    assert judged(CHAT, chat(""), asked).reasons == {"schema"}


def test_what_a_model_says_before_its_answer_is_not_held_against_it() -> None:
    """Words between the provider's own tools stand in blocks of their own; the last one is the answer."""
    asked = expected_of(*WITH_SCHEMA["messages"])
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    assert of_answer(MESSAGES, message(block("Let me look."), search, block(GOOD)), ALL, asked) == Verdict()
    assert of_answer(MESSAGES, message(block(GOOD[:4]), block(GOOD[4:])), ALL, asked) == Verdict()
    assert of_answer(MESSAGES, message(block(GOOD), block("Done.")), ALL, asked).reasons == {"schema"}


def test_one_bad_alternative_is_enough() -> None:
    """Of several choices every one is judged."""
    one, two = (json.loads(chat(text))["choices"][0] for text in (GOOD, BAD))
    body = json.dumps({"id": "c", "choices": [one, {**two, "index": 1}]}).encode()
    assert of_answer(CHAT, body, ALL, expected_of(*WITH_SCHEMA["chat"])).reasons == {"schema"}
    body = json.dumps({"id": "c", "choices": [one, {**one, "index": 1, "finish_reason": "length"}]}).encode()
    assert of_answer(CHAT, body, ALL).reasons == {"length"}


def test_a_call_that_the_provider_calls_malformed() -> None:
    """Gemini says so itself, whether or not the request could be read."""
    body = generated(ended="MALFORMED_FUNCTION_CALL")
    assert judged(gemini.GENERATE_CONTENT, body) == Verdict(frozenset({"schema"}))


def test_free_form_calls_have_no_schema() -> None:
    """A custom tool's input is any text, and it is the answer."""
    asked = expected_of(*WITH_SCHEMA["chat"])
    call = {"id": "t", "type": "custom", "custom": {"name": "w", "input": "not json"}}
    assert of_answer(CHAT, chat(None, "tool_calls", tool_calls=[call]), ALL, asked) == Verdict()
    assert of_answer(CHAT, chat(None, "stop", tool_calls=[call]), ALL, asked) == Verdict()


@pytest.mark.parametrize(
    ("word", "reason"), [("stop", None), ("length", "length"), ("content_filter", "refusal")]
)
def test_completions(word: str, reason: Reason | None) -> None:
    """The API that has texts alone says why they end, too."""
    reasons: frozenset[Reason] = frozenset({reason} if reason else ())
    choice = {"index": 0, "text": "hi", "finish_reason": word}
    assert of_answer(openai.COMPLETIONS, json.dumps({"choices": [choice]}).encode(), ALL).reasons == reasons
    first = {**choice, "finish_reason": None}
    assert heard(openai.COMPLETIONS, sse({"choices": [first]}, {"choices": [choice]}, done=True)) == Verdict(
        reasons
    )
    assert expected_of(openai.COMPLETIONS, b'{"prompt": "hi"}') is None


def test_a_stream_tells_before_its_end() -> None:
    """A refusal is known as soon as it is said, so that the rest need not be waited for."""
    endpoint, stream = streamed(*REFUSED["chat: refusal"])
    listener = Listener(endpoint, ALL)
    listener.feed(stream[: stream.index(b"\n\n") + 2])
    assert listener.found == {"refusal"}


def test_a_stream_that_breaks_off() -> None:
    """What was found stands; what was said is not judged, for the rest of it is missing; and the verdict says so."""
    asked = expected_of(*WITH_SCHEMA["chat"])
    endpoint, stream = streamed(CHAT, chat(BAD))
    verdict = heard(endpoint, stream[: len(stream) // 2], asked)
    assert verdict.reasons == frozenset() and verdict.unjudged is not None
    listener = Listener(endpoint, ALL, asked)
    listener.feed(b'data: {"choices":[{"delta":{"refusal":"No"}}]}\n\n')
    listener.feed(b"data: garbage\n\n")
    listener.feed(b'data: {"choices":[{"delta":{},"finish_reason":"length"}]}\n\n')
    assert listener.end().reasons == {"refusal"}


def test_only_the_checks_wanted() -> None:
    """Reasons that nobody asked for are not found."""
    for endpoint, body in (*REFUSED.values(), *CUT.values()):
        assert of_answer(endpoint, body, frozenset()) == Verdict()
        assert of_answer(endpoint, body, frozenset({"schema"})) == Verdict()


def test_what_cannot_be_judged_is_said() -> None:
    """Too large, too long, too many steps, not understood: no reason to go on, and no secret."""
    asked = expected_of(*WITH_SCHEMA["chat"])
    large = of_answer(CHAT, chat("x" * ANSWER_LIMIT, "length"), ALL)
    assert large.reasons == frozenset() and large.unjudged == "the answer is larger than 4 MiB"
    long = of_answer(CHAT, chat("x" * (TEXT_LIMIT + 1), "length"), ALL, asked)
    assert long.reasons == {"length"} and long.unjudged is not None
    for text in ('{"n": 1e999}', '{"n": "\ud800"}', "[" * 9000):
        found = of_answer(CHAT, chat(text), ALL, asked)
        assert found.reasons == frozenset(), text
        assert found.unjudged is not None
    request = said(
        CHAT,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "s", "schema": {"pattern": "(a+)+$"}},
        },
    )
    assert of_answer(CHAT, chat('"aaa!"'), ALL, expected_of(CHAT, request)) == Verdict(
        unjudged="pattern is not judged"
    )


def test_the_steps_of_all_calls_count_together() -> None:
    """Many calls are no way around the limit."""
    asked = Expected(None, {"w": {"properties": {"city": {"enum": list(range(STEPS // 4))}}}})
    call = {"type": "function", "function": {"name": "w", "arguments": '{"city": 0}'}}
    listed = [{"id": f"t{n}", **call} for n in range(9)]
    assert of_answer(CHAT, chat(None, "tool_calls", tool_calls=listed[:3]), ALL, asked) == Verdict()
    assert of_answer(CHAT, chat(None, "tool_calls", tool_calls=listed), ALL, asked).unjudged is not None


def test_a_request_that_cannot_be_read_asks_for_nothing() -> None:
    """Refusing it is for others."""
    for endpoint in CODECS.values():
        del endpoint
    for name in CODECS:
        at = next(
            one
            for one in (*STREAMED.values(), gemini.GENERATE_CONTENT, gemini.STREAM_ARRAY)
            if one.name == name
        )
        for body in (b"{}", b"[]", b"", b"\xff", b'{"messages": 5}', b'{"response_format": 1, "tools": {}}'):
            assert expected_of(at, body) is None


# Recordings

ANSWERS = [one.id for one in select() if one.response["status"] == 200 and dialect_of(one) is not None]
ENDS: dict[str, frozenset[Reason]] = {
    "finish_length": frozenset({"length"}),
    "finish_MAX_TOKENS": frozenset({"length"}),
    "finish_SAFETY": frozenset({"refusal"}),
    "finish_UNEXPECTED_TOOL_CALL": frozenset({"schema"}),
    "refusal": frozenset({"refusal"}),
}
needs_recordings = pytest.mark.skipif(not ANSWERS, reason="the recorded traffic is not here")


@needs_recordings
@pytest.mark.parametrize("recording_id", ANSWERS)
def test_recorded_answers(recording_id: str) -> None:
    """Real answers have the reasons that their recordings are labelled with, and none that is a surprise: above all, no
    recorded answer breaks its schema."""
    recording = load(recording_id)
    name = dialect_of(recording)
    assert name is not None
    endpoint = (STREAMED if recording.streaming else PLAIN)[name]
    body = recording.answer("odd").body
    request = recording.request.get("body")
    asked = expected_of(endpoint, write_json(request, "compact")) if request else None
    verdict = (
        heard(endpoint, body, asked, cut=97) if recording.streaming else of_answer(endpoint, body, ALL, asked)
    )
    labelled = frozenset().union(*(ENDS.get(feature, frozenset()) for feature in recording.features))
    assert labelled <= verdict.reasons
    if verdict.reasons - labelled:  # labels of reasons are not complete
        assert verdict.reasons == {"length"} or b"blockReason" in body
    if not recording.streaming and verdict.unjudged is not None:
        with pytest.raises(UpstreamFailed):
            codec(name).read_answer(body)


@needs_recordings
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_answers_never_raise(data: st.DataObject) -> None:
    """Whatever bytes come, a verdict comes."""
    recording = load(data.draw(st.sampled_from(ANSWERS)))
    name = dialect_of(recording)
    assert name is not None
    body = bytearray(recording.answer("compact").body)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, max(0, len(body) - 1)))
        body[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=4))
    asked = Expected(None, {"w": TOOL})
    for endpoint in (PLAIN[name], STREAMED[name], openai.COMPLETIONS, gemini.STREAM_ARRAY):
        of_answer(endpoint, bytes(body), ALL, asked)
        heard(endpoint, bytes(body), asked, cut=4096)
