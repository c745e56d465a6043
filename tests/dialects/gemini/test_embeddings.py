"""Embeddings: single and batched, of Gemini's clients and for its providers."""

from __future__ import annotations

import array
import base64
import json
from typing import Any

import pytest
from google.genai import types

from llmgw.canonical import Embed, Embeddings, Usage
from llmgw.dialects.gemini import embeddings
from llmgw.errors import InvalidRequest, UnsupportedParameter, UpstreamFailed
from tests.dialects.gemini import exchange
from tests.dialects.gemini.exchange import to


def read(body: Any, *, batch: bool = False) -> Embed:
    return embeddings.read_request(json.dumps(body).encode(), "models/embed", batch)


def write(embed: Embed) -> tuple[str, Any]:
    method, body = embeddings.write_request(embed, to("embed"), exchange.losses())
    return method, json.loads(body)


ONE = {
    "model": "models/embed",
    "content": {"parts": [{"text": "a"}]},
    "taskType": "RETRIEVAL_DOCUMENT",
    "title": "t",
    "outputDimensionality": 8,
}


def test_a_single_request() -> None:
    """It is read whole and written as it was."""
    found = read(ONE)
    assert found == Embed(
        dialect="gemini",
        model="embed",
        inputs=("a",),
        single=True,
        dimensions=8,
        task="RETRIEVAL_DOCUMENT",
        title="t",
    )
    assert write(found) == ("embedContent", ONE)


def test_a_batch() -> None:
    """A batch is several texts with the same options; snake_case is read too."""
    two = {**ONE, "content": {"parts": [{"text": "b"}]}}
    found = read({"requests": [ONE, two]}, batch=True)
    assert (found.inputs, found.single, found.dimensions) == (("a", "b"), False, 8)
    assert write(found) == ("batchEmbedContents", {"requests": [ONE, two]})
    snake = read({"content": {"parts": {"text": "a"}}, "task_type": "CLUSTERING", "output_dimensionality": 2})
    assert (snake.task, snake.dimensions) == ("CLUSTERING", 2)


@pytest.mark.parametrize(
    ("body", "batch", "param"),
    [
        ({}, False, "content"),
        ({"content": {"parts": []}}, False, "content.parts"),
        ({"content": {"parts": [{"inlineData": {}}]}}, False, "content.parts[0].text"),
        ({"content": {"parts": [{"text": "a", "thought": True}]}}, False, "content.parts[0].thought"),
        ({"requests": []}, True, "requests"),
        ({"requests": [ONE, {**ONE, "taskType": "CLUSTERING"}]}, True, "requests[1]"),
        ({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": "8"}, False, "outputDimensionality"),
    ],
)
def test_wrong_requests(body: Any, batch: bool, param: str) -> None:
    """The member at fault is named."""
    with pytest.raises(InvalidRequest) as caught:
        read(body, batch=batch)
    assert caught.value.param == param


def test_requests_of_other_clients() -> None:
    """Texts become a batch, a single text one request; what Gemini has not is refused or reported."""
    embed = Embed(
        dialect="openai_chat",
        model="m",
        inputs=("a",),
        single=True,
        dimensions=8,
        encoding="base64",
        user="u",
    )
    losses = exchange.losses()
    method, body = embeddings.write_request(embed, to("embed"), losses)
    assert (method, losses.dropped) == ("embedContent", ["user"])
    assert json.loads(body) == {
        "model": "models/embed",
        "outputDimensionality": 8,
        "content": {"parts": [{"text": "a"}]},
    }
    assert write(Embed(dialect="openai_chat", model="m", inputs=("a", "b")))[0] == "batchEmbedContents"
    with pytest.raises(InvalidRequest, match="token ids"):
        write(Embed(dialect="openai_chat", model="m", inputs=((1, 2),)))
    with pytest.raises(UnsupportedParameter):
        write(Embed(dialect="openai_chat", model="m", inputs=("a",), native={"odd": 1}))


def test_answers() -> None:
    """Both shapes of an answer, and their tokens."""
    one = embeddings.read_answer(
        b'{"embedding": {"values": [0.5, 1]}, "usageMetadata": {"promptTokenCount": 3}}'
    )
    assert one.vectors == ((0.5, 1.0),) and one.usage is not None and one.usage.input == 3
    two = embeddings.read_answer(b'{"embeddings": [{"values": [1]}, {"values": [2]}]}')
    assert two.vectors == ((1.0,), (2.0,)) and two.usage is None


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"{}", b'{"embedding": {}}', b'{"embeddings": [1]}', b'{"embedding": {"values": ["a"]}}', b'{"embedding": {"values": [1' + b"0" * 400 + b"]}}"]
)  # fmt: skip
def test_what_is_no_answer(body: bytes) -> None:
    """Anything else is the provider's failure."""
    with pytest.raises(UpstreamFailed):
        embeddings.read_answer(body)


def test_answers_for_clients() -> None:
    """Google's own types take both shapes; base64 of other providers becomes numbers."""
    embed = read(ONE)
    packed = base64.b64encode(array.array("f", [0.5, -1.0]).tobytes()).decode()
    body = embeddings.write_answer(Embeddings(model="m", vectors=(packed,), usage=Usage(input=3)), embed)
    assert json.loads(body) == {
        "embedding": {"values": [0.5, -1.0]},
        "usageMetadata": {"promptTokenCount": 3},
    }
    batch = read({"requests": [ONE, ONE]}, batch=True)
    found = json.loads(embeddings.write_answer(Embeddings(model="m", vectors=((1.0,), (2.0,))), batch))
    assert [one.values for one in types.EmbedContentResponse.model_validate(found).embeddings or ()] == [
        [1.0],
        [2.0],
    ]
    with pytest.raises(UpstreamFailed):
        embeddings.write_answer(Embeddings(model="m", vectors=("!",)), embed)
    with pytest.raises(UpstreamFailed):
        embeddings.write_answer(Embeddings(model="m", vectors=()), embed)
