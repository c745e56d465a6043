"""OpenAI's embeddings, `POST /v1/embeddings`.

A client may give one text or many, as text or as token ids, and may ask for vectors as numbers or as base64 of
little-endian 32-bit floats. Providers and hosts give what they can; the other form is made here, so `encoding_format`
is never a loss. Source: the published OpenAPI document (`CreateEmbeddingRequest`, `CreateEmbeddingResponse`).
"""

from __future__ import annotations

import array
import base64
import binascii
import math
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal

from llmgw.canonical import NOTHING, Embed, Embeddings, Json, Native, Usage
from llmgw.dialects import json_text, members
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.members import Members, of_provider
from llmgw.dialects.openai_chat import failure
from llmgw.dialects.words import Said
from llmgw.errors import UpstreamFailed

NAME: Final = "openai_embeddings"
NAMES: Final[Mapping[str, str]] = {"inputs": "input", "encoding": "encoding_format"}
"""This API's own names of the neutral fields, where they differ."""

_ENCODINGS: Final[Mapping[Json, Literal["float", "base64"]]] = {"float": "float", "base64": "base64"}
_FIELDS: Final[Mapping[str, str]] = {"input": "inputs", "encoding_format": "encoding"}
_INPUT: Final = "a string, an array of strings, an array of token ids or an array of such arrays"
_BYTES: Final = 4
"""Of one number in base64."""

Vector = tuple[float, ...] | str


def read_request(body: bytes) -> Embed:
    """Read a client's request.

    Raises:
        InvalidRequest: names the field and what it must be.
    """
    of = members.request(body)
    inputs, single = _inputs(of)
    encoding = of.text("encoding_format")
    if encoding is not None and encoding not in _ENCODINGS:
        raise of.wrong("encoding_format", "'float' or 'base64'")
    dimensions = of.integer("dimensions")
    if dimensions is not None and dimensions < 1:
        raise of.wrong("dimensions", "a whole number of 1 or more")
    return Embed(
        dialect=NAME,
        model=of.need_text("model"),
        inputs=inputs,
        single=single,
        dimensions=dimensions,
        encoding=_ENCODINGS.get(encoding),
        user=of.text("user"),
        native=of.rest(),
    )


def _inputs(of: Members) -> tuple[tuple[str | tuple[int, ...], ...], bool]:
    """The inputs, and whether there is one that is no list of inputs."""
    value = of.any("input")
    if type(value) is str:
        return (value,), True
    if type(value) is not list or not value:
        raise of.wrong("input", _INPUT)
    if _are_tokens(value):
        return (tuple(value),), True
    inputs: list[str | tuple[int, ...]] = []
    for one in value:
        if type(one) is str:
            inputs.append(one)
        elif type(one) is list and one and _are_tokens(one):
            inputs.append(tuple(one))
        else:
            raise of.wrong("input", _INPUT)
    return tuple(inputs), False


def _are_tokens(values: list[Json]) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


def write_request(embed: Embed, to: Recipient, losses: Losses) -> bytes:
    """The body of the request for `to`.

    Raises:
        UnsupportedParameter: through `losses`.
    """
    own = embed.dialect == NAME
    inputs = [one if isinstance(one, str) else list(one) for one in embed.inputs]
    written: dict[str, Json] = {
        "model": to.model,
        "input": inputs[0] if embed.single and len(inputs) == 1 else inputs,
    }
    for name, value in (
        ("dimensions", embed.dimensions),
        ("encoding_format", embed.encoding),
        ("user", embed.user),
    ):
        if value is not None:
            written[name] = value
    for field in ("task", "title"):
        if getattr(embed, field) is not None:
            losses.refuse(field, "it has no such setting")
    if own:
        written.update(embed.native)
    else:
        losses.refuse_native(embed.native)
    for name in sorted(to.host.unsupported & written.keys()):
        del written[name]
        if name == "user":
            losses.advise(name)
        elif name != "encoding_format":
            losses.refuse(_FIELDS.get(name, name), "the host that serves it does not take it")
    return json_text.to_provider({to.host.renamed.get(name, name): value for name, value in written.items()})


def read_answer(body: bytes) -> Embeddings:
    """Read a provider's answer; the vectors are put in the order of the inputs.

    Raises:
        UpstreamFailed: it is none.
    """
    whole = members.answer_object(body)
    if failure.is_error(whole):
        raise UpstreamFailed(f"The provider reported an error: {failure.of_event(whole).message}")
    of = Members(whole, "", of_provider)
    listed = of.objects("data")
    if not listed:
        raise of.wrong("data", "an array of at least one embedding")
    vectors: dict[int, Vector] = {}
    for position, one in enumerate(listed):
        index = one.integer("index")
        vectors[position if index is None else index] = _vector(one)
    if vectors.keys() != set(range(len(listed))):
        raise UpstreamFailed("The provider's answer is not valid: its embeddings are not numbered in order.")
    of.any("object")
    model = of.text("model")
    used = of.object("usage")
    return Embeddings(
        model=model or None,
        vectors=tuple(vectors[index] for index in range(len(listed))),
        usage=None if used is None else _usage(used),
        native=Said(of.rest(), NOTHING, NAME),
    )


def _vector(of: Members) -> Vector:
    value = of.any("embedding")
    if type(value) is str and value:
        numbers(value)
        return value
    if type(value) is not list or not value:
        raise of.wrong("embedding", "an array of numbers or base64")
    if any(type(one) is not float and type(one) is not int for one in value):
        raise of.wrong("embedding", "an array of numbers or base64")
    try:
        return tuple(float(one) for one in value)
    except OverflowError:
        raise of.wrong("embedding", "an array of numbers that are not too large") from None


def _usage(of: Members) -> Usage:
    prompt, total = of.integer("prompt_tokens"), of.integer("total_tokens")
    count = prompt if prompt is not None else total
    if count is not None and count < 0:
        raise of.wrong("prompt_tokens", "a count of tokens")
    return Usage(input=count, native=of.rest())


def write_answer(embeddings: Embeddings, embed: Embed) -> bytes:
    """The body of the answer to a client's `embed`, in the encoding it asked for.

    Raises:
        UpstreamFailed: there are not as many vectors as inputs, or one is not what it says.
    """
    if len(embeddings.vectors) != len(embed.inputs):
        raise UpstreamFailed(
            f"The provider's answer is not valid: it has {len(embeddings.vectors)} embeddings for "
            f"{len(embed.inputs)} inputs."
        )
    form = text if embed.encoding == "base64" else numbers
    data: list[Any] = [
        {"object": "embedding", "index": index, "embedding": form(vector)}
        for index, vector in enumerate(embeddings.vectors)
    ]
    # The API has this member always: 0 where nothing was reported.
    count = (embeddings.usage.input if embeddings.usage is not None else None) or 0
    written: dict[str, Json] = {
        "object": "list",
        "data": data,
        "model": embeddings.model or embed.model,
        "usage": {"prompt_tokens": count, "total_tokens": count, **_counted(embeddings)},
        **(embeddings.native if isinstance(embeddings.native, Said) else NOTHING),
    }
    return json_text.to_client(written)


def _counted(embeddings: Embeddings) -> Native:
    """Further counters of a host of this API."""
    own = isinstance(embeddings.native, Said) and embeddings.usage is not None
    return embeddings.usage.native if own and embeddings.usage is not None else NOTHING


def numbers(vector: Vector) -> list[float]:
    """A vector as numbers.

    Raises:
        UpstreamFailed: its base64 is none, or holds no 32-bit floats.
    """
    if not isinstance(vector, str):
        return list(vector)
    try:
        raw = base64.b64decode(vector, validate=True)
    except (binascii.Error, ValueError):
        raise UpstreamFailed("The provider's answer is not valid: an embedding is not in base64.") from None
    if not raw or len(raw) % _BYTES:
        raise UpstreamFailed("The provider's answer is not valid: an embedding holds no 32-bit floats.")
    found = array.array("f", raw)
    if sys.byteorder == "big":
        found.byteswap()
    if not all(map(math.isfinite, found)):
        raise UpstreamFailed("The provider's answer is not valid: an embedding has a number that is none.")
    return found.tolist()


def text(vector: Vector) -> str:
    """A vector as base64.

    Raises:
        UpstreamFailed: a number is too large for a 32-bit float.
    """
    if isinstance(vector, str):
        return vector
    made = array.array("f", vector)
    if not all(map(math.isfinite, made)):
        raise UpstreamFailed(
            "The provider's answer is not valid: an embedding has a number too large for it."
        )
    if sys.byteorder == "big":
        made.byteswap()
    return base64.b64encode(made.tobytes()).decode()
