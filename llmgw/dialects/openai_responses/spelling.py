"""Names of this API, and what is kept of a request as it was written.

The whole of a client's request stands beside `Chat.native`: written back to this API it returns as it came, and
no word of it that the neutral model holds otherwise (item ids, statuses, defaults) counts as lost elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from llmgw.canonical import Json, Native

NAME: Final = "openai_responses"

_ITEMS: Final = (
    "file_search_call",
    "web_search_call",
    "computer_call",
    "computer_call_output",
    "code_interpreter_call",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "compaction",
    "compaction_trigger",
    "item_reference",
    "program",
    "program_output",
)
_TOOLS: Final = (
    "file_search",
    "web_search",
    "web_search_preview",
    "computer",
    "computer_use_preview",
    "mcp",
    "code_interpreter",
    "image_generation",
    "local_shell",
    "shell",
    "apply_patch",
    "tool_search",
    "namespace",
    "programmatic_tool_calling",
)
NAMES: Final[Mapping[str, str]] = {
    **{f"part.{kind}": f"input.{kind}" for kind in _ITEMS},
    **{f"tool.{kind}": f"tools.{kind}" for kind in _TOOLS},
    "system": "instructions",
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "format": "text.format",
    "format.schema": "text.format.schema",
    "reasoning.show": "reasoning.summary",
    "verbosity": "text.verbosity",
    "cache_key": "prompt_cache_key",
    "logprobs": "include",
    "part.image": "input.content.input_image",
    "part.audio": "input.content.input_audio",
    "part.video": "input.content.input_video",
    "part.document": "input.content.input_file",
    "part.refusal": "input.content.refusal",
    "part.thought": "input.reasoning",
    "part.citations": "input.content.annotations",
    "part.function_call_output": "previous_response_id",  # one whose call is in the provider's store
    "part.custom_tool_call_output": "previous_response_id",
    "part.text": "input.content.input_text",
    "part.namespace": "input.namespace",
    "part.caller": "input.caller",
    "part.cache": "input.content.prompt_cache_breakpoint",
    "part.name": "input.content.input_file.filename",
    "part.detail": "input.content.detail",
    "tool.strict": "tools.strict",
    "tool.custom": "tools.custom",
    "tool.cache": "tools.cache_control",
    "tool_choice.names": "tool_choice.allowed_tools",
}
"""This API's own names of canonical fields, where they differ."""
TIERS: Final = frozenset({"auto", "default", "fast", "flex", "priority", "scale"})
"""Service tiers that this API knows."""
ADVISORY: Final = frozenset({"store", "safety_identifier", "prompt_cache_retention", "stream_options"})
"""Members without influence on the answer."""

_decode: Final = msgspec.json.Decoder().decode


class Said(dict[str, Json]):
    """A `native` mapping; `body` is the JSON text of the object that it is the rest of."""

    __slots__ = ("body",)

    def __init__(self, native: Native, body: bytes) -> None:
        super().__init__(native)
        self.body = body


def whole_of(native: Native) -> dict[str, Json] | None:
    """The object as its own API wrote it, where it is known."""
    return dict(_decode(native.body)) if isinstance(native, Said) else None
