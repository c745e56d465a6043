"""Log-probabilities as OpenAI has them, whose list of tokens is the neutral model's too."""

from __future__ import annotations

from typing import Any

from llmgw.canonical import Json
from llmgw.dialects.members import Fault


def read(value: Json, path: str, fault: Fault) -> list[dict[str, Any]]:
    """The list as it is, every token of it checked; empty where it is null. Raises what `fault` makes."""
    if value is None:
        return []
    if type(value) is not list or not all(_is_token(one) and _are_tokens(one) for one in value):
        raise fault(path, "an array of tokens with their log-probabilities")
    return value


def _is_token(value: Json) -> bool:
    return (
        type(value) is dict
        and type(value.get("token")) is str
        and type(value.get("logprob")) in (float, int, type(None))
    )


def _are_tokens(token: dict[str, Json]) -> bool:
    """Whether the other candidates for a token's place are what they must be, where there are some."""
    others = token.get("top_logprobs")
    return others is None or (type(others) is list and all(map(_is_token, others)))
