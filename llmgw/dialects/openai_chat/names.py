"""What clients of this API call the fields of the neutral model, and how providers' fields map back to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_CONTENT: Final = "messages.content"

NAMES: Final[Mapping[str, str]] = {
    "system": "messages",
    "cache_key": "prompt_cache_key",
    "include_usage": "stream_options.include_usage",
    "format": "response_format",
    "format.schema": "response_format.json_schema.schema",
    "reasoning": "reasoning_effort",
    "reasoning.effort": "reasoning_effort",
    "reasoning.adaptive": "reasoning_effort",
    "reasoning.budget_tokens": "reasoning.max_tokens",
    "reasoning.show": "reasoning.exclude",
    "tool_choice.names": "tool_choice",
    "message.name": "messages.name",
    "part.text": f"{_CONTENT}.text",
    "part.image": f"{_CONTENT}.image_url",
    "part.audio": f"{_CONTENT}.input_audio",
    "part.video": f"{_CONTENT}.video_url",
    "part.document": f"{_CONTENT}.file",
    "part.name": f"{_CONTENT}.file.filename",
    "part.detail": f"{_CONTENT}.image_url.detail",
    "part.cache": f"{_CONTENT}.cache_control",
    "part.refusal": "messages.refusal",
    "part.thought": "messages.reasoning_details",
    "part.citations": "messages.annotations",
    "part.tool_call": "messages.tool_calls",
    "tool.strict": "tools.function.strict",
    "tool.custom": "tools.custom",
    "tool.cache": "tools.cache_control",
}
"""By field of the neutral model, where the name differs."""

FIELDS: Final[Mapping[str, str]] = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
    "response_format": "format",
    "reasoning_effort": "reasoning",
    "prompt_cache_key": "cache_key",
}
"""The neutral field by this API's own name in a request, where they differ."""
