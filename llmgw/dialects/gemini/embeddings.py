"""Embeddings: `embedContent` for one text, `batchEmbedContents` for several.

A batch repeats model and options with each text; ours come from one request, so all its texts have the same. The
vectors of the answer are plain numbers; base64, which OpenAI's clients ask for, is made from them as little-endian
32-bit floats. Source: the published discovery document (v1beta).
"""

from __future__ import annotations

import array
import base64
import binascii
import sys
from typing import Final, Literal

from llmgw.canonical import NOTHING, Embed, Embeddings, Json, Usage
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.gemini import spelling
from llmgw.dialects.gemini.spelling import NAME, Fields
from llmgw.dialects.json_text import to_client, to_provider
from llmgw.errors import InvalidRequest, UpstreamFailed

Method = Literal["embedContent", "batchEmbedContents"]

NAMES: Final = {
    "inputs": "content",
    "dimensions": "outputDimensionality",
    "task": "taskType",
    "title": "title",
}
"""Gemini's own names of the neutral fields."""


def read_request(body: bytes, model: str, batch: bool) -> Embed:
    """Read a client's request.

    Args:
        model: from the URL.
        batch: whether it is one of `batchEmbedContents`.

    Raises:
        InvalidRequest: names the field; the texts of a batch differ in their options.
    """
    request = spelling.request(body)
    if not batch:
        return _one(request, model)
    requests = request.every("requests")
    if not requests:
        raise request.wrong("requests", "an array of at least one request")
    found = [_one(one, model) for one in requests]
    first = found[0]
    for index, one in enumerate(found):
        if _options(one) != _options(first):
            raise InvalidRequest(
                f"The field 'requests[{index}]' must have the same options as the others of its batch.",
                param=f"requests[{index}]",
            )
    return Embed(
        dialect=NAME,
        model=first.model,
        inputs=tuple(one.inputs[0] for one in found),
        dimensions=first.dimensions,
        task=first.task,
        title=first.title,
        native={**first.native, **request.rest()} or NOTHING,
    )


def _options(one: Embed) -> tuple[Json, ...]:
    return (one.dimensions, one.task, one.title, dict(one.native))


def _one(request: Fields, model: str) -> Embed:
    request.text("model")  # the URL's counts
    content = request.fields("content")
    if content is None:
        raise request.wrong("content", "an object")
    content.text("role")
    texts = []
    for part in content.every("parts"):
        texts.append(part.need_text("text"))
        if part.rest():
            raise part.wrong(next(iter(part.rest())), "left out: only texts can be embedded here")
    if not texts:
        raise content.wrong("parts", "an array of at least one text")
    return Embed(
        dialect=NAME,
        model=model.removeprefix("models/"),
        inputs=("".join(texts),),
        single=True,
        dimensions=request.integer("outputDimensionality"),
        task=request.text("taskType"),
        title=request.text("title"),
        native=request.rest(),
    )


def write_request(embed: Embed, to: Recipient, losses: Losses) -> tuple[Method, bytes]:
    """The method to call and the body of the request.

    Raises:
        UnsupportedParameter: through `losses`.
    """
    own = embed.dialect == NAME
    if embed.user is not None:
        losses.advise("user")
    if not own:
        losses.refuse_native(embed.native)
    texts: list[str] = []
    for one in embed.inputs:
        if isinstance(one, str):
            texts.append(one)
        else:
            raise InvalidRequest(
                "The input must be text for this model: token ids are those of another model.", param="input"
            )
    options: dict[str, Json] = {"model": f"models/{to.model}"}
    for name, value in (
        ("outputDimensionality", embed.dimensions),
        ("taskType", embed.task),
        ("title", embed.title),
    ):
        if value is not None:
            options[name] = value
    if own:
        options.update(embed.native)
    requests = [{**options, "content": {"parts": [{"text": text}]}} for text in texts]
    if embed.single and len(requests) == 1:
        return "embedContent", to_provider(requests[0])
    return "batchEmbedContents", to_provider({"requests": requests})


def read_answer(body: bytes) -> Embeddings:
    """Read a provider's answer to either method.

    Raises:
        UpstreamFailed: it is none.
    """
    found = spelling.answer(body)
    listed = found.every("embeddings") or found.every("embedding")
    if not listed:
        raise UpstreamFailed("The provider's answer is not valid: it has no embeddings.")
    vectors = []
    native: dict[str, Json] = {}
    for one in listed:
        values = one.array("values")
        if not values or any(type(value) not in (float, int) for value in values):
            raise one.wrong("values", "an array of numbers")
        try:
            vectors.append(tuple(float(value) for value in values))
        except OverflowError:
            raise one.wrong("values", "an array of numbers") from None
        native.update(one.rest())
    used = found.fields("usageMetadata")
    tokens = None if used is None else used.integer("promptTokenCount")
    native.update(found.rest())
    return Embeddings(
        model=None,
        vectors=tuple(vectors),
        usage=None if used is None else Usage(input=tokens, native=used.rest()),
        native=native or NOTHING,
    )


def write_answer(embeddings: Embeddings, embed: Embed) -> bytes:
    """The body of the answer to a Gemini client's `embed`.

    Raises:
        UpstreamFailed: a vector in base64 is not one.
    """
    listed: list[Json] = [{"values": _numbers(vector)} for vector in embeddings.vectors]
    if embed.single and len(listed) != 1:
        raise UpstreamFailed("The provider's answer is not valid: it has not one embedding for one text.")
    written: dict[str, Json] = {"embedding": listed[0]} if embed.single else {"embeddings": listed}
    usage = embeddings.usage
    if usage is not None and usage.input is not None:
        written["usageMetadata"] = {"promptTokenCount": usage.input}
    return to_client(written)


def _numbers(vector: tuple[float, ...] | str) -> list[float]:
    if not isinstance(vector, str):
        return list(vector)
    try:
        numbers = array.array("f", base64.b64decode(vector, validate=True))
    except (binascii.Error, ValueError):
        raise UpstreamFailed("The provider's answer is not valid: an embedding is not in base64.") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
