"""Log-probabilities of tokens, which have OpenAI's shape in the neutral model too; here they stand beside each text."""

from __future__ import annotations

from llmgw.canonical import Json
from llmgw.dialects import logprobs
from llmgw.dialects.members import Members, of_provider


def read(of: Members) -> list[Json] | None:
    """Take out the tokens of a text or of a delta; None where there are none.

    Raises:
        UpstreamFailed: they are not what the API says.
    """
    return logprobs.read(of.any("logprobs"), of.path("logprobs"), of_provider) or None


def of_message(item: Members) -> list[list[Json] | None]:
    """The tokens of each part of a message, which keeps them. Raises what `read` raises."""
    contents = item.whole().get("content")
    parts = contents if type(contents) is list else []
    return [
        read(Members({"logprobs": part.get("logprobs")}, f"{item.path('content')}[{n}]", of_provider))
        if type(part) is dict
        else None
        for n, part in enumerate(parts)
    ]


def of_event(tokens: list[Json]) -> list[Json]:
    """The tokens as events have them, which leave out the bytes that parts of a message have."""
    return [
        {**_without_bytes(token), "top_logprobs": [_without_bytes(one) for one in _others(token)]}
        for token in tokens
    ]


def _without_bytes(token: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in token.items() if name != "bytes"}


def _others(token: dict[str, Json]) -> list[dict[str, Json]]:
    return token.get("top_logprobs") or []
