"""The request body: read once, patched in place, refused with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.dialects import body
from llmgw.errors import InvalidRequest

TYPES = {"messages": body.FieldType("an array"), "stream": body.FieldType("a boolean", "null")}

ODD = (
    b' {\n  "temperature": 1.0e0 , "model"\t:  "gpt-4o" ,"messages":[ {"content":"caf\xc3\xa9 \\u00e9 \\"model\\": \\"x\\"", '
    b'"role" : "user"} ],\r\n"seed":12345678901234567890123, "x_unknown": {"model": "inner", "a":[1, 2.50,-0]} }\n'
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_every_byte_but_the_model_is_kept() -> None:
    """Odd white space, number formats, escapes and unknown fields survive a change of the model."""
    read = body.read(ODD, TYPES)
    assert read.model == "gpt-4o"
    assert read.with_model("claude") == ODD.replace(b'"gpt-4o"', b'"claude"')


def test_an_unchanged_model_costs_no_copy() -> None:
    """Where the target's model id is the one asked for, the very same bytes object goes on."""
    read = body.read(ODD, TYPES)
    assert read.with_model("gpt-4o") is ODD


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=6), st.text(min_size=1), st.booleans())
def test_patching_changes_the_model_and_nothing_else(
    members: dict[str, Any], model: str, ascii_only: bool
) -> None:
    """Property: the patched body, parsed, differs from the original in `model` alone."""
    members = {**members, "model": "before"}
    members.pop("stream", None)
    members.pop("messages", None)
    raw = json.dumps(members, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        patched = body.read(raw, TYPES).with_model(model)
    except InvalidRequest:
        # Lone surrogates are not Unicode text; providers refuse them too.
        assert any("\ud800" <= character <= "\udfff" for character in json.dumps(members, ensure_ascii=False))
        return
    try:
        expected = {**members, "model": model}
        assert json.loads(patched) == expected
    except UnicodeDecodeError:
        assert not model.isprintable()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "empty"),
        (b"   ", "empty"),
        (b"{", "not valid JSON"),
        (b'{"model": "m",}', "not valid JSON"),
        (b'{"model": "m"} trailing', "not valid JSON"),
        (b'{"model": "m", "x": NaN}', "not valid JSON"),
        (b'\xef\xbb\xbf{"model": "m"}', "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"model": "m", "x": "\xff\xfe"}', "not valid UTF-8"),
        (b'{"model": "m", "x\xff": 1}', "not valid UTF-8"),
        (b"{}", "'model' is missing"),
        (b'{"model": null}', "'model' must be a non-empty string"),
        (b'{"model": 5}', "'model' must be a non-empty string"),
        (b'{"model": ["m"]}', "'model' must be a non-empty string"),
        (b'{"model": ""}', "'model' must be a non-empty string"),
        (b'{"model": "m", "messages": "hello"}', "'messages' must be an array"),
        (b'{"model": "m", "stream": "yes"}', "'stream' must be a boolean or null"),
        (b'{"model": "m", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
        (b'{"model": "m", "x": ' + b"[" * 200_000, "nested too deeply"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bad_bodies_are_refused_with_a_reason(raw: bytes, says: str) -> None:
    """Each malformed or mistyped body is a 400 whose message names what to mend."""
    with pytest.raises(InvalidRequest, match=says):
        body.read(raw, TYPES)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model": "a", "model": "b"}',
        b'{"model": "a", "model": "a"}',
        b'{"model": "a", "mod\\u0065l": "b"}',
        b'{"mod\\u0065l": "b", "model": "a"}',
        b'{"stream": true, "model": "a", "stream": false}',
        # A repeated member sized so that a walk by lengths alone would land on a lookalike inside it.
        b'{"a":1,"model":"evil","b":22,"a":{"p":1,"model":"okok","b":2}}',
        b'{"a":{"k":1,"model":"m1"},"model":"m2","a":"1234567"}',
    ],
)
def test_a_key_twice_is_refused(raw: bytes) -> None:
    """No top-level key stands twice, however it is spelled, so gateway and provider read the same value."""
    with pytest.raises(InvalidRequest, match="more than once"):
        body.read(raw, TYPES)


def test_an_escaped_model_key_is_found() -> None:
    """A key that is spelled with escapes is the same key and is patched at its place."""
    raw = b'{"mod\\u0065l": "a", "x": 1}'
    assert body.read(raw, TYPES).with_model("b") == b'{"mod\\u0065l": "b", "x": 1}'


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_refusal(raw: bytes) -> None:
    """Property: whatever a client sends is read or refused."""
    try:
        read = body.read(raw, TYPES)
    except InvalidRequest:
        return
    assert json.loads(raw)["model"] == read.model


@given(
    st.lists(
        st.tuples(st.sampled_from(["model", "a", "b"]), st.sampled_from(['"m"', "1", '{"model":"x"}', "[]"]))
    )
)
def test_duplicates_are_found_wherever_they_stand(members: list[tuple[str, str]]) -> None:
    """Property: a body is read if and only if each key stands once (and the model is there)."""
    raw = ("{" + ",".join(f'"{key}":{value}' for key, value in members) + "}").encode()
    names = [key for key, _ in members]
    valid = len(set(names)) == len(names) and ("model", '"m"') in members
    if valid:
        assert body.read(raw, {}).model == "m"
    else:
        with pytest.raises(InvalidRequest):
            body.read(raw, {})


@pytest.mark.parametrize(
    ("raw", "asking"),
    [
        (
            b'{"model":"m","stream":true}',
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
        ),
        (
            b'\n{ "model" : "m", "stream":\ttrue } \n',
            b'\n{ "model" : "m", "stream":\ttrue ,"stream_options":{"include_usage":true}} \n',
        ),
        (
            b'{"stream_options": {"include_obfuscation":false}, "model": "m", "big": 1e400, "stream": true}',
            b'{"stream_options": {"include_obfuscation":false,"include_usage":true}, "model": "m", "big": 1e400, "stream": true}',
        ),
        (
            b'{"model":"m","stream_options":null,"stream":true}',
            b'{"model":"m","stream_options":{"include_usage":true},"stream":true}',
        ),
        (
            b'{"model":"}","stream_options":{"include_usage":false},"stream":true}',
            b'{"model":"}","stream_options":{"include_usage":true},"stream":true}',
        ),
    ],
)
def test_asking_for_usage_leaves_every_other_byte(raw: bytes, asking: bytes) -> None:
    """The one member is added or completed where it stands; spacing, numbers and order stay."""
    asked = body.read(raw, {})
    assert not asked.asks_for_usage()
    assert body.ask_for_usage(asked.with_model(asked.model)) == asking
    assert body.read(asking, {}).asks_for_usage()


def test_only_a_stream_asks_for_usage() -> None:
    """Without `stream: true` the option means nothing."""
    assert not body.read(b'{"model":"m","stream_options":{"include_usage":true}}', {}).asks_for_usage()


@pytest.mark.parametrize(
    ("raw", "removes", "adds", "expected"),
    [
        (
            ODD,
            "model",
            {"version": "v1"},
            b' {\n  "temperature": 1.0e0 ,"messages":[ {"content":"caf\xc3\xa9 \\u00e9 \\"model\\": \\"x\\"", '
            b'"role" : "user"} ],\r\n"seed":12345678901234567890123, "x_unknown": {"model": "inner", "a":[1, 2.50,-0]} '
            b',"version":"v1"}\n',
        ),
        (b'{"model":"m","a":1}', "model", {}, b'{"a":1}'),
        (b'{ "model": "m", "a":1}', "model", {}, b'{ "a":1}'),
        (b'{"a":1, "model": "m"}', "model", {}, b'{"a":1}'),
        (b'{"a":1, "model": "m" , "b":2}', "model", {}, b'{"a":1 , "b":2}'),
        (b'{"model":"m"}', "model", {"v": "1"}, b'{"v":"1"}'),
        (b'{"mode\\u006c":"m","a":1}', "model", {}, b'{"a":1}'),
        (b'{"a":{"model":1}}', "model", {"v": "1", "w": "2"}, b'{"a":{"model":1},"v":"1","w":"2"}'),
        (b'{"model":"m","v":2}', None, {"v": "1"}, b'{"model":"m","v":2}'),
        (b"{ }", "model", {"v": "1"}, b'{ "v":"1"}'),
    ],
)
def test_a_member_goes_and_others_come(
    raw: bytes, removes: str | None, adds: dict[str, str], expected: bytes
) -> None:
    """A member is taken out with its comma and others are put at the end, unless they are there; every other byte
    stays where it was."""
    assert body.edited(raw, removes, adds) == expected


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), json_values, max_size=5),
    st.integers(0, 5),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")]),
)
def test_an_edit_is_what_it_says(members: dict[str, Any], at: int, separators: tuple[str, str]) -> None:
    """Property: the edited body, parsed, lacks the one member and has the other one, in any spacing and place."""
    items = [item for item in members.items() if item[0] not in ("model", "v")]
    items.insert(min(at, len(items)), ("model", "m"))
    try:
        raw = json.dumps(dict(items), ensure_ascii=False, separators=separators).encode()
    except UnicodeEncodeError:
        return  # lone surrogates are not Unicode text
    expected = [item for item in items if item[0] != "model"] + [("v", "1")]
    assert list(json.loads(body.edited(raw, "model", {"v": "1"})).items()) == expected
