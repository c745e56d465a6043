"""The response object as a client of this API gets it: the answer, and an echo of what was asked for.

The SDK's types want every parameter back, so each is there with the client's value or the API's default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmgw.canonical import Chat, Finish, Json, NativeTool, Tool, Usage
from llmgw.dialects.codec import Stamp
from llmgw.dialects.openai_responses import usage as counts
from llmgw.dialects.openai_responses.spelling import NAME, whole_of

Item = dict[str, Json]
TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority"})
"""Service tiers that this API knows; another provider's own word for one is left out."""
_INCOMPLETE: Final[Mapping[str, str]] = {
    "length": "max_output_tokens",
    "context_length": "max_output_tokens",
    "content_filter": "content_filter",
}
"""Reasons for which a response is incomplete, in this API's two words."""


def base(chat: Chat, stamp: Stamp) -> dict[str, Json]:
    """The response before there is anything in it."""
    asked = (whole_of(chat.native) if chat.dialect == NAME else None) or {}
    text: dict[str, Any] = dict(asked.get("text") or {})
    text.setdefault("format", {"type": "text"})
    thinking: dict[str, Any] = dict(asked.get("reasoning") or {})
    return {
        "id": f"resp_{stamp.id}",
        "object": "response",
        "created_at": stamp.created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        **{name: _DEFAULTS.get(name) if asked.get(name) is None else asked[name] for name in _ECHOED},
        "model": chat.model,
        "output": [],
        "previous_response_id": None,
        "reasoning": {"effort": thinking.get("effort"), "summary": thinking.get("summary")},
        "store": False,
        "text": text,
        "tools": [_tool(tool) for tool in chat.tools],
        "usage": None,
    }


_ECHOED: Final = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "temperature",
    "tool_choice",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
_DEFAULTS: Final[Mapping[str, Json]] = {
    "metadata": {},
    "parallel_tool_calls": True,
    "service_tier": "default",
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
}
"""What the API says where the client said nothing."""


def _tool(tool: Tool | NativeTool) -> dict[str, Json]:
    if isinstance(tool, NativeTool):
        return dict(tool.data)
    if tool.custom:
        return {"type": "custom", "name": tool.name, "description": tool.description or "", **tool.native}
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters or {},
        "strict": True if tool.strict is None else tool.strict,
    }


def ended(
    response: dict[str, Json],
    output: Sequence[Item],
    finish: Finish | None,
    usage: Usage | None,
) -> dict[str, Json]:
    """`response` when it is complete, or ended before it was."""
    reason = _INCOMPLETE.get(finish.reason) if finish is not None else None
    return {
        **response,
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": list(output),
        "usage": None if usage is None else counts.write(usage),
    }
