"""Log probabilities: `{"content": […], "refusal": […]}` here, the list of the content's tokens in the neutral model."""

from __future__ import annotations

from typing import Any

from llmgw.canonical import Json
from llmgw.dialects import logprobs
from llmgw.dialects.members import of_provider


def read(value: Json, path: str) -> tuple[list[dict[str, Any]] | None, list[dict[str, Any]] | None]:
    """The tokens of the content and those of the refusal; None where there are none.

    Raises:
        UpstreamFailed: they are not what the API says.
    """
    if value is None:
        return None, None
    if type(value) is not dict:
        raise of_provider(path, "an object")
    content = logprobs.read(value.get("content"), f"{path}.content", of_provider)
    refusal = logprobs.read(value.get("refusal"), f"{path}.refusal", of_provider)
    return content or None, refusal or None


def write(tokens: Json) -> Json:
    """The member of a choice."""
    return None if tokens is None else {"content": tokens, "refusal": None}
