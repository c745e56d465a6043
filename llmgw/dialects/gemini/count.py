"""`countTokens`: its request around a request for content, and its answer.

Source: the published discovery document (v1beta), `CountTokensRequest`.
"""

from __future__ import annotations

import msgspec

from llmgw.dialects import members
from llmgw.dialects.json_text import to_client
from llmgw.errors import InvalidRequest


def request(model: str, content: bytes) -> bytes:
    """The body that asks for the tokens of a `generateContent` request.

    Args:
        model: the provider's id of it.
        content: the body of that request, one JSON object.
    """
    inner = msgspec.Raw(b'{"model":' + msgspec.json.encode(f"models/{model}") + b"," + content.lstrip()[1:])
    return msgspec.json.encode({"generateContentRequest": inner})


def vertex_request(content: bytes) -> bytes:
    """The same on Vertex AI, whose `CountTokensRequest` has the members that count and no others (aiplatform v1)."""
    members: dict[str, msgspec.Raw] = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: value for name, value in members.items() if name in _VERTEX})


_VERTEX = ("contents", "systemInstruction", "tools", "generationConfig")


def content(body: bytes) -> bytes:
    """The `generateContent` request whose tokens a client asks for; it may also send its `contents` alone.

    Raises:
        InvalidRequest: the request is none.
    """
    try:
        found = _decode(body)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The request is not valid: {error}.") from None
    return body if found.generateContentRequest is msgspec.UNSET else bytes(found.generateContentRequest)


class _Asked(msgspec.Struct):
    generateContentRequest: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # noqa: N815  # the API's name


_decode = msgspec.json.Decoder(_Asked).decode


def read(body: bytes) -> int:
    """The tokens that the provider counted.

    Raises:
        UpstreamFailed: it is no such answer.
    """
    of = members.answer(body)
    tokens = of.integer("totalTokens")
    if tokens is None or tokens < 0:
        raise of.wrong("totalTokens", "a count of tokens")
    return tokens


def write(tokens: int) -> bytes:
    """The body of the answer to a client."""
    return to_client({"totalTokens": tokens})
