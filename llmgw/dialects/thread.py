"""What ties a conversation together: which call a tool result answers."""

from __future__ import annotations

from collections.abc import Mapping

from llmgw.canonical import Chat, ToolCall


def call_names(chat: Chat) -> Mapping[str, str]:
    """The function's name by the id of its call, over the whole conversation; the latest call wins."""
    return {
        part.id: part.name
        for message in chat.messages
        for part in message.parts
        if isinstance(part, ToolCall) and part.id is not None
    }
