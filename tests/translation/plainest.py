"""The plainest request and the plainest answer of each client API, to which samples add one thing each."""

from __future__ import annotations

from typing import Any, Final

Json = Any
PARAMETERS: Final = {"type": "object", "properties": {"a": {"type": "integer"}}}

PLAIN: Final[dict[str, Json]] = {
    "openai_chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "openai_responses": {"model": "m", "input": [{"role": "user", "content": "hi"}]},
    "anthropic": {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}
TURNS: Final = {
    "openai_chat": "messages",
    "openai_responses": "input",
    "anthropic": "messages",
    "gemini": "contents",
}
CALLED: Final[dict[str, Json]] = {
    "openai_chat": {
        "role": "assistant",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
        ],
    },
    "openai_responses": {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'},
    "anthropic": {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}],
    },
    "gemini": {"role": "model", "parts": [{"functionCall": {"id": "call_1", "name": "f", "args": {"a": 1}}}]},
}
"""A turn with the call that the sampled tool results answer."""


SAID: Final[dict[str, Json]] = {
    "openai_chat": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hi", "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    },
    "openai_responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_760_000_000,
        "model": "m",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "output": [
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "hi", "annotations": []}],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 1,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 4,
        },
    },
    "anthropic": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
    "gemini": {
        "responseId": "r1",
        "modelVersion": "m",
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
    },
}
"""The plainest answer of each API."""
TOOLS: Final[dict[str, Json]] = {
    "openai_chat": [{"type": "function", "function": {"name": name}} for name in "fg"],
    "openai_responses": [
        {"type": "function", "name": name, "parameters": PARAMETERS, "strict": False} for name in "fg"
    ],
    "anthropic": [{"name": name, "input_schema": PARAMETERS} for name in "fg"],
    "gemini": [{"functionDeclarations": [{"name": name, "description": "d"} for name in "fg"]}],
}
"""What is to be chosen from, where a sample chooses."""
