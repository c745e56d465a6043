"""Conversations that no recording has: odd orders, missing and doubled turns, results of every kind.

Each API's are written in its own words, as `samples` are; here it is the sequence of turns that matters, which no
description can give.
"""

from __future__ import annotations

from typing import Any, Final

from tests.translation.plainest import TOOLS
from tests.translation.strategies import PNG

Json = Any
Turns = dict[str, list[Json]]
PROOF: Final = "YSBwcm9vZg=="
DATA_URL: Final = f"data:image/png;base64,{PNG}"


def _turn(role: str, content: Json, **members: Json) -> Json:
    return {"role": role, "content": content, **members}


U: Final = _turn("user", "what now")
V: Final = _turn("user", "go on")


def _call(call_id: str, name: str = "f", arguments: str = '{"a":1}') -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _called(*calls: Json, content: str | None = None) -> Json:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def _came(call_id: str, content: Json) -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


OPENAI_CHAT: Final[Turns] = {
    "instructions between turns": [_turn("system", "S"), U, _turn("assistant", "A"), _turn("system", "T"), V],
    "instructions only": [_turn("system", "S")],
    "developer": [_turn("developer", "D"), U],
    "assistant first": [_turn("assistant", "A"), U],
    "begun answer": [U, _turn("assistant", "It is")],
    "two turns of one role": [U, V],
    "turns without words": [_turn("user", ""), _turn("assistant", ""), V],
    "null": [U, _turn("assistant", None), V],
    "results in another order": [
        U,
        _called(_call("c1"), _call("c2", "g")),
        _came("c2", "2"),
        _came("c1", "1"),
        V,
    ],
    "two calls of one function": [U, _called(_call("c1"), _call("c2")), _came("c1", "1"), _came("c2", "2")],
    "a result that is missing": [U, _called(_call("c1"), _call("c2", "g")), _came("c1", "1"), V],
    "results that are JSON": [
        U,
        _called(_call("c1"), _call("c2")),
        _came("c1", '{"a": [1,2]}'),
        _came("c2", "[1,2]"),
    ],
    "a result without words": [U, _called(_call("c1")), _came("c1", "")],
    "words and a call": [
        U,
        _called(_call("c1"), content="I look"),
        _came("c1", "1"),
        _turn("assistant", "so"),
        V,
    ],
    "a call without arguments": [U, _called(_call("c1", arguments="")), _came("c1", "1")],
    "ids of other hosts": [U, _called(_call("functions.f:0")), _came("functions.f:0", "1")],
    "an id that is longer than OpenAI's may be": [U, _called(_call("c" * 80)), _came("c" * 80, "1")],
    "names of speakers": [_turn("user", "u", name="ann"), _turn("user", "v", name="bob")],
    "refusal": [U, {"role": "assistant", "refusal": "no"}, V],
    "image, sound, file": [
        _turn(
            "user",
            [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": DATA_URL}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
            ],
        ),
        _turn("user", [{"type": "input_audio", "input_audio": {"data": PNG, "format": "mp3"}}]),
        _turn(
            "user",
            [
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
                }
            ],
        ),
    ],
}


def _text(text: str, **members: Json) -> Json:
    return {"type": "text", "text": text, **members}


def _use(call_id: str, name: str = "f") -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {"a": 1}}


def _result(call_id: str, content: Json, **members: Json) -> Json:
    return _turn("user", [{"type": "tool_result", "tool_use_id": call_id, "content": content, **members}])


IMAGE: Final = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
MARK: Final = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}

ANTHROPIC: Final[Turns] = {
    "words after a result": [
        U,
        _turn("assistant", [_use("t1")]),
        _turn("user", [*_result("t1", "1")["content"], _text("and more")]),
    ],
    "words before a result": [
        U,
        _turn("assistant", [_use("t1")]),
        _turn("user", [_text("now"), *_result("t1", "1")["content"]]),
    ],
    "results in another order": [
        U,
        _turn("assistant", [_text("I look"), _use("t1"), _use("t2", "g")]),
        _turn("user", [*_result("t2", "2")["content"], *_result("t1", "1")["content"]]),
    ],
    "an error": [U, _turn("assistant", [_use("t1")]), _result("t1", "boom", is_error=True)],
    "a picture as a result": [U, _turn("assistant", [_use("t1")]), _result("t1", [_text("see"), IMAGE])],
    "an empty result": [U, _turn("assistant", [_use("t1")]), _result("t1", [])],
    "words after a call": [U, _turn("assistant", [_use("t1"), _text("after")]), _result("t1", "1")],
    "a thought": [
        U,
        _turn("assistant", [{"type": "thinking", "thinking": "hm", "signature": PROOF}, _text("x")]),
        V,
    ],
    "an encrypted thought": [
        U,
        _turn("assistant", [{"type": "redacted_thinking", "data": PROOF}, _text("x")]),
        V,
    ],
    "a thought before a call": [
        U,
        _turn("assistant", [{"type": "thinking", "thinking": "hm", "signature": PROOF}, _use("t1")]),
        _result("t1", "1"),
    ],
    "a cache mark": [_turn("user", [_text("long", **MARK)]), _turn("assistant", "A"), V],
    "documents": [
        _turn(
            "user",
            [
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                },
                {
                    "type": "document",
                    "source": {"type": "url", "url": "https://example.com/a.pdf"},
                    "title": "T",
                },
            ],
        )
    ],
    "found pages": [
        _turn(
            "user",
            [
                {
                    "type": "search_result",
                    "source": "https://example.com",
                    "title": "t",
                    "content": [_text("c")],
                }
            ],
        )
    ],
    "begun answer": [U, _turn("assistant", "It is")],
    "a turn without blocks": [U, _turn("assistant", []), V],
}


def _parts(role: str, *parts: Json) -> Json:
    return {"role": role, "parts": list(parts)}


def _function(name: str = "f", **members: Json) -> Json:
    return {"functionCall": {"name": name, "args": {"a": 1}}, **members}


def _response(name: str = "f", response: Json = None) -> Json:
    return {"functionResponse": {"name": name, "response": response or {"output": "42"}}}


ASKED: Final = _parts("user", {"text": "what now"})

GEMINI: Final[Turns] = {
    "a call": [ASKED, _parts("model", _function()), _parts("user", _response())],
    "two calls of one function": [
        ASKED,
        _parts("model", _function(), _function()),
        _parts("user", _response(response={"output": "1"}), _response(response={"output": "2"})),
    ],
    "results in another order": [
        ASKED,
        _parts("model", _function("f"), _function("g")),
        _parts("user", _response("g"), _response("f")),
    ],
    "signatures": [
        ASKED,
        _parts("model", {"text": "x", "thoughtSignature": PROOF}, _function(thoughtSignature=PROOF)),
        _parts("user", _response()),
    ],
    "a thought": [ASKED, _parts("model", {"text": "hm", "thought": True}, {"text": "x"}), ASKED],
    "an error": [ASKED, _parts("model", _function()), _parts("user", _response(response={"error": "boom"}))],
    "an object": [
        ASKED,
        _parts("model", _function()),
        _parts("user", _response(response={"a": 1, "b": [2]})),
    ],
    "words after a result": [
        ASKED,
        _parts("model", _function()),
        _parts("user", _response(), {"text": "also"}),
    ],
    "media": [
        _parts(
            "user",
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
            {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}},
        ),
        _parts("user", {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}),
        _parts("user", {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/a.mp4"}}),
    ],
    "code that was run": [
        ASKED,
        _parts("model", {"executableCode": {"language": "PYTHON", "code": "1"}}),
        ASKED,
    ],
    "no role": [{"parts": [{"text": "x"}]}],
}


def _item_call(call_id: str, name: str = "f") -> Json:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": '{"a":1}'}


def _item_output(call_id: str, output: Json) -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def _message(part: Json) -> Json:
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


OPENAI_RESPONSES: Final[Turns] = {
    "instructions between turns": [_turn("system", "S"), U, _turn("developer", "D"), V],
    "results in another order": [
        U,
        _item_call("c1"),
        _item_call("c2", "g"),
        _item_output("c2", "2"),
        _item_output("c1", "1"),
    ],
    "one call after another": [
        U,
        _item_call("c1"),
        _item_output("c1", "1"),
        _item_call("c2"),
        _item_output("c2", "2"),
    ],
    "words and a call": [U, _turn("assistant", "I look"), _item_call("c1"), _item_output("c1", "1")],
    "a picture as a result": [
        U,
        _item_call("c1"),
        _item_output(
            "c1", [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": DATA_URL}]
        ),
    ],
    "an encrypted thought": [
        U,
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": PROOF,
        },
        _item_call("c1"),
        _item_output("c1", "1"),
    ],
    "a thought without words": [
        U,
        {"type": "reasoning", "id": "rs_1", "summary": []},
        _turn("assistant", "A"),
        V,
    ],
    "refusal": [U, _message({"type": "refusal", "refusal": "no"}), V],
    "citation": [
        U,
        _message(
            {
                "type": "output_text",
                "text": "x",
                "annotations": [
                    {
                        "type": "url_citation",
                        "url": "https://example.com",
                        "title": "t",
                        "start_index": 0,
                        "end_index": 1,
                    }
                ],
            }
        ),
        V,
    ],
    "a reference": [U, {"type": "item_reference", "id": "msg_1"}],
}


def _asked(dialect: str, member: str, turns: list[Json]) -> Json:
    in_body: Json = {} if dialect == "gemini" else {"model": "m"}
    if dialect == "anthropic":
        in_body["max_tokens"] = 4096
    return {**in_body, member: turns, "tools": TOOLS[dialect]}


CONVERSATIONS: Final[dict[tuple[str, str], Json]] = {
    (dialect, name): _asked(dialect, member, turns)
    for dialect, member, told in (
        ("openai_chat", "messages", OPENAI_CHAT),
        ("openai_responses", "input", OPENAI_RESPONSES),
        ("anthropic", "messages", ANTHROPIC),
        ("gemini", "contents", GEMINI),
    )
    for name, turns in told.items()
}
"""Whole requests by API and name."""
