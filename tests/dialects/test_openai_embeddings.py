"""OpenAI's embeddings: requests and answers, and both encodings of vectors."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from llmgw.canonical import Embed, Embeddings, Usage
from llmgw.dialects import openai_embeddings
from llmgw.dialects.capabilities import UNKNOWN
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.hosts import OPENAI, Host
from llmgw.errors import InvalidRequest, UnsupportedParameter, UpstreamFailed
from tests.provider import recordings

ASKED = {"model": "text-embedding-3-small", "input": "hi"}


def read(**fields: Any) -> Embed:
    return openai_embeddings.read_request(json.dumps({**ASKED, **fields}).encode())


def losses(*, drop: bool = False) -> Losses:
    return Losses({**openai_embeddings.NAMES}, target="target", drop=drop)


def write(embed: Embed, host: Host = OPENAI, lost: Losses | None = None) -> Any:
    to = Recipient(model="target", host=host, capabilities=UNKNOWN)
    return json.loads(openai_embeddings.write_request(embed, to, lost or losses()))


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def answer(*vectors: Any, **members: Any) -> bytes:
    data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    whole = {"object": "list", "data": data, "model": "m", "usage": usage, **members}
    return json.dumps(whole).encode()


def tell(embeddings: Embeddings, embed: Embed) -> Any:
    return json.loads(openai_embeddings.write_answer(embeddings, embed))


@pytest.mark.parametrize(
    ("given_input", "inputs", "single"),
    [
        ("hi", ("hi",), True),
        (["hi"], ("hi",), False),
        (["hi", "ho"], ("hi", "ho"), False),
        ([1, 2], ((1, 2),), True),
        ([[1, 2], [3]], ((1, 2), (3,)), False),
    ],
)
def test_inputs_are_read_and_written_back(given_input: Any, inputs: Any, single: bool) -> None:
    """One text or many, text or tokens, each the way it was given."""
    embed = read(input=given_input)
    assert (embed.inputs, embed.single) == (inputs, single)
    assert write(embed) == {"model": "target", "input": given_input}


def test_fields_go_unchanged_to_the_same_api() -> None:
    """Those that are known and those that are not."""
    fields = {"dimensions": 8, "encoding_format": "base64", "user": "u", "input_type": "query"}
    assert write(read(**fields)) == {**ASKED, "model": "target", **fields}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [1, "a"]}, "input"),
        ({"input": [-1]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": {"text": "hi"}}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], path: str) -> None:
    """A 400 that names the field."""
    with pytest.raises(InvalidRequest) as refused:
        read(**fields)
    assert refused.value.param == path


def test_what_another_api_asks_for_is_refused_by_name() -> None:
    """Gemini's task and title have no place here."""
    embed = Embed(dialect="gemini", model="m", inputs=("hi",), single=True, task="RETRIEVAL_QUERY")
    with pytest.raises(UnsupportedParameter) as refused:
        write(embed)
    assert refused.value.param == "task"
    lost = losses(drop=True)
    assert write(embed, lost=lost) == {"model": "target", "input": "hi"}
    assert lost.dropped == ["task"]


def test_a_host_may_take_less() -> None:
    """Its encoding does not matter, a user's id is a hint, dimensions are not; names may differ."""
    narrow = Host(
        name="host",
        dialect="openai",
        unsupported=frozenset({"encoding_format", "user", "dimensions"}),
        renamed={"input": "texts"},
    )
    lost = losses()
    assert write(read(encoding_format="base64", user="u"), narrow, lost) == {"model": "target", "texts": "hi"}
    assert lost.dropped == ["user"]
    with pytest.raises(UnsupportedParameter) as refused:
        write(read(dimensions=8), narrow)
    assert refused.value.param == "dimensions"


def test_answers_are_put_in_order() -> None:
    """By their number, with the usage."""
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1]}]
    found = openai_embeddings.read_answer(answer(data=data))
    assert found.vectors == ((1.0,), (2.0,))
    assert found.usage is not None
    assert (found.model, found.usage.input) == ("m", 3)


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
@pytest.mark.parametrize("given_vector", [[0.5, -2.0], packed(0.5, -2.0)])
def test_the_client_gets_the_encoding_it_asked_for(encoding: str | None, given_vector: Any) -> None:
    """Whichever the provider sent; the SDK takes it."""
    found = openai_embeddings.read_answer(answer(given_vector))
    written = tell(found, read(encoding_format=encoding))
    expected = packed(0.5, -2.0) if encoding == "base64" else [0.5, -2.0]
    assert written["data"][0]["embedding"] == expected
    assert written["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    if encoding != "base64":
        CreateEmbeddingResponse.model_validate(written)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_encodings_are_one_another(vector: list[float]) -> None:
    """Base64 holds little-endian 32-bit floats, and nothing is lost of such."""
    text = openai_embeddings.text(tuple(vector))
    assert text == packed(*vector)
    assert openai_embeddings.numbers(text) == vector


def test_another_apis_vectors_are_told() -> None:
    """Without usage there is 0, for the API has that member always; its native members stay out."""
    found = Embeddings(model=None, vectors=((1.0,),), usage=Usage(native={"x": 1}), native={"y": 1})
    assert tell(found, read()) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "not JSON"),
        (b"{}", "data"),
        (b'{"data": []}', "data"),
        (b'{"data": [{}]}', "embedding"),
        (b'{"data": [{"embedding": []}]}', "embedding"),
        (b'{"data": [{"embedding": ["a"]}]}', "embedding"),
        (b'{"data": [{"embedding": [' + b"9" * 400 + b"]}]}", "valid"),
        (b'{"data": [{"embedding": "!!"}]}', "base64"),
        (b'{"data": [{"embedding": "AAA="}]}', "32-bit floats"),
        (b'{"data": [{"embedding": "AADAfw=="}]}', "number that is none"),
        (b'{"data": [{"index": 1, "embedding": [1]}]}', "numbered"),
        (b'{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}', "numbered"),
        (b'{"data": [{"embedding": [1]}], "usage": {"prompt_tokens": -1}}', "usage.prompt_tokens"),
        (b'{"error": {"message": "too hot"}}', "too hot"),
    ],
)
def test_what_is_no_answer_says_what_was_wrong(body: bytes, said: str) -> None:
    """A provider's failure."""
    with pytest.raises(UpstreamFailed) as failed:
        openai_embeddings.read_answer(body)
    assert said in failed.value.message


@pytest.mark.parametrize(
    ("vectors", "said"), [(((1.0,), (2.0,)), "2 embeddings"), (((1e300,),), "too large")]
)
def test_what_cannot_be_told_is_the_providers_failure(vectors: Any, said: str) -> None:
    """Another number of vectors than of inputs, and numbers that 32 bits do not hold."""
    with pytest.raises(UpstreamFailed, match=said):
        tell(Embeddings(model="m", vectors=vectors), read(encoding_format="base64"))


def recorded() -> list[Any]:
    found = [
        one
        for one in recordings.select()
        if one.endpoint.endswith("/v1/embeddings")
        and one.response["status"] == 200
        and one.provider != "cohere"
    ]
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="the recorded fixtures are not here"))]
    return [pytest.param(one, id=one.id) for one in found]


@pytest.mark.parametrize("recording", recorded())
def test_recorded_exchanges_are_unchanged(recording: recordings.Recording) -> None:
    """Request and answer say the same when they are written back; null is absent."""
    asked, said = recording.request["body"], recording.response["body"]
    embed = openai_embeddings.read_request(json.dumps(asked).encode())
    assert write(embed) == {**asked, "model": "target"}
    found = openai_embeddings.read_answer(json.dumps(said).encode())
    written = tell(found, embed)
    assert written["data"] == said["data"]
    assert written["usage"] == {name: count for name, count in said["usage"].items() if count is not None}
    assert written.keys() >= said.keys()
