"""The response object as a client of this API gets it: the answer, and an echo of what was asked for.

The SDK's types want every parameter back, so each is there with the client's value or the API's default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from llmgw.canonical import Chat, Finish, Json, Usage
from llmgw.dialects.codec import Stamp
from llmgw.dialects.openai_responses import usage as counts
from llmgw.dialects.openai_responses.spelling import Said

Item = dict[str, Json]
_INCOMPLETE: Final[Mapping[str, str]] = {
    "length": "max_output_tokens",
    "context_length": "max_output_tokens",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
"""Reasons for which a response is incomplete, in this API's two words."""


def base(chat: Chat, stamp: Stamp) -> dict[str, Json]:
    """The response before there is anything in it."""
    asked = _asked(chat.native.body) if isinstance(chat.native, Said) else {}
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
        "tools": [_tool(tool) for tool in asked.get("tools") or ()],
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


def _asked(body: bytes) -> dict[str, Any]:
    """What is echoed of a client's request; its input is skipped."""
    return msgspec.structs.asdict(_decode(body))


_decode: Final = msgspec.json.Decoder(
    msgspec.defstruct("Asked", [(name, Any, None) for name in (*_ECHOED, "text", "reasoning", "tools")])
).decode
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


def _tool(tool: Mapping[str, Json]) -> dict[str, Json]:
    """A tool as it was offered; of a function, with the defaults."""
    if tool.get("type") != "function":
        return dict(tool)
    strict = tool.get("strict")
    return {
        **tool,
        "parameters": tool.get("parameters") or {},
        "strict": True if strict is None else strict,
    }


def why_incomplete(finish: Finish | None) -> str | None:
    """Why the response ended before it was complete; None where it did not."""
    return None if finish is None else _INCOMPLETE.get(finish.reason)


def break_off(items: list[Item]) -> None:
    """Say of the last item that it is not complete, as of a message or a call that was cut short."""
    if items and items[-1]["type"] in ("message", "function_call", "custom_tool_call"):
        items[-1] = {**items[-1], "status": "incomplete"}


def ended(
    response: dict[str, Json],
    output: Sequence[Item],
    finish: Finish | None,
    usage: Usage | None,
) -> dict[str, Json]:
    """`response` when it is complete, or ended before it was."""
    reason = why_incomplete(finish)
    return {
        **response,
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": list(output),
        "usage": None if usage is None else counts.write(usage),
    }
